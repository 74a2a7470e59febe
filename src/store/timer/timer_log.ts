// SPDX-License-Identifier: Apache-2.0
/**
 * The files `timerlog/<20 digits>`: units in the order in which their messages came, each pointing back to the
 * one before it in its slot. [RMQ TimerLog]
 *
 * Appended units are in memory until `write` hands them to the kernel; `sync` makes them durable.
 */
import { Buffer } from "node:buffer";
import type { Files } from "../files.ts";
import { OpenFiles } from "../open_files.ts";
import { SegmentFiles } from "../segment_files.ts";
import { StoreCorruptError } from "../types.ts";
import { BLANK_BYTES, BLANK_MAGIC, readUnit, type TimerUnit, UNIT_BYTES, writeUnit } from "./timer_unit.ts";

const MAX_OPEN_FILES = 16;
const WRITE_BYTES = UNIT_BYTES * 1024;
/** Units of a slot lie near each other where many came at a time, far apart otherwise: a page serves both. */
const PAGE_BYTES = 4096;

export interface TimerLogOptions {
  directory: string;
  fileBytes: number;
  files: Files;
}

export class TimerLog {
  #segments: SegmentFiles;
  #open: OpenFiles;
  /** Appended up to here. */
  #endPosition: number;
  #writtenPosition: number;
  #syncedPosition: number;
  /** What is appended and not written: it lies in one file and begins at `#writtenPosition`. */
  #pending = Buffer.allocUnsafeSlow(WRITE_BYTES);
  #pendingBytes = 0;
  #page = Buffer.allocUnsafeSlow(PAGE_BYTES);
  #pagePosition = -1;
  #pageBytes = 0;

  private constructor(segments: SegmentFiles, open: OpenFiles) {
    this.#segments = segments;
    this.#open = open;
    this.#endPosition = this.#writtenPosition = this.#syncedPosition = segments.minOffset;
  }

  /** Finds the files; `recover` tells where they end. @throws StoreCorruptError for files that don't fit together */
  static open({ directory, fileBytes, files }: TimerLogOptions): TimerLog {
    if (fileBytes < UNIT_BYTES + BLANK_BYTES) {
      throw new StoreCorruptError(directory, `a file of ${fileBytes} bytes holds no unit`);
    }
    const open = new OpenFiles(files, MAX_OPEN_FILES);
    const unsyncedDirectories = [directory];
    try {
      const segments = SegmentFiles.load({
        ...{ directory, fileBytes, files, open, unsyncedDirectories },
        keepsUnsyncedOpen: true,
      });
      return new TimerLog(segments, open);
    } catch (error) {
      open.closeAll();
      throw error;
    }
  }

  get minPosition(): number {
    return this.#segments.minOffset;
  }

  /** One past the last unit. */
  get endPosition(): number {
    return this.#endPosition;
  }

  /** One past the last byte for which there is a file. */
  get fileEnd(): number {
    return this.#segments.endOffset;
  }

