// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import { asBuffer } from "../../protocol/record.ts";
import type { Slots } from "./evaluator.ts";

const NAME_END = 1;
const ITEM_END = 2;
/** More names than this are looked up in a table. */
const MAX_COMPARED_NAMES = 8;

/** Finds the few properties that an expression names, without making a map of all. */
export class PropertySlots {
  readonly #names: readonly string[];
  /** Names are ASCII, so that their characters are their bytes. */
  readonly #nameBytes: readonly Uint8Array[];
  readonly #table: ReadonlyMap<string, number> | undefined;

  constructor(names: readonly string[]) {
    this.#names = names;
    const encoder = new TextEncoder();
    this.#nameBytes = names.map((name) => encoder.encode(name));
    if (names.length > MAX_COMPARED_NAMES) this.#table = new Map(names.map((name, slot) => [name, slot]));
  }

  ofMap(properties: ReadonlyMap<string, string>): Slots {
    return this.#names.map((name) => properties.get(name));
  }

  /** Reads `name \x01 value \x02 …`; of two properties with one name the last counts. */
  ofBytes(bytes: Uint8Array, from: number, end: number): Slots {
    const buffer = asBuffer(bytes);
    const values: (string | undefined)[] = new Array(this.#names.length).fill(undefined);
    for (let at = from; at < end;) {
      let itemEnd = at;
      let nameEnd = -1;
      for (; itemEnd < end && buffer[itemEnd] !== ITEM_END; itemEnd++) {
        if (nameEnd === -1 && buffer[itemEnd] === NAME_END) nameEnd = itemEnd;
      }
      if (nameEnd > at && itemEnd > nameEnd + 1) {
        const slot = this.#slotOf(buffer, at, nameEnd);
        if (slot !== -1) values[slot] = buffer.toString("utf8", nameEnd + 1, itemEnd);
      }
      at = itemEnd + 1;
    }
    return values;
  }

  #slotOf(bytes: Buffer, from: number, end: number): number {
    if (this.#table !== undefined) return this.#table.get(bytes.toString("latin1", from, end)) ?? -1;
    const names = this.#nameBytes;
    for (let slot = 0; slot < names.length; slot++) {
      const name = names[slot];
      if (name.length !== end - from) continue;
      let i = 0;
      while (i < name.length && name[i] === bytes[from + i]) i++;
      if (i === name.length) return slot;
    }
    return -1;
  }
}
