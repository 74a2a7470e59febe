// SPDX-License-Identifier: Apache-2.0
/** Times and durations as operators write them. */

const DATE = /^\d{4}-\d{2}-\d{2}$/;
const TIME_OF_DAY = /^\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?$/;
const DATE_TIME = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?)(Z|[+-]\d{2}:?\d{2})?$/;

/**
 * A time as operators write it: `2026-11-21`, `2026-11-21T04:30` (or with a blank), `04:30:00.250` (today), all local
 * unless a zone follows, or `@1795264200516` (ms since 1970). Undefined for what is none.
 */
export function parseTime(text: string, nowMs: number): number | undefined {
  const sinceEpoch = /^@(\d{1,15})$/.exec(text)?.[1];
  if (sinceEpoch !== undefined) return Number(sinceEpoch);
  const match = DATE_TIME.exec(text);
  let written: string;
  if (DATE.test(text)) written = `${text}T00:00:00`;
  else if (TIME_OF_DAY.test(text)) written = `${localDate(nowMs)}T${text}`;
  else if (match !== null) written = `${match[1]}T${match[2]}${match[5] ?? ""}`;
  else return undefined;
  const timeMs = Date.parse(written);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

function localDate(ms: number): string {
  const date = new Date(ms);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

const DURATION_UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `500ms`, `30s`, `5m`, `2h`, `1d`, `1h30m`, in milliseconds; undefined for what is none. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined;
  let totalMs = 0;
  for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    totalMs += Number(count) * DURATION_UNITS_MS[unit];
  }
  return Math.round(totalMs);
}

/** A time, or a duration before now. */
export function parseMoment(text: string, nowMs: number): number | undefined {
  const agoMs = parseDuration(text);
  return agoMs === undefined ? parseTime(text, nowMs) : nowMs - agoMs;
}
