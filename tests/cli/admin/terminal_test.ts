// SPDX-License-Identifier: Apache-2.0
/** The program itself on a terminal that `script` makes, and in a pipe. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startTestCluster, type TestCluster } from "../../harness/cluster.ts";
import { until } from "../../harness/until.ts";
import { Rmq } from "./rmq.ts";

const main = fileURLToPath(new URL("../../../src/main.ts", import.meta.url));
const program = [process.execPath, ..."Deno" in globalThis ? ["run", "-A", "--quiet"] : ["run"], main]
  .map((word) => `'${word}'`).join(" ");
const hasScript = spawnSync("script", ["-qec", "true", "/dev/null"]).status === 0;
const skip = !hasScript && "the script command of util-linux is not installed";

/** A command line in a shell, with what it has printed. */
class Shell {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  out = "";
  err = "";

  constructor(command: string, args: string[], environment: Record<string, string>) {
    this.child = spawn(command, args, {
      env: { ...process.env, TERM: "xterm", NO_COLOR: "", ...environment },
    });
    this.child.stdout!.on("data", (chunk) => this.out += chunk);
    this.child.stderr!.on("data", (chunk) => this.err += chunk);
    this.ended = new Promise((resolve) => this.child.on("close", resolve));
  }

  type(text: string): void {
    this.child.stdin!.write(text);
  }
}

describe("on a terminal and in a pipe", () => {
  let cluster: TestCluster;
  let rmq: Rmq;
  const shells: Shell[] = [];

  before(async () => {
    cluster = await startTestCluster();
    rmq = new Rmq(cluster.nameServer.address);
    await rmq.ok("topic", "create", "orders");
    await rmq.ok("message", "send", "orders", "x".repeat(2000), "--repeat", "300");
  });

  after(async () => {
    for (const { child } of shells) child.kill("SIGKILL");
    await cluster.stop();
  });

  function onTerminal(line: string, environment: Record<string, string> = {}): Shell {
    const command =
      `stty cols 80 rows 24; ${program} ${line}; echo "status $?"; stty -a | grep -o -e '[-]*icanon'`;
    const shell = new Shell("script", ["-qfec", command, "/dev/null"], {
      NAMESRV_ADDR: cluster.nameServer.address,
      ...environment,
    });
    shells.push(shell);
    return shell;
  }

  test("rmq top refreshes in place, and leaves the terminal as it was", { skip }, async () => {
    const shell = onTerminal("top -i 100ms");
    await until(() => shell.out.split("\x1b[H").length > 2, 20_000);
    assert.ok(shell.out.includes("\x1b[?1049h"));
    shell.type("q");
    await shell.ended;
    const last = shell.out.slice(shell.out.lastIndexOf("\x1b[?1049l"));
    assert.match(last, /status 0\r\nicanon/);
  });

  test("ctrl-c ends rmq top, too", { skip }, async () => {
    const shell = onTerminal("top -i 100ms");
    await until(() => shell.out.includes("\x1b[H"), 20_000);
    shell.type("\x03");
    await shell.ended;
    assert.ok(shell.out.includes("\x1b[?1049lstatus 0\r\nicanon"), shell.out);
  });

  test("what destroys asks, and takes the answer from the terminal", { skip }, async () => {
    await rmq.ok("topic", "create", "doomed");
    const no = onTerminal("topic delete doomed");
    await until(() => no.out.includes("[y/N] "), 20_000);
    no.type("no\n");
    await no.ended;
    assert.match(no.out, /nothing was changed\.\r\nstatus 1/);
    const yes = onTerminal("topic delete doomed");
    await until(() => yes.out.includes("[y/N] "), 20_000);
    yes.type("y\n");
    await yes.ended;
    assert.match(yes.out, /Deleted doomed on broker-a\.\r\nstatus 0/);
  });

  test("headings are bold on a terminal, but not with NO_COLOR", { skip }, async () => {
    const bold = onTerminal("topic list");
    const plain = onTerminal("topic list", { NO_COLOR: "1" });
    await Promise.all([bold.ended, plain.ended]);
    assert.ok(bold.out.includes("\x1b[1mTOPIC"));
    assert.match(plain.out, /TOPIC +TYPE/);
  });

  test("a reader that has enough ends a command without noise", async () => {
    const line = `${program} message tail orders --from 1h | head -n 1; exit "\${PIPESTATUS[0]}"`;
    const shell = new Shell("bash", ["-c", line], { NAMESRV_ADDR: cluster.nameServer.address });
    shells.push(shell);
    assert.equal(await shell.ended, 0);
    assert.deepEqual([shell.out.trimEnd().split("\n").length, shell.err], [1, ""]);
  });
});
