// SPDX-License-Identifier: Apache-2.0
/**
 * Blocks of the log's files, read as a whole and kept for a while: messages of several queues lie mixed in the log, so
 * that consumers of a backlog come by the same bytes one after the other. Written bytes never change, so a block is
 * right for as long as it is kept; one that was read when the log ended in it is read again when more of it is asked for.
 */
import { Buffer } from "node:buffer";
import type { CommitLog } from "./commit_log.ts";

export const BLOCK_BYTES = 128 << 10;
/** 4 MiB. */
const MAX_BLOCKS = 32;
/** Blocks that are read at the same time, beside those. */
const MAX_LOADING = 16;

interface Block {
  startOffset: number;
  /** End of the bytes that were there when it was read. */
  endOffset: number;
  buffer: Buffer;
}

export class LogBlocks {
  #log: CommitLog;
  /** By start; the one used longest ago first. */
  #blocks = new Map<number, Block>();
  #latest: Block | undefined;
  /** Blocks that are being read, by start. */
  #loading = new Map<number, Promise<void>>();

  constructor(log: CommitLog) {
    this.#log = log;
  }

  /**
   * Copies written bytes of one file into `target`.
   * @returns false where the log does not have them @throws what the disk says
   */
  copy(target: Buffer, at: number, offset: number, bytes: number): boolean {
    for (const end = offset + bytes; offset < end;) {
      const block = this.#find(offset, end) ?? this.#load(offset);
      const count = copyFrom(block, target, at, offset, end);
      if (count === 0) return false;
      at += count;
      offset += count;
    }
    return true;
  }

  /** The same, without blocking. */
  async copyAsync(target: Buffer, at: number, offset: number, bytes: number): Promise<boolean> {
    for (const end = offset + bytes; offset < end;) {
      let block = this.#find(offset, end);
      if (block === undefined) {
        await this.#loadAsync(offset);
        block = this.#blocks.get(this.#startOf(offset));
        // Others may have needed its room before it was our turn.
        if (block === undefined) continue;
      }
      const count = copyFrom(block, target, at, offset, end);
      if (count === 0) return false;
      at += count;
      offset += count;
    }
    return true;
  }

  /** A block that has `offset`, and goes on to `end` or to its own end. */
  #find(offset: number, end: number): Block | undefined {
    let block = this.#latest;
    if (block === undefined || offset < block.startOffset || offset >= block.endOffset) {
      block = this.#blocks.get(this.#startOf(offset));
      if (block === undefined || offset >= block.endOffset) return undefined;
      this.#use(block);
    }
    return end <= block.endOffset || block.endOffset === this.#endOf(block.startOffset) ? block : undefined;
  }

  #load(offset: number): Block {
    const startOffset = this.#startOf(offset);
    const buffer = this.#room(startOffset);
    const bytes = this.#endOf(startOffset) - startOffset;
    const count = this.#log.readRaw(buffer, 0, startOffset, bytes);
    const block = { startOffset, endOffset: startOffset + count, buffer };
    this.#use(block);
    return block;
  }

  /** One read for all who ask while it is under way; when many are, the next one waits. */
  async #loadAsync(offset: number): Promise<void> {
    const startOffset = this.#startOf(offset);
    for (;;) {
      const loading = this.#loading.get(startOffset);
      if (loading !== undefined) return await loading;
      if (this.#loading.size < MAX_LOADING) break;
      await Promise.race(this.#loading.values()).catch(() => {});
    }
    const load = this.#readAsync(startOffset);
    this.#loading.set(startOffset, load);
    try {
      await load;
    } finally {
      this.#loading.delete(startOffset);
    }
  }

  async #readAsync(startOffset: number): Promise<void> {
    const buffer = this.#room(startOffset);
    const bytes = this.#endOf(startOffset) - startOffset;
    const count = await this.#log.readRawAsync(buffer, 0, startOffset, bytes);
    this.#use({ startOffset, endOffset: startOffset + count, buffer });
  }

  #use(block: Block): void {
    this.#blocks.delete(block.startOffset);
    this.#blocks.set(block.startOffset, block);
    this.#latest = block;
  }

  /** A buffer for a block: of one that is forgotten for it, if there are many. */
  #room(startOffset: number): Buffer {
    let unused = this.#blocks.get(startOffset);
    if (unused === undefined && this.#blocks.size >= MAX_BLOCKS) unused = this.#blocks.values().next().value;
    if (unused === undefined) return Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.#blocks.delete(unused.startOffset);
    if (this.#latest === unused) this.#latest = undefined;
    return unused.buffer;
  }

  #startOf(offset: number): number {
    const fileStart = this.#log.fileStart(offset);
    return offset - (offset - fileStart) % BLOCK_BYTES;
  }

  #endOf(startOffset: number): number {
    return Math.min(startOffset + BLOCK_BYTES, this.#log.nextFileOffset(startOffset));
  }
}

function copyFrom(block: Block, target: Buffer, at: number, offset: number, end: number): number {
  const { startOffset, endOffset, buffer } = block;
  if (offset >= endOffset) return 0;
  return buffer.copy(target, at, offset - startOffset, Math.min(end, endOffset) - startOffset);
}
