// SPDX-License-Identifier: Apache-2.0
/**
 * `rmq admin NAME …`: the sub-commands of Apache's mqadmin with their options, done by our own commands. What is
 * printed is ours; so are the exit status, which is not 0 after a failure, and `--json`.
 */
import { type Option, type Options, parseCommandLine, UsageError } from "../args.ts";
import type { Surroundings } from "../command.ts";
import type { AdminCommand } from "./command.ts";
import { FAMILIES } from "./families.ts";
import { ALIASES } from "./mqadmin_aliases.ts";
import { runCommand } from "./run.ts";

/** What was given to a sub-command, by long name. */
export type AliasGiven = Readonly<Record<string, string | undefined>>;

/** A sub-command of mqadmin. */
export interface Alias {
  readonly name: string;
  /** Short option to its long name; a `!` behind the name: it takes no value. [RMQ SubCommand.buildCommandlineOptions] */
  readonly options: Readonly<Record<string, string>>;
  /** The words of our command that does it, such as `topic create`. */
  readonly command: string;
  /** Where what is given decides on another one than `command`. @throws UsageError */
  commandFor?(given: AliasGiven): string;
  /** The arguments that our command gets. @throws UsageError */
  toArgs(given: AliasGiven): string[];
  /** What it does not do as mqadmin does, for help texts. */
  readonly note?: string;
}

/** Of every sub-command. */
const COMMON: Options = {
  namesrvAddr: { short: "n", value: "ADDRS", help: "Name servers, with ; between" },
  json: { help: "JSON instead of text, where our command has it" },
  help: { short: "h", help: "Print this text" },
};

export async function runMqadmin(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const { print, complain } = surroundings;
  const [name, ...rest] = args;
  if (name === undefined) return complain(mqadminHelp()), 1;
  if (name === "help" || name === "-h" || name === "--help") {
    if (rest.length === 0) return print(mqadminHelp()), 0;
    return await runMqadmin([rest[0], "--help"], surroundings);
  }
  const alias = ALIASES.find((one) => one.name.toLowerCase() === name.toLowerCase());
  if (alias === undefined) {
    complain(
      `rmq admin: it has no ${name}. \`rmq admin --help\` lists what it has; use Apache's mqadmin for the rest.\n`,
    );
    return 1;
  }
  try {
    const given = parseAlias(alias, rest);
    if (given.help !== undefined) return print(aliasHelp(alias)), 0;
    const command = await findCommand(alias.commandFor?.(given) ?? alias.command);
    const cluster = given.namesrvAddr === undefined ? [] : ["--namesrv", given.namesrvAddr.trim()];
    const json = given.json !== undefined && command.json !== undefined ? ["--json"] : [];
    return await runCommand(
      `admin ${alias.name}`,
      command,
      [...cluster, ...json, ...alias.toArgs(given)],
      surroundings,
    );
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    complain(`rmq admin ${alias.name}: ${error.message}\nTry \`rmq admin ${alias.name} --help\`.\n`);
    return 1;
  }
}

/** Option names to their values; flags have an empty one. */
function parseAlias(alias: Alias, args: readonly string[]): AliasGiven {
  const { given } = parseCommandLine(optionsOf(alias), args, 0);
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => {
      return [name, value === false || value === undefined ? undefined : value === true ? "" : String(value)];
    }),
  );
}

function optionsOf({ options }: Alias): Options {
  const own = Object.entries(options).map(([short, long]): [string, Option] => {
    const takesNone = long.endsWith("!");
    return [long.replace(/!$/, ""), { short, help: "", ...takesNone ? {} : { value: "VALUE" } }];
  });
  return { ...Object.fromEntries(own), ...COMMON };
}

/** @param words of a command, such as `broker config get` */
export async function findCommand(words: string): Promise<AdminCommand> {
  const [familyName, ...rest] = words.split(" ");
  const family = FAMILIES.find(({ name }) => name === familyName)!;
  const commands = await family.load();
  return family.isSingle ? commands[0] : commands.find(({ name }) => name === rest.join(" "))!;
}

function mqadminHelp(): string {
  const width = Math.max(...ALIASES.map(({ name }) => name.length)) + 2;
  return `Runs commands of Apache's mqadmin, under their names and with their options.

  rmq admin COMMAND [options]

${ALIASES.map(({ name, command }) => `  ${name.padEnd(width)}does \`rmq ${command}\`\n`).join("")}
  rmq admin COMMAND --help    tells its options

What is printed is that of our commands; --json works where they have it. Nothing is asked: scripts go on as with
mqadmin. The exit status is 1 after a failure, where mqadmin's is 0.
`;
}

function aliasHelp(alias: Alias): string {
  const rows = Object.entries({ n: "namesrvAddr", ...alias.options }).map(([short, long]) => {
    return `  -${short}, --${long.endsWith("!") ? long.slice(0, -1) : `${long} VALUE`}\n`;
  });
  return `Does what mqadmin's ${alias.name} does, by \`rmq ${alias.command}\`, whose help says more.

  rmq admin ${alias.name} [options]

${rows.join("")}      --json\n${alias.note === undefined ? "" : `\n${alias.note}\n`}`;
}
