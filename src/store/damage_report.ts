// SPDX-License-Identifier: Apache-2.0
import { getLogger } from "@logtape/logtape";
import type { ConsumeQueue } from "./consume_queue.ts";

const logger = getLogger(["rmq", "store"]);

/** A dying disk has more damaged places than anybody wants to read of. */
const MAX_TOLD = 1000;

/** Tells the operator of each damaged place once, however often consumers come by. */
export class DamageReport {
  #told = new Set<string | number>();

  /** A message that the queue knows is not where it should be, or not whole. */
  ofRecord(queue: ConsumeQueue, place: { physicalOffset: number; queueOffset: number }, file: string): void {
    if (!this.#isNew(place.physicalOffset)) return;
    const { topic, queueId } = queue;
    logger.error(
      "{file}: there is no whole message at offset {physicalOffset}; consumers pass over {queueOffset} of {topic}, " +
        "queue {queueId}",
      { file, topic, queueId, ...place },
    );
  }

  /** An entry of the queue can't be true; the message itself may be whole. */
  ofEntry({ topic, queueId }: ConsumeQueue, queueOffset: number): void {
    if (!this.#isNew(`${topic} ${queueId} ${queueOffset}`)) return;
    logger.error(
      "{topic}, queue {queueId}: the ConsumeQueue's entry {queueOffset} is damaged; consumers pass over it. Entries " +
        "are made again of the log where the consumequeue directory is removed while the broker is stopped",
      { topic, queueId, queueOffset },
    );
  }

  #isNew(place: string | number): boolean {
    if (this.#told.has(place) || this.#told.size >= MAX_TOLD) return false;
    this.#told.add(place);
    if (this.#told.size === MAX_TOLD) {
      logger.error("{count} damaged places are enough to tell of", { count: MAX_TOLD });
    }
    return true;
  }
}
