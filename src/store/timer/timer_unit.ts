// SPDX-License-Identifier: Apache-2.0
/**
 * One entry of the timer log, 52 bytes, big-endian: a message that waits, and the one before it in its slot.
 * [RMQ TimerLog, TimerMessageStore.doEnqueue]
 *
 * ```
 *  0 size 4 (52) · 4 previousPosition 8 (-1: none) · 12 magic 4 · 16 writeTime 8 · 24 slotTime - writeTime 4
 * 28 physicalOffset 8 · 36 messageBytes 4 · 40 hash of the real topic 4 · 44 reserved 8
 * ```
 */
import type { Buffer } from "node:buffer";
import { readLong, writeLong } from "../../protocol/record.ts";

export const UNIT_BYTES = 52;

/** Bits of `magic`. */
export const UnitMagic = {
  DEFAULT: 1,
  /** Its message is not due yet at the slot's time: it goes round again. */
  ROLL: 2,
  /** Its message takes back another one of the slot. */
  DELETE: 4,
} as const;

/** Fills the end of a file that the next unit does not fit into: rest of the file 4, zeros 8, this 4. */
export const BLANK_MAGIC = 0xcbd43194 | 0;
export const BLANK_BYTES = 16;

export interface TimerUnit {
  /** The unit before it in its slot; -1 for the first. */
  previousPosition: number;
  magic: number;
  /** When it was put into the slot. */
  writeTimeMs: number;
  /** The slot's time. */
  slotTimeMs: number;
  /** Of the message in the CommitLog. */
  physicalOffset: number;
  messageBytes: number;
  topicHash: number;
}

export function writeUnit(target: Buffer, at: number, unit: TimerUnit): void {
  target.writeInt32BE(UNIT_BYTES, at);
  writeLong(target, unit.previousPosition, at + 4);
  target.writeInt32BE(unit.magic, at + 12);
  writeLong(target, unit.writeTimeMs, at + 16);
  target.writeInt32BE(unit.slotTimeMs - unit.writeTimeMs, at + 24);
  writeLong(target, unit.physicalOffset, at + 28);
  target.writeInt32BE(unit.messageBytes, at + 36);
  target.writeInt32BE(unit.topicHash, at + 40);
  writeLong(target, 0, at + 44);
}

/** @param position of the unit in the timer log. @returns undefined where the bytes are no unit */
export function readUnit(source: Buffer, at: number, position: number): TimerUnit | undefined {
  const magic = source.readInt32BE(at + 12);
  if (source.readInt32BE(at) !== UNIT_BYTES || magic < 0 || magic > 15) return undefined;
  const previousPosition = readLong(source, at + 4);
  const writeTimeMs = readLong(source, at + 16);
  const physicalOffset = readLong(source, at + 28);
  const messageBytes = source.readInt32BE(at + 36);
  const isPossible = previousPosition >= -1 && previousPosition < position && physicalOffset >= 0 &&
    messageBytes > 0 && writeTimeMs > 0;
  if (!isPossible) return undefined;
  return {
    previousPosition,
    magic,
    writeTimeMs,
    slotTimeMs: writeTimeMs + source.readInt32BE(at + 24),
    physicalOffset,
    messageBytes,
    topicHash: source.readInt32BE(at + 40),
  };
}
