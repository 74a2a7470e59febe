// SPDX-License-Identifier: Apache-2.0
/**
 * What a slave copies of its master beside the log: topics, groups, positions, progress of delays and timers. It copies only
 * from the master that its log follows, for then the two were compared and belong together; and it does not let
 * itself be emptied: a master without any of the topics, groups or positions that are here has lost them.
 * [RMQ SlaveSynchronize]
 */
import { getLogger } from "@logtape/logtape";
import type { Clock, Timer } from "../../base/clock.ts";
import type { MasterApi } from "../../client/master_api.ts";
import { DataVersion } from "../../protocol/bodies/data_version.ts";
import { requestModesFromJson } from "../../protocol/bodies/request_mode.ts";
import type { JsonObject } from "../../protocol/bodies/json_fields.ts";
import { MalformedError } from "../../protocol/header.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import { RemotingError, RemotingIoError } from "../../remoting/remoting_error.ts";
import { type CommittedOffset, type ConsumerOffsets, parseOffsets } from "../consumer_offsets.ts";
import { type DelayDelivery, levelOffsets } from "../delay_delivery.ts";
import { Groups } from "../groups.ts";
import type { RequestModes } from "../request_modes.ts";
import type { CopiedLog, CopiedTimers } from "../timers/copied_timers.ts";
import { WhenHeld } from "./when_held.ts";
import { SYSTEM_GROUP_PREFIX } from "../topic_name.ts";
import type { Topics } from "../topics.ts";

const logger = getLogger(["rmq", "broker"]);

/** One table that is copied. */
export interface CopyStep {
  /** What it is, for a log. */
  readonly what: string;
  /** Copies it. What it throws is logged and leaves the other steps alone. */
  copy(master: MasterApi): Promise<void>;
}

export interface MetadataCopyOptions {
  clock: Clock;
  /** The master to copy from; undefined while the log follows none. */
  master: () => MasterApi | undefined;
  steps: readonly CopyStep[];
}

/** As often as 4.9 does; 5.x takes a minute. */
const PERIOD_MS = 10_000;

export class MetadataCopy {
  readonly #options: MetadataCopyOptions;
  #timer: Timer | undefined;
  #round: Promise<void> | undefined;
  /** What each step has failed with, until it succeeds. */
  readonly #failures = new Map<CopyStep, string>();
  #hasCopied = false;

  constructor(options: MetadataCopyOptions) {
    this.#options = options;
  }

  /** Whether everything was copied at least once since the start. */
  get hasCopied(): boolean {
    return this.#hasCopied;
  }

  start(): void {
    this.#timer = this.#options.clock.every(PERIOD_MS, () => void this.copy());
    void this.copy();
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#round;
  }

  /** Copies everything once, now; resolves when that has ended, well or not. Rounds do not overlap. */
  copy(): Promise<void> {
    return this.#round ??= this.#copyAll().finally(() => this.#round = undefined);
  }

  async #copyAll(): Promise<void> {
    let isWhole = true;
    for (const step of this.#options.steps) {
      // asked each time: the master may be gone by now
      const master = this.#options.master();
      if (master === undefined) return;
      if (!await this.#copyOne(step, master)) isWhole = false;
    }
    if (isWhole) this.#hasCopied = true;
  }

  async #copyOne(step: CopyStep, master: MasterApi): Promise<boolean> {
    try {
      await step.copy(master);
      this.#failures.delete(step);
      return true;
    } catch (error) {
      if (isUnknownThere(error)) return true;
      const failure = String(error);
      if (this.#failures.get(step) !== failure) {
        const { what } = step;
        if (isExpected(error)) {
          logger.warn("the master's {what} can't be copied: {failure}", { what, failure });
        } else logger.error("the master's {what} can't be copied: {error}", { what, error });
      }
      this.#failures.set(step, failure);
      return false;
    }
  }
}

/** A master of another version may not have this table. */
function isUnknownThere(error: unknown): boolean {
  return error instanceof RemotingError && error.code === ResponseCode.REQUEST_CODE_NOT_SUPPORTED;
}

function isExpected(error: unknown): boolean {
  return error instanceof RemotingError || error instanceof RemotingIoError ||
    error instanceof MalformedError || error instanceof EmptyMasterError;
}

