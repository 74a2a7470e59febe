// SPDX-License-Identifier: Apache-2.0
/**
 * What a master does before it lets anybody know that it is back: asks its slaves for what it lacks. A machine that
 * lost power may have lost the end of the log, which a slave still has; a new disk has lost everything; and while
 * the master was away, consumers went on at the slave.
 *
 * What a slave has is fetched, or the start is refused: a master that went on without it would give the same
 * offsets to other messages, and the two logs could never be brought together again.
 */
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import { type LogExtent, MasterApi } from "../client/master_api.ts";
import { DataVersion } from "../protocol/bodies/data_version.ts";
import type { RemotingClient } from "../remoting/client.ts";
import { RemotingError, RemotingIoError } from "../remoting/remoting_error.ts";
import { type CommittedOffset, type ConsumerOffsets, parseOffsets } from "./consumer_offsets.ts";
import { Groups } from "./groups.ts";
import type { JsonFile } from "./json_file.ts";
import type { OffsetResets } from "./offset_resets.ts";
import type { CopiedTimers } from "./timers/copied_timers.ts";
import type { Topics } from "./topics.ts";

const logger = getLogger(["rmq", "broker"]);

export interface MasterReturnOptions {
  /** Addresses at which slaves take requests. */
  slaves: readonly string[];
  client: Pick<RemotingClient, "request">;
  store: {
    readonly maxPhysicalOffset: number;
    maxOffset(topic: string, queueId: number): number;
  };
  topics: Topics;
  groups: Groups;
  offsets: ConsumerOffsets;
  /** Files of what is opened later: progress of delays, ways in which groups consume, progress of timed messages. */
  delayFile: Pick<JsonFile, "write">;
  modesFile: Pick<JsonFile, "write">;
  timers: Pick<CopiedTimers, "adoptCheckpoint" | "adoptMetrics">;
  resets: Pick<OffsetResets, "isUnknownTo">;
  /**
   * Copies a slave's log from the end of this one up to `endOffset`. Rejects with a sentence where the two logs do
   * not fit, or where the slave is gone before it is done.
   */
  fetchLog: (slave: SlaveSource, endOffset: number) => Promise<void>;
  /** The operator wants this log as it is, whatever slaves have beyond it. */
  givesUpSlaveLog: boolean;
  clock: Clock;
  /** The end of this log may be missing: slaves that don't answer are asked again for a while. */
  mayLackEnd: boolean;
}

/** A slave from which the log can be copied. */
export interface SlaveSource {
  readonly address: string;
  /** Where it listens for slaves. */
  readonly haAddress: string;
  readonly api: MasterApi;
}

interface AskedSlave {
  readonly address: string;
  readonly api: MasterApi;
  readonly log: LogExtent;
}

/** How long a slave may take to answer. */
const TIMEOUT_MS = 3000;
/** After a power cut, slaves may need as long to come up as this master did. */
const PATIENCE_MS = 30_000;
const PAUSE_MS = 1000;

/** @throws an error with a sentence for the operator, where a slave has what can't be fetched */
export async function returnToService(options: MasterReturnOptions): Promise<void> {
  const slaves = await askAll(options);
  if (slaves.length === 0) return;
  const wasEmpty = options.store.maxPhysicalOffset === 0;
  await takeLog(options, slaves[0]);
  if (wasEmpty && slaves[0].log.maxOffset > 0 && !options.givesUpSlaveLog) {
    await takeTables(options, slaves[0]);
  }
  for (const slave of slaves) await takeOffsets(options, slave);
}

/** Those that answer, the one with most first. */
async function askAll(options: MasterReturnOptions): Promise<AskedSlave[]> {
  const { slaves, clock, client, mayLackEnd, givesUpSlaveLog } = options;
  const answered = new Map<string, AskedSlave>();
  const startMs = clock.monotonicMs();
  const patienceMs = mayLackEnd && !givesUpSlaveLog ? PATIENCE_MS : 0;
  for (;;) {
    const silent = slaves.filter((address) => !answered.has(address));
    const errors = await Promise.all(silent.map(async (address) => {
      const api = MasterApi.at(client, address, TIMEOUT_MS);
      try {
        answered.set(address, { address, api, log: await api.log() });
        return [];
      } catch (error) {
        if (!(error instanceof RemotingIoError || error instanceof RemotingError)) throw error;
        return [{ address, error }];
      }
    }));
    const failures = errors.flat();
    const isOver = clock.monotonicMs() - startMs + PAUSE_MS > patienceMs;
    if (failures.length === 0 || isOver) {
      for (const failure of failures) tellSilent(failure, mayLackEnd);
      return [...answered.values()].sort((a, b) => b.log.maxOffset - a.log.maxOffset);
    }
    logger.warn(
      "the machine was restarted, so slaves are asked what this master lacks; no answer from {silent} yet",
      {
        silent: failures.map(({ address }) => address).join(", "),
      },
    );
    await new Promise<void>((resolve) => clock.after(PAUSE_MS, resolve));
  }
}

