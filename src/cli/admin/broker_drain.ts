// SPDX-License-Identifier: Apache-2.0
import { setTimeout } from "node:timers/promises";
import { onlineGroup } from "../../client/admin/groups.ts";
import { allConsumeStats } from "../../client/admin/offsets.ts";
import { runtimeInfo } from "../../client/admin/brokers.ts";
import { counted } from "../store_text.ts";
import { parseDuration } from "../time_text.ts";
import { UsageError } from "../args.ts";
import { brokerState } from "./broker_state.ts";
import type { Broker } from "./cluster.ts";
import { adminCommand, type Context, FAILURES, yesOption } from "./command.ts";
import { confirm } from "./confirm.ts";

/** How often the broker is looked at while it empties. */
const POLL_MS = 1000;

const drainOptions = {
  ...yesOption,
  wait: {
    short: "w",
    help: "Wait until nothing comes in and groups that are\nconnected have consumed everything",
  },
  "wait-time": { value: "TIME", help: "Give up waiting after so long, such as 10m (default: never)" },
} as const;

export const drainCommand = adminCommand({
  name: "drain",
  summary: "Send producers elsewhere, so that a broker can be stopped",
  help:
    "All name servers take the write permission of the broker's topics away. Producers learn that within half a " +
    "minute and use other brokers; consumers go on. `rmq broker resume` gives it back. Name servers forget it at " +
    "their restart, and a topic that is only on this broker can't be sent to until then.",
  operands: [{ name: "BROKER", kind: "broker" }],
  options: drainOptions,
  examples: [
    ["broker drain broker-a", "no new messages for broker-a"],
    ["broker drain broker-a --wait && rmq shutdown broker", "stop it once it is empty"],
  ],
  json: `{"broker", "nameServers": [{"address", "topics"}], "isEmpty",
 ${FAILURES}}`,
  run: drain,
});

async function drain(context: Context<typeof drainOptions>): Promise<number> {
  const { cluster, given, operands, out, surroundings } = context;
  const waitMs = waitTime(given["wait-time"]);
  const [master] = await cluster.masters({ broker: operands[0] });
  await confirm(surroundings, given.yes, `Send all producers away from ${master.name}`);
  const answers = await cluster.eachNameServer((nameServer) => nameServer.wipeWritePerm(master.name));
  const isWaiting = given.wait || given["wait-time"] !== undefined;
  if (!out.isJson) {
    for (const [address, topics] of answers) {
      await out.line(`${address}: ${counted(topics, "topic")} of ${master.name} can no longer be written.`);
    }
  }
  const isEmpty = isWaiting ? await untilEmpty(context, master, waitMs) : null;
  if (out.isJson) {
    const nameServers = answers.map(([address, topics]) => ({ address, topics }));
    await out.json({ broker: master.name, nameServers, isEmpty, failures: cluster.failures });
  } else if (isEmpty) await out.line(`${master.name} is empty: it can be stopped.`);
  if (isEmpty === false) surroundings.complain(`rmq broker drain: ${master.name} is not empty yet.\n`);
  return isEmpty === false ? 1 : 0;
}

function waitTime(text: string | undefined): number {
  if (text === undefined) return Infinity;
  const ms = parseDuration(text);
  if (ms === undefined) throw new UsageError(`--wait-time takes a time such as 10m, not ${text}.`);
  return ms;
}

/** @returns false when time is up, or the operator wants to wait no longer */
async function untilEmpty(
  { surroundings }: Context<typeof drainOptions>,
  master: Broker,
  waitMs: number,
): Promise<boolean> {
  const endMs = performance.now() + waitMs;
  let isStopped = false;
  void surroundings.stopRequested.then(() => isStopped = true);
  let logEnd = -1;
  try {
    for (;;) {
      const { logMaxOffset } = brokerState(await runtimeInfo(master));
      const lag = await onlineLag(master);
      if (lag === 0 && logMaxOffset === logEnd) return true;
      surroundings.showProgress?.(
        `${master.name}: ${lag} messages to consume, ${logEnd === logMaxOffset ? "none" : "some"} coming in`,
      );
      logEnd = logMaxOffset;
      if (isStopped || performance.now() >= endMs) return false;
      await setTimeout(Math.min(POLL_MS, Math.max(1, endMs - performance.now())));
    }
  } finally {
    surroundings.showProgress?.("");
  }
}

/** What groups still have to consume; groups without any consumer would be waited for forever. */
async function onlineLag(master: Broker): Promise<number> {
  let total = 0;
  for (const [group, byTopic] of (await allConsumeStats(master)).groups) {
    const positions = byTopic.flatMap(({ offsetTable }) => offsetTable.map(([, position]) => position));
    const lag = positions.reduce((sum, position) => sum + position.brokerOffset - position.consumerOffset, 0);
    if (lag > 0 && await onlineGroup(master, group) !== undefined) total += lag;
  }
  return total;
}

export const resumeCommand = adminCommand({
  name: "resume",
  summary: "Let producers use a drained broker again",
  operands: [{ name: "BROKER", kind: "broker" }],
  examples: [["broker resume broker-a", "producers come back within half a minute"]],
  json: `{"broker", "nameServers": [{"address", "topics"}],
 ${FAILURES}}`,
  async run({ cluster, operands, out }) {
    const [{ name }] = await cluster.brokers({ broker: operands[0] });
    const answers = await cluster.eachNameServer((nameServer) => nameServer.addWritePerm(name));
    if (out.isJson) {
      const nameServers = answers.map(([address, topics]) => ({ address, topics }));
      return await out.json({ broker: name, nameServers, failures: cluster.failures });
    }
    for (const [address, topics] of answers) {
      await out.line(`${address}: ${counted(topics, "topic")} of ${name} can be written again.`);
    }
  },
});
