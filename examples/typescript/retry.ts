// SPDX-License-Identifier: Apache-2.0
/**
 * Retry and dead letters: a message on which its consumer fails comes again after a while, with the tries counted,
 * and goes to the group's dead letters after the last one. There another consumer reads it.
 *
 *     deno run -A examples/typescript/retry.ts [nameServer]
 */
import process from "node:process";
import { Consumer, Producer, type ReceivedMessage } from "../../src/client/mod.ts";

const nameServers = process.argv[2] ?? "127.0.0.1:9876";
const topic = "RetryExample";
const group = `retry-example-${Date.now()}`;
const textOf = (message: ReceivedMessage) => new TextDecoder().decode(message.body);

const producer = new Producer({ nameServers, group: "retry-example" });
await producer.send({ topic, body: "hello" }); // makes the topic

const { promise: isDead, resolve } = Promise.withResolvers<void>();
const consumer = new Consumer({
  nameServers,
  group,
  subscriptions: { [topic]: "*" },
  from: "last",
  maxReconsumeTimes: 2,
  onMessages(messages) {
    for (const message of messages) {
      if (textOf(message) !== "poison") continue;
      console.log(`try ${message.reconsumeTimes + 1} of: poison`);
      if (message.reconsumeTimes === 2) resolve();
      throw new Error("nobody can eat that");
    }
  },
});
await consumer.start();
await producer.send({ topic, body: "poison", keys: "poison-1" });
await isDead;
await consumer.stop();

const { promise: isFound, resolve: found } = Promise.withResolvers<void>();
const undertaker = new Consumer({
  nameServers,
  group: `${group}-dead`,
  subscriptions: { [`%DLQ%${group}`]: "*" },
  from: "first",
  onMessages([message]) {
    console.log(`dead: ${textOf(message)}, key ${message.properties.get("KEYS")}`);
    found();
  },
});
await undertaker.start();
await isFound;
await undertaker.stop();
producer.stop();
