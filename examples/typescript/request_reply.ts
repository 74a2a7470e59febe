// SPDX-License-Identifier: Apache-2.0
/**
 * Request and reply: a producer sends a message and waits for what a consumer answers.
 *
 *     deno run -A examples/typescript/request_reply.ts [nameServer]
 */
import process from "node:process";
import { Consumer, Producer } from "../../src/client/mod.ts";

const nameServers = process.argv[2] ?? "127.0.0.1:9876";
const topic = "RequestExample";

const producer = new Producer({ nameServers, group: "request-example" });
await producer.send({ topic, body: "hello" }); // makes the topic

const replier = new Producer({ nameServers, group: "reply-example" });
const consumer = new Consumer({
  nameServers,
  group: "reply-example",
  subscriptions: { [topic]: "*" },
  async onMessages(messages) {
    for (const message of messages) {
      const question = new TextDecoder().decode(message.body);
      if (question.endsWith("?")) await replier.reply(message, `"${question}" is a good question`);
    }
  },
});
await consumer.start();

for (const question of ["who is there?", "what time is it?"]) {
  const { body } = await producer.request({ topic, body: question }, 10_000);
  console.log(`${question} ${new TextDecoder().decode(body)}`);
}

await consumer.stop();
replier.stop();
producer.stop();
