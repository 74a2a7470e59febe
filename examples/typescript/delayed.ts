// SPDX-License-Identifier: Apache-2.0
/**
 * Messages for later: by a delay level, after any time, at a moment; and one that is taken back before it comes.
 * Taking back needs `recallMessageEnable=true` at the broker; without it, the message comes.
 *
 *     deno run -A examples/typescript/delayed.ts [nameServer]
 */
import process from "node:process";
import { Consumer, Producer, RemotingError } from "../../src/client/mod.ts";

const nameServers = process.argv[2] ?? "127.0.0.1:9876";
const topic = "DelayedExample";
const startMs = Date.now();
const sinceStart = () => `${((Date.now() - startMs) / 1000).toFixed(1)} s`;

const producer = new Producer({ nameServers, group: "delayed-example" });
await producer.send({ topic, body: "at once" });

const level = await producer.send({ topic, body: "level 1: after a second", delayLevel: 1 });
await producer.send({ topic, body: "after two seconds", delayMs: 2000 });
await producer.send({ topic, body: "at a moment", deliverAtMs: startMs + 4000 });
const regretted = await producer.send({ topic, body: "regretted", delayMs: 3000 });
let expected = 5;
try {
  await producer.recall(topic, regretted);
  console.log("taken back: regretted");
  expected--;
} catch (error) {
  if (!(error instanceof RemotingError)) throw error;
  console.log(`not taken back: ${error.message}`);
}
console.log(`stored: ${level.status}, and four more`);

const { promise: all, resolve } = Promise.withResolvers<void>();
const consumer = new Consumer({
  nameServers,
  group: `delayed-example-${startMs}`,
  subscriptions: { [topic]: "*" },
  from: "first",
  onMessages(messages) {
    for (const { body, bornTimestampMs } of messages) {
      if (bornTimestampMs < startMs) continue; // of an earlier run
      console.log(`${sinceStart()}: ${new TextDecoder().decode(body)}`);
      if (--expected === 0) resolve();
    }
  },
});
await consumer.start();
await all;
await consumer.stop();
producer.stop();
