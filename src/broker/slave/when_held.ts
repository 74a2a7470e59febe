// SPDX-License-Identifier: Apache-2.0

/** The log that is copied beside the tables. */
export interface HeldLog {
  readonly writtenOffset: number;
  /** Resolves when what was written before is durable. @throws when a flush has failed */
  flush(): Promise<void>;
}

/**
 * Progress of a master that tells of messages in its log: it is believed here when the log here has them. Should the
 * master be lost before, what it had done last is done again, rather than never.
 */
export class WhenHeld<T> {
  readonly #log: HeldLog;
  #waiting: { value: T; endOffset: number } | undefined;

  constructor(log: HeldLog) {
    this.#log = log;
  }

  /**
   * @param endOffset of the master's log, asked for after `value`
   * @returns the newest value that the log holds, durably: this one or the one that waited; undefined without any
   * @throws what the disk says
   */
  async offer(value: T, endOffset: number): Promise<T | undefined> {
    const newest = { value, endOffset };
    const held = [newest, this.#waiting].find((offered) =>
      offered !== undefined && offered.endOffset <= this.#log.writtenOffset
    );
    // One that waits is kept until it is held: under load the newest one never would be.
    if (held === newest) this.#waiting = undefined;
    else if (held !== undefined || this.#waiting === undefined) this.#waiting = newest;
    if (held === undefined) return undefined;
    await this.#log.flush();
    return held.value;
  }
}
