// SPDX-License-Identifier: Apache-2.0
import { basename } from "node:path";
import type { MessageMark, Overview } from "../store/inspect/overview.ts";
import { readOverview } from "../store/inspect/overview.ts";
import type { StoredTables } from "../store/inspect/verify.ts";
import { describeOptions, parseCommandLine } from "./args.ts";
import type { Command } from "./command.ts";
import { readTables } from "./store_config.ts";
import { describeState, directoryOf, type OpenedStore, openStore, storeOptions } from "./store_open.ts";
import { asWord, counted, formatBytes, formatTime } from "./store_text.ts";
import { formatTable } from "./table.ts";

const options = {
  queues: { help: "Each queue and not only each topic; each queue of a group" },
  ...storeOptions,
} as const;

export const storeInfoCommand: Command = {
  summary: "Tell what a store holds",
  help:
    `Tells what a store holds: files, messages, topics, groups and how far they are. It reads little and writes
nothing, so it is quick on a large store, and safe beside a running broker.

  rmq store info DIR [options]

${describeOptions(options)}`,
  async run(args, { print }) {
    const { given, operands } = parseCommandLine(options, args, 1);
    if (given.help) return print(storeInfoCommand.help), 0;
    const store = await openStore(directoryOf(operands), given.commitlog);
    try {
      const overview = await readOverview(store.reader, store.layout);
      const facts = gather(store, overview, readTables(store.reader, store.layout.directory));
      print(given.json ? `${JSON.stringify(facts, null, 2)}\n` : describe(facts, given.queues));
      return 0;
    } finally {
      store.reader.close();
    }
  },
};

interface QueueFacts {
  queueId: number;
  minOffset: number;
  maxOffset: number;
}

interface GroupQueueFacts {
  queueId: number;
  offset: number;
  /** Messages to come; null where the queue has no files. */
  lag: number | null;
}

type Facts = ReturnType<typeof gather>;

/** What is told, as the JSON has it. */
function gather(store: OpenedStore, overview: Overview, tables: StoredTables) {
  const { layout } = store;
  const { log } = layout;
  return {
    directory: layout.directory,
    state: store.state,
    stateText: describeState(store),
    pid: store.holder?.pid ?? null,
    commitLog: {
      directory: log.directory,
      fileCount: log.files.length,
      fileBytes: log.fileBytes,
      minOffset: overview.logStart,
      endOffset: overview.logEnd,
      oldest: overview.oldest ?? null,
      newest: overview.newest ?? null,
    },
    queueFileBytes: layout.queueFileBytes,
    topics: topicsOf(overview),
    index: overview.index.map(({ path, sizeBytes, count, ...header }) => ({
      file: basename(path),
      sizeBytes,
      entryCount: count - 1,
      ...header,
    })),
    checkpoint: overview.checkpoint ?? null,
    groups: groupsOf(overview, tables),
    notLookedInto: layout.unknownParts,
  };
}

function topicsOf({ queues }: Overview) {
  const topics = new Map<string, QueueFacts[]>();
  for (const { topic, ...queue } of queues) {
    const known = topics.get(topic);
    if (known === undefined) topics.set(topic, [queue]);
    else known.push(queue);
  }
  return [...topics].map(([topic, queues]) => ({
    topic,
    messageCount: queues.reduce((sum, { minOffset, maxOffset }) => sum + maxOffset - minOffset, 0),
    queues,
  }));
}

