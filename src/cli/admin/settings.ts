// SPDX-License-Identifier: Apache-2.0
/** Configurations as brokers and name servers tell them, and changes to them. */
import { UsageError } from "../args.ts";
import { matcher } from "./text.ts";

/** `key=value` lines. Values are taken as they are: brokers do not escape them. */
export function parseSettings(text: string): Map<string, string> {
  const settings = new Map<string, string>();
  for (const line of text.split("\n")) {
    const equals = line.indexOf("=");
    if (equals > 0) settings.set(line.slice(0, equals), line.slice(equals + 1));
  }
  return settings;
}

/** The settings whose keys are among `keys`, which may be patterns; all where none is given. */
export function chosenSettings(
  settings: ReadonlyMap<string, string>,
  keys: readonly string[],
): Map<string, string> {
  if (keys.length === 0) return new Map([...settings].sort());
  const isWanted = keys.map((key) => /[*?]/.test(key) ? matcher(key) : (name: string) => name === key);
  return new Map([...settings].filter(([name]) => isWanted.some((matches) => matches(name))).sort());
}

/** `KEY=VALUE` operands as the properties text of a change. @throws UsageError */
export function changeText(pairs: readonly string[]): string {
  return pairs.map((pair) => {
    const equals = pair.indexOf("=");
    if (equals <= 0) throw new UsageError(`${pair} is no KEY=VALUE.`);
    return `${pair.slice(0, equals)}=${escapeValue(pair.slice(equals + 1))}\n`;
  }).join("");
}

/** As `java.util.Properties` reads it back. */
function escapeValue(value: string): string {
  return value.replaceAll("\\", "\\\\").replace(/^ /, "\\ ").replace(/[^\x20-\x7e]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
