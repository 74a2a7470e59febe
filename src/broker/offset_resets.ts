// SPDX-License-Identifier: Apache-2.0
/**
 * Which positions an administrator has moved, and which version of the table was the first to know: in a file
 * beside Apache's, `rmq/offset_resets.json`. A master that comes back takes from its slave what groups have
 * committed there meanwhile; where the slave does not know of a move yet, its position is older than it looks.
 */
import type { Clock } from "../base/clock.ts";
import { DataVersion } from "../protocol/bodies/data_version.ts";
import { asObject } from "../protocol/bodies/json_fields.ts";
import type { JsonFile } from "./json_file.ts";

/** Slaves copy within a minute; a move older than this is known to every slave that is alive. */
const KEPT_MS = 7 * 24 * 3_600_000;

export class OffsetResets {
  readonly #file: JsonFile;
  readonly #clock: Clock;
  readonly #versions = new Map<string, DataVersion>();

  /** Reads the file. @throws ConfigFileError */
  constructor(file: JsonFile, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
    const loaded = file.load((object) =>
      Object.entries(asObject(object.resets)).map(([key, value]) =>
        [key, DataVersion.fromJson(value)] as const
      )
    );
    for (const [key, version] of loaded ?? []) this.#versions.set(key, version);
  }

  /** To be called when a position was moved. */
  note(group: string, topic: string, queueId: number, version: DataVersion): void {
    const oldestMs = this.#clock.nowMs() - KEPT_MS;
    for (const [key, { timestampMs }] of this.#versions) {
      if (timestampMs < oldestMs) this.#versions.delete(key);
    }
    this.#versions.set(keyOf(group, topic, queueId), version);
    this.#file.writeSoon(() => ({
      resets: new Map([...this.#versions].map(([key, version]) => [key, version.toJson()])),
    }));
  }

  /**
   * Whether a table of that version does not know of the last move of a position. One that tells no version
   * (4.9) is taken not to know.
   */
  isUnknownTo(version: DataVersion, group: string, topic: string, queueId: number): boolean {
    const moved = this.#versions.get(keyOf(group, topic, queueId));
    if (moved === undefined) return false;
    return version.equals(DataVersion.ZERO) || version.compare(moved) < 0;
  }

  /** Writes what is not written yet. @throws RemotingError when it can't be written */
  flush(): void {
    this.#file.flush();
  }
}

/** Names of topics can't contain `@`. */
function keyOf(group: string, topic: string, queueId: number): string {
  return `${queueId}@${topic}@${group}`;
}
