// SPDX-License-Identifier: Apache-2.0
/**
 * Transactions: a message that consumers get only if the work that it tells of was done. Of three orders one is paid,
 * one is not, and of one the producer does not know yet: the broker asks later (`transactionTimeOut`,
 * `transactionCheckInterval`).
 *
 *     deno run -A examples/typescript/transaction.ts [nameServer]
 */
import process from "node:process";
import { Consumer, type Decision, Producer } from "../../src/client/mod.ts";

const nameServers = process.argv[2] ?? "127.0.0.1:9876";
const topic = "TransactionExample";
const startMs = Date.now();
/** What the application has in its database. */
const payments = new Map<string, Decision>();

const producer = new Producer({
  nameServers,
  group: "transaction-example",
  decide(message) {
    const order = new TextDecoder().decode(message.body);
    console.log(`asked about ${order}`);
    return payments.get(order) ?? "COMMIT"; // by now it is paid
  },
});

const { promise: all, resolve } = Promise.withResolvers<void>();
let expected = 2;
const consumer = new Consumer({
  nameServers,
  group: `transaction-example-${startMs}`,
  subscriptions: { [topic]: "*" },
  from: "first",
  onMessages(messages) {
    for (const { body, bornTimestampMs } of messages) {
      if (bornTimestampMs < startMs) continue; // of an earlier run
      console.log(`delivered: ${new TextDecoder().decode(body)}`);
      if (--expected === 0) resolve();
    }
  },
});
await consumer.start();

async function order(name: string, pay: () => Decision) {
  const { decision } = await producer.sendInTransaction({ topic, body: name }, () => {
    const paid = pay();
    if (paid !== "UNKNOWN") payments.set(name, paid);
    return paid;
  });
  console.log(`${name}: ${decision}`);
}
await order("the paid order", () => "COMMIT");
await order("the unpaid order", () => "ROLLBACK");
await order("the slow order", () => "UNKNOWN");

await all;
await consumer.stop();
producer.stop();
