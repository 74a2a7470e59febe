// SPDX-License-Identifier: Apache-2.0
/** What is told of commands, taken from their tables. */
import { describeOptions } from "../args.ts";
import { wrap } from "../store_text.ts";
import type { AdminCommand, Family } from "./command.ts";

/** The line that shows how a command is written. */
export function usageOf(path: string, { operands = [] }: AdminCommand): string {
  const words = operands.map(({ name, isOptional, isRepeated }) => {
    const word = isRepeated ? `${name}...` : name;
    return isOptional ? `[${word}]` : word;
  });
  return ["rmq", path, ...words, "[options]"].join(" ");
}

export function commandHelp(path: string, command: AdminCommand): string {
  const parts = [
    `${command.summary}.`,
    ...command.help === undefined ? [] : [wrap(command.help, "")],
    `  ${usageOf(path, command)}`,
    describeOptions(command.options).trimEnd(),
    examplesOf(command),
  ];
  if (command.json !== undefined) parts.push(`With --json:\n\n${indented(command.json)}`);
  return `${parts.join("\n\n")}\n`;
}

export function examplesOf({ examples }: AdminCommand): string {
  const lines = examples.map(([line, effect]) => `  rmq ${line}\n      ${effect}`);
  return `Examples:\n\n${lines.join("\n")}`;
}

export function familyHelp(family: Family, commands: readonly AdminCommand[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length)) + 2;
  const lines = commands.map(({ name, summary }) => `  rmq ${family.name} ${name.padEnd(width)}${summary}`);
  return `${family.summary}.\n\n${lines.join("\n")}\n\n` +
    `  rmq ${family.name} COMMAND --help    tells the options of a command, with examples\n`;
}

/** The shape of a JSON answer, as help and documentation show it. */
export function indented(text: string): string {
  return text.split("\n").map((line) => `  ${line}`).join("\n");
}
