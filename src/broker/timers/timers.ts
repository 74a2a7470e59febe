// SPDX-License-Identifier: Apache-2.0
/**
 * Messages for any moment: what waits for which moment (`PendingTimers`), who puts it there (`TimerIntake`) and
 * who delivers it (`TimerDelivery`), kept going here. [RMQ TimerMessageStore]
 */
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import type { Clock, Timer } from "../../base/clock.ts";
import type { TimerSettings } from "../../config/broker_settings.ts";
import type { Files } from "../../store/files.ts";
import { PendingTimers } from "../../store/timer/pending_timers.ts";
import { encodeTimerCheckpoint } from "../../store/timer/timer_checkpoint.ts";
import { WHEEL_SLOTS } from "../../store/timer/timer_wheel.ts";
import type { MessageDraft } from "../../store/types.ts";
import { CopiedTimers } from "./copied_timers.ts";
import { Copier, type CopierOptions } from "./copier.ts";
import { JsonFile } from "../json_file.ts";
import { MessageReader, type MessageReaderStore } from "./message_reader.ts";
import { TimerDelivery } from "./timer_delivery.ts";
import { type IntakeStore, TimerIntake } from "./timer_intake.ts";
import { TimerMetrics } from "./timer_metrics.ts";
import { isTimed, TIMER_TOPIC, withTimer } from "./timer_request.ts";

const logger = getLogger(["rmq", "broker"]);

/** The timer topic is looked at so often, and due slots. */
const LOOK_INTERVAL_MS = 100;
const CLEAN_INTERVAL_MS = 30_000;
const METRICS_INTERVAL_MS = 5000;
/** What could not be stored is tried again after so long. */
const PAUSE_MS = 500;
/** A stop waits so long for a slot that is half delivered, for the rest of it would come twice. */
const LAST_SLOT_MS = 3000;
/** Slots that no message is put into ahead of time, so that the wheel's end does not meet its beginning. */
const BLANK_SLOTS = 60;

export interface TimersStore extends IntakeStore, MessageReaderStore {
  readonly minPhysicalOffset: number;
  readonly maxPhysicalOffset: number;
  /** Resolves when what was appended before is durable. @throws when a flush has failed */
  flush(): Promise<void>;
  append: CopierOptions["store"]["append"];
}

export interface TimersOptions {
  store: TimersStore;
  files: Files;
  clock: Clock;
  storeDirectory: string;
  /**
   * A slave puts and delivers nothing: should it be a master one day, all is made again of the CommitLog, less what
   * its master had delivered.
   */
  isSlave?: boolean;
  /** As at the start, and what may change while the broker runs. */
  settings: () => TimerSettings;
  whenStored: CopierOptions["whenStored"];
  hasTopic: (topic: string) => boolean;
  /** Of the wheel, for tests. */
  slotCount?: number;
}

/** What operators are shown. */
export interface TimerStatus {
  /** How long the oldest due slot has been due. */
  readBehindMs: number;
  /** Messages that wait to be put into the wheel. */
  offsetBehind: number;
  /** Messages in the wheel. */
  pendingCount: number;
  enqueueTps: number;
  dequeueTps: number;
}

const IDLE: TimerStatus = { readBehindMs: 0, offsetBehind: 0, pendingCount: 0, enqueueTps: 0, dequeueTps: 0 };

export class Timers {
  #options: TimersOptions;
  #wheel: RunningWheel | undefined;
  #copy: CopiedTimers | undefined;

  /** Opens what waits, unless timers are off. @throws what the disk says */
  constructor(options: TimersOptions) {
    this.#options = options;
    const { files, clock, storeDirectory, isSlave } = options;
    if (isSlave) {
      const metrics = new JsonFile(files, clock, join(storeDirectory, "config", "timermetrics"));
      this.#copy = new CopiedTimers(files, storeDirectory, metrics);
    } else if (options.settings().timersEnabled) this.#wheel = new RunningWheel(options);
    else if (files.stat(join(storeDirectory, "timerlog")) !== undefined) {
      logger.warn("timerWheelEnable is false: messages that wait for their moment are not delivered");
    }
  }

  start(): void {
    this.#wheel?.start();
  }

  /** Stops, and keeps everything. */
  async stop(): Promise<void> {
    await this.#wheel?.stop();
    this.#copy?.close();
  }

