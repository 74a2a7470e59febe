// SPDX-License-Identifier: Apache-2.0
/**
 * The topic of op messages: what is on its way there, and how far it has done its service.
 *
 * With `opBatchIntervalMs` 0, what is settled is noted at once, one message for each half, which every broker can
 * read, and no crash forgets. Otherwise it is gathered in memory for so long, or until the list has
 * `opMessageMaxBytes`; a crash forgets what is gathered, and the producers are asked once more.
 */
import { getLogger } from "@logtape/logtape";
import type { Clock, Timer } from "../../base/clock.ts";
import { type Appended, type MessageDraft, type StoredHost, StoreRefusedError } from "../../store/types.ts";
import type { Outcome } from "../durability.ts";
import { opBytesOf, opMessage } from "./op_message.ts";

const logger = getLogger(["rmq", "broker"]);

export interface OpLogOptions {
  store: { append(draft: MessageDraft): Appended };
  whenStored: (endOffset: number, settle: (outcome: Outcome) => void) => void;
  clock: Clock;
  storeHost: StoredHost;
  settings: () => OpLogSettings;
  onStored: (appended: Appended) => void;
}

export interface OpLogSettings {
  readonly opMessageMaxBytes: number;
  readonly opBatchIntervalMs: number;
}

/** How long what the store has refused waits for its next try. */
const RETRY_MS = 1000;

export class OpLog {
  #options: OpLogOptions;
  #gathered: number[] = [];
  #gatheredBytes = 0;
  #timer: Timer | undefined;
  #progress: OpProgress;

  /** @param nextOffset queue offset of the first op message that matters still */
  constructor(options: OpLogOptions, nextOffset: number) {
    this.#options = options;
    this.#progress = new OpProgress(nextOffset);
  }

  /** Whether what is settled goes to the log at once, together with what settled it. */
  get writesAtOnce(): boolean {
    return this.#options.settings().opBatchIntervalMs === 0;
  }

  /** The op message of one half. */
  messageOf(halfOffset: number): MessageDraft {
    return opMessage([halfOffset], this.#options.storeHost, this.#options.clock.nowMs());
  }

  /** Notes an op message that is stored, whoever wrote it. */
  noteStored(opOffset: number, halfOffsets: readonly number[]): void {
    this.#progress.note(opOffset, halfOffsets);
  }

  /** Queue offset of the first op message that names a half from `firstOpen` on. */
  progress(firstOpen: number): number {
    return this.#progress.advance(firstOpen);
  }

  /** Gathers the offset of a half that is settled. */
  gather(halfOffset: number): void {
    const { settings, clock } = this.#options;
    const { opBatchIntervalMs, opMessageMaxBytes } = settings();
    this.#gathered.push(halfOffset);
    this.#gatheredBytes += opBytesOf(halfOffset);
    if (this.#gatheredBytes >= opMessageMaxBytes) this.flush();
    else this.#timer ??= clock.after(opBatchIntervalMs || RETRY_MS, () => this.flush());
  }

  /** Writes what is gathered; what the store does not take is tried again later. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    while (this.#gathered.length > 0) {
      const offsets = this.#next();
      try {
        this.#append(offsets);
      } catch (error) {
        this.#takeBack(offsets);
        if (!(error instanceof StoreRefusedError)) {
          logger.error("settled transactions can't be noted, it is tried again: {error}", { error });
        }
        return;
      }
    }
  }

  stop(): void {
    this.flush();
    this.#timer?.cancel();
  }

  /** As many offsets as one message may hold. */
  #next(): number[] {
    const { opMessageMaxBytes, opBatchIntervalMs } = this.#options.settings();
    let count = 0;
    let bytes = 0;
    do bytes += opBytesOf(this.#gathered[count++]); while (
      opBatchIntervalMs > 0 && count < this.#gathered.length &&
      bytes + opBytesOf(this.#gathered[count]) <= opMessageMaxBytes
    );
    this.#gatheredBytes -= bytes;
    return this.#gathered.splice(0, count);
  }

  #append(offsets: number[]): void {
    const { store, storeHost, clock, whenStored, onStored } = this.#options;
    const appended = store.append(opMessage(offsets, storeHost, clock.nowMs()));
    whenStored(appended.endOffset, (outcome) => {
      if (outcome instanceof Error) {
        this.#takeBack(offsets);
        return;
      }
      this.#progress.note(appended.queueOffset, offsets);
      onStored(appended);
    });
  }

  #takeBack(offsets: readonly number[]): void {
    this.#gathered = [...offsets, ...this.#gathered];
    for (const offset of offsets) this.#gatheredBytes += opBytesOf(offset);
    this.#timer ??= this.#options.clock.after(RETRY_MS, () => this.flush());
  }
}

/** Op messages taken together, so that millions of them cost little. */
const CHUNK_MESSAGES = 1024;

/** Which op messages name no half that is open, or behind an open one, any more. */
class OpProgress {
  #chunks: { firstOffset: number; endOffset: number; maxHalfOffset: number }[] = [];
  #head = 0;
  #endOffset: number;

  constructor(nextOffset: number) {
    this.#endOffset = nextOffset;
  }

  note(opOffset: number, halfOffsets: readonly number[]): void {
    const last = this.#chunks.length > this.#head ? this.#chunks[this.#chunks.length - 1] : undefined;
    const maxHalfOffset = halfOffsets.reduce((max, offset) => Math.max(max, offset), -1);
    this.#endOffset = Math.max(this.#endOffset, opOffset + 1);
    if (last !== undefined && last.endOffset - last.firstOffset < CHUNK_MESSAGES) {
      last.endOffset = Math.max(last.endOffset, opOffset + 1);
      last.maxHalfOffset = Math.max(last.maxHalfOffset, maxHalfOffset);
    } else {
      this.#chunks.push({ firstOffset: opOffset, endOffset: opOffset + 1, maxHalfOffset });
    }
  }

  advance(firstOpen: number): number {
    while (this.#head < this.#chunks.length && this.#chunks[this.#head].maxHalfOffset < firstOpen) {
      this.#head++;
    }
    const firstOffset = this.#head < this.#chunks.length
      ? this.#chunks[this.#head].firstOffset
      : this.#endOffset;
    if (this.#head > 1024) this.#chunks.splice(0, this.#head), this.#head = 0;
    return firstOffset;
  }
}
