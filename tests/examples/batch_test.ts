// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { startTestCluster } from "../harness/cluster.ts";
import { interopTest } from "../interop/suite.ts";
import { runJava, runTypeScript } from "./example.ts";

async function assertBatch(run: (nameServer: string) => Promise<string[]>): Promise<void> {
  const cluster = await startTestCluster();
  try {
    const lines = await run(cluster.nameServer.address);
    assert.match(lines[0], /^SEND_OK: 100 messages in queue [0-3]$/);
    assert.equal(lines[1], "received 100, in their order");
  } finally {
    await cluster.stop();
  }
}

test("the TypeScript example of batches does what it says", { timeout: 60_000 }, async () => {
  await assertBatch((nameServer) => runTypeScript("batch", nameServer));
});

interopTest("the Java example of batches does what it says", { needs: ["5.4.0"] }, async () => {
  await assertBatch((nameServer) => runJava("Batch", nameServer));
});
