// SPDX-License-Identifier: Apache-2.0
/** Tables for terminals: columns aligned by what is seen, two blanks between them, nothing else. */
import stringWidth from "string-width";
import type { Colour } from "./output.ts";

export interface Column {
  /** In capitals, one word, so that `awk` counts right. */
  readonly head: string;
  /** Numbers stand to the right. */
  readonly isNumber?: true;
  /** Its cells may be cut where the terminal is too narrow. */
  readonly isFlexible?: true;
  /** It may be left out where the terminal is too narrow; the last one goes first. */
  readonly isOptional?: true;
}

export type Cell = string | number | { readonly text: string; readonly colour: Colour };

export interface Table {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Cell[])[];
}

type Paint = (text: string, ...how: Colour[]) => string;

const GAP = 2;
/** A flexible column is not cut below that; before, optional columns are left out. */
const MIN_FLEXIBLE_WIDTH = 32;
/** Where even that is too wide. */
const LAST_FLEXIBLE_WIDTH = 10;

/** @param terminalColumns undefined: nothing is cut */
export function layOut(table: Table, terminalColumns: number | undefined, paint: Paint): string {
  const texts = table.rows.map((row) => row.map(textOf));
  let shown = table.columns.map((_, index) => index);
  const widths = table.columns.map(({ head }) => head.length);
  for (const row of texts) {
    for (const [index, text] of row.entries()) widths[index] = Math.max(widths[index], widthOf(text));
  }
  if (terminalColumns !== undefined) shown = fit(table.columns, widths, terminalColumns);
  const line = (cells: readonly string[], colours: readonly (Colour | undefined)[]) => {
    const parts = shown.map((index, at) => {
      const isLast = at === shown.length - 1;
      return cell(cells[index], widths[index], table.columns[index], isLast, colours[index], paint);
    });
    return `${parts.join(" ".repeat(GAP)).trimEnd()}\n`;
  };
  const head = line(table.columns.map((column) => column.head), table.columns.map(() => "bold"));
  return head + table.rows.map((row, at) => line(texts[at], row.map(colourOf))).join("");
}

/** Narrows `widths` until the line fits, or as far as it goes. @returns the columns that are shown */
function fit(columns: readonly Column[], widths: number[], terminalColumns: number): number[] {
  let shown = columns.map((_, index) => index);
  const excess = () => shown.reduce((sum, index) => sum + widths[index] + GAP, -GAP) - terminalColumns;
  const least = (index: number) =>
    columns[index].isFlexible ? Math.min(widths[index], MIN_FLEXIBLE_WIDTH) : widths[index];
  const leastExcess = () => shown.reduce((sum, index) => sum + least(index) + GAP, -GAP) - terminalColumns;
  while (leastExcess() > 0) {
    const dropped = shown.findLast((index) => columns[index].isOptional);
    if (dropped === undefined) break;
    shown = shown.filter((index) => index !== dropped);
  }
  while (excess() > 0) {
    const widest = shown.filter((index) => columns[index].isFlexible && widths[index] > LAST_FLEXIBLE_WIDTH)
      .sort((a, b) => widths[b] - widths[a])[0];
    if (widest === undefined) break;
    widths[widest]--;
  }
  return shown;
}

function cell(
  text: string,
  width: number,
  column: Column,
  isLast: boolean,
  colour: Colour | undefined,
  paint: Paint,
): string {
  const cut = cutMiddle(text, width);
  const painted = colour === undefined ? cut : paint(cut, colour);
  const padding = " ".repeat(Math.max(0, width - widthOf(cut)));
  if (column.isNumber) return padding + painted;
  return isLast ? painted : painted + padding;
}

const ASCII = /^[\x20-\x7e]*$/;

/** Places on the terminal. Nearly all texts are names, for which this is quick. */
function widthOf(text: string): number {
  return ASCII.test(text) ? text.length : stringWidth(text);
}

const segmenter = new Intl.Segmenter();

/** Names often differ in their ends only: what is cut out of the middle shows as `…`. */
export function cutMiddle(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  const tailWidth = Math.floor((width - 1) / 3);
  const segments = [...segmenter.segment(text)].map(({ segment }) => segment);
  let tail = "";
  while (widthOf(segments.at(-1)! + tail) <= tailWidth) tail = segments.pop()! + tail;
  const head = cutTo(segments.join(""), width - widthOf(tail));
  return head + tail;
}

/** At most so many places on the terminal; what is cut off shows as `…`. */
export function cutTo(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let cut = "";
  let left = width - 1;
  for (const { segment } of segmenter.segment(text)) {
    left -= widthOf(segment);
    if (left < 0) break;
    cut += segment;
  }
  return `${cut}…`;
}

function textOf(cell: Cell): string {
  return printable(typeof cell === "object" ? cell.text : String(cell));
}

function colourOf(cell: Cell): Colour | undefined {
  return typeof cell === "object" ? cell.colour : undefined;
}

/** Nothing that comes from elsewhere can move the cursor of a terminal. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (char) => {
    const escape = ESCAPES[char];
    return escape ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

const ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
