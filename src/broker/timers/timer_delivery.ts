// SPDX-License-Identifier: Apache-2.0
/**
 * Delivers slots whose moment is over, one after the other, each in the order in which its messages came. A slot
 * counts as delivered when all its copies are stored; what is stored of it before a crash comes twice.
 * [RMQ TimerMessageStore.dequeue]
 *
 * Units point backwards. A slot is first walked through once, to keep the position of every 256th unit and what is
 * taken back, and then read from there piece by piece: so however many wait for one moment, few are in memory.
 */
import { setImmediate } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../base/clock.ts";
import { Property } from "../../protocol/properties.ts";
import type { MessageDraft } from "../../store/types.ts";
import type { PendingTimers } from "../../store/timer/pending_timers.ts";
import { type TimerUnit, UnitMagic } from "../../store/timer/timer_unit.ts";
import type { Copier } from "./copier.ts";
import type { MessageReader } from "./message_reader.ts";
import { deliveredCopy, rolledCopy, type TimedMessage } from "./timer_copy.ts";
import type { TimerMetrics } from "./timer_metrics.ts";

const logger = getLogger(["rmq", "broker"]);

const PIECE_UNITS = 256;

export interface TimerDeliveryOptions {
  pending: PendingTimers;
  copier: Copier;
  reader: MessageReader;
  metrics: TimerMetrics;
  clock: Clock;
  /** Slots before this moment are due. */
  writeTimeMs: () => number;
  /** Resolves after a pause in which the store may have recovered, or at once when everything stops. */
  pause: () => Promise<void>;
  /** The timer log is damaged: makes it again. */
  rebuild: () => Promise<void>;
  /** Whether another slot may be begun. */
  mayBegin: () => boolean;
  isStopped: () => boolean;
}

export class TimerDelivery {
  #options: TimerDeliveryOptions;
  #running: Promise<void> | undefined;
  #failure: string | undefined;
  deliveredCount = 0;

  constructor(options: TimerDeliveryOptions) {
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Delivers what is due; a call while it does so changes nothing. */
  run(): Promise<void> {
    return this.#running ??= this.#run().finally(() => this.#running = undefined);
  }

  async #run(): Promise<void> {
    const { pending, writeTimeMs, mayBegin } = this.#options;
    try {
      while (mayBegin() && pending.readTimeMs < writeTimeMs()) {
        const dueBeforeMs = writeTimeMs();
        const timeMs = pending.nextSlot(dueBeforeMs);
        pending.passTime(timeMs ?? dueBeforeMs);
        if (timeMs === undefined) continue;
        if (!await this.#deliverSlot(timeMs)) return;
        pending.passTime(timeMs + pending.precisionMs);
      }
      this.#failure = undefined;
    } catch (error) {
      const failure = String(error);
      if (failure !== this.#failure) {
        logger.error("timed messages can't be delivered, it is tried again: {error}", { error });
      }
      this.#failure = failure;
    }
  }

  /** @returns false when everything stops, or begins again */
  async #deliverSlot(timeMs: number): Promise<boolean> {
    const { pending, metrics } = this.#options;
    const takenBack = new TakenBack();
    const marks = await this.#walk(timeMs, takenBack);
    if (marks === undefined) {
      await this.#options.rebuild();
      return false;
    }
    for (let index = marks.length - 1; index >= 0; index--) {
      const piece: TimerUnit[] = [];
      const visit = (_: number, unit: TimerUnit) => piece.push(unit) < PIECE_UNITS;
      if (!walkBack(pending, marks[index], timeMs, visit)) {
        throw new Error(`the timer log can't be read any more at ${marks[index]}`);
      }
      if (!await this.#deliverPiece(piece.reverse(), takenBack)) return false;
    }
    // They were subtracted when they came.
    for (const topic of takenBack.unused()) metrics.add(topic, 1);
    return true;
  }

  /** @returns positions of units, from the last one of the slot to the first; undefined where its chain is broken */
  async #walk(timeMs: number, takenBack: TakenBack): Promise<number[] | undefined> {
    const { pending } = this.#options;
    const marks: number[] = [];
    let position = pending.slot(timeMs)?.lastPosition ?? -1;
    while (position >= pending.minPosition) {
      marks.push(position);
      const deletes: TimerUnit[] = [];
      let count = 0;
      let next = -1;
      const isWhole = walkBack(pending, position, timeMs, (_, unit) => {
        if (takesBack(unit)) deletes.push(unit);
        next = unit.previousPosition;
        return ++count < PIECE_UNITS;
      });
      if (!isWhole) return undefined;
      for (const unit of deletes) takenBack.add(await this.#options.reader.read(unit));
      position = next;
      await setImmediate();
    }
    return marks;
  }

  async #deliverPiece(units: readonly TimerUnit[], takenBack: TakenBack): Promise<boolean> {
    const { copier, reader, metrics, pause, isStopped, rebuild } = this.#options;
    let isForeign = false;
    let left = units.filter((unit) => !takesBack(unit));
    const topics = new Map<TimerUnit, string>();
    while (left.length > 0) {
      const doneCount = await copier.storeAll(
        left,
        (unit) => {
          const draftOf = (message: TimedMessage | undefined) => {
            if (message?.realTopic !== undefined) topics.set(unit, message.realTopic);
            if (message !== undefined && isBefore(unit, message, this.#options.pending.precisionMs)) {
              isForeign = true;
            } else return message && this.#copyOf(unit, message, takenBack);
          };
          const message = reader.read(unit);
          return message instanceof Promise ? message.then(draftOf) : draftOf(message);
        },
        (unit) => {
          this.deliveredCount++;
          const isDelete = (unit.magic & UnitMagic.DELETE) !== 0;
          if (topics.has(unit)) metrics.add(topics.get(unit)!, isDelete ? 1 : -1);
        },
      );
      left = left.slice(doneCount);
      if (isForeign) {
        await rebuild();
        return false;
      }
      if (left.length === 0) return true;
      if (isStopped()) return false;
      await pause();
    }
    return true;
  }

  #copyOf(unit: TimerUnit, message: TimedMessage, takenBack: TakenBack): MessageDraft | undefined {
    const nowMs = this.#options.clock.nowMs();
    if ((unit.magic & UnitMagic.ROLL) !== 0) return rolledCopy(message, unit.writeTimeMs, nowMs);
    if (takenBack.has(message)) return undefined;
    return deliveredCopy(message, unit.writeTimeMs, nowMs);
  }
}

