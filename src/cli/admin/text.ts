// SPDX-License-Identifier: Apache-2.0
/** Numbers, times and names as the commands for administrators write them. */
import { formatTime } from "../store_text.ts";

/** Messages per second: one digit behind the point while it says something. */
export function formatRate(perSecond: number): string {
  if (perSecond === 0) return "0";
  return perSecond < 100 ? perSecond.toFixed(1) : String(Math.round(perSecond));
}

/** `45s`, `3m`, `2h`, `5d`; `-` where there is no such time. */
export function formatDuration(ms: number | undefined): string {
  if (ms === undefined || Number.isNaN(ms)) return "-";
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** How long ago; `-` for a time that is none (0 or before). */
export function formatAge(timeMs: number, nowMs: number): string {
  return timeMs > 0 ? formatDuration(nowMs - timeMs) : "-";
}

/** A local time, or `-`. */
export function formatMoment(timeMs: number): string {
  return timeMs > 0 ? formatTime(timeMs) : "-";
}

export function formatPercent(fraction: number): string {
  return fraction >= 0 ? `${Math.round(fraction * 100)}%` : "-";
}

/** Compares names as people sort them: `q2` before `q10`. */
export function byName(a: string, b: string): number {
  return collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}

const collator = new Intl.Collator("en", { numeric: true });

/** Names with commas between; `-` for none. */
export function listed(names: Iterable<string>): string {
  return [...names].join(",") || "-";
}

const WILDCARD = /[*?]/;

/** Whether a name matches a pattern with `*` and `?`; without these it must be part of the name. */
export function matcher(pattern: string | undefined): (name: string) => boolean {
  if (pattern === undefined) return () => true;
  if (!WILDCARD.test(pattern)) return (name) => name.toLowerCase().includes(pattern.toLowerCase());
  const source = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
  const regex = new RegExp(`^${source}$`, "i");
  return (name) => regex.test(name);
}

/** The broker's three rates over 10, 60 and 600 seconds: the first number, 0 where there is none yet. */
export function latestRate(triple: string | undefined): number {
  const rate = Number((triple ?? "").trim().split(" ")[0]);
  return Number.isFinite(rate) ? rate : 0;
}
