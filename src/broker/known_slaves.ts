// SPDX-License-Identifier: Apache-2.0
/**
 * Which slaves a master had when it was last seen alive, and in which run of the machine: in a file beside Apache's,
 * `rmq/slaves.json`. After a power cut the name servers may not know the slaves yet, and only then may the end of the
 * log be missing: what a killed process has written is still with the system.
 */
import { asText, asTextList } from "../protocol/bodies/json_fields.ts";
import type { JsonFile } from "./json_file.ts";

export class KnownSlaves {
  readonly #file: JsonFile;
  readonly #bootId: string | undefined;
  readonly #lastBootId: string | undefined;
  #isCurrent: boolean;
  #addresses: readonly string[];

  /** @param bootId of this run of the machine; undefined where nobody knows @throws ConfigFileError */
  constructor(file: JsonFile, bootId: string | undefined) {
    this.#file = file;
    this.#bootId = bootId;
    const stored = file.load((object) => ({
      addresses: asTextList(object.slaves),
      bootId: asText(object.bootId),
    }));
    this.#addresses = stored?.addresses ?? [];
    this.#lastBootId = stored?.bootId;
    this.#isCurrent = this.#lastBootId === bootId;
  }

  /** Where slaves took requests. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** Whether the machine was started since this was last written, as far as that is known. */
  get machineWasRestarted(): boolean {
    return this.#lastBootId === undefined || this.#lastBootId !== this.#bootId;
  }

  /** Keeps what there is now. @throws RemotingError when it can't be written */
  keep(addresses: readonly string[]): void {
    const sorted = [...addresses].sort();
    const isNew = sorted.join() !== this.#addresses.join();
    if (!isNew && (this.#isCurrent || sorted.length === 0)) return;
    this.#file.write({ bootId: this.#bootId, slaves: sorted });
    this.#addresses = sorted;
    this.#isCurrent = true;
  }
}
