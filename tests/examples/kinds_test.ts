// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { startTestCluster } from "../harness/cluster.ts";
import { interopTest } from "../interop/suite.ts";
import { runJava, runTypeScript } from "./example.ts";

interface Example {
  readonly about: string;
  readonly typescript?: string;
  readonly java: string;
  readonly check: (lines: readonly string[]) => void;
}

/** Each is there, in this order; what else is printed does not matter. */
function assertInOrder(lines: readonly string[], ...wanted: string[]): void {
  let at = 0;
  for (const line of lines) if (line === wanted[at]) at++;
  assert.equal(at, wanted.length, `${wanted[at]} is missing in\n${lines.join("\n")}`);
}

const EXAMPLES: readonly Example[] = [
  {
    about: "transactions",
    typescript: "transaction",
    java: "Transaction",
    check(lines) {
      const delivered = lines.filter((line) => line.startsWith("delivered")).sort();
      assert.deepEqual(delivered, ["delivered: the paid order", "delivered: the slow order"]);
      assertInOrder(lines, "asked about the slow order", "delivered: the slow order");
    },
  },
  {
    about: "request and reply",
    typescript: "request_reply",
    java: "RequestReply",
    check(lines) {
      assertInOrder(
        lines,
        'who is there? "who is there?" is a good question',
        'what time is it? "what time is it?" is a good question',
      );
    },
  },
  {
    about: "retry and dead letters",
    typescript: "retry",
    java: "Retry",
    check(lines) {
      assertInOrder(
        lines,
        ...[1, 2, 3].map((number) => `try ${number} of: poison`),
        "dead: poison, key poison-1",
      );
    },
  },
  {
    about: "order",
    typescript: "ordered",
    java: "Ordered",
    check(lines) {
      for (const order of [1, 2, 3]) {
        const steps = lines.filter((line) => line.startsWith(`order ${order}: `)).map((line) =>
          line.slice(9)
        );
        assert.deepEqual(steps, ["ordered", "paid", "packed", "sent"]);
      }
    },
  },
  {
    about: "broadcasting",
    java: "Broadcast",
    check(lines) {
      const got = lines.filter((line) => /^(first|second): news [123]$/.test(line));
      assert.equal(new Set(got).size, 6, lines.join("\n"));
    },
  },
  {
    about: "message trace",
    java: "Trace",
    check: (lines) => assertInOrder(lines, "Pub of trace-example-java to TraceExample"),
  },
];

function startCluster() {
  return startTestCluster(
    "messageDelayLevel=1s 1s 1s 1s 1s",
    "transactionTimeOut=500",
    "transactionCheckInterval=500",
    "traceTopicEnable=true",
  );
}

for (const { about, typescript, java, check } of EXAMPLES) {
  if (typescript !== undefined) {
    test(`the TypeScript example of ${about} does what it says`, { timeout: 60_000 }, async () => {
      const cluster = await startCluster();
      try {
        check(await runTypeScript(typescript, cluster.nameServer.address));
      } finally {
        await cluster.stop();
      }
    });
  }
  interopTest(`the Java example of ${about} does what it says`, { needs: ["5.4.0"] }, async () => {
    const cluster = await startCluster();
    try {
      check(await runJava(java, cluster.nameServer.address));
    } finally {
      await cluster.stop();
    }
  });
}
