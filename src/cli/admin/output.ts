// SPDX-License-Identifier: Apache-2.0
import { styleText } from "node:util";
import type { Surroundings } from "../command.ts";
import { layOut, type Table } from "./columns.ts";

/** Whoever read our output has gone (`| head`): nothing is wrong, and there is nothing more to do. */
export class ReaderGoneError extends Error {
  override name = "ReaderGoneError";
}

export type Colour = "red" | "yellow" | "green" | "cyan" | "dim" | "bold";

/** Where a command's answer goes: text for people, or one JSON document for programs. */
export class Output {
  readonly isJson: boolean;
  readonly #surroundings: Surroundings;

  constructor(surroundings: Surroundings, isJson: boolean) {
    this.#surroundings = surroundings;
    this.isJson = isJson;
  }

  /** A line of text. */
  line(text = ""): Promise<void> {
    return this.write(`${text}\n`);
  }

  /** A JSON document, indented. */
  json(value: unknown): Promise<void> {
    return this.write(`${JSON.stringify(value, null, 2)}\n`);
  }

  /** A JSON document on one line, of which many may follow. */
  jsonLine(value: unknown): Promise<void> {
    return this.write(`${JSON.stringify(value)}\n`);
  }

  /** Aligned columns; where a terminal is narrow, long cells are cut and optional columns left out. */
  table(table: Table): Promise<void> {
    const { terminal } = this.#surroundings;
    return this.write(layOut(table, terminal?.columns, (text, ...how) => this.colour(text, ...how)));
  }

  /** Names and values below each other; undefined values are left out. */
  facts(facts: readonly (readonly [name: string, value: string | number | undefined])[]): Promise<void> {
    const known = facts.filter(([, value]) => value !== undefined);
    const width = Math.max(...known.map(([name]) => name.length)) + 2;
    return this.write(
      known.map(([name, value]) => `${this.colour(name.padEnd(width), "dim")}${value}\n`).join(""),
    );
  }

  /** @throws ReaderGoneError */
  async write(text: string): Promise<void> {
    const { printOut, print } = this.#surroundings;
    if (printOut === undefined) print(text);
    else if (!await printOut(text)) throw new ReaderGoneError("nobody reads the output");
  }

  /** Bytes as they are; as text where the surroundings take nothing else. @throws ReaderGoneError */
  async writeBytes(bytes: Uint8Array): Promise<void> {
    const { printOut, print } = this.#surroundings;
    if (printOut === undefined) print(new TextDecoder().decode(bytes));
    else if (!await printOut(bytes)) throw new ReaderGoneError("nobody reads the output");
  }

  /** The text, coloured where that is wanted. */
  colour(text: string, ...how: readonly Colour[]): string {
    if (!this.#surroundings.terminal?.hasColours) return text;
    return styleText([...how], text, { validateStream: false });
  }
}
