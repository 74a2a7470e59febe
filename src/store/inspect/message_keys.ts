// SPDX-License-Identifier: Apache-2.0
import { FIXED_BYTES } from "../../protocol/record.ts";
import { SysFlag, TRANSACTION_MASK } from "../../protocol/sys_flag.ts";

/** Whether a record of the log is in its queue: the halves of transactions written by old brokers are not. */
export function isQueued(sysFlag: number): boolean {
  const transaction = sysFlag & TRANSACTION_MASK;
  return transaction !== SysFlag.TRANSACTION_PREPARED && transaction !== SysFlag.TRANSACTION_ROLLBACK;
}

/** Whether a record of the log is found by key. */
export function isIndexed(sysFlag: number): boolean {
  return (sysFlag & TRANSACTION_MASK) !== SysFlag.TRANSACTION_ROLLBACK;
}

/** Without loss, a queue's numbers follow one by one; so many more are taken for loss without a trace in the log. */
const UNEXPLAINED_GAP = 1000;

/**
 * Whether a queue can go on at `queueOffset`: what is missing must have had room in the log since its last message.
 * @param logBytes from the queue's last message to this one
 */
export function canFollow(expected: number, queueOffset: number, logBytes: number): boolean {
  const gap = queueOffset - expected;
  return gap >= 0 && gap <= UNEXPLAINED_GAP + logBytes / FIXED_BYTES;
}

/** Why a property string is not `name \x01 value \x02 …`; undefined where it is. @param bytes the same, as stored */
export function propertiesDefect(text: string, bytes: Uint8Array): string | undefined {
  if (text.includes("\ufffd") && !isUtf8(bytes)) return "they are not UTF-8";
  for (let from = 0; from < text.length;) {
    let end = text.indexOf("\u0002", from);
    if (end === -1) end = text.length;
    if (end > from) {
      const separator = text.indexOf("\u0001", from);
      if (separator === -1 || separator > end) {
        return `${JSON.stringify(text.slice(from, Math.min(end, from + 40)))} has no value`;
      }
      if (separator === from) return "one has no name";
    }
    from = end + 1;
  }
  return undefined;
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
