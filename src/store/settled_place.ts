// SPDX-License-Identifier: Apache-2.0
/**
 * Up to which message log, queues and index were durable when the checkpoint was written last, kept in
 * `rmq/settled`: recovery after a crash begins behind that message, however large the store is. The checkpoint
 * itself tells a time only, of which no one knows where it is in the log.
 *
 * Apache knows nothing of this file: it may have had the directory since. So a place is believed only if the
 * checkpoint is the one that was written with it, and log, queues and index have what they had; in doubt more of
 * the log is walked.
 *
 * ```
 * two slots of 4096 bytes, written by turns: a line of JSON { place, crc } and zeros
 * ```
 * A slot lies within one sector, and the older one stays whole while the other is written: after a crash between
 * place and checkpoint, the older place fits the checkpoint.
 */
import { Buffer } from "node:buffer";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import type { Checkpoint } from "./checkpoint.ts";
import type { Files, StoreFile } from "./files.ts";
import { recordAt } from "./log_scan.ts";
import { makeDurableDirectory } from "./make_directory.ts";
import type { QueueTotals } from "./queue_table.ts";
import type { SegmentFiles } from "./segment_files.ts";

const SLOT_BYTES = 4096;

export interface SettledPlace extends QueueTotals {
  /** Where the last message begins that is durable everywhere. */
  lastRecordOffset: number;
  /** Where the last message begins that the index knows; 0 without any. */
  indexEnd: number;
  /** What the checkpoint says that is written with it. */
  physicMsgTimestampMs: number;
  logicsMsgTimestampMs: number;
}

const NAMES: readonly (keyof SettledPlace)[] = [
  "lastRecordOffset",
  "queueCount",
  "queueEnds",
  "indexEnd",
  "physicMsgTimestampMs",
  "logicsMsgTimestampMs",
];

/** Writes places; the file is made when the first one is. */
export class SettledPlaceFile {
  #files: Files;
  #path: string;
  #file: StoreFile | undefined;
  #slot = 0;

  constructor(files: Files, path: string) {
    this.#files = files;
    this.#path = path;
  }

  /** Durable when the promise resolves. @throws what the disk says; then one of the two places may be lost */
  async write(place: SettledPlace): Promise<void> {
    this.#file ??= this.#open();
    const bytes = Buffer.alloc(SLOT_BYTES);
    bytes.write(`${JSON.stringify({ place, crc: checksum(place) })}\n`);
    this.#file.writeAt(bytes, this.#slot * SLOT_BYTES);
    this.#slot = 1 - this.#slot;
    await this.#file.sync();
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  /** The slot that is written first is the one that the checkpoint on disk has the least use for. */
  #open(): StoreFile {
    const directory = dirname(this.#path);
    makeDurableDirectory(this.#files, directory);
    const stat = this.#files.stat(this.#path);
    if (stat?.sizeBytes === 2 * SLOT_BYTES) {
      const slots = slotsOf(this.#files.read(this.#path));
      this.#slot = (slots[0]?.lastRecordOffset ?? -1) > (slots[1]?.lastRecordOffset ?? -1) ? 1 : 0;
      return this.#files.open(this.#path);
    }
    if (stat !== undefined) this.#files.remove(this.#path);
    const file = this.#files.create(this.#path, 2 * SLOT_BYTES);
    try {
      this.#files.syncDirectory(directory);
    } catch (error) {
      file.close();
      throw error;
    }
    return file;
  }
}

/** The places that can be read, in no order. */
export function readSettledPlaces(files: Files, path: string): SettledPlace[] {
  if (files.stat(path)?.kind !== "file") return [];
  return slotsOf(files.read(path)).filter((place) => place !== undefined);
}

/**
 * The message behind which recovery may begin, as far as log and checkpoint tell. What the place says of queues
 * and index is to be compared when these are recovered.
 */
export function placeOf(
  places: readonly SettledPlace[],
  log: SegmentFiles,
  checkpoint: Checkpoint,
): { place: SettledPlace; endOffset: number; storeTimestampMs: number } | undefined {
  const place = fitting(places, checkpoint);
  if (place === undefined || !log.has(place.lastRecordOffset)) return undefined;
  const last = recordAt(log, place.lastRecordOffset);
  if (last === undefined || last.physicalOffset !== place.lastRecordOffset) return undefined;
  const endOffset = last.physicalOffset + last.totalBytes;
  return { place, endOffset, storeTimestampMs: last.storeTimestampMs };
}

/** Where the last message begins that had been durable when the checkpoint was written; -1 where nobody knows. */
export function settledRecordOf(places: readonly SettledPlace[], checkpoint: Checkpoint): number {
  return fitting(places, checkpoint)?.lastRecordOffset ?? -1;
}

function fitting(places: readonly SettledPlace[], { values }: Checkpoint): SettledPlace | undefined {
  const { physicMsgTimestampMs, logicsMsgTimestampMs } = values;
  return places.find((place) =>
    place.physicMsgTimestampMs === physicMsgTimestampMs && place.logicsMsgTimestampMs === logicsMsgTimestampMs
  );
}

function slotsOf(bytes: Uint8Array): (SettledPlace | undefined)[] {
  return [0, SLOT_BYTES].map((at) => slotOf(bytes.subarray(at, at + SLOT_BYTES)));
}

function slotOf(bytes: Uint8Array): SettledPlace | undefined {
  const end = bytes.indexOf(0x0a);
  if (end < 0) return undefined;
  try {
    const { place, crc } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
    const isWhole = NAMES.every((name) => Number.isSafeInteger(place?.[name]) && place[name] >= 0);
    return isWhole && crc === checksum(place) ? place : undefined;
  } catch {
    return undefined;
  }
}

function checksum(place: SettledPlace): number {
  return crc32(JSON.stringify(NAMES.map((name) => place[name])));
}
