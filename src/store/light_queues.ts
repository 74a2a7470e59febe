// SPDX-License-Identifier: Apache-2.0
/**
 * Messages in several queues: beside its own, a message is put into the light queues that its property
 * INNER_MULTI_DISPATCH names. A light queue (`%LMQ%name`, one queue, number 0, no topic of its own) holds entries
 * that point to the records of other topics, with numbers of its own, which the record keeps in
 * INNER_MULTI_QUEUE_OFFSET: recovery finds from it what belongs where. [RMQ LmqDispatch, MultiDispatchUtils]
 */
import { Buffer } from "node:buffer";
import { getLogger } from "@logtape/logtape";
import { encodeProperties, Property } from "../protocol/properties.ts";
import type { ConsumeQueue } from "./consume_queue.ts";
import type { QueueTable } from "./queue_table.ts";
import { SCHEDULE_TOPIC } from "./queue_tags.ts";
import type { MessageDraft } from "./types.ts";

export const LIGHT_PREFIX = "%LMQ%";
const SEPARATOR = ",";
const MAX_NAME_BYTES = 255;
/** A number of a queue, and what separates it from the next. */
const MAX_OFFSET_LENGTH = 20;
/** Leaves room for what brokers add to a message on its way. */
const MAX_PROPERTIES_LENGTH = 30_000;

const logger = getLogger(["rmq", "store"]);

/** One queue that a message is in. */
export interface QueueTarget {
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: number;
}

/** The same, with the queue itself. */
export interface FurtherEntry {
  readonly queue: ConsumeQueue;
  readonly queueOffset: number;
}

export function isLightQueue(topic: string): boolean {
  return topic.startsWith(LIGHT_PREFIX);
}

/** Queues beside its own that a record says it is in. */
export function furtherQueues(
  topic: string,
  properties: ReadonlyMap<string, string>,
  queueId: number,
): QueueTarget[] {
  const dispatch = properties.get(Property.INNER_MULTI_DISPATCH);
  if (dispatch === undefined || isNeverSpread(topic)) return [];
  const names = dispatch.split(SEPARATOR);
  const offsets = properties.get(Property.INNER_MULTI_QUEUE_OFFSET)?.split(SEPARATOR);
  if (offsets === undefined || names.length !== offsets.length) return [];
  return names.map((topic, index) => ({
    topic,
    queueId: isLightQueue(topic) ? 0 : queueId,
    queueOffset: offsets[index] === "" ? NaN : Number(offsets[index]),
  })).filter(({ topic, queueOffset }) =>
    Number.isSafeInteger(queueOffset) && queueOffset >= 0 && isDirectoryName(topic)
  );
}

/** Whether a topic's name can be one of a directory. */
export function isDirectoryName(topic: string): boolean {
  return topic !== "" && topic !== "." && topic !== ".." && !/[/\\\0]/.test(topic);
}

function isPossibleName(name: string): boolean {
  return isDirectoryName(name) && Buffer.byteLength(name) <= MAX_NAME_BYTES;
}

/** Of these topics a message comes to its own one later, or has been there. */
function isNeverSpread(topic: string): boolean {
  return topic.startsWith("%RETRY%") || topic.startsWith("rmq_sys_") || topic === SCHEDULE_TOPIC;
}

/** Copies that are for administrators, and halves of transactions: in no light queue, unlike at Apache's. */
function isSpreadElsewhere(topic: string): boolean {
  return topic.startsWith("%DLQ%") || topic.startsWith("RMQ_SYS_TRANS_") ||
    topic === "TRANS_CHECK_MAX_TIME_TOPIC";
}

/** Gives messages their numbers in light queues. */
export class LightQueues {
  readonly #queues: QueueTable;
  readonly #maxCount: number;
  #count: number;

  constructor(queues: QueueTable, maxCount: number) {
    this.#queues = queues;
    this.#maxCount = maxCount;
    this.#count = this.#countThem();
  }

  /**
   * Why a message can't name these queues; undefined where it can. To be asked before a message is taken: later, when
   * it comes from where it waited, it would be put into its own queue only.
   * @param names value of INNER_MULTI_DISPATCH
   * @param propertiesLength of all its properties
   */
  problemOf(names: string, propertiesLength: number): string | undefined {
    const list = names.split(SEPARATOR);
    if (new Set(list).size !== list.length) return `${Property.INNER_MULTI_DISPATCH} names a queue twice`;
    if (propertiesLength + list.length * MAX_OFFSET_LENGTH > MAX_PROPERTIES_LENGTH) {
      return `with its places in ${list.length} light queues its properties are too long`;
    }
    for (const name of list) {
      if (name.length > LIGHT_PREFIX.length && isLightQueue(name) && isPossibleName(name)) continue;
      return `${Property.INNER_MULTI_DISPATCH} names ${
        JSON.stringify(name.slice(0, 128))
      }, which is no light ` +
        `queue (${LIGHT_PREFIX}…)`;
    }
    const newCount = list.filter((name) => this.#queues.get(name, 0) === undefined).length;
    if (newCount === 0) return undefined;
    if (this.#count + newCount > this.#maxCount) this.#count = this.#countThem();
    if (this.#count + newCount <= this.#maxCount) return undefined;
    return `there are ${this.#count} light queues; ${this.#maxCount} are allowed (maxLmqConsumeQueueNum)`;
  }

  /** The message as it is stored, and its further entries, whose numbers are not taken by this. */
  spread(draft: MessageDraft): { draft: MessageDraft; further: readonly FurtherEntry[] } {
    if (isNeverSpread(draft.topic)) return { draft, further: [] };
    const propertyMap = new Map(draft.propertyMap);
    propertyMap.delete(Property.INNER_MULTI_QUEUE_OFFSET);
    let further: FurtherEntry[] = [];
    if (!isSpreadElsewhere(draft.topic)) {
      const names = propertyMap.get(Property.INNER_MULTI_DISPATCH)!;
      further = this.#queuesOf(names, draft).map((queue) => ({ queue, queueOffset: queue.nextOffset }));
      const offsets = further.map(({ queueOffset }) => queueOffset).join(SEPARATOR);
      if (further.length > 0) propertyMap.set(Property.INNER_MULTI_QUEUE_OFFSET, offsets);
    }
    return { draft: { ...draft, propertyMap, properties: encodeProperties(propertyMap) }, further };
  }

  /** None where one of them can't be: the message itself must not be lost for that. */
  #queuesOf(names: string, { topic, properties }: MessageDraft): ConsumeQueue[] {
    const problem = this.problemOf(names, properties.length);
    if (problem !== undefined) {
      logger.error("a message of {topic} is not put into light queues: {problem}", { topic, problem });
      return [];
    }
    return names.split(SEPARATOR).map((name) => {
      if (this.#queues.get(name, 0) === undefined) this.#count++;
      return this.#queues.getOrCreate(name, 0);
    });
  }

  #countThem(): number {
    return this.#queues.topics().filter(isLightQueue).length;
  }
}
