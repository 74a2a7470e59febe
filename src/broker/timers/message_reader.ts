// SPDX-License-Identifier: Apache-2.0
import { getLogger } from "@logtape/logtape";
import type { MessageRecord } from "../../protocol/record.ts";
import { type TimedMessage, timedMessage } from "./timer_copy.ts";

const logger = getLogger(["rmq", "broker"]);

/** A place on the disk that can't be read so often is given up, so that those behind it come at all. */
const MAX_TRIES = 10;
/** What says nothing of a place: it can be read when others have closed their files. */
const PASSING_CODES: readonly unknown[] = ["EMFILE", "ENFILE", "ENOMEM", "EAGAIN"];

/** Where a message of the timer topic lies in the CommitLog. */
export interface MessagePlace {
  readonly physicalOffset: number;
  readonly messageBytes: number;
}

export interface MessageReaderStore {
  /** At once where it lies near the log's end, else by promise. @throws what the disk says */
  fetchMessage(
    physicalOffset: number,
    bytes: number,
  ): MessageRecord | undefined | Promise<MessageRecord | undefined>;
}

/** Reads messages of the timer topic. One whose bytes are gone, or no message any more, is told of and passed over. */
export class MessageReader {
  #store: MessageReaderStore;
  #failing = { physicalOffset: -1, tries: 0 };

  constructor(store: MessageReaderStore) {
    this.#store = store;
  }

  /** @throws what the disk says, for so many tries of the same message */
  read(place: MessagePlace): TimedMessage | undefined | Promise<TimedMessage | undefined> {
    try {
      const found = this.#store.fetchMessage(place.physicalOffset, place.messageBytes);
      if (!(found instanceof Promise)) return this.#checked(place, found);
      return found.then((record) => this.#checked(place, record), (error) => this.#onFailed(place, error));
    } catch (error) {
      return this.#onFailed(place, error);
    }
  }

  #checked({ physicalOffset }: MessagePlace, record: MessageRecord | undefined): TimedMessage | undefined {
    const message = timedMessage(record);
    if (message === undefined) {
      logger.error("the timed message at {physicalOffset} of the CommitLog is gone; it is left out", {
        physicalOffset,
      });
    } else if (message.realTopic === undefined) {
      logger.warn("the timed message at {physicalOffset} does not say where it belongs; it is left out", {
        physicalOffset,
      });
    }
    return message;
  }

  #onFailed({ physicalOffset }: MessagePlace, error: unknown): undefined {
    if (PASSING_CODES.includes((error as { code?: unknown }).code)) throw error;
    const failing = this.#failing;
    if (failing.physicalOffset !== physicalOffset) this.#failing = { physicalOffset, tries: 1 };
    else if (++failing.tries >= MAX_TRIES) {
      logger.error("the timed message at {physicalOffset} can't be read; it is left out: {error}", {
        physicalOffset,
        error,
      });
      return undefined;
    }
    throw error;
  }
}
