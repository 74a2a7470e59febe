// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Rmq } from "./rmq.ts";

const main = fileURLToPath(new URL("../../../src/main.ts", import.meta.url));
const runtimeArgs = "Deno" in globalThis ? ["run", "-A"] : ["run"];

/** A server in a process of its own. */
interface Server {
  child: ChildProcess;
  ended: Promise<number | null>;
}

/** Starts it and waits until it says that it serves. */
function start(...args: string[]): Promise<Server> {
  const child = spawn(process.execPath, [...runtimeArgs, main, ...args], {
    env: { ...process.env, RMQ_LOG_DIR: "none" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  return new Promise((resolve, reject) => {
    let out = "";
    const see = (chunk: unknown) => {
      out += chunk;
      if (out.includes("boot success")) resolve({ child, ended });
    };
    child.stdout.on("data", see);
    child.stderr.on("data", see);
    void ended.then((status) => reject(new Error(`ended with ${status}: ${out}`)));
  });
}

describe("rmq shutdown", () => {
  const rmq = new Rmq("127.0.0.1:9");
  const children: ChildProcess[] = [];
  let directory: string;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), "rmq-shutdown-"));
  });

  after(() => {
    for (const child of children) child.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  });

  test("a broker is found by the lock of its store, and has ended when the command has", async () => {
    const store = join(directory, "store");
    const file = join(directory, "broker.conf");
    writeFileSync(file, `storePathRootDir=${store}\nlistenPort=0\nbrokerIP1=127.0.0.1\n`);
    const { child, ended } = await start("broker", "-c", file);
    children.push(child);
    const pidFile = join(store, "rmq", "broker.pid");
    assert.equal(readFileSync(pidFile, "utf8"), `${child.pid}\n`);
    assert.equal(
      await rmq.ok("shutdown", "broker", "-c", file),
      `The broker (process ${child.pid}) has ended.\n`,
    );
    assert.equal(await ended, 0);
    assert.ok(!existsSync(pidFile));
    assert.ok(!existsSync(join(store, "abort")));
    assert.match(
      await rmq.fails("shutdown", "broker", "--store", store),
      /no broker has the store .*Say which one/,
    );
  });

  test("a name server is found by its table, and by its port where there are several", async () => {
    const fileOf = (name: string) => {
      const path = join(directory, `${name}.conf`);
      writeFileSync(
        path,
        `listenPort=0\nbindAddress=127.0.0.1\nkvConfigPath=${join(directory, "names", "kv.json")}\n`,
      );
      return path;
    };
    const first = await start("namesrv", "-c", fileOf("one"));
    const second = await start("namesrv", "-c", fileOf("two"));
    children.push(first.child, second.child);
    const refused = await rmq.fails("shutdown", "namesrv", "-c", fileOf("one"));
    const [, ...ports] = /several name servers run here, on the ports (\d+), (\d+): say which one/.exec(
      refused,
    )!;
    for (const port of ports) {
      assert.match(
        await rmq.ok("shutdown", "namesrv", "-c", fileOf("one"), "--port", port),
        /^The name server \(process \d+\) has ended\.\n$/,
      );
    }
    assert.deepEqual([await first.ended, await second.ended], [0, 0]);
    assert.match(
      await rmq.fails("shutdown", "namesrv", "-c", fileOf("one")),
      /no name server runs with the table/,
    );
  });
});
