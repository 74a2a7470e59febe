// SPDX-License-Identifier: Apache-2.0
/**
 * POP: two members of a group share messages one by one, whichever queue they are in. A message that one of them can't
 * handle comes again, for either of them.
 *
 *     deno run -A examples/typescript/pop.ts [nameServer]
 */
import process from "node:process";
import { PopConsumer, Producer } from "../../src/client/mod.ts";

const nameServers = process.argv[2] ?? "127.0.0.1:9876";
const topic = "PopExample";
const run = Date.now();

const producer = new Producer({ nameServers, group: "pop-example" });
const jobs = Array.from({ length: 8 }, (_, number) => `job ${number + 1} of ${run}`);
for (const body of jobs) await producer.send({ topic, body });

const open = new Set(jobs);
const { promise: all, resolve } = Promise.withResolvers<void>();

function member(name: string): PopConsumer {
  return new PopConsumer({
    nameServers,
    group: `pop-example-${run}`,
    topic,
    from: "first",
    batchCount: 1,
    // How long a job may take: then it is given to someone else.
    invisibleMs: 10_000,
    // The first time that a job fails it waits so long.
    retryDelaysMs: [1000],
    async onMessages([message]) {
      const job = new TextDecoder().decode(message.body);
      if (!open.has(job)) return; // of an earlier run
      await new Promise((done) => setTimeout(done, 50));
      if (job === jobs[2] && message.reconsumeTimes === 0) {
        console.log(`${name}: failed at job 3`);
        throw new Error("this one comes again");
      }
      console.log(`${name}: did ${job.split(" of ")[0]}${message.reconsumeTimes > 0 ? ", at last" : ""}`);
      open.delete(job);
      if (open.size === 0) resolve();
    },
  });
}

const members = [member("Ann"), member("Bob")];
for (const one of members) await one.start();
await all;
for (const one of members) await one.stop();
producer.stop();
