// SPDX-License-Identifier: Apache-2.0
/**
 * The platters of `MemoryFiles`: what a power cut may leave of files and directories.
 *
 * Of each sector the disk holds any version written since the last sync, of one independent of another.
 * Sizes of files and names in a directory change in the order of the calls, since file systems keep a journal
 * of them: the disk has the changes up to some point, one for all sizes, one for each directory (a file that
 * is there may still have no size, as on btrfs). A rename is one change.
 */
import type { SeededRandom } from "./seeded_random.ts";

export const PAGE_BYTES = 4096;

/** A value of which the disk may hold any version since the last sync. */
class Versioned<T> {
  #versions: { sequence: number; value: T }[] = [];
  /** Versions that a failed sync may or may not have brought to the disk. */
  #doubtful: T[] = [];

  #durable: T;

  constructor(durable: T) {
    this.#durable = durable;
  }

  get isSettled(): boolean {
    return this.#versions.length === 0 && this.#doubtful.length === 0;
  }

  add(sequence: number, value: T): void {
    this.#versions.push({ sequence, value });
  }

  /** A sync that began at `sequence` succeeded. */
  settle(sequence: number): void {
    const settled = this.#takeUpTo(sequence);
    if (settled.length === 0) return;
    this.#durable = settled.at(-1)!;
    this.#doubtful = [];
  }

  /** It failed: the kernel holds its pages for clean, and no later sync writes them again. */
  doubt(sequence: number): void {
    this.#doubtful.push(...this.#takeUpTo(sequence));
  }

  /** The version after the changes up to `sequence`. */
  at(sequence: number): T {
    const later = this.#versions.findLast((version) => version.sequence <= sequence);
    return later === undefined ? this.#durable : later.value;
  }

  pick(random: SeededRandom): T {
    const candidates = [this.#durable, ...this.#doubtful, ...this.#versions.map(({ value }) => value)];
    return candidates[random.between(0, candidates.length - 1)];
  }

  #takeUpTo(sequence: number): T[] {
    const later = this.#versions.findIndex((version) => version.sequence > sequence);
    const count = later < 0 ? this.#versions.length : later;
    return this.#versions.splice(0, count).map(({ value }) => value);
  }
}

/** Numbers the changes of a disk. */
export interface Counter {
  value: number;
}

/** Content of a file, of which only pages that were written cost memory. */
export class MemoryInode {
  readonly kind = "file";
  modifiedMs: number;
  sizeBytes = 0;
  #pages = new Map<number, Uint8Array>();
  #sectorBytes: number;
  #counter: Counter;
  #sequence = 0;
  #unsyncedSectors = new Map<number, Versioned<Uint8Array | undefined>>();
  #unsyncedSize = new Versioned(0);

  constructor(sectorBytes: number, counter: Counter, nowMs: number) {
    this.#sectorBytes = sectorBytes;
    this.#counter = counter;
    this.modifiedMs = nowMs;
  }

  get pageCount(): number {
    return this.#pages.size;
  }