/** The master has nothing of what the slave has: it has lost its tables. */
class EmptyMasterError extends Error {
  constructor(what: string) {
    super(
      `it has none of the ${what} that are here, so it has lost them; they are kept here, and can be brought back ` +
        "from this broker's config directory",
    );
  }
}

/** Tables that every broker has. */
export interface CopiedTables {
  topics: Topics;
  groups: Groups;
  offsets: ConsumerOffsets;
  delay: DelayDelivery;
  timers: CopiedTimers;
  modes: Pick<RequestModes, "adopt">;
  /** The log that is copied beside them. */
  log: CopiedLog;
}

export function copySteps({ topics, groups, offsets, delay, timers, modes, log }: CopiedTables): CopyStep[] {
  const delays = new WhenHeld<JsonObject>(log);
  const ownPositions = new WhenHeld<readonly CommittedOffset[]>(log);
  return [
    {
      what: "topics",
      async copy(master) {
        const table = await master.topics();
        const own = [...topics.table.keys()].filter((topic) => !topics.isSystemTopic(topic));
        requireAny("topics", own, (topic) => table.topics.has(topic));
        for (const topic of topics.adopt(table.topics, table.dataVersion)) offsets.removeTopic(topic);
      },
    },
    {
      what: "groups",
      async copy(master) {
        const table = await master.groups();
        const own = [...groups.table.groups.keys()].filter((group) => !Groups.isBuiltIn(group));
        requireAny("groups", own, (group) => table.groups.has(group));
        groups.adopt(table);
      },
    },
    {
      what: "positions of groups",
      copy: (master) => copyPositions(master, offsets, ownPositions),
    },
    {
      what: "progress of delays",
      async copy(master) {
        const progress = await master.delayOffsets();
        const held = await delays.offer(progress, (await master.log()).maxOffset);
        if (held !== undefined) delay.adopt(levelOffsets(held), DataVersion.fromJson(held.dataVersion));
      },
    },
    {
      what: "ways in which groups consume",
      async copy(master) {
        modes.adopt(requestModesFromJson(await master.messageRequestModes()));
      },
    },
    {
      what: "counts of timed messages",
      async copy(master) {
        timers.adoptMetrics(await master.timerMetrics());
      },
    },
    {
      what: "progress of timed messages",
      async copy(master) {
        const checkpoint = await master.timerCheckpoint();
        await timers.offerCheckpoint(checkpoint, (await master.log()).maxOffset, log);
      },
    },
  ];
}

/**
 * The positions of the broker's own groups tell which transactions are settled and what was popped and acknowledged,
 * so they must not be ahead of the log here. Those of consumers may be: they wait for what is missing.
 */
async function copyPositions(
  master: MasterApi,
  offsets: ConsumerOffsets,
  ownPositions: WhenHeld<readonly CommittedOffset[]>,
): Promise<void> {
  const object = await master.consumerOffsets();
  const table = parseOffsets(object)
    .map(([group, topic, queueId, offset]): CommittedOffset => ({ group, topic, queueId, offset }));
  if (table.length === 0 && !offsets.isEmpty) throw new EmptyMasterError("positions of groups");
  const told = table.filter(isOfBroker);
  const held = told.length === 0 ? [] : await ownPositions.offer(told, (await master.log()).maxOffset);
  const believed = [
    ...table.filter((position) => !isOfBroker(position)),
    ...held ?? offsets.all().filter(isOfBroker),
  ];
  for (const kept of offsets.adopt(believed, DataVersion.fromJson(object.dataVersion))) {
    const { group, topic, queueId, offset } = kept;
    try {
      await master.commitOffset(group, topic, queueId, offset);
    } catch (error) {
      // the master does not know the group or the topic any more
      if (!(error instanceof RemotingError)) throw error;
      logger.debug("the master does not take {group} in {topic}: {error}", { group, topic, error });
    }
    offsets.handedOver(kept);
  }
}

function isOfBroker({ group }: CommittedOffset): boolean {
  return group.startsWith(SYSTEM_GROUP_PREFIX);
}

/** @throws EmptyMasterError */
function requireAny(what: string, own: readonly string[], isAtMaster: (name: string) => boolean): void {
  if (own.length > 0 && !own.some(isAtMaster)) throw new EmptyMasterError(what);
}
