// SPDX-License-Identifier: Apache-2.0
/**
 * Takes messages from the timer topic, in their order, and puts each into the slot of its moment; one whose moment
 * is over is delivered. Progress is said when everything before is put or stored. [RMQ TimerMessageStore.enqueue]
 */
import { setImmediate } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../base/clock.ts";
import { javaHashCode } from "../../protocol/java_string.ts";
import { Property } from "../../protocol/properties.ts";
import type { MessageRecord } from "../../protocol/record.ts";
import type { PendingTimers } from "../../store/timer/pending_timers.ts";
import { UnitMagic } from "../../store/timer/timer_unit.ts";
import type { Copier } from "./copier.ts";
import type { MessagePlace, MessageReader } from "./message_reader.ts";
import { deliveredCopy, type TimedMessage, timedMessage } from "./timer_copy.ts";
import type { TimerMetrics } from "./timer_metrics.ts";
import { TIMER_TOPIC } from "./timer_request.ts";

const logger = getLogger(["rmq", "broker"]);

/** Messages looked at before others are served. */
const BATCH = 256;

export interface IntakeStore {
  minOffset(topic: string, queueId: number): number;
  maxOffset(topic: string, queueId: number): number;
  queueEntry(
    topic: string,
    queueId: number,
    queueOffset: number,
  ): { physicalOffset: number; size: number } | undefined;
  readMessage(physicalOffset: number): MessageRecord | undefined;
}

export interface TimerIntakeOptions {
  store: IntakeStore;
  pending: PendingTimers;
  copier: Copier;
  reader: MessageReader;
  metrics: TimerMetrics;
  clock: Clock;
  /** Slots before this moment are, or will be, delivered without waiting. */
  writeTimeMs: () => number;
  rollWindowMs: number;
  /** Resolves after a pause in which the store may have recovered, or at once when everything stops. */
  pause: () => Promise<void>;
  isStopped: () => boolean;
}

export class TimerIntake {
  #options: TimerIntakeOptions;
  /** The next message to look at; those before `pending.queueOffset` are done. */
  #nextOffset: number;
  /** Messages that were due when they were looked at, and are not stored yet. */
  #late: MessagePlace[] = [];
  #running: Promise<void> | undefined;
  #failure: string | undefined;
  /** Grows with each `restart`: what was begun before does not count. */
  #restartCount = 0;
  takenCount = 0;

  constructor(options: TimerIntakeOptions) {
    this.#options = options;
    this.#nextOffset = options.pending.queueOffset;
  }

  /** Whether messages of a former life are still to be put: until then no slot is complete. */
  get isCatchingUp(): boolean {
    const { pending } = this.#options;
    return pending.queueOffset < pending.masterQueueOffset;
  }