  /**
   * Visits the units from a position on, which may be any one, up to the first bytes that are none; these are the
   * log's end, and everything behind is made to read as zeros.
   * @param durablePosition what lies behind is written once more, since a process that is gone may have failed to
   * sync it
   * @param visit false: the unit does not count, and the log ends before it
   */
  recover(
    fromPosition: number,
    durablePosition: number,
    visit: (position: number, unit: TimerUnit) => boolean,
  ): void {
    const segments = this.#segments;
    let end = this.#boundaryAt(fromPosition);
    while (segments.has(end)) {
      const next = this.#visitFile(end, visit);
      end = next.position;
      if (next.isEnd) break;
    }
    const durable = Math.min(this.#boundaryAt(durablePosition), end);
    this.#endPosition = this.#writtenPosition = end;
    this.#syncedPosition = durable;
    this.#pagePosition = -1;
    if (segments.isEmpty) return;
    segments.rewrite(durable, end);
    segments.cut(end);
  }

  /** @returns its position. @throws what the disk says where the next file can't be made; nothing was appended */
  append(unit: TimerUnit): number {
    const position = this.#nextPosition();
    if (this.#pendingBytes + UNIT_BYTES > WRITE_BYTES) this.write();
    if (position !== this.#endPosition || !this.#segments.has(position)) {
      this.write();
      if (!this.#segments.has(position)) this.#segments.add(position);
      this.#fillFileBefore(position);
      this.#endPosition = this.#writtenPosition = position;
    }
    writeUnit(this.#pending, this.#pendingBytes, unit);
    this.#pendingBytes += UNIT_BYTES;
    this.#endPosition = position + UNIT_BYTES;
    return position;
  }

  /** Hands what was appended to the kernel. @throws what the disk says; then it is tried again with the next call */
  write(): void {
    if (this.#pendingBytes === 0) return;
    this.#segments.write(this.#pending.subarray(0, this.#pendingBytes), this.#writtenPosition);
    this.#writtenPosition = this.#endPosition;
    this.#pendingBytes = 0;
    this.#pagePosition = -1;
  }

  /** Makes durable what is written. On rejection nothing is known of it any more. */
  async sync(): Promise<void> {
    const end = this.#writtenPosition;
    const segments = this.#segments;
    for (let at = this.#syncedPosition; at < end; at = segments.startOf(at) + segments.fileBytes) {
      if (segments.has(at)) await segments.sync(at);
    }
    if (end > this.#syncedPosition) this.#syncedPosition = end;
  }

  /** The unit at a position; undefined where there is none (any more). @throws what the disk says */
  read(position: number): TimerUnit | undefined {
    this.write();
    if (position < this.minPosition || position + UNIT_BYTES > this.#writtenPosition) return undefined;
    let at = position - this.#pagePosition;
    if (this.#pagePosition < 0 || at < 0 || at + UNIT_BYTES > this.#pageBytes) {
      this.#readPage(position);
      at = position - this.#pagePosition;
      if (at + UNIT_BYTES > this.#pageBytes) return undefined;
    }
    return readUnit(this.#page, at, position);
  }

  /** Where the file behind that of a position begins. */
  nextFileStart(position: number): number {
    return this.#segments.startOf(position) + this.#segments.fileBytes;
  }

  /**
   * Deletes the first files as long as their last message lies before `minPhysicalOffset`, and so is gone; the
   * last file stays.
   */
  deleteBefore(minPhysicalOffset: number): void {
    const segments = this.#segments;
    while (segments.fileCount > 1) {
      const last = this.read(this.#lastUnitOf(segments.minOffset));
      if (last === undefined || last.physicalOffset >= minPhysicalOffset) return;
      segments.removeFirst();
      this.#pagePosition = -1;
    }
  }

  closeFiles(): void {
    this.#open.closeAll();
  }

  /** Where the next unit goes: a blank must fit behind it, or it goes into the next file. */
  #nextPosition(): number {
    const { fileBytes } = this.#segments;
    const rest = fileBytes - this.#endPosition % fileBytes;
    return rest < UNIT_BYTES + BLANK_BYTES ? this.#endPosition + rest : this.#endPosition;
  }

  #lastUnitOf(fileStart: number): number {
    const { fileBytes } = this.#segments;
    const count = Math.floor((fileBytes - BLANK_BYTES) / UNIT_BYTES);
    return fileStart + (count - 1) * UNIT_BYTES;
  }

  /** The end of the file before `position`, where that is not filled by units. */
  #fillFileBefore(position: number): void {
    const rest = position - this.#endPosition;
    if (rest < BLANK_BYTES) return;
    const blank = Buffer.alloc(BLANK_BYTES);
    blank.writeInt32BE(rest, 0);
    blank.writeInt32BE(BLANK_MAGIC, 12);
    this.#segments.write(blank, this.#endPosition);
  }

  /** A place where a unit may begin, at or before `position`. */
  #boundaryAt(position: number): number {
    const segments = this.#segments;
    if (segments.isEmpty || position <= segments.minOffset) return segments.minOffset;
    if (position >= segments.endOffset) return segments.endOffset;
    return position - position % segments.fileBytes % UNIT_BYTES;
  }

  /** Visits units of one file from `position` on. @returns where it stopped, and whether the log ends there */
  #visitFile(
    position: number,
    visit: (position: number, unit: TimerUnit) => boolean,
  ): { position: number; isEnd: boolean } {
    const segments = this.#segments;
    const nextFile = this.nextFileStart(position);
    const block = Buffer.allocUnsafe(WRITE_BYTES);
    for (let at = position; at < nextFile;) {
      const bytes = segments.read(block.subarray(0, Math.min(block.length, nextFile - at)), at);
      let offset = 0;
      for (; offset + BLANK_BYTES <= bytes; offset += UNIT_BYTES) {
        if (block.readInt32BE(offset + 12) === BLANK_MAGIC) return { position: nextFile, isEnd: false };
        if (offset + UNIT_BYTES > bytes) break;
        const unit = readUnit(block, offset, at + offset);
        if (unit === undefined || !visit(at + offset, unit)) return { position: at + offset, isEnd: true };
      }
      if (offset === 0) return { position: at, isEnd: true };
      at += offset;
    }
    return { position: nextFile, isEnd: false };
  }

  #readPage(position: number): void {
    const segments = this.#segments;
    const fileStart = segments.startOf(position);
    // walks go backwards, so the page ends with the unit
    const start = Math.max(fileStart, position + UNIT_BYTES - PAGE_BYTES);
    const bytes = Math.min(PAGE_BYTES, this.#writtenPosition - start, fileStart + segments.fileBytes - start);
    this.#pagePosition = -1;
    this.#pageBytes = segments.read(this.#page.subarray(0, bytes), start);
    this.#pagePosition = start;
  }
}
