// SPDX-License-Identifier: Apache-2.0
import { cleanExpiredQueues, cleanUnusedTopics, deleteExpiredLog } from "../../client/admin/brokers.ts";
import { UsageError } from "../args.ts";
import { adminCommand, brokerOptions, yesOption } from "./command.ts";
import { confirm } from "./confirm.ts";

const CLEANERS = {
  log: { clean: deleteExpiredLog, what: "files of the log whose time (fileReservedTime) is over" },
  queues: { clean: cleanExpiredQueues, what: "files of queues that point to deleted messages only" },
  topics: { clean: cleanUnusedTopics, what: "queues of topics that no longer exist" },
} as const;

export const brokerCleanCommand = adminCommand({
  name: "clean",
  summary: "Delete now what brokers delete by themselves later",
  operands: [{ name: "log|queues|topics" }],
  options: { ...brokerOptions, ...yesOption },
  examples: [
    ["broker clean log -b broker-a", "expired files of the log, before deleteWhen"],
    ["broker clean topics --yes", "queues of topics that are gone, on all brokers, without a question"],
  ],
  async run({ cluster, given, operands, out, surroundings }) {
    const what = operands[0];
    if (!Object.hasOwn(CLEANERS, what)) throw new UsageError(`it cleans log, queues or topics, not ${what}.`);
    const cleaner = CLEANERS[what as keyof typeof CLEANERS];
    const brokers = await cluster.brokers(given);
    const names = brokers.map(({ name }) => name).join(", ");
    await confirm(surroundings, given.yes, `Delete ${cleaner.what} on ${names}`);
    for (const [broker] of await cluster.each(brokers, cleaner.clean)) {
      await out.line(`${broker.name}: asked to delete ${cleaner.what}.`);
    }
  },
});
