// SPDX-License-Identifier: Apache-2.0
import { type RefusalReason, StoreRefusedError } from "./types.ts";

/** Where there are several reasons, the one that is hardest to mend counts. */
const WEIGHT: Record<RefusalReason, number> = {
  IS_COPY: 0,
  DISK_FULL: 1,
  WRITE_FAILED: 2,
  SYNC_FAILED: 3,
  SHUT_DOWN: 4,
};

export interface RefusalNow {
  reason: RefusalReason;
  message: string;
}

/** Whether the store takes messages, and if not, why. */
export class Refusal {
  #now: RefusalNow | undefined;
  #isFinal = false;

  /** Undefined when messages are welcome. */
  get now(): RefusalNow | undefined {
    return this.#now;
  }

  /** @param isFinal only a restart helps */
  refuse(reason: RefusalReason, message: string, isFinal: boolean): void {
    const isHeavier = this.#now === undefined || WEIGHT[reason] > WEIGHT[this.#now.reason];
    if (isHeavier) this.#now = { reason, message };
    this.#isFinal ||= isFinal;
  }

  /** This reason has gone; it may come back. */
  accept(reason: RefusalReason): void {
    if (!this.#isFinal && this.#now?.reason === reason) this.#now = undefined;
  }

  /** Whether something happened that only a restart can check. */
  get isFinal(): boolean {
    return this.#isFinal;
  }

  /** @throws StoreRefusedError unless messages are welcome */
  check(): void {
    if (this.#now !== undefined) throw new StoreRefusedError(this.#now.reason, this.#now.message);
  }
}
