// SPDX-License-Identifier: Apache-2.0
import { markdownTable } from "markdown-table";

/** A column's heading, and whether it holds numbers, which stand to the right. */
export type Column = string | { readonly number: string };

/** An aligned table that reads well on a terminal and can be put into a ticket as it is (Markdown). */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const heads = columns.map((column) => typeof column === "string" ? column : column.number);
  const texts = rows.map((row) => row.map((cell) => String(cell).replaceAll("|", "\\|")));
  const align = columns.map((column) => typeof column === "string" ? null : "r");
  return `${markdownTable([heads, ...texts], { align })}\n`;
}
