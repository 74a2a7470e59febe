// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { startTestCluster } from "../harness/cluster.ts";
import { interopTest } from "../interop/suite.ts";
import { runJava, runTypeScript } from "./example.ts";

/** In which order depends on how soon the consumer is there. */
function assertAllCame(lines: readonly string[]): void {
  const came = lines.flatMap((line) => /^[0-9.]+ s: (.*)$/.exec(line)?.[1] ?? []);
  assert.deepEqual(came.sort(), [
    ...["after two seconds", "at a moment", "at once", "level 1: after a second"],
  ]);
  assert.ok(lines.includes("taken back: regretted"), lines.join("\n"));
}

test("the TypeScript example of delayed messages does what it says", { timeout: 60_000 }, async () => {
  const cluster = await startTestCluster("recallMessageEnable=true", "messageDelayLevel=1s 5s");
  try {
    assertAllCame(await runTypeScript("delayed", cluster.nameServer.address));
  } finally {
    await cluster.stop();
  }
});

interopTest("the Java example of delayed messages does what it says", { needs: ["5.4.0"] }, async () => {
  const cluster = await startTestCluster("recallMessageEnable=true", "messageDelayLevel=1s 5s");
  try {
    assertAllCame(await runJava("Delayed", cluster.nameServer.address));
  } finally {
    await cluster.stop();
  }
});