  /**
   * The draft as it is to be stored: one that asks for a moment to come goes to the timer topic.
   * @throws RemotingError where the broker does not take it
   */
  draftFor(draft: MessageDraft): MessageDraft {
    if (!isTimed(draft)) return draft;
    const { settings, clock } = this.#options;
    return withTimer(draft, clock.nowMs(), settings(), (timeMs) => this.#wheel?.pending.countAt(timeMs) ?? 0);
  }

  status(): TimerStatus {
    return this.#wheel?.status() ?? IDLE;
  }

  /** Of a slave: what is kept of its master. */
  get copy(): CopiedTimers | undefined {
    return this.#copy;
  }

  /** As answered to GET_TIMER_CHECK_POINT; undefined where timers are off. */
  checkpoint(): Uint8Array | undefined {
    if (this.#copy !== undefined) return this.#copy.checkpoint();
    return this.#wheel && encodeTimerCheckpoint(this.#wheel.pending.checkpoint);
  }

  /** Messages that wait, by topic; undefined where timers are off. */
  metrics(): TimerMetrics | undefined {
    return this.#wheel?.metrics;
  }
}

class RunningWheel {
  readonly pending: PendingTimers;
  readonly metrics: TimerMetrics;
  #options: TimersOptions;
  #copier: Copier;
  #intake: TimerIntake;
  #delivery: TimerDelivery;
  #writeTimeMs: number;
  #timers: Timer[] = [];
  #tick: Timer | undefined;
  #isStopping = false;
  #isStopped = false;
  #wakePaused = new Set<() => void>();
  #flushFailure: string | undefined;
  #taken = new Rate();
  #delivered = new Rate();

  constructor(options: TimersOptions) {
    this.#options = options;
    const { store, files, clock, storeDirectory, slotCount = WHEEL_SLOTS, whenStored } = options;
    const { timerPrecisionMs: precisionMs, timerLogFileBytes, timerRollWindowSlots } = options.settings();
    const file = new JsonFile(files, clock, join(storeDirectory, "config", "timermetrics"));
    const metrics = this.metrics = new TimerMetrics(file, clock);
    const pending = this.pending = PendingTimers.open({
      ...{ files, storeDirectory, precisionMs, slotCount },
      logFileBytes: timerLogFileBytes,
      nowMs: () => clock.nowMs(),
      endOffset: store.maxPhysicalOffset,
      flushCommitLog: () => store.flush(),
    });
    this.#fitQueue();
    if (pending.countsByTopic !== undefined) metrics.correct(pending.countsByTopic);
    this.#writeTimeMs = this.#momentNow();
    const copier = this.#copier = new Copier({ store, whenStored, clock });
    const half = slotCount / 2 - BLANK_SLOTS;
    const rollSlots = timerRollWindowSlots >= 2 && timerRollWindowSlots <= half ? timerRollWindowSlots : half;
    const common = {
      ...{ store, pending, copier, metrics, clock },
      reader: new MessageReader(store),
      writeTimeMs: () => this.#writeTimeMs,
      pause: () => this.#pause(),
      isStopped: () => this.#isStopped,
    };
    this.#intake = new TimerIntake({ ...common, rollWindowMs: rollSlots * precisionMs });
    this.#delivery = new TimerDelivery({
      ...common,
      mayBegin: () => this.#mayDeliver(),
      rebuild: () => this.#rebuild(),
    });
  }

