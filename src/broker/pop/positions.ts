// SPDX-License-Identifier: Apache-2.0
/**
 * How far groups have popped. What was popped is committed when its check point is flushed and not before: until
 * then only the check point in memory knows of messages that nobody would be given again. Positions ahead of
 * what is committed are kept here; a crash forgets them, and the messages are popped again.
 */
import { NO_OFFSET } from "../consumer_offsets.ts";

export interface PositionsOptions {
  store: {
    readonly flushedOffset: number;
    onWatermark(listener: () => void): void;
    onLoss(listener: () => void): void;
  };
  offsets: {
    query(group: string, topic: string, queueId: number): number;
    commit(group: string, topic: string, queueId: number, offset: number): void;
    pendingReset(group: string, topic: string, queueId: number): number | undefined;
  };
}

interface Position {
  readonly topic: string;
  readonly group: string;
  readonly queueId: number;
  nextOffset: number;
  /** Steps that are not committed yet. */
  stepCount: number;
  isDropped: boolean;
}

interface Step {
  readonly position: Position;
  readonly nextOffset: number;
  /** End of the check point in the log. */
  readonly endOffset: number;
}

export class PopPositions {
  #options: PositionsOptions;
  #positions = new Map<string, Position>();
  /** In the order of their ends. */
  #steps: Step[] = [];
  #head = 0;
  #lastEndOffset = 0;

  constructor(options: PositionsOptions) {
    this.#options = options;
    options.store.onWatermark(() => this.#commitFlushed());
    options.store.onLoss(() => this.#onLoss());
  }

  /** The offset of the group's next message, or `NO_OFFSET`. */
  next(topic: string, group: string, queueId: number): number {
    const committed = this.#options.offsets.query(group, topic, queueId);
    const ahead = this.#positions.get(keyOf(topic, group, queueId))?.nextOffset ?? NO_OFFSET;
    return Math.max(committed, ahead);
  }

  /**
   * Moves on, and commits when the check point that ends at `endOffset` of the log is flushed; without one, when
   * those before are.
   */
  advance(topic: string, group: string, queueId: number, nextOffset: number, endOffset?: number): void {
    const key = keyOf(topic, group, queueId);
    let position = this.#positions.get(key);
    if (position === undefined) {
      position = { topic, group, queueId, nextOffset, stepCount: 0, isDropped: false };
      this.#positions.set(key, position);
    }
    position.nextOffset = nextOffset;
    position.stepCount++;
    this.#lastEndOffset = Math.max(this.#lastEndOffset, endOffset ?? 0);
    this.#steps.push({ position, nextOffset, endOffset: this.#lastEndOffset });
    if (endOffset === undefined) this.#commitFlushed();
  }

  /** Forgets what is ahead of the committed offset of a queue, which someone has set anew. */
  drop(topic: string, group: string, queueId: number): void {
    const key = keyOf(topic, group, queueId);
    const position = this.#positions.get(key);
    if (position === undefined) return;
    position.isDropped = true;
    this.#positions.delete(key);
  }

  forgetTopic(topic: string): void {
    this.#forget((position) => position.topic === topic);
  }

  forgetGroup(group: string): void {
    this.#forget((position) => position.group === group);
  }

  /** Queues with a position that is ahead of what is committed. */
  get count(): number {
    return this.#positions.size;
  }

  /** Some check points are not stored, and the log's offsets are given again. */
  #onLoss(): void {
    this.#forget(() => true);
    this.#steps = [];
    this.#head = 0;
    this.#lastEndOffset = 0;
  }

  #forget(isMeant: (position: Position) => boolean): void {
    for (const position of this.#positions.values()) {
      if (isMeant(position)) this.drop(position.topic, position.group, position.queueId);
    }
  }

  #commitFlushed(): void {
    const steps = this.#steps;
    const { flushedOffset } = this.#options.store;
    while (this.#head < steps.length && steps[this.#head].endOffset <= flushedOffset) {
      this.#commit(steps[this.#head++]);
    }
    if (this.#head === steps.length) {
      steps.length = 0;
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > steps.length) {
      steps.splice(0, this.#head);
      this.#head = 0;
    }
  }

  #commit({ position, nextOffset }: Step): void {
    if (position.isDropped) return;
    const { topic, group, queueId } = position;
    const { offsets } = this.#options;
    const isReset = offsets.pendingReset(group, topic, queueId) !== undefined;
    if (!isReset && nextOffset > offsets.query(group, topic, queueId)) {
      offsets.commit(group, topic, queueId, nextOffset);
    }
    if (--position.stepCount === 0) this.#positions.delete(keyOf(topic, group, queueId));
  }
}

function keyOf(topic: string, group: string, queueId: number): string {
  return `${queueId}@${topic}@${group}`;
}