function tellSilent({ address, error }: { address: string; error: Error }, mayLackEnd: boolean): void {
  if (!mayLackEnd) {
    logger.warn("the slave {address} can't be asked what it has: {error}", { address, error: error.message });
    return;
  }
  logger.error(
    "the slave {address} does not answer ({error}), and this machine was restarted without an orderly stop: messages " +
      "that only the slave has can't be fetched. If there are any, the slave will refuse to follow this master " +
      "(docs/cluster.md)",
    { address, error: error.message },
  );
}

async function takeLog(options: MasterReturnOptions, { address, api, log }: AskedSlave): Promise<void> {
  const { store } = options;
  const ownEnd = store.maxPhysicalOffset;
  const { minOffset, maxOffset: slaveEnd } = log;
  if (slaveEnd <= ownEnd) return;
  const lacking = `the slave ${address} has ${
    slaveEnd - ownEnd
  } bytes of messages that this master lacks (its log ends at ${slaveEnd}, this one at ${ownEnd})`;
  if (options.givesUpSlaveLog) {
    logger.warn(
      "{lacking}; they are given up, as was asked for. The slave will not follow this master until its store is emptied",
      { lacking },
    );
    return;
  }
  logger.warn("{lacking}; they are fetched before this master serves anybody", { lacking });
  try {
    if (minOffset > ownEnd) {
      throw new Error(`its log begins at ${minOffset}, so what lies between is nowhere`);
    }
    await options.fetchLog({ address, api, haAddress: await api.haAddress() }, slaveEnd);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `${lacking}, and they can't be fetched: ${reason}. Start again when the slave can be reached, or copy the ` +
        "slave's store here while both are stopped; or give those messages up with the option --give-up-slave-log " +
        '(docs/cluster.md, "A slave has more than its master")',
      { cause: error },
    );
  }
  logger.info("this master has all that the slave {address} has: its log ends at {end}", {
    address,
    end: store.maxPhysicalOffset,
  });
}

/** A master that has lost its store has lost its tables with it. */
async function takeTables(options: MasterReturnOptions, slave: AskedSlave): Promise<void> {
  const { topics, groups, delayFile, modesFile, timers } = options;
  const { api, address } = slave;
  const hasTopics = [...topics.table.keys()].some((topic) => !topics.isSystemTopic(topic));
  if (!hasTopics) {
    const table = await api.topics();
    topics.adopt(table.topics, table.dataVersion);
  }
  if (![...groups.table.groups.keys()].some((group) => !Groups.isBuiltIn(group))) {
    groups.adopt(await api.groups());
  }
  const { dataVersion, offsetTable } = await api.delayOffsets();
  delayFile.write({ dataVersion, offsetTable });
  await takeIfKnown(async () => modesFile.write(await api.messageRequestModes()));
  await takeIfKnown(async () => {
    timers.adoptCheckpoint(await api.timerCheckpoint());
    timers.adoptMetrics(await api.timerMetrics());
  });
  logger.info("topics, groups and the progress of delays are those of the slave {address}", { address });
}

/** Not every slave keeps these: 4.9 knows neither, 5.x may have timers switched off. */
async function takeIfKnown(take: () => Promise<void>): Promise<void> {
  try {
    await take();
  } catch (error) {
    if (!(error instanceof RemotingError)) throw error;
    logger.warn("the slave does not have all tables: {error}", { error });
  }
}

/** What groups have committed at the slave while the master was away. */
async function takeOffsets(options: MasterReturnOptions, { address, api }: AskedSlave): Promise<void> {
  const { offsets, resets, store, topics } = options;
  const object = await api.consumerOffsets();
  const version = DataVersion.fromJson(object.dataVersion);
  const table = parseOffsets(object)
    .map(([group, topic, queueId, offset]): CommittedOffset => ({ group, topic, queueId, offset }));
  const isWanted = ({ group, topic, queueId, offset }: CommittedOffset) =>
    topics.has(topic) && offset <= store.maxOffset(topic, queueId) &&
    !resets.isUnknownTo(version, group, topic, queueId);
  const count = offsets.takeFurther(table, isWanted);
  await offsets.flush();
  if (count > 0) {
    logger.info("{count} positions of groups are further at the slave {address}", { count, address });
  }
}