  start(): void {
    const { clock, settings } = this.#options;
    this.#timers.push(
      clock.every(settings().timerFlushIntervalMs, () => void this.#flush()),
      clock.every(CLEAN_INTERVAL_MS, () => this.#clean()),
      clock.every(METRICS_INTERVAL_MS, () => void this.#persistMetrics()),
    );
    this.#look();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#tick?.cancel();
    for (const timer of this.#timers.splice(0)) timer.cancel();
    await this.#atMost(LAST_SLOT_MS, this.#delivery.run());
    this.#isStopped = true;
    this.#copier.stop();
    for (const wake of this.#wakePaused) wake();
    await Promise.all([this.#intake.run(), this.#delivery.run()]);
    try {
      await this.pending.flushAll();
    } catch (error) {
      logger.error("timed messages may be delivered again at the next start: {error}", { error });
    }
    await this.#persistMetrics();
    this.pending.close();
  }

  status(): TimerStatus {
    const nowMs = this.#options.clock.nowMs();
    return {
      readBehindMs: Math.max(0, nowMs - this.pending.readTimeMs),
      offsetBehind: this.#intake.behindCount,
      pendingCount: this.pending.count,
      enqueueTps: this.#taken.perSecond(this.#intake.takenCount, nowMs),
      dequeueTps: this.#delivered.perSecond(this.#delivery.deliveredCount, nowMs),
    };
  }

  async #rebuild(): Promise<void> {
    await this.pending.rebuild("the timer log is damaged");
    this.#fitQueue();
    this.#intake.restart();
  }

  /** The timer topic may have lost its end, or its beginning, since the checkpoint was written. */
  #fitQueue(): void {
    const { store } = this.#options;
    this.pending.fitQueue(store.minOffset(TIMER_TOPIC, 0), store.maxOffset(TIMER_TOPIC, 0));
  }

  /** Moves time on, and lets intake and delivery see what is new. */
  #look(): void {
    const { clock, settings } = this.#options;
    const { precisionMs } = this.pending;
    const momentMs = this.#momentNow();
    if (momentMs > this.#writeTimeMs) this.#writeTimeMs = momentMs;
    else if (momentMs < this.#writeTimeMs - precisionMs && !this.#delivery.isRunning) {
      this.#turnBack(momentMs);
    }
    if (!settings().timerIntakeStopped) void this.#intake.run();
    void this.#delivery.run();
    const toNextMs = this.#writeTimeMs + precisionMs - clock.nowMs();
    this.#tick = clock.after(Math.max(1, Math.min(LOOK_INTERVAL_MS, toNextMs)), () => this.#look());
  }

  /** The clock was set back: nothing is to come earlier by that than it should. */
  #turnBack(momentMs: number): void {
    logger.warn("the clock was set back: timed messages are delivered from {from} on", {
      from: new Date(momentMs).toISOString(),
    });
    this.pending.turnBack(momentMs);
    this.#writeTimeMs = momentMs;
  }

  #mayDeliver(): boolean {
    const { timerDeliveryStopped } = this.#options.settings();
    return !this.#isStopping && !timerDeliveryStopped && !this.#intake.isCatchingUp;
  }

  async #flush(): Promise<void> {
    try {
      await this.pending.flush();
      this.#flushFailure = undefined;
    } catch (error) {
      const failure = String(error);
      if (failure !== this.#flushFailure) {
        logger.error("the progress of timed messages can't be kept, so they may come twice: {error}", {
          error,
        });
      }
      this.#flushFailure = failure;
    }
  }

  #clean(): void {
    try {
      this.pending.deleteBefore(this.#options.store.minPhysicalOffset);
    } catch (error) {
      logger.error("old files of the timer log can't be deleted: {error}", { error });
    }
  }

  async #persistMetrics(): Promise<void> {
    try {
      this.metrics.keepOnly(this.#options.hasTopic);
      await this.metrics.persist();
    } catch (error) {
      logger.error("the counts of timed messages can't be kept: {error}", { error });
    }
  }

  #momentNow(): number {
    const nowMs = this.#options.clock.nowMs();
    return nowMs - nowMs % this.pending.precisionMs;
  }

  #pause(): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        timer.cancel();
        this.#wakePaused.delete(wake);
        resolve();
      };
      const timer = this.#options.clock.after(PAUSE_MS, wake);
      this.#wakePaused.add(wake);
    });
  }

  async #atMost(delayMs: number, work: Promise<void>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#options.clock.after(delayMs, resolve);
    await Promise.race([work, promise]);
    timer.cancel();
  }
}

/** How fast a count grows, seen between two looks that are not too near each other. */
class Rate {
  #count = 0;
  #sinceMs = 0;
  #rate = 0;

  perSecond(count: number, nowMs: number): number {
    const elapsedMs = nowMs - this.#sinceMs;
    if (this.#sinceMs > 0 && elapsedMs >= 0 && elapsedMs < 1000) return this.#rate;
    this.#rate = this.#sinceMs === 0 ? 0 : (count - this.#count) * 1000 / Math.max(1, elapsedMs);
    this.#count = count;
    this.#sinceMs = nowMs;
    return this.#rate;
  }
}
