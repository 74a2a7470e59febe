// SPDX-License-Identifier: Apache-2.0
/** How the commands of `rmq store` write sizes and texts that came from elsewhere. */
import { formatTime } from "../store/inspect/local_time.ts";

export { formatTime };

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

const LINE_CHARS = 110;

/** A size as people read it. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${UNITS[unit]}`;
}

/** A number with a word that fits it. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** A text as one word: as it is, or quoted. Nothing in it can move the cursor of a terminal. */
export function asWord(text: string): string {
  return /^[\p{L}\p{N}_.,:;%@#$&*+\/|~^!?<>()-]+$/u.test(text) ? text : quote(text);
}

/** JSON text without any control character. */
export function quote(value: unknown): string {
  return JSON.stringify(value).replace(/[\u007f-\u009f\u2028\u2029]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** Lines of at most 110 characters, or so many, each after `indent`. */
export function wrap(text: string, indent: string, maxChars = LINE_CHARS): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent.length + line.length + 1 + word.length > maxChars) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].map((one) => indent + one).join("\n");
}
