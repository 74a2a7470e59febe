// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startTestCluster, type TestCluster } from "../../harness/cluster.ts";
import { Rmq } from "./rmq.ts";

describe("completion", () => {
  let cluster: TestCluster;
  let rmq: Rmq;

  before(async () => {
    cluster = await startTestCluster();
    rmq = new Rmq(cluster.nameServer.address);
    await rmq.ok("topic", "create", "orders");
    await rmq.ok("group", "create", "billing");
  });

  after(() => cluster.stop());

  /** What is offered for the last of these words. */
  async function offered(...words: string[]): Promise<string[]> {
    const out = await rmq.ok("__complete", ...words);
    return out === "" ? [] : out.trimEnd().split("\n").map((line) => line.split("\t")[0]);
  }

  test("commands are offered, and commands of families", async () => {
    assert.deepEqual(await offered("to"), ["topic", "top"]);
    assert.ok((await offered("")).includes("standalone"));
    assert.deepEqual(await offered("topic", "d"), ["delete"]);
    assert.deepEqual(await offered("broker", "config", ""), ["get", "set"]);
    assert.deepEqual(await offered("store", "v"), ["verify"]);
    assert.deepEqual(await offered("admin", "updateT"), ["updateTopic", "updateTopicPerm"]);
    assert.deepEqual(await offered("completion", ""), ["bash", "zsh", "fish"]);
  });

  test("options are offered, of servers too", async () => {
    assert.deepEqual(await offered("topic", "create", "x", "--re"), ["--read-queues", "--replace"]);
    assert.deepEqual(await offered("broker", "--conf"), ["--configFile"]);
    assert.deepEqual(await offered("topic", "create", "x", "--perm", ""), ["rw", "r", "w", "none"]);
    assert.deepEqual(await offered("group", "mode", "g", "t", ""), ["pop", "pull"]);
  });

  test("names are offered from the cluster", async () => {
    assert.deepEqual(await offered("topic", "show", ""), ["orders"]);
    assert.deepEqual(await offered("topic", "show", "TB"), ["TBW102"]);
    assert.deepEqual(await offered("group", "lag", "bil"), ["billing"]);
    assert.deepEqual(await offered("offset", "reset", "billing", "ord"), ["orders"]);
    assert.deepEqual(await offered("broker", "drain", ""), ["broker-a"]);
    assert.deepEqual(await offered("topic", "list", "--cluster", ""), ["DefaultCluster"]);
    assert.deepEqual(await offered("topic", "delete", "orders", "or"), ["orders"]);
  });

  test("a cluster that can't be reached offers nothing, and no complaint", async () => {
    assert.deepEqual(await offered("topic", "show", "-n", "127.0.0.1:9", ""), []);
  });

  test(
    "the script for bash offers what rmq says",
    { skip: !isThere("bash") && "bash is not installed" },
    async () => {
      const directory = mkdtempSync(join(tmpdir(), "rmq-completion-"));
      try {
        const fake = join(directory, "rmq");
        writeFileSync(
          fake,
          '#!/bin/sh\nfor word in "$@"; do printf "%s," "$word" >&2; done\n' +
            "printf 'list\\tList topics\\nodd|name\\t\\n'\n",
        );
        chmodSync(fake, 0o755);
        const script = await rmq.ok("completion", "bash");
        const { stdout, stderr } = spawnSync("bash", [
          "--norc",
          "-eu",
          "-c",
          `${script}
        ${script}
        COMP_WORDS=(${fake} topic ""); COMP_CWORD=2
        _rmq_complete
        printf '%s\\n' "\${COMPREPLY[@]}"`,
        ], { encoding: "utf8" });
        assert.equal(stderr, "");
        assert.equal(stdout, "list\nodd\\|name\n");
      } finally {
        rmSync(directory, { recursive: true });
      }
    },
  );

  for (const shell of ["bash", "zsh", "fish"]) {
    test(
      `the script for ${shell} is one`,
      { skip: !isThere(shell) && `${shell} is not installed` },
      async () => {
        const script = await rmq.ok("completion", shell);
        const { status, stderr } = spawnSync(shell, ["-n"], { input: script, encoding: "utf8" });
        assert.deepEqual([status, stderr], [0, ""]);
      },
    );
  }
});

function isThere(shell: string): boolean {
  return spawnSync(shell, ["-c", "exit 0"]).status === 0;
}
