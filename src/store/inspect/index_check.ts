// SPDX-License-Identifier: Apache-2.0
/**
 * Holds the index against the log. Entries lie in the order of the log, so both are walked together: each message
 * finds its entries here. The hash table is built again in memory, one file at a time, and compared.
 *
 * An index may be incomplete without being wrong: before its first file, between two files (a crash costs Apache the
 * newest one), and behind its last one. Within what one file covers, each key must be there.
 */
import { javaHashCode } from "../../protocol/java_string.ts";
import { indexFileBytes, type IndexShape } from "../index_file.ts";
import type { Findings } from "./findings.ts";
import { DEFAULT_INDEX_SHAPE, type IndexEntry, IndexView, positiveHash } from "./index_view.ts";
import type { IndexPlace } from "./layout.ts";
import type { StoreState } from "./queue_check.ts";
import type { StoreReader } from "./reader.ts";

/** What the index has to know of a message. */
export interface IndexedMessage {
  readonly topic: string;
  readonly uniqueKey: string | undefined;
  /** Separated by spaces. */
  readonly keys: string | undefined;
  readonly tags: string | undefined;
  readonly physicalOffset: number;
  readonly storeTimestampMs: number;
}

/** One file on its way past the log. */
interface OpenFile {
  readonly view: IndexView;
  readonly shape: IndexShape;
  readonly entries: Iterator<IndexEntry>;
  /** The newest entry of each slot, as the entries so far have it. */
  readonly slots: Int32Array;
  /** Number of the current entry. */
  index: number;
  /** Where the first and the current entry lead. */
  firstPhysicalOffset: number;
  lastPhysicalOffset: number;
}

export class IndexCheck {
  /** Whether the index has to be built again. */
  isWrong = false;
  /** Whether it has entries for tags, as Apache writes them since 5.4. */
  hasTags = false;
  /** Messages that have keys of which the index knows nothing, without being wrong. */
  incompleteCount = 0;
  #reader: StoreReader;
  #findings: Findings;
  #logStart: number;
  #state: StoreState;
  #durableTimestampMs: number;
  #isDamaged: (physicalOffset: number) => boolean;
  #places: IndexPlace[];
  #shapes: IndexShape[] = [DEFAULT_INDEX_SHAPE];
  #file: OpenFile | undefined;
  /** The current entry; undefined when all files were walked. */
  #entry: IndexEntry | undefined;
  #lastPhysicalOffset = 0;
  #firstIncomplete: number | undefined;

  /**
   * @param options durableTimestampMs: after a crash, the next start removes files that go on behind this store time.
   * isDamaged: whether a place of the log, before the last message given, can't be read
   */
  constructor(options: {
    reader: StoreReader;
    places: readonly IndexPlace[];
    findings: Findings;
    logStart: number;
    state: StoreState;
    durableTimestampMs: number;
    isDamaged: (physicalOffset: number) => boolean;
  }) {
    this.#reader = options.reader;
    this.#findings = options.findings;
    this.#logStart = options.logStart;
    this.#state = options.state;
    this.#durableTimestampMs = options.durableTimestampMs;
    this.#isDamaged = options.isDamaged;
    this.#places = [...options.places];
    this.#learnShape();
    this.#advance();
  }

  /** The shape of the files; undefined where none tells. */
  get shape(): IndexShape | undefined {
    return this.#shapes.length > 1 ? this.#shapes[0] : undefined;
  }

  /** A message, in the order of the log. Those of which the body is damaged are to be found, too. */
  onMessage(message: IndexedMessage): void {
    const { physicalOffset } = message;
    while (this.#entry !== undefined && this.#entry.physicalOffset < physicalOffset) {
      const { physicalOffset: found } = this.#entry;
      if (found >= this.#logStart && !this.#isDamaged(found)) {
        this.#wrongEntry(`points to ${found} of the log, where no message begins`);
      }
      this.#advance();
    }
    const wanted = hashesOf(message);
    // The first entry of a file may be of a message of which other keys are in the file before, which may be gone.
    let isCovered = this.#file !== undefined && this.#file.index > 1;
    while (this.#entry?.physicalOffset === physicalOffset) {
      this.#checkEntry(this.#entry, message, wanted);
      this.#advance();
    }
    if (wanted.size === 0) return;
    // The current entry belongs to a later message of the same file: this one should have been before it.
    isCovered &&= this.#entry !== undefined && this.#file!.index > 1;
    if (isCovered) this.#missing(message, wanted);
    else if (this.#entry !== undefined || this.#state !== "in use") {
      this.incompleteCount++;
      this.#firstIncomplete ??= physicalOffset;
    }
  }

