// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "../harness/until.ts";
import { freePort } from "../interop/ports.ts";

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const runtimeArgs = "Deno" in globalThis ? ["run", "-A"] : [];

test("systemd is told once the process serves, and which process that is", { timeout: 30_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "rmq-systemd-"));
  // In the place of systemd's program: writes down what it is called with.
  const program = join(directory, "systemd-notify");
  const told = join(directory, "told");
  writeFileSync(program, `#!/bin/sh\necho "$@" > ${told}.new\nmv ${told}.new ${told}\n`);
  chmodSync(program, 0o755);
  const port = await freePort();
  const keys = [
    `listenPort=${port}`,
    `kvConfigPath=${directory}/kv.json`,
    `configStorePath=${directory}/n.properties`,
  ];
  const file = join(directory, "namesrv.properties");
  writeFileSync(file, keys.join("\n"));
  const env = {
    ...process.env,
    PATH: `${directory}:${process.env.PATH}`,
    NOTIFY_SOCKET: join(directory, "socket"),
    RMQ_LOG_DIR: "none",
  };
  const child = spawn(process.execPath, [...runtimeArgs, main, "namesrv", "-c", file], {
    env,
    stdio: "ignore",
  });
  const ended = new Promise((resolve) => child.on("close", (status) => resolve(status)));
  try {
    await until(() => existsSync(told), 20_000);
    assert.equal(readFileSync(told, "utf8"), `--ready --pid=${child.pid} --status=name server serves\n`);
    // Not by child.kill(): after that Deno reports the signal as the end, whatever the process made of it.
    process.kill(child.pid!, "SIGTERM");
    assert.equal(await ended, 0);
  } finally {
    child.kill("SIGKILL");
    await ended;
    rmSync(directory, { recursive: true, force: true });
  }
});
