// SPDX-License-Identifier: Apache-2.0
// Around `parseArgs` of node:util, which Bun and Deno both have. @std/cli would do more, but it is only on JSR,
// where Bun does not look.
import { parseArgs } from "node:util";

/** A command line that can't be understood; the message is a sentence for the operator. */
export class UsageError extends Error {
  override name = "UsageError";
}

export interface Option {
  readonly short?: string;
  /** What stands for the value in the help text; absent: the option takes none. */
  readonly value?: string;
  /** May be given more than once. */
  readonly multiple?: true;
  readonly help: string;
}

export type Options = Readonly<Record<string, Option>>;

/** What was given: texts, whether a flag is there, all texts of an option that may be repeated. */
export type Given<O extends Options> = {
  readonly [N in keyof O]: O[N] extends { multiple: true } ? readonly string[]
    : O[N] extends { value: string } ? string | undefined
    : boolean;
};

/** Options only, as most commands take nothing else. @throws UsageError */
export function parseOptions<const O extends Options>(options: O, args: readonly string[]): Given<O> {
  return parseCommandLine(options, args, 0).given;
}

/** Options, and between them up to `maxOperands` texts that are none. @throws UsageError */
export function parseCommandLine<const O extends Options>(
  options: O,
  args: readonly string[],
  maxOperands: number,
): { given: Given<O>; operands: string[] } {
  const operands: string[] = [];
  const given: Record<string, string | boolean | string[] | undefined> = {};
  for (const [name, { value, multiple }] of Object.entries(options)) {
    given[name] = multiple ? [] : value === undefined ? false : undefined;
  }
  for (const token of tokensOf(options, args)) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") {
      if (operands.length === maxOperands) throw new UsageError(`${token.value} is not expected here.`);
      operands.push(token.value);
      continue;
    }
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    if (option === undefined) throw new UsageError(`${token.rawName} is no option of this command.`);
    if (option.value === undefined) {
      if (token.value !== undefined) throw new UsageError(`${token.rawName} takes no value.`);
      given[token.name] = true;
      continue;
    }
    const value = token.value;
    if (value === undefined || (!token.inlineValue && value.startsWith("-"))) {
      throw new UsageError(`${token.rawName} needs a value: ${option.value}.`);
    }
    if (option.multiple) (given[token.name] as string[]).push(value);
    else given[token.name] = value;
  }
  return { given: given as Given<O>, operands };
}

/** Lenient, because `parseArgs` would complain in its own words. */
function tokensOf(options: Options, args: readonly string[]) {
  const config = Object.fromEntries(
    Object.entries(options).map(([name, { short, value, multiple = false }]) => {
      return [
        name,
        { type: value === undefined ? "boolean" : "string", multiple, ...short && { short } } as const,
      ];
    }),
  );
  return parseArgs({ args: [...args], options: config, strict: false, tokens: true }).tokens;
}

/** The lines of a help text that tell the options. */
export function describeOptions(options: Options): string {
  const rows = Object.entries(options).map(([name, { short, value, help }]) => {
    const long = `--${name}${value === undefined ? "" : ` ${value}`}`;
    return { usage: `  ${short === undefined ? "    " : `-${short}, `}${long}`, help };
  });
  const width = Math.max(...rows.map(({ usage }) => usage.length)) + 2;
  return rows.map(({ usage, help }) => {
    return `${usage.padEnd(width)}${help.replaceAll("\n", `\n${" ".repeat(width)}`)}\n`;
  }).join("");
}
