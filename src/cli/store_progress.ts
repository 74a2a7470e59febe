// SPDX-License-Identifier: Apache-2.0
import type { Surroundings } from "./command.ts";
import { formatBytes } from "./store_text.ts";

/** How often the line on the terminal changes. */
const INTERVAL_MS = 250;

/** Something that takes its time: shown on a terminal, and ended when the process is asked to end. */
export class Progress {
  #what: string;
  #surroundings: Pick<Surroundings, "showProgress" | "stopRequested">;
  #startMs = Date.now();
  #shownMs = 0;
  #isStopped = false;

  constructor(what: string, surroundings: Pick<Surroundings, "showProgress" | "stopRequested">) {
    this.#what = what;
    this.#surroundings = surroundings;
    surroundings.stopRequested.then(() => this.#isStopped = true);
  }

  get durationMs(): number {
    return Date.now() - this.#startMs;
  }

  /** @returns false when it is to end */
  report(doneBytes: number, totalBytes: number): boolean {
    const nowMs = Date.now();
    if (nowMs - this.#shownMs >= INTERVAL_MS && totalBytes > 0) {
      this.#shownMs = nowMs;
      const percent = Math.floor(doneBytes / totalBytes * 100);
      const left = doneBytes > 0 ? this.durationMs / doneBytes * (totalBytes - doneBytes) / 1000 : 0;
      const size = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
      this.#surroundings.showProgress?.(`${this.#what}: ${size}, ${percent} %, ${Math.ceil(left)} s left`);
    }
    return !this.#isStopped;
  }

  /** Takes the line away. */
  end(): void {
    if (this.#shownMs > 0) this.#surroundings.showProgress?.("");
  }
}
