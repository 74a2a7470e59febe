// SPDX-License-Identifier: Apache-2.0
/**
 * Many messages in one request: they are stored in one queue, one behind the other, or not at all.
 *
 *     deno run -A examples/typescript/batch.ts [nameServer]
 */
import process from "node:process";
import { Consumer, Producer } from "../../src/client/mod.ts";

const nameServers = process.argv[2] ?? "127.0.0.1:9876";
const topic = "BatchExample";
const startMs = Date.now();
const count = 100;

const producer = new Producer({ nameServers, group: "batch-example" });
const messages = Array.from({ length: count }, (_, i) => ({ topic, body: `message ${i}`, keys: `key-${i}` }));
const sent = await producer.sendBatch(messages);
console.log(`${sent.status}: ${count} messages in queue ${sent.queueId}`);

const bodies: string[] = [];
const { promise: all, resolve } = Promise.withResolvers<void>();
const consumer = new Consumer({
  nameServers,
  group: `batch-example-${startMs}`,
  subscriptions: { [topic]: "*" },
  from: "first",
  onMessages(received) {
    for (const { body, bornTimestampMs } of received) {
      if (bornTimestampMs >= startMs) bodies.push(new TextDecoder().decode(body));
    }
    if (bodies.length >= count) resolve();
  },
});
await consumer.start();
await all;
const isInOrder = bodies.every((body, i) => body === `message ${i}`);
console.log(`received ${bodies.length}, ${isInOrder ? "in their order" : "out of order"}`);
await consumer.stop();
producer.stop();
