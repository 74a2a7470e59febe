// SPDX-License-Identifier: Apache-2.0
import type { StoreRefusedError } from "../../src/store/types.ts";

/** The watermarks of a log, moved by hand. */
export class ManualWatermarks {
  writtenOffset = 0;
  flushedOffset = 0;
  #onMove: (() => void)[] = [];
  #onLoss: ((fromOffset: number, error: StoreRefusedError) => void)[] = [];

  onWatermark(listener: () => void): void {
    this.#onMove.push(listener);
  }

  onLoss(listener: (fromOffset: number, error: StoreRefusedError) => void): void {
    this.#onLoss.push(listener);
  }

  move(marks: { written?: number; flushed?: number }): void {
    this.writtenOffset = marks.written ?? this.writtenOffset;
    this.flushedOffset = marks.flushed ?? this.flushedOffset;
    for (const listener of this.#onMove) listener();
  }

  lose(fromOffset: number, error: StoreRefusedError): void {
    for (const listener of this.#onLoss) listener(fromOffset, error);
  }
}