  /** Messages of the timer topic that nobody has looked at. */
  get behindCount(): number {
    return Math.max(0, this.#options.store.maxOffset(TIMER_TOPIC, 0) - this.#nextOffset);
  }

  /** Begins again at `pending.queueOffset`. */
  restart(): void {
    this.#nextOffset = this.#options.pending.queueOffset;
    this.#late = [];
    this.#restartCount++;
  }

  /** Takes what there is; a call while it does so changes nothing. */
  run(): Promise<void> {
    return this.#running ??= this.#run().finally(() => this.#running = undefined);
  }

  async #run(): Promise<void> {
    try {
      while (!this.#options.isStopped() && await this.#takeBatch()) await setImmediate();
      this.#failure = undefined;
    } catch (error) {
      const failure = String(error);
      if (failure !== this.#failure) {
        logger.error("timed messages can't be put into the wheel, it is tried again: {error}", { error });
      }
      this.#failure = failure;
    }
  }

  /** @returns whether there may be more */
  async #takeBatch(): Promise<boolean> {
    const { store, pending } = this.#options;
    const minOffset = store.minOffset(TIMER_TOPIC, 0);
    if (this.#nextOffset < minOffset) {
      logger.warn("timed messages before {minOffset} have expired; the wheel was at {offset}", {
        minOffset,
        offset: this.#nextOffset,
      });
      this.#nextOffset = minOffset;
    }
    const endOffset = Math.min(store.maxOffset(TIMER_TOPIC, 0), this.#nextOffset + BATCH);
    let hasTaken = true;
    let failure: unknown;
    try {
      while (this.#nextOffset < endOffset && hasTaken) {
        hasTaken = this.#take(this.#nextOffset);
        if (hasTaken) this.#nextOffset++;
      }
    } catch (error) {
      failure = error;
    }
    pending.write();
    const restartCount = this.#restartCount;
    if (this.#late.length > 0 && !await this.#deliverLate()) return false;
    if (restartCount !== this.#restartCount) return true;
    pending.passQueue(this.#nextOffset);
    if (failure !== undefined) throw failure;
    if (pending.isFull) await pending.flush();
    return hasTaken && this.#nextOffset < store.maxOffset(TIMER_TOPIC, 0);
  }

  /** @returns false where the message has to wait, because its slot holds others */
  #take(queueOffset: number): boolean {
    const { store, pending } = this.#options;
    const entry = store.queueEntry(TIMER_TOPIC, 0, queueOffset);
    const message = timedMessage(entry && store.readMessage(entry.physicalOffset));
    if (entry === undefined || message === undefined) {
      logger.error("the timed message {queueOffset} can't be found; it is left out", { queueOffset });
      return true;
    }
    if (message.realTopic === undefined) {
      logger.warn("{topic} holds a message ({queueOffset}) that does not say where it belongs; left out", {
        topic: TIMER_TOPIC,
        queueOffset,
      });
      return true;
    }
    const place = { physicalOffset: entry.physicalOffset, messageBytes: entry.size };
    const isFromFormerLife = queueOffset < pending.masterQueueOffset;
    if (pending.isKnown(place.physicalOffset)) return true;
    const dueMs = dueTimeOf(message);
    if (isFromFormerLife && dueMs < pending.masterReadTimeMs) return true;
    // While nothing is delivered, what is due by now keeps its turn among the others.
    const openFromMs = isFromFormerLife ? pending.readTimeMs : this.#options.writeTimeMs();
    if (dueMs < openFromMs) {
      if (message.deletes === undefined) this.#late.push(place);
      else logger.warn("a message can't be taken back: its moment is over");
      return true;
    }
    return this.#put(message, place, dueMs, isFromFormerLife);
  }

  /** [RMQ TimerMessageStore.doEnqueue] */
  #put(message: TimedMessage, place: MessagePlace, dueMs: number, wasCounted: boolean): boolean {
    const { pending, metrics, rollWindowMs } = this.#options;
    const { precisionMs } = pending;
    const writeTimeMs = this.#options.writeTimeMs();
    const topic = message.realTopic!;
    let slotTimeMs = dueMs - dueMs % precisionMs;
    let magic: number = UnitMagic.DEFAULT;
    const beyondMs = slotTimeMs - writeTimeMs - rollWindowMs;
    if (beyondMs >= 0) {
      magic |= UnitMagic.ROLL;
      const slots = rollWindowMs / precisionMs;
      // what is left then must not be too little for another round
      const isNear = beyondMs < Math.floor(slots / 3) * precisionMs;
      slotTimeMs = writeTimeMs + (isNear ? Math.floor(slots / 2) : slots) * precisionMs;
    }
    if (message.deletes !== undefined) magic |= UnitMagic.DELETE;
    const isPut = pending.put({ ...place, slotTimeMs, magic, writeTimeMs, topicHash: javaHashCode(topic) });
    if (!isPut) return false;
    this.takenCount++;
    if (!wasCounted) metrics.add(topic, message.deletes === undefined ? 1 : -1);
    return true;
  }

  /** @returns false when everything stops */
  async #deliverLate(): Promise<boolean> {
    const { copier, reader, clock, pause, isStopped } = this.#options;
    const draftOf = (message: TimedMessage | undefined) =>
      message && deliveredCopy(message, undefined, clock.nowMs());
    const restartCount = this.#restartCount;
    for (;;) {
      const doneCount = await copier.storeAll(
        this.#late,
        (place) => {
          const message = reader.read(place);
          return message instanceof Promise ? message.then(draftOf) : draftOf(message);
        },
        () => {},
      );
      if (restartCount !== this.#restartCount) return true;
      this.#late.splice(0, doneCount);
      if (this.#late.length === 0) return true;
      if (isStopped()) return false;
      await pause();
    }
  }
}

/** One that does not say when is due at once. */
function dueTimeOf({ properties }: TimedMessage): number {
  const text = properties.get(Property.TIMER_OUT_MS) ?? "";
  return /^[0-9]{1,15}$/.test(text) ? Number(text) : 0;
}