/** Whether a unit has its message come before its time: it belongs to another one that lay there. */
function isBefore(unit: TimerUnit, { properties }: TimedMessage, precisionMs: number): boolean {
  if ((unit.magic & UnitMagic.ROLL) !== 0) return false;
  return Number(properties.get(Property.TIMER_OUT_MS)) >= unit.slotTimeMs + precisionMs;
}

/** Whether the unit's message takes back another one of its slot. One that goes round again does so later. */
function takesBack({ magic }: TimerUnit): boolean {
  return (magic & UnitMagic.DELETE) !== 0 && (magic & UnitMagic.ROLL) === 0;
}

/**
 * Visits units of a slot from a position backwards, until `visit` wants no more or there are no more.
 * @returns false where the chain is broken
 */
function walkBack(
  pending: PendingTimers,
  from: number,
  slotTimeMs: number,
  visit: (position: number, unit: TimerUnit) => boolean,
): boolean {
  for (let position = from; position >= pending.minPosition;) {
    const unit = pending.unit(position, slotTimeMs);
    if (unit === undefined) return false;
    if (!visit(position, unit)) return true;
    position = unit.previousPosition;
  }
  return true;
}

/** The messages that are taken back from a slot, by the key that names them. */
class TakenBack {
  #keys = new Map<string, { topic: string; isUsed: boolean }>();

  add(message: TimedMessage | undefined): void {
    if (message?.deletes === undefined || message.realTopic === undefined) return;
    this.#keys.set(message.deletes, { topic: message.realTopic, isUsed: false });
  }

  /** Keys name the topic, too, or only the message. [RMQ buildDeleteKey, appendTopicForTimerDeleteKey] */
  has({ realTopic, properties }: TimedMessage): boolean {
    if (this.#keys.size === 0) return false;
    const key = properties.get(Property.UNIQ_KEY);
    if (key === undefined) return false;
    const found = this.#keys.get(key) ?? this.#keys.get(`${realTopic}+${key}`);
    if (found !== undefined) found.isUsed = true;
    return found !== undefined;
  }

  /** Topics of those that have taken nothing back. */
  unused(): string[] {
    return [...this.#keys.values()].filter(({ isUsed }) => !isUsed).map(({ topic }) => topic);
  }
}
