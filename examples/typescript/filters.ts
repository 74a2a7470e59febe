// SPDX-License-Identifier: Apache-2.0
/**
 * Consumers that want some messages of a topic only: by tags, and by a condition over properties (SQL92), which needs
 * `enablePropertyFilter=true` at the broker.
 *
 *     deno run -A examples/typescript/filters.ts [nameServer]
 */
import process from "node:process";
import { Consumer, Producer, RemotingError } from "../../src/client/mod.ts";

const nameServers = process.argv[2] ?? "127.0.0.1:9876";
const topic = "FiltersExample";
const startMs = Date.now();

const producer = new Producer({ nameServers, group: "filters-example" });
const orders = [
  { body: "ten books", tags: "books", properties: { region: "north", amount: "10" } },
  { body: "two lamps", tags: "lamps", properties: { region: "north", amount: "2" } },
  { body: "forty lamps", tags: "lamps", properties: { region: "south", amount: "40" } },
  { body: "a catalogue", tags: "paper" },
];
for (const order of orders) await producer.send({ topic, ...order });

/** What one consumer is given, until so many have come. */
async function consume(name: string, wanted: string | { sql: string }, count: number): Promise<void> {
  const { promise: all, resolve } = Promise.withResolvers<void>();
  const consumer = new Consumer({
    nameServers,
    group: `filters-example-${name}-${startMs}`,
    subscriptions: { [topic]: wanted },
    from: "first",
    onMessages(messages) {
      for (const { body, bornTimestampMs } of messages) {
        if (bornTimestampMs < startMs) continue; // of an earlier run
        console.log(`${name}: ${new TextDecoder().decode(body)}`);
        if (--count === 0) resolve();
      }
    },
  });
  await consumer.start();
  await all;
  await consumer.stop();
}

await consume("tags", "books || paper", 2);
await consume("condition", { sql: "region = 'south' OR amount BETWEEN 5 AND 20" }, 2);
try {
  await consume("mistake", { sql: "amount > 'many'" }, 0);
} catch (error) {
  if (!(error instanceof RemotingError)) throw error;
  console.log(`refused: ${error.message}`);
}
producer.stop();