  /** Judges what is left when the whole log was walked. */
  finish(logEnd: number): void {
    while (this.#entry !== undefined) {
      if (this.#state === "clean" || this.#entry.physicalOffset < logEnd) {
        this.#wrongEntry(`points to ${this.#entry.physicalOffset}; the log ends at ${logEnd}`);
      }
      this.#advance();
    }
    if (this.incompleteCount === 0) return;
    const what =
      `${this.incompleteCount} messages with keys, the first at ${this.#firstIncomplete} of the log, are in ` +
      "none of its files";
    this.#findings.add("INDEX_INCOMPLETE", { file: "index" }, what);
  }

  #checkEntry(entry: IndexEntry, message: IndexedMessage, wanted: Map<number, string>): void {
    const { physicalOffset, tags, topic } = message;
    if (!wanted.delete(entry.keyHash) && !this.#isKnownTwice(entry, message)) {
      // Apache 5.4 indexes tags, too.
      if (tags === undefined || entry.keyHash !== hashOf(`${topic}#T#${tags}`)) {
        this.#wrongEntry(
          `has the hash ${entry.keyHash}, of which the message at ${physicalOffset} has no key`,
        );
      }
      return;
    }
    const { beginTimestampMs } = this.#file!.view.header;
    const seconds = Math.floor((message.storeTimestampMs - beginTimestampMs) / 1000);
    // The first entry counts from the end of the file before.
    const isRightTime = this.#file!.index === 1 ||
      entry.seconds === Math.min(Math.max(seconds, 0), 0x7fffffff);
    if (!isRightTime) {
      this.#wrongEntry(
        `tells ${entry.seconds} seconds; the message at ${physicalOffset} was stored after ${seconds}`,
      );
    }
  }

  /** Recovery indexes the last message again, as it can't know whether all its keys were there. */
  #isKnownTwice(entry: IndexEntry, message: IndexedMessage): boolean {
    return hashesOf(message).has(entry.keyHash);
  }

  #missing(message: IndexedMessage, wanted: ReadonlyMap<number, string>): void {
    const { path } = this.#file!.view.place;
    for (const key of wanted.values()) {
      const what =
        `the key ${JSON.stringify(key)} of the message at ${message.physicalOffset} of the log (topic ` +
        `${message.topic}) is not there`;
      this.isWrong = true;
      this.#findings.add("INDEX_KEY_MISSING", { file: path }, what);
    }
  }

  /** Goes to the next entry, if need be of the next file. Entries that go back in the log are judged here. */
  #advance(): void {
    for (;;) {
      if (this.#file === undefined && !this.#openNext()) {
        this.#entry = undefined;
        return;
      }
      const file = this.#file!;
      const next = file.entries.next();
      if (next.done) {
        this.#checkHeader(file);
        this.#checkSlots(file);
        this.#file = undefined;
        continue;
      }
      this.#entry = next.value;
      file.index++;
      file.lastPhysicalOffset = next.value.physicalOffset;
      if (file.index === 1) file.firstPhysicalOffset = file.lastPhysicalOffset;
      this.#enterSlot(file, next.value);
      if (next.value.physicalOffset >= this.#lastPhysicalOffset) {
        this.#lastPhysicalOffset = next.value.physicalOffset;
        return;
      }
      this.#wrongEntry(
        `points to ${next.value.physicalOffset} of the log; the one before it to ` +
          `${this.#lastPhysicalOffset}`,
      );
    }
  }

  /** From the first file that tells; the others have it, too. */
  #learnShape(): void {
    for (const place of this.#places) {
      const view = IndexView.open(this.#reader, place);
      if (view === undefined || view.headerDefect() !== undefined) continue;
      const shape = view.shape(this.#shapes);
      if (shape === undefined) continue;
      this.#shapes.unshift(shape);
      return;
    }
  }

  #openNext(): boolean {
    for (;;) {
      const place = this.#places.shift();
      if (place === undefined) return false;
      const view = this.#open(place);
      if (view === undefined) continue;
      const shape = view.shape(this.#shapes) ?? this.#likelyShape(view);
      if (this.#state === "unclean" && view.header.endTimestampMs > this.#durableTimestampMs) {
        this.#findings.add("INDEX_UNFINISHED", { file: place.path }, "it was not on the disk as a whole");
        continue;
      }
      if (shape === undefined) {
        if (!view.isEmpty) this.#wrongFile(place, "its slots do not fit its entries");
        continue;
      }
      const slots = new Int32Array(shape.slotCount);
      this.#file = {
        view,
        shape,
        entries: view.entries(shape),
        slots,
        index: 0,
        firstPhysicalOffset: 0,
        lastPhysicalOffset: 0,
      };
      return true;
    }
  }

  /** Of a file whose first or last entry is damaged, so that it does not tell. */
  #likelyShape({ place, isEmpty }: IndexView): IndexShape | undefined {
    return isEmpty ? undefined : this.#shapes.find((shape) => indexFileBytes(shape) === place.sizeBytes);
  }

  #open(place: IndexPlace): IndexView | undefined {
    if (place.sizeBytes === 0) {
      this.#findings.add("EMPTY_FILE", { file: place.path }, "it has no bytes");
      return undefined;
    }
    const view = IndexView.open(this.#reader, place);
    const defect = view === undefined ? "it has no room for a header" : view.headerDefect();
    if (defect === undefined) {
      const known = this.shape;
      if (known === undefined || indexFileBytes(known) === place.sizeBytes) return view;
      this.#wrongFile(place, `it has ${place.sizeBytes} bytes, the others have ${indexFileBytes(known)}`);
    } else this.#wrongFile(place, defect);
    return undefined;
  }

  #enterSlot({ slots, shape, index, view }: OpenFile, entry: IndexEntry): void {
    if (entry.keyHash < 0) {
      this.isWrong = true;
      this.#findings.add(
        "INDEX_CHAIN",
        { file: view.place.path },
        `entry ${index} has the hash ${entry.keyHash}`,
      );
      return;
    }
    const slot = entry.keyHash % shape.slotCount;
    if (entry.previous !== slots[slot]) {
      this.isWrong = true;
      const what = `entry ${index} leads on to entry ${entry.previous}; ${
        slots[slot]
      } is the one before it in slot ${slot}`;
      this.#findings.add("INDEX_CHAIN", { file: view.place.path }, what);
    }
    slots[slot] = index;
  }

  #checkHeader({ view, firstPhysicalOffset, lastPhysicalOffset }: OpenFile): void {
    const { beginPhysicalOffset: begin, endPhysicalOffset: end } = view.header;
    // A running broker writes it in several pieces.
    if (this.#state === "in use" || (begin === firstPhysicalOffset && end === lastPhysicalOffset)) return;
    const entries = `its entries from ${firstPhysicalOffset} to ${lastPhysicalOffset}`;
    this.#wrongFile(view.place, `its header tells messages from ${begin} to ${end} of the log, ${entries}`);
  }

  #checkSlots({ slots, shape, view }: OpenFile): void {
    for (const { first, bytes } of view.slots(shape)) {
      for (let at = 0; at < bytes.length; at += 4) {
        const found = bytes.readInt32BE(at);
        const slot = first + at / 4;
        if (found === slots[slot]) continue;
        // Slots are written before the header counts what they point to.
        if (this.#state !== "clean" && found >= view.header.count) continue;
        this.isWrong = true;
        const place = { file: view.place.path, position: 40 + slot * 4 };
        this.#findings.add(
          "INDEX_CHAIN",
          place,
          `slot ${slot} points to entry ${found}; ${slots[slot]} is its newest`,
        );
      }
    }
  }

  #wrongEntry(what: string): void {
    this.isWrong = true;
    const { view, index, shape } = this.#file!;
    const position = 40 + shape.slotCount * 4 + index * 20;
    this.#findings.add("INDEX_ENTRY_WRONG", { file: view.place.path, position }, `entry ${index} ${what}`);
  }

  #wrongFile(place: IndexPlace, what: string): void {
    this.isWrong = true;
    this.#findings.add("INDEX_FILE", { file: place.path }, what);
  }
}

/** Under which key Apache, since 5.4, indexes tags. [RMQ IndexService.buildKey, INDEX_TAG_TYPE] */
export function tagKey(tags: string): string {
  return `T#${tags}`;
}

/** The hashes under which a message is found, with the keys. */
function hashesOf({ topic, uniqueKey, keys }: IndexedMessage): Map<number, string> {
  const hashes = new Map<number, string>();
  if (uniqueKey !== undefined) hashes.set(hashOf(`${topic}#${uniqueKey}`), uniqueKey);
  if (keys === undefined) return hashes;
  for (const key of keys.split(" ")) if (key !== "") hashes.set(hashOf(`${topic}#${key}`), key);
  return hashes;
}

function hashOf(text: string): number {
  return positiveHash(javaHashCode(text));
}
