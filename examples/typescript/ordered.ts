// SPDX-License-Identifier: Apache-2.0
/**
 * Messages in order: what belongs together goes to one queue, and a consumer gets the messages of a queue one after
 * the other, in their order.
 *
 *     deno run -A examples/typescript/ordered.ts [nameServer]
 */
import process from "node:process";
import { Consumer, Producer } from "../../src/client/mod.ts";

const nameServers = process.argv[2] ?? "127.0.0.1:9876";
const topic = "OrderedExample";
const startMs = Date.now();
const steps = ["ordered", "paid", "packed", "sent"];

const producer = new Producer({ nameServers, group: "ordered-example" });
for (const step of steps) {
  for (const order of [1, 2, 3]) {
    await producer.send({ topic, body: `order ${order}: ${step}`, queueId: order % 4 });
  }
}

const { promise: all, resolve } = Promise.withResolvers<void>();
let expected = 12;
const consumer = new Consumer({
  nameServers,
  group: `ordered-example-${startMs}`,
  subscriptions: { [topic]: "*" },
  from: "first",
  onMessages(messages) {
    for (const { body, bornTimestampMs } of messages) {
      if (bornTimestampMs < startMs) continue; // of an earlier run
      console.log(new TextDecoder().decode(body));
      if (--expected === 0) resolve();
    }
  },
});
await consumer.start();
await all;
await consumer.stop();
producer.stop();
