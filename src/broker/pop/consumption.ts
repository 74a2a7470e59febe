// SPDX-License-Identifier: Apache-2.0
/**
 * The parts of POP consumption, put together: a group's members pop messages of any queue, each message is one
 * member's until it is acknowledged or its invisible time is over. What was popped stands in check points in the
 * revive topic, so it outlives the broker, and can be read by Apache's.
 */
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import type { BrokerSettings } from "../../config/broker_settings.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Files } from "../../store/files.ts";
import type { MessageStore } from "../../store/message_store.ts";
import type { MessageDraft, StoredHost } from "../../store/types.ts";
import type { ConsumerOffsets } from "../consumer_offsets.ts";
import type { Durability } from "../durability.ts";
import type { Groups } from "../groups.ts";
import { JsonFile } from "../json_file.ts";
import { RequestModes } from "../request_modes.ts";
import type { Statistics } from "../statistics.ts";
import type { Topics } from "../topics.ts";
import { PopHold } from "./hold.ts";
import { PopInFlight } from "./in_flight.ts";
import { PopOrder } from "./order.ts";
import { PopPositions } from "./positions.ts";
import { PopReader } from "./reader.ts";
import { normalTopicOf } from "./retry_topic.ts";
import { Revive } from "./revive.ts";
import { ReviveLog, reviveTopicOf } from "./revive_log.ts";

export interface PopConsumptionOptions {
  files: Files;
  clock: Clock;
  /** The `config` folder of the store. */
  directory: string;
  store: MessageStore;
  topics: Topics;
  groups: Groups;
  offsets: ConsumerOffsets;
  durability: Durability;
  statistics: Statistics;
  storeHost: StoredHost;
  timers: PopTimers;
  settings: () => BrokerSettings;
}

/** What POP needs of timed messages. */
export interface PopTimers {
  /**
   * The draft as it is stored to come to its queue at the time that its property TIMER_DELIVER_MS names.
   * @throws RemotingError when that is too far away
   */
  draftFor(draft: MessageDraft): MessageDraft;
  status(): {
    /** How long the oldest message has been due that is not in its queue yet. */
    readonly readBehindMs: number;
    /** Messages of which it is not known yet when they are due. */
    readonly offsetBehind: number;
  };
}

export class PopConsumption {
  readonly modes: RequestModes;
  readonly positions: PopPositions;
  readonly order: PopOrder;
  /** Pops that wait. */
  readonly hold: PopHold;
  /** Notifications that wait. */
  readonly notifications: PopHold;
  readonly inFlight: PopInFlight;
  readonly reviveLog: ReviveLog;
  readonly reader: PopReader;
  readonly revive: Revive;
  #reviveTopic: string;
  #options: PopConsumptionOptions;

  /** @throws ConfigFileError */
  constructor(options: PopConsumptionOptions) {
    this.#options = options;
    const { files, clock, directory, store, topics, groups, offsets, settings, storeHost } = options;
    const { clusterName, brokerName, consumerOffsetFlushIntervalMs } = settings();
    const reviveTopic = this.#reviveTopic = reviveTopicOf(clusterName);
    const file = (name: string) => new JsonFile(files, clock, join(directory, name));
    this.modes = new RequestModes(file("messageRequestMode.json"));
    this.positions = new PopPositions({ store, offsets });
    this.hold = new PopHold({ store, clock, settings, wakes: "first" });
    this.notifications = new PopHold({ store, clock, settings, wakes: "last" });
    this.order = new PopOrder({
      file: file("consumerOrderInfo.json"),
      clock,
      flushIntervalMs: consumerOffsetFlushIntervalMs,
      queueCountOf: (topic) => topics.get(topic)?.readQueueNums ?? 0,
      hasGroup: (group) => groups.has(group),
      onFree: (topic, group, queueId) => {
        if (settings().popWakesWhenOrderFree) this.wakeAt(topic, group, queueId);
      },
    });
    this.inFlight = new PopInFlight({
      clock,
      settings,
      onFree: (topic, group) => this.hold.wakeGroup(normalTopicOf(topic, group), group),
    });
    const inFlight = this.inFlight;
    const { timers, statistics } = options;
    const timed = (draft: MessageDraft) => timers.draftFor(draft);
    this.reviveLog = new ReviveLog({ store, clock, storeHost, reviveTopic, timed });
    this.reader = new PopReader({
      ...{ store, offsets, positions: this.positions, order: this.order, reviveLog: this.reviveLog },
      ...{ inFlight, statistics, brokerName, settings },
      onQueueFree: (topic, group, queueId) => this.wakeAt(topic, group, queueId),
    });
    this.revive = new Revive({
      ...{
        store,
        clock,
        topics,
        groups,
        offsets,
        reviveLog: this.reviveLog,
        statistics,
        storeHost,
        settings,
      },
      ...{ inFlight, brokerName, reviveTopic },
      whenStored: (endOffset, settle) => options.durability.when(endOffset, true, settle),
      deliveredUpToMs: () => {
        const { readBehindMs, offsetBehind } = timers.status();
        return offsetBehind > 0 ? 0 : clock.nowMs() - readBehindMs;
      },
      onRevived: (topic, group) => {
        this.hold.wakeGroup(topic, group);
        this.notifications.wakeGroup(topic, group);
      },
    });
  }

  start(): void {
    this.order.start();
    this.revive.start();
  }

  /** Answers who waits: to be called while answers still reach their connections. */
  stopWaiting(): void {
    this.hold.stop();
    this.notifications.stop();
  }

  /** @throws RemotingError when what was popped in order can't be written */
  async stop(): Promise<void> {
    this.stopWaiting();
    await this.revive.stop();
    await this.order.stop();
  }

  /** Wakes who waits for messages of a queue. */
  wakeAt(topic: string, group: string, queueId: number): void {
    this.hold.wakeOneAtAny(topic, group, queueId);
    this.notifications.wakeOneAtAny(topic, group, queueId);
  }

  /** @throws RemotingError MESSAGE_ILLEGAL for a queue that the revive topic does not have */
  requireReviveQueue(queueId: number): void {
    const { topics, settings } = this.#options;
    const count = Math.max(settings().reviveQueueCount, topics.get(this.#reviveTopic)?.readQueueNums ?? 0);
    if (queueId >= 0 && queueId < count) return;
    throw new RemotingError(
      ResponseCode.MESSAGE_ILLEGAL,
      `the receipt names a revive queue ${queueId} of ${count}`,
    );
  }

  forgetTopic(topic: string): void {
    this.positions.forgetTopic(topic);
    this.order.forgetTopic(topic);
    this.inFlight.forgetTopic(topic);
    this.hold.wakeTopic(topic);
    this.notifications.wakeTopic(topic);
  }

  forgetGroup(group: string): void {
    this.positions.forgetGroup(group);
    this.order.forgetGroup(group);
    this.inFlight.forgetGroup(group);
  }
}