  /** Changes up to now, for `settle` and `doubt`. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Pages that a write would add. */
  pagesMissing(position: number, bytes: number): number {
    let missing = 0;
    for (let page = pageOf(position); page <= pageOf(position + bytes - 1); page++) {
      if (!this.#pages.has(page)) missing++;
    }
    return missing;
  }

  read(target: Uint8Array, position: number): number {
    const bytes = Math.max(0, Math.min(target.length, this.sizeBytes - position));
    for (let done = 0; done < bytes;) {
      const at = (position + done) % PAGE_BYTES;
      const chunk = Math.min(PAGE_BYTES - at, bytes - done);
      const page = this.#pages.get(pageOf(position + done));
      if (page === undefined) target.fill(0, done, done + chunk);
      else target.set(page.subarray(at, at + chunk), done);
      done += chunk;
    }
    return bytes;
  }

  write(source: Uint8Array, position: number, nowMs: number): void {
    if (source.length === 0) return;
    this.modifiedMs = nowMs;
    this.#sequence = ++this.#counter.value;
    this.#changeSectors(position, source.length, () => {
      for (let done = 0; done < source.length;) {
        const at = (position + done) % PAGE_BYTES;
        const chunk = Math.min(PAGE_BYTES - at, source.length - done);
        this.#page(pageOf(position + done)).set(source.subarray(done, done + chunk), at);
        done += chunk;
      }
    });
    if (position + source.length > this.sizeBytes) this.#resize(position + source.length);
  }

  truncate(sizeBytes: number, nowMs: number): void {
    this.modifiedMs = nowMs;
    this.#sequence = ++this.#counter.value;
    for (const page of [...this.#pages.keys()]) {
      const from = Math.max(page * PAGE_BYTES, sizeBytes);
      const bytes = (page + 1) * PAGE_BYTES - from;
      if (bytes <= 0) continue;
      this.#changeSectors(from, bytes, () => this.#pages.get(page)!.fill(0, from - page * PAGE_BYTES));
      if (bytes === PAGE_BYTES) this.#pages.delete(page);
    }
    this.#resize(sizeBytes);
  }

  settle(sequence: number): void {
    this.#unsyncedSize.settle(sequence);
    for (const [sector, versions] of this.#unsyncedSectors) {
      versions.settle(sequence);
      if (versions.isSettled) this.#unsyncedSectors.delete(sector);
    }
  }

  doubt(sequence: number): void {
    for (const versions of this.#unsyncedSectors.values()) versions.doubt(sequence);
  }

  /** Leaves what a power cut would, with the size as it was after change `sizeSequence`. */
  crash(random: SeededRandom, sizeSequence: number): void {
    for (const [sector, versions] of this.#unsyncedSectors) {
      const position = sector * this.#sectorBytes;
      const at = position % PAGE_BYTES;
      this.#page(pageOf(position)).set(versions.pick(random) ?? new Uint8Array(this.#sectorBytes), at);
    }
    this.#unsyncedSectors.clear();
    const sizeBytes = this.#unsyncedSize.at(sizeSequence);
    this.truncate(sizeBytes, this.modifiedMs);
    this.#unsyncedSectors.clear();
    this.#unsyncedSize = new Versioned(sizeBytes);
  }

  #resize(sizeBytes: number): void {
    this.sizeBytes = sizeBytes;
    this.#unsyncedSize.add(this.#sequence, sizeBytes);
  }

  /** Makes a change, and notes each sector that it touches as it was before and is after. */
  #changeSectors(position: number, bytes: number, change: () => void): void {
    const first = Math.floor(position / this.#sectorBytes);
    const last = Math.floor((position + bytes - 1) / this.#sectorBytes);
    for (let sector = first; sector <= last; sector++) {
      if (this.#unsyncedSectors.has(sector)) continue;
      this.#unsyncedSectors.set(sector, new Versioned(this.#copySector(sector)));
    }
    change();
    for (let sector = first; sector <= last; sector++) {
      this.#unsyncedSectors.get(sector)!.add(this.#sequence, this.#copySector(sector));
    }
  }

  #copySector(sector: number): Uint8Array | undefined {
    const position = sector * this.#sectorBytes;
    const at = position % PAGE_BYTES;
    return this.#pages.get(pageOf(position))?.slice(at, at + this.#sectorBytes);
  }

  #page(number: number): Uint8Array {
    let page = this.#pages.get(number);
    if (page === undefined) this.#pages.set(number, page = new Uint8Array(PAGE_BYTES));
    return page;
  }
}

function pageOf(position: number): number {
  return Math.floor(position / PAGE_BYTES);
}

export type MemoryNode = MemoryInode | MemoryDirectory;

/** Names that one call changed, all of them or none after a power cut. */
type NameChange = { directory: MemoryDirectory; name: string; node: MemoryNode | undefined }[];

export class MemoryDirectory {
  readonly kind = "directory";
  sizeBytes = PAGE_BYTES;
  entries = new Map<string, MemoryNode>();
  #durable = new Map<string, MemoryNode>();
  #unsynced: NameChange[] = [];

  constructor(public modifiedMs: number) {}

  static change(...change: NameChange): void {
    for (const { directory, name, node } of change) {
      if (node === undefined) directory.entries.delete(name);
      else directory.entries.set(name, node);
    }
    for (const directory of new Set(change.map((part) => part.directory))) directory.#unsynced.push(change);
  }

  sync(): void {
    this.#commit(this.#unsynced.length);
  }

  /** Leaves what a power cut after `counter` changes would, here and below. */
  crash(random: SeededRandom, counter: Counter): void {
    this.#commitSome(random);
    // The journal runs behind by little or by much.
    const behind = Math.floor(counter.value * random.next() ** 4);
    this.#dropRest(random, counter.value - behind);
  }

  #commitSome(random: SeededRandom): void {
    // Names that vanish may hide directories whose changes others share: all are decided first.
    for (const node of new Set([...this.#durable.values(), ...this.entries.values()])) {
      if (node.kind === "directory") node.#commitSome(random);
    }
    this.#commit(random.between(0, this.#unsynced.length));
  }

  #dropRest(random: SeededRandom, sizeSequence: number): void {
    this.#unsynced = [];
    this.entries = new Map(this.#durable);
    for (const node of this.entries.values()) {
      if (node.kind === "directory") node.#dropRest(random, sizeSequence);
      else node.crash(random, sizeSequence);
    }
  }

  /** Makes the first `count` changes durable, and with them what other directories changed before them. */
  #commit(count: number): void {
    const changes = this.#unsynced.splice(0, count);
    for (const change of changes) {
      for (const { directory, name, node } of change) {
        const place = directory.#unsynced.indexOf(change);
        if (place > 0) directory.#commit(place);
        if (place >= 0) directory.#unsynced.shift();
        if (node === undefined) directory.#durable.delete(name);
        else directory.#durable.set(name, node);
      }
    }
  }
}
