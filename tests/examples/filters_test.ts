// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { startTestCluster } from "../harness/cluster.ts";
import { interopTest } from "../interop/suite.ts";
import { runJava, runTypeScript } from "./example.ts";

function assertFiltered(lines: readonly string[]): void {
  const of = (name: string) => lines.filter((line) => line.startsWith(`${name}: `)).sort();
  assert.deepEqual(of("tags"), ["tags: a catalogue", "tags: ten books"]);
  assert.deepEqual(of("condition"), ["condition: forty lamps", "condition: ten books"]);
  const [refusal] = of("refused");
  assert.match(refusal, /at character 10: strings have no order/);
}

async function withCluster(run: (nameServer: string) => Promise<void>): Promise<void> {
  const cluster = await startTestCluster("enablePropertyFilter=true");
  try {
    await run(cluster.nameServer.address);
  } finally {
    await cluster.stop();
  }
}

test("the TypeScript example of filters does what it says", { timeout: 60_000 }, async () => {
  await withCluster(async (nameServer) => assertFiltered(await runTypeScript("filters", nameServer)));
});

interopTest("the Java example of filters does what it says", { needs: ["5.4.0"] }, async () => {
  await withCluster(async (nameServer) => assertFiltered(await runJava("Filters", nameServer)));
});
