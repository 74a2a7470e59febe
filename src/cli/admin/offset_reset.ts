// SPDX-License-Identifier: Apache-2.0
import { brokerConfig } from "../../client/admin/brokers.ts";
import { onlineGroup } from "../../client/admin/groups.ts";
import {
  consumeStats,
  maxOffset,
  minOffset,
  offsetByTime,
  resetOffset,
  writeOffset,
} from "../../client/admin/offsets.ts";
import { UsageError } from "../args.ts";
import { counted } from "../store_text.ts";
import { parseMoment } from "../time_text.ts";
import { type Broker, type Cluster, inParallel, requireMasters } from "./cluster.ts";
import { adminCommand, brokerOptions, type Context, FAILURES, numberOption, yesOption } from "./command.ts";
import { confirm } from "./confirm.ts";
import { oneGroup } from "./group_facts.ts";
import { parseSettings } from "./settings.ts";
import { byName } from "./text.ts";
import { oneTopic } from "./topic_facts.ts";

const options = {
  ...brokerOptions,
  to: {
    value: "PLACE",
    help:
      "earliest, latest, a time (2h for two hours ago, 04:30, 2026-11-21T04:30,\n@ms since 1970), or an offset",
  },
  queue: { short: "q", value: "QUEUE", help: "This queue only" },
  "dry-run": { help: "Show what would be, and change nothing" },
  ...yesOption,
} as const;

export const offsetResetCommand = adminCommand({
  name: "reset",
  summary: "Move a group to another place in a topic",
  help: "What would be is shown first. Brokers of 5.x move consumers that are connected, too (with " +
    "useServerSideResetOffset, their default). Brokers of 4.9 tell connected consumers to move, whole topics to a time " +
    "only; for the rest stop the consumers first.",
  operands: [{ name: "GROUP", kind: "group" }, { name: "TOPIC", kind: "topic" }],
  options,
  examples: [
    ["offset reset billing orders --to 2h", "consume the last two hours again"],
    ["offset reset billing orders --to latest --dry-run", "how many messages would be skipped"],
    ["offset reset billing orders --to 1207 --queue 3 -b broker-a", "one queue to one message"],
  ],
  json: `{"group", "topic", "isDryRun", "queues": [{"broker", "queueId", "from", "to"}],
 ${FAILURES}}`,
  run: reset,
});

type Place = { readonly timeMs: number } | { readonly offset: number } | "earliest" | "latest";

interface Move {
  readonly broker: Broker;
  readonly queueId: number;
  readonly from: number;
  readonly to: number;
}

async function reset(context: Context<typeof options>): Promise<void> {
  const { cluster, given, operands, out, surroundings } = context;
  const [group, topic] = operands;
  if (given.to === undefined) throw new UsageError("say where to with --to.");
  const place = placeOf(given.to, Date.now());
  const wanted = given.queue === undefined ? undefined : numberOption("--queue", given.queue, 0);
  await oneGroup(cluster, group, given);
  const { configs } = await oneTopic(cluster, topic, given);
  const queues = configs.flatMap(([broker, { readQueueNums }]) => {
    const ids = Array.from({ length: readQueueNums }, (_, queueId) => queueId);
    return ids.filter((id) => wanted === undefined || id === wanted).map((queueId) => ({ broker, queueId }));
  });
  if (queues.length === 0) throw new UsageError(`${topic} has no queue ${wanted} to read.`);
  const moves = await planOf(cluster, group, topic, queues, place);
  const isDryRun = given["dry-run"];
  const json = { group, topic, isDryRun, queues: moves.map(moveJson) };
  if (!out.isJson) await showPlan(context, moves);
  if (isDryRun) {
    if (out.isJson) await out.json({ ...json, failures: cluster.failures });
    return;
  }
  requireMasters(moves.map(({ broker }) => broker));
  await confirm(surroundings, given.yes, `Move ${group} in ${topic}`);
  const brokers = [...new Set(moves.map(({ broker }) => broker))];
  await cluster.each(brokers, (broker) => {
    const ofBroker = moves.filter((move) => move.broker === broker);
    return move(broker, group, topic, ofBroker, wanted === undefined ? place : undefined);
  });
  if (out.isJson) return await out.json({ ...json, failures: cluster.failures });
  await out.line(`Moved ${group} in ${topic}.`);
}

