// SPDX-License-Identifier: Apache-2.0
/**
 * Pops that found nothing and wait: for a message that may match, for their deadline, or for the end of their
 * connection. Unlike a pull, a pop that is woken and finds nothing waits again. A message wakes one request of
 * each group: the others' turn comes when that one leaves something. [RMQ PopLongPollingService]
 */
import { setImmediate } from "node:timers";
import type { Clock, Timer } from "../../base/clock.ts";
import type { Connection } from "../../remoting/connection.ts";
import type { MessageFilter } from "../../store/types.ts";
import { isWanted } from "../message_filter.ts";

export interface HeldPop {
  readonly topic: string;
  readonly group: string;
  /** -1: all queues. */
  readonly queueId: number;
  readonly connection: Connection;
  readonly filter: MessageFilter | undefined;
  /** By the monotonic clock. */
  readonly deadlineMs: number;
  /** Serves the request again. */
  wake(): void;
}

/** The answer is under way so long before the client's time ends. */
const EARLY_MS = 50;
/** No request waits longer, whatever a client asks for. */
const MAX_HOLD_MS = 300_000;

/**
 * When a request was born by its client's clock, as far as that can be, and until when it may be held.
 * @param pollTime for how long the client waits, in ms @returns `deadlineMs` by the monotonic clock
 */
export function holdTimes(
  clock: Clock,
  { bornTime, pollTime }: { bornTime: number; pollTime: number },
): { bornMs: number; deadlineMs: number } {
  const nowMs = clock.nowMs();
  const bornMs = bornTime === 0 ? nowMs : Math.min(bornTime, nowMs);
  const waitMs = bornMs + Math.min(pollTime, MAX_HOLD_MS) - EARLY_MS - nowMs;
  return { bornMs, deadlineMs: clock.monotonicMs() + waitMs };
}

export interface PopHoldSettings {
  /** Requests that may wait in all. */
  readonly maxHeldPops: number;
  /** Requests of one group that may wait at one queue (or at all of a topic). */
  readonly maxHeldPopsPerQueue: number;
  /** Groups and queues at which requests may wait. */
  readonly maxHeldPopQueues: number;
  /** Messages whose offset is a multiple of this wake whatever the filter; 0: none does. */
  readonly popForcedWakeOffsets: number;
}

export interface PopHoldOptions {
  store: {
    onArrival(
      listener: (
        topic: string,
        queueId: number,
        queueOffset: number,
        tagsCode: number,
        storeTimestampMs: number,
        properties: ReadonlyMap<string, string>,
      ) => void,
    ): void;
    onWatermark(listener: () => void): void;
  };
  clock: Clock;
  settings: () => PopHoldSettings;
  /** Whose turn it is: that of the request whose time ends first, or last. */
  wakes: "first" | "last";
}

export type HoldOutcome = "HELD" | "FULL" | "TIMEOUT";

/** Deadlines are looked at so often. */
const TICK_MS = 20;
const ALL_QUEUES = -1;

/** The requests of one group at one queue, by deadline. */
interface Line {
  readonly topic: string;
  readonly group: string;
  readonly queueId: number;
  pops: HeldPop[];
}

export class PopHold {
  #options: PopHoldOptions;
  /** Topic to group to queueId. */
  #lines = new Map<string, Map<string, Map<number, Line>>>();
  #lineCount = 0;
  #count = 0;
  #woken: HeldPop[] = [];
  /** Number of the tick to the requests whose deadline it is. */
  #deadlines = new Map<number, Set<HeldPop>>();
  #lastTick = 0;
  #timer: Timer | undefined;
  #isStopped = false;
  /** Woken requests are going to be served. */
  #isServing = false;
  #arrivalCount = 0;

