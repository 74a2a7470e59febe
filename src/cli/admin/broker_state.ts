// SPDX-License-Identifier: Apache-2.0
import { latestRate } from "./text.ts";

/** What an operator wants to know of a running broker first. */
export interface BrokerState {
  readonly version: string;
  readonly startedMs: number;
  /** Messages per second over the last ten seconds. */
  readonly inPerSecond: number;
  readonly outPerSecond: number;
  /** Messages since midnight. */
  readonly inToday: number;
  readonly outToday: number;
  /** How full the log's disk is, 0 to 1; undefined where the broker can't tell. */
  readonly diskUse: number | undefined;
  readonly logMinOffset: number;
  readonly logMaxOffset: number;
  readonly earliestMessageMs: number;
  readonly dispatchBehindBytes: number;
}

/** From the names and values of GET_BROKER_RUNTIME_INFO, in the spellings of 4.9 and 5.x. */
export function brokerState(info: ReadonlyMap<string, string>): BrokerState {
  const number = (key: string) => {
    const value = Number(info.get(key));
    return Number.isFinite(value) ? value : 0;
  };
  const diskUse = info.has("commitLogDiskRatio") ? number("commitLogDiskRatio") : -1;
  return {
    version: info.get("brokerVersionDesc") ?? "",
    startedMs: number("bootTimestamp"),
    inPerSecond: latestRate(info.get("putTps")),
    outPerSecond: latestRate(info.get("getTransferredTps") ?? info.get("getTransferedTps")),
    inToday: number("msgPutTotalTodayNow") - number("msgPutTotalTodayMorning"),
    outToday: number("msgGetTotalTodayNow") - number("msgGetTotalTodayMorning"),
    diskUse: diskUse >= 0 ? diskUse : undefined,
    logMinOffset: number("commitLogMinOffset"),
    logMaxOffset: number("commitLogMaxOffset"),
    earliestMessageMs: number("earliestMessageTimeStamp"),
    dispatchBehindBytes: number("dispatchBehindBytes"),
  };
}

/** `V5_4_0` as `5.4.0`. */
export function shortVersion(description: string): string {
  return description.replace(/^V/, "").replaceAll("_", ".") || "-";
}
