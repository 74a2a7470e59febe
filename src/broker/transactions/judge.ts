// SPDX-License-Identifier: Apache-2.0
/** What a round of questions does with an open half. [RMQ TransactionalMessageServiceImpl.check] */
import { Property } from "../../protocol/properties.ts";
import { checkTimesOf, type Half } from "./half.ts";

export interface CheckSettings {
  readonly transactionTimeoutMs: number;
  readonly transactionCheckMax: number;
  readonly transactionCheckIntervalMs: number;
  readonly fileReservedHours: number;
}

/**
 * - `YOUNG`: its time has not come, nor that of those behind it;
 * - `WAIT`: not now, but others behind it may be due;
 * - `ASK`: a producer of its group is asked;
 * - `GIVE_UP`: it was asked about too often, or is older than log files are kept.
 */
export type Verdict = "YOUNG" | "WAIT" | "ASK" | "GIVE_UP";

const HOUR_MS = 3_600_000;

export function judge(
  half: Half,
  nowMs: number,
  settings: CheckSettings,
  hasProducer: (group: string) => boolean,
): Verdict {
  if (checkTimesOf(half) >= Math.max(1, settings.transactionCheckMax)) return "GIVE_UP";
  const bornMs = bornMsOf(half);
  if (nowMs - bornMs > settings.fileReservedHours * HOUR_MS) return "GIVE_UP";
  const immunityMs = immunityMsOf(half);
  if (nowMs - bornMs <= (immunityMs ?? settings.transactionTimeoutMs)) {
    return immunityMs === undefined ? "YOUNG" : "WAIT";
  }
  return hasProducer(half.producerGroup) ? "ASK" : "WAIT";
}

/** When a half that waits may have something done with it, whoever is there. */
export function nextLookMs(half: Half, nowMs: number, settings: CheckSettings): number {
  const bornMs = bornMsOf(half);
  const immuneUntilMs = bornMs + (immunityMsOf(half) ?? 0);
  return immuneUntilMs >= nowMs ? immuneUntilMs + 1 : bornMs + settings.fileReservedHours * HOUR_MS + 1;
}

/** A producer whose clock is ahead does not make its halves younger than they are. */
function bornMsOf({ record }: Half): number {
  return Math.min(record.bornTimestampMs, record.storeTimestampMs);
}

/** How long the producer wants not to be asked; undefined: as long as all are left alone. */
function immunityMsOf(half: Half): number | undefined {
  const text = half.properties.get(Property.CHECK_IMMUNITY_TIME);
  if (text === undefined || !/^[0-9]{1,9}$/.test(text)) return undefined;
  return Number(text) * 1000;
}

/**
 * Whether a producer's own decision comes too late: after the time that it asked for, it is asked, and decides by
 * its answer. [RMQ EndTransactionProcessor.rejectCommitOrRollback]
 */
export function isTooLate(half: Half, nowMs: number, timeoutMs: number): boolean {
  const text = half.properties.get(Property.CHECK_IMMUNITY_TIME);
  if (text === undefined || text === "") return false;
  return nowMs - half.record.bornTimestampMs > Math.max(immunityMsOf(half) ?? 0, timeoutMs);
}
