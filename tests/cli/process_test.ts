// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const runtimeArgs = "Deno" in globalThis ? ["run", "-A"] : ["run"];

/** Runs a source file as a process; `onOutput` sees all that it has printed so far. */
function runSource(source: string, args: string[], onOutput: (out: string, pid: number) => void = () => {}) {
  return new Promise<{ status: number | null; out: string; err: string }>((resolve, reject) => {
    const child = spawn(process.execPath, [...runtimeArgs, source, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [out, err] = ["", ""];
    child.stderr.on("data", (chunk) => err += chunk);
    child.stdout.on("data", (chunk) => {
      out += chunk;
      onOutput(out, child.pid!);
    });
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, out, err }));
  });
}

test("the first signal asks for the end, the second one doesn't wait for it", async () => {
  let sent = 0;
  const { status, out } = await runSource(path("stubborn.ts"), [], (out, pid) => {
    const wanted = out.includes("asked") ? 2 : out.includes("ready") ? 1 : 0;
    if (sent < wanted) process.kill(pid, (["SIGTERM", "SIGINT"] as const)[sent++]);
  });
  assert.equal(out, "ready\nasked\n");
  assert.equal(status, 1);
});

test("the program writes everything before it ends, and tells its status", async () => {
  const main = path("../../src/main.ts");
  const printed = await runSource(main, ["broker", "-p", "--set", "storePathRootDir=/nowhere"]);
  assert.equal(printed.status, 0, printed.err);
  assert.match(printed.out, /^maxDelayTime=40$/m);
  const refused = await runSource(main, [
    "broker",
    "--set",
    "brokerRole=SLAVE",
    "--set",
    "storePathRootDir=/nowhere",
  ]);
  assert.deepEqual([refused.status, refused.out], [1, ""]);
  assert.match(refused.err, /^--set: brokerRole=SLAVE is refused: [^\n]*\n$/);
});