function groupsOf({ queues }: Overview, { consumerOffsets }: StoredTables) {
  const ends = new Map(queues.map(({ topic, queueId, maxOffset }) => [`${topic}/${queueId}`, maxOffset]));
  const groups = new Map<string, { group: string; topic: string; lag: number; queues: GroupQueueFacts[] }>();
  for (const { group, topic, queueId, offset } of consumerOffsets) {
    const key = `${group} ${topic}`;
    let facts = groups.get(key);
    if (facts === undefined) groups.set(key, facts = { group, topic, lag: 0, queues: [] });
    const end = ends.get(`${topic}/${queueId}`);
    const lag = end === undefined ? null : Math.max(0, end - offset);
    facts.lag += lag ?? 0;
    facts.queues.push({ queueId, offset, lag });
  }
  return [...groups.values()].sort((a, b) => {
    return a.group === b.group ? compare(a.topic, b.topic) : compare(a.group, b.group);
  });
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function describe(facts: Facts, withQueues: boolean): string {
  const { commitLog: log, topics, index, checkpoint, groups } = facts;
  const messageCount = topics.reduce((sum, topic) => sum + topic.messageCount, 0);
  const lines = [
    `${facts.directory}`,
    `  ${facts.stateText}`,
    "",
    `log       ${counted(log.fileCount, "file")} of ${formatBytes(log.fileBytes)} in ${log.directory}`,
    `          offsets ${log.minOffset} to ${log.endOffset}, ${formatBytes(log.endOffset - log.minOffset)}`,
    `          oldest message ${describeMark(log.oldest)}`,
    `          newest message ${describeMark(log.newest)}`,
    `queues    ${counted(messageCount, "message")} in ${counted(topics.length, "topic")}, files of ${
      formatBytes(facts.queueFileBytes)
    }`,
    `index     ${describeIndex(index)}`,
    `safe      ${describeCheckpoint(checkpoint)}`,
  ];
  if (facts.notLookedInto.length > 0) {
    lines.push(`others    ${facts.notLookedInto.join(", ")} (not looked into)`);
  }
  return `${lines.join("\n")}\n\n${topicTable(topics, withQueues)}${groupTable(groups, withQueues)}`;
}

function describeMark(mark: MessageMark | null): string {
  if (mark === null) return "none";
  return `${formatTime(mark.storeTimestampMs)}, topic ${asWord(mark.topic)}, at ${mark.physicalOffset}`;
}

function describeIndex(files: Facts["index"]): string {
  if (files.length === 0) return "none";
  const entryCount = files.reduce((sum, file) => sum + file.entryCount, 0);
  const times = `${formatTime(files[0].beginTimestampMs)} to ${
    formatTime(files[files.length - 1].endTimestampMs)
  }`;
  return `${counted(files.length, "file")} of ${formatBytes(files[0].sizeBytes)}, ${
    counted(entryCount, "entry", "entries")
  }, ${entryCount === 0 ? "no messages" : `messages of ${times}`}`;
}

/** What the checkpoint says to be on the disk for sure. */
function describeCheckpoint(checkpoint: Facts["checkpoint"]): string {
  if (checkpoint === null) return "no checkpoint: a start after a crash checks the whole log";
  const { physicMsgTimestampMs, logicsMsgTimestampMs, indexMsgTimestampMs } = checkpoint;
  const time = (ms: number) => ms === 0 ? "never" : formatTime(ms);
  return `log until ${time(physicMsgTimestampMs)}, queues until ${time(logicsMsgTimestampMs)}, index until ${
    time(indexMsgTimestampMs)
  }`;
}

function topicTable(topics: Facts["topics"], withQueues: boolean): string {
  if (topics.length === 0) return "No topic has messages.\n";
  if (withQueues) {
    const rows = topics.flatMap(({ topic, queues }) => {
      return queues.map(({ queueId, minOffset, maxOffset }) => {
        return [asWord(topic), queueId, maxOffset - minOffset, minOffset, maxOffset];
      });
    });
    const columns = ["queue", "messages", "min offset", "max offset"].map((number) => ({ number }));
    return formatTable(["topic", ...columns], rows);
  }
  const rows = topics.map(({ topic, messageCount, queues }) => [
    asWord(topic),
    queues.length,
    messageCount,
    Math.min(...queues.map(({ minOffset }) => minOffset)),
    Math.max(...queues.map(({ maxOffset }) => maxOffset)),
  ]);
  const columns = ["queues", "messages", "lowest offset", "highest offset"].map((number) => ({ number }));
  return formatTable(["topic", ...columns], rows);
}

function groupTable(groups: Facts["groups"], withQueues: boolean): string {
  if (groups.length === 0) return "";
  if (withQueues) {
    const rows = groups.flatMap(({ group, topic, queues }) => {
      return queues.map((
        { queueId, offset, lag },
      ) => [asWord(group), asWord(topic), queueId, offset, lag ?? "no queue"]);
    });
    return `\n${
      formatTable(["group", "topic", { number: "queue" }, { number: "offset" }, { number: "lag" }], rows)
    }`;
  }
  const rows = groups.map(({ group, topic, queues, lag }) => {
    const isGone = queues.every((queue) => queue.lag === null);
    return [asWord(group), asWord(topic), queues.length, isGone ? "no queue" : lag];
  });
  return `\n${formatTable(["group", "topic", { number: "queues" }, { number: "lag" }], rows)}`;
}
