// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { startTestCluster } from "../harness/cluster.ts";
import { interopTest } from "../interop/suite.ts";
import { runJava, runTypeScript } from "./example.ts";

/** Who did what differs from run to run. */
function assertAllDone(lines: readonly string[]): void {
  const done = lines.flatMap((line) => /^(?:Ann|Bob): did (.*)$/.exec(line)?.[1] ?? []);
  const jobs = [1, 2, 3, 4, 5, 6, 7, 8].map((number) => `job ${number}${number === 3 ? ", at last" : ""}`);
  assert.deepEqual(done.sort(), jobs);
  assert.ok(lines.some((line) => line.endsWith(": failed at job 3")), lines.join("\n"));
}

test("the TypeScript example of POP does what it says", { timeout: 60_000 }, async () => {
  const cluster = await startTestCluster();
  try {
    const lines = await runTypeScript("pop", cluster.nameServer.address);
    assertAllDone(lines);
    for (const name of ["Ann", "Bob"]) {
      assert.ok(lines.some((line) => line.startsWith(name)), lines.join("\n"));
    }
  } finally {
    await cluster.stop();
  }
});

interopTest("the Java example of POP does what it says", { needs: ["5.4.0"] }, async () => {
  const cluster = await startTestCluster();
  try {
    assertAllDone(await runJava("Pop", cluster.nameServer.address));
  } finally {
    await cluster.stop();
  }
});