  constructor(options: PopHoldOptions) {
    this.#options = options;
    options.store.onArrival((topic, queueId, queueOffset, tagsCode, _, properties) => {
      this.#arrivalCount++;
      if (this.#count > 0) this.#onArrival(topic, queueId, queueOffset, tagsCode, properties);
    });
    options.store.onWatermark(() => this.#serveWoken());
  }

  /** Requests that wait now. */
  get count(): number {
    return this.#count;
  }

  /** Moves with each message that arrives. */
  get arrivalCount(): number {
    return this.#arrivalCount;
  }

  /** Requests of a group that wait at a queue. */
  countAt(topic: string, group: string, queueId: number): number {
    return this.#lineOf(topic, group, queueId)?.pops.length ?? 0;
  }

  hold(pop: HeldPop): HoldOutcome {
    const settings = this.#options.settings();
    if (this.#isStopped || pop.deadlineMs <= this.#options.clock.monotonicMs()) return "TIMEOUT";
    if (this.#count >= settings.maxHeldPops) return "FULL";
    let line = this.#lineOf(pop.topic, pop.group, pop.queueId);
    if (line === undefined) {
      if (this.#lineCount >= settings.maxHeldPopQueues) return "FULL";
      line = this.#newLine(pop);
    } else if (line.pops.length > settings.maxHeldPopsPerQueue) {
      return "FULL";
    }
    insertByDeadline(line.pops, pop);
    this.#count++;
    this.#watchDeadline(pop);
    return "HELD";
  }

  /** Wakes one request of a group, in another turn: there may be something for it. */
  wakeOne(topic: string, group: string, queueId: number): void {
    const line = this.#lineOf(topic, group, queueId);
    const pop = line && this.#next(line, () => true);
    if (pop === undefined) return;
    this.#woken.push(pop);
    if (this.#isServing) return;
    this.#isServing = true;
    setImmediate(() => {
      this.#isServing = false;
      this.#serveWoken();
    });
  }

  /** Wakes one of those of a group that wait at a queue or at all queues. */
  wakeOneAtAny(topic: string, group: string, queueId: number): void {
    this.wakeOne(topic, group, ALL_QUEUES);
    this.wakeOne(topic, group, queueId);
  }

  /** Wakes one request at every queue of a topic at which the group waits. */
  wakeGroup(topic: string, group: string): void {
    for (const queueId of [...this.#lines.get(topic)?.get(group)?.keys() ?? []]) {
      this.wakeOne(topic, group, queueId);
    }
  }

  /** Wakes all requests of a topic that is about to go. */
  wakeTopic(topic: string): void {
    for (const groups of [...this.#lines.get(topic)?.values() ?? []]) {
      for (const line of [...groups.values()]) this.#wakeLine(line);
    }
    this.#serveWoken();
  }

  /** Wakes all, none of which is held again. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    for (const topic of [...this.#lines.keys()]) this.wakeTopic(topic);
  }

  #onArrival(
    topic: string,
    queueId: number,
    queueOffset: number,
    tagsCode: number,
    properties: ReadonlyMap<string, string>,
  ): void {
    const groups = this.#lines.get(topic);
    if (groups === undefined) return;
    const every = this.#options.settings().popForcedWakeOffsets;
    const isForced = every > 0 && queueOffset % every === 0;
    const isMatched = ({ filter }: HeldPop) => isForced || isWanted(filter, tagsCode, properties);
    for (const lines of groups.values()) {
      for (const line of [lines.get(ALL_QUEUES), lines.get(queueId)]) {
        const pop = line && this.#next(line, isMatched);
        if (pop !== undefined) this.#woken.push(pop);
      }
    }
  }

  /** Takes the request whose turn it is, if the message is for it. */
  #next(line: Line, isMatched: (pop: HeldPop) => boolean): HeldPop | undefined {
    const { pops } = line;
    const isLast = this.#options.wakes === "last";
    while (pops.length > 0) {
      const pop = isLast ? pops[pops.length - 1] : pops[0];
      if (!pop.connection.closed && !isMatched(pop)) return undefined;
      if (isLast) pops.pop();
      else pops.shift();
      this.#onTaken(pop, line);
      if (!pop.connection.closed) return pop;
    }
    return undefined;
  }

  #serveWoken(): void {
    if (this.#woken.length === 0) return;
    for (const pop of this.#woken.splice(0)) pop.wake();
  }

  #wakeLine(line: Line): void {
    for (const pop of line.pops.splice(0)) {
      this.#onTaken(pop, line);
      this.#woken.push(pop);
    }
  }

  #onTaken(pop: HeldPop, line: Line): void {
    this.#count--;
    const tick = tickOf(pop.deadlineMs);
    const others = this.#deadlines.get(tick);
    others?.delete(pop);
    if (others?.size === 0) this.#deadlines.delete(tick);
    if (line.pops.length === 0) this.#removeLine(line);
  }

  #watchDeadline(pop: HeldPop): void {
    const tick = tickOf(pop.deadlineMs);
    const others = this.#deadlines.get(tick);
    if (others === undefined) this.#deadlines.set(tick, new Set([pop]));
    else others.add(pop);
    if (this.#timer !== undefined) return;
    this.#lastTick = Math.floor(this.#options.clock.monotonicMs() / TICK_MS);
    this.#timer = this.#options.clock.every(TICK_MS, () => this.#onTick());
  }

  #onTick(): void {
    const tick = Math.floor(this.#options.clock.monotonicMs() / TICK_MS);
    while (this.#lastTick < tick && this.#count > 0) {
      for (const pop of this.#deadlines.get(++this.#lastTick) ?? []) this.#expire(pop);
    }
    this.#lastTick = tick;
    this.#serveWoken();
    if (this.#count > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #expire(pop: HeldPop): void {
    const line = this.#lineOf(pop.topic, pop.group, pop.queueId);
    const at = line?.pops.indexOf(pop) ?? -1;
    if (at < 0) return;
    line!.pops.splice(at, 1);
    this.#onTaken(pop, line!);
    this.#woken.push(pop);
  }

  #lineOf(topic: string, group: string, queueId: number): Line | undefined {
    return this.#lines.get(topic)?.get(group)?.get(queueId);
  }

  #newLine({ topic, group, queueId }: HeldPop): Line {
    let groups = this.#lines.get(topic);
    if (groups === undefined) this.#lines.set(topic, groups = new Map());
    let lines = groups.get(group);
    if (lines === undefined) groups.set(group, lines = new Map());
    const line: Line = { topic, group, queueId, pops: [] };
    lines.set(queueId, line);
    this.#lineCount++;
    return line;
  }

  #removeLine({ topic, group, queueId }: Line): void {
    const groups = this.#lines.get(topic);
    const lines = groups?.get(group);
    if (!lines?.delete(queueId)) return;
    this.#lineCount--;
    if (lines.size === 0) groups!.delete(group);
    if (groups!.size === 0) this.#lines.delete(topic);
  }
}

/** The first tick at or after a deadline. */
function tickOf(deadlineMs: number): number {
  return Math.ceil(deadlineMs / TICK_MS);
}

function insertByDeadline(pops: HeldPop[], pop: HeldPop): void {
  let at = pops.length;
  while (at > 0 && pops[at - 1].deadlineMs > pop.deadlineMs) at--;
  pops.splice(at, 0, pop);
}
