// SPDX-License-Identifier: Apache-2.0
import { setImmediate } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../base/clock.ts";
import {
  type Appended,
  type MessageDraft,
  MessageIllegalError,
  StoreRefusedError,
} from "../../store/types.ts";
import type { Outcome } from "../durability.ts";

const logger = getLogger(["rmq", "broker"]);

/** Copies on their way to the disk at the same time, and their bodies: all that due messages take of memory. */
const MAX_UNDER_WAY = 1024;
const MAX_BYTES_UNDER_WAY = 16 << 20;
/** Others are served after so long. */
const SLICE_MS = 3;

export interface CopierOptions {
  store: { append(draft: MessageDraft): Appended };
  /** Calls back when the record that ends at an offset is as safe as a sender may expect. */
  whenStored: (endOffset: number, settle: (outcome: Outcome) => void) => void;
  clock: Clock;
}

/** Stores copies of messages one after the other, and says how far it came. */
export class Copier {
  #options: CopierOptions;
  #isStopped = false;

  constructor(options: CopierOptions) {
    this.#options = options;
  }

  /** What is under way ends, nothing new begins. */
  stop(): void {
    this.#isStopped = true;
  }

  /**
   * Stores what `draftOf` makes of each item; nothing for one without draft, or that can't be stored at all.
   * @param onStored is told of each item whose copy is stored
   * @returns how many items, from the first on, are done for good; fewer than all where the store or the disk fails
   */
  async storeAll<T>(
    items: readonly T[],
    draftOf: (item: T) => MessageDraft | undefined | Promise<MessageDraft | undefined>,
    onStored: (item: T) => void,
  ): Promise<number> {
    const { clock, whenStored } = this.#options;
    let doneCount = items.length;
    let underWay = 0;
    let bytesUnderWay = 0;
    let wake = () => {};
    const failAt = (index: number) => doneCount = Math.min(doneCount, index);
    const onChange = () => new Promise<void>((resolve) => wake = resolve);
    let startMs = clock.monotonicMs();
    for (let index = 0; index < doneCount; index++) {
      if (this.#isStopped) {
        failAt(index);
        break;
      }
      let draft: MessageDraft | undefined;
      try {
        const made = draftOf(items[index]);
        draft = made instanceof Promise ? await made : made;
      } catch (error) {
        logger.error("a due message can't be read: {error}", { error });
        failAt(index);
        break;
      }
      if (draft === undefined || index >= doneCount) continue;
      const appended = this.#append(draft);
      if (appended === "LEFT_OUT") continue;
      if (appended === "REFUSED") {
        failAt(index);
        break;
      }
      const bytes = draft.body.length;
      underWay++;
      bytesUnderWay += bytes;
      whenStored(appended.endOffset, (outcome) => {
        underWay--;
        bytesUnderWay -= bytes;
        if (outcome instanceof Error) failAt(index);
        else onStored(items[index]);
        wake();
      });
      while (underWay >= MAX_UNDER_WAY || bytesUnderWay >= MAX_BYTES_UNDER_WAY) await onChange();
      if (clock.monotonicMs() - startMs < SLICE_MS) continue;
      await setImmediate();
      startMs = clock.monotonicMs();
    }
    while (underWay > 0) await onChange();
    return doneCount;
  }

  #append(draft: MessageDraft): Appended | "LEFT_OUT" | "REFUSED" {
    try {
      return this.#options.store.append(draft);
    } catch (error) {
      if (error instanceof MessageIllegalError) {
        logger.error(
          "a message for {topic} that was to be delivered now can't be stored: {error}; left out",
          {
            topic: draft.topic,
            error,
          },
        );
        return "LEFT_OUT";
      }
      // the store itself says why it takes nothing
      if (!(error instanceof StoreRefusedError)) {
        logger.error("a due message can't be stored: {error}", { error });
      }
      return "REFUSED";
    }
  }
}