function placeOf(text: string, nowMs: number): Place {
  if (text === "earliest" || text === "latest") return text;
  if (text === "now") return "latest";
  if (/^[0-9]+$/.test(text)) return { offset: numberOption("--to", text, 0) };
  const timeMs = parseMoment(text, nowMs);
  if (timeMs === undefined) {
    throw new UsageError(
      `--to takes earliest, latest, a time, a duration such as 2h or an offset, not ${text}.`,
    );
  }
  return { timeMs };
}

async function planOf(
  cluster: Cluster,
  group: string,
  topic: string,
  queues: readonly { broker: Broker; queueId: number }[],
  place: Place,
): Promise<Move[]> {
  const brokers = [...new Set(queues.map(({ broker }) => broker))];
  const positions = new Map<string, number>();
  for (
    const [broker, { offsetTable }] of await cluster.each(brokers, (one) => consumeStats(one, group, topic))
  ) {
    for (const [{ queueId }, { consumerOffset }] of offsetTable) {
      positions.set(`${broker.name}/${queueId}`, consumerOffset);
    }
  }
  const moves = await inParallel(queues, ({ broker, queueId }) =>
    cluster.attempt(broker, async () => {
      const to = await offsetAt(broker, topic, queueId, place);
      return { broker, queueId, from: positions.get(`${broker.name}/${queueId}`) ?? 0, to };
    }));
  return moves.filter((move) => move !== undefined)
    .sort((a, b) => byName(a.broker.name, b.broker.name) || a.queueId - b.queueId);
}

async function offsetAt(broker: Broker, topic: string, queueId: number, place: Place): Promise<number> {
  if (place === "earliest") return await minOffset(broker, topic, queueId);
  if (place === "latest") return await maxOffset(broker, topic, queueId);
  if ("timeMs" in place) return await offsetByTime(broker, topic, queueId, place.timeMs);
  const min = await minOffset(broker, topic, queueId);
  const max = await maxOffset(broker, topic, queueId);
  if (place.offset >= min && place.offset <= max) return place.offset;
  throw new Error(`queue ${queueId} of ${topic} has the offsets ${min} to ${max}, not ${place.offset}`);
}

function moveJson({ broker, queueId, from, to }: Move) {
  return { broker: broker.name, queueId, from, to };
}

async function showPlan({ out }: Context<typeof options>, moves: readonly Move[]): Promise<void> {
  await out.table({
    columns: [
      { head: "BROKER", isFlexible: true },
      { head: "QUEUE", isNumber: true },
      { head: "FROM", isNumber: true },
      { head: "TO", isNumber: true },
      { head: "CHANGE", isNumber: true },
    ],
    rows: moves.map(({ broker, queueId, from, to }) => {
      return [broker.name, queueId, from, to, to === from ? "-" : to > from ? `+${to - from}` : to - from];
    }),
  });
  const again = moves.reduce((sum, { from, to }) => sum + Math.max(0, from - to), 0);
  const skipped = moves.reduce((sum, { from, to }) => sum + Math.max(0, to - from), 0);
  await out.line(out.colour(`${counted(again, "message")} consumed again, ${skipped} skipped`, "dim"));
}

/** @param place of the whole topic; undefined where only some queues are moved */
async function move(
  broker: Broker,
  group: string,
  topic: string,
  moves: readonly Move[],
  place: Place | undefined,
): Promise<void> {
  if (parseSettings(await brokerConfig(broker)).get("useServerSideResetOffset") === "true") {
    for (const { queueId, to } of moves) {
      await resetOffset(broker, { topic, group, queueId, offset: to, timestamp: -1, isForce: true });
    }
    return;
  }
  // Such brokers know whole topics and times only: a queue or an offset in a request is not seen.
  if (await onlineGroup(broker, group) === undefined) {
    for (const { queueId, to } of moves) await writeOffset(broker, { group, topic, queueId, offset: to });
    return;
  }
  const timestamp = place === undefined ? undefined : timestampOf(place);
  if (timestamp === undefined) {
    throw new Error(
      "consumers are connected, and it moves these to a time in all queues only: stop them first, or use --to with a time",
    );
  }
  await resetOffset(broker, { topic, group, queueId: -1, offset: -1, timestamp, isForce: true });
}

/** A time before 1970 means the end. */
function timestampOf(place: Place): number | undefined {
  if (place === "earliest") return 0;
  if (place === "latest") return -1;
  return "timeMs" in place ? place.timeMs : undefined;
}
