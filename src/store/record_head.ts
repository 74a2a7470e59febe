// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import { FIXED_BYTES, MAGIC_V1, MAGIC_V2, readLong } from "../protocol/record.ts";
import { SysFlag } from "../protocol/sys_flag.ts";

/** The part of a record up to its body's length, with the longest hosts. */
export const HEAD_BYTES = 112;
/** The longest that topic, properties and their lengths can be. */
const MAX_TAIL_BYTES = 2 + 0x7fff + 2 + 0x7fff;

/**
 * The length of a record of which `head` holds the beginning (HEAD_BYTES, or all there is). It is believed only
 * if the record says that it belongs here and if its body has a length that fits, so that nobody makes room for
 * a number that was never a length.
 * @returns undefined where no record begins
 */
export function believedLength(head: Buffer, physicalOffset: number): number | undefined {
  if (head.length < FIXED_BYTES) return undefined;
  const totalBytes = head.readInt32BE(0);
  const magic = head.readInt32BE(4);
  if (totalBytes < FIXED_BYTES || (magic !== MAGIC_V1 && magic !== MAGIC_V2)) return undefined;
  if (readLong(head, 28) !== physicalOffset) return undefined;
  const sysFlag = head.readInt32BE(36);
  const hostsBytes = (sysFlag & SysFlag.BORN_HOST_V6 ? 12 : 0) + (sysFlag & SysFlag.STORE_HOST_V6 ? 12 : 0);
  const bodyLengthAt = 84 + hostsBytes;
  if (head.length < bodyLengthAt + 4) return undefined;
  const tailBytes = totalBytes - bodyLengthAt - 4 - head.readInt32BE(bodyLengthAt);
  return tailBytes < 0 || tailBytes > MAX_TAIL_BYTES || head.readInt32BE(bodyLengthAt) < 0
    ? undefined
    : totalBytes;
}
