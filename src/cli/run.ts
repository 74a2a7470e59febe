// SPDX-License-Identifier: Apache-2.0
import { ConfigError } from "../config/config_error.ts";
import { nearestName } from "../config/near_name.ts";
import { FAMILIES } from "./admin/families.ts";
import { UsageError } from "./args.ts";
import { brokerCommand } from "./broker.ts";
import type { Command, Surroundings } from "./command.ts";
import { namesrvCommand } from "./namesrv.ts";
import { standaloneCommand } from "./standalone.ts";
import { storeCommand } from "./store.ts";
import { VERSION } from "./version.ts";

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ["namesrv", namesrvCommand],
  ["broker", brokerCommand],
  ["standalone", standaloneCommand],
  ["store", storeCommand],
]);

/** What else there is, each imported when it is needed. */
const FAMILY_LINES = FAMILIES.filter(({ name }) => !COMMANDS.has(name)).map(({ name, summary }) =>
  line(name, summary)
);

const HELP = `rmq: a message broker and name server that Apache RocketMQ's clients and tools work with

  rmq COMMAND [options]

Servers:
${[...COMMANDS].map(([name, { summary }]) => line(name, summary)).join("")}
Administration, of clusters of rmq and of Apache RocketMQ:
${
  line(
    "broker ...",
    "Brokers: list, status, config, drain (`rmq broker` alone runs one)",
  )
}${FAMILY_LINES.join("")}${line("admin", "The commands of Apache's mqadmin, under their names")}
  rmq COMMAND --help    tells the options of a command
  rmq --version         tells the version
`;

function line(name: string, summary: string): string {
  return `  ${name.padEnd(12)}${summary}\n`;
}

/** Does what the command line asks. Never throws. @returns the exit status: 0, or 1 after a complaint */
export async function run(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const [name, ...rest] = args;
  switch (name) {
    case undefined:
      surroundings.complain(HELP);
      return 1;
    case "help":
    case "-h":
    case "--help":
      surroundings.print(HELP);
      return 0;
    case "-v":
    case "--version":
      surroundings.print(`rmq ${VERSION}\n`);
      return 0;
  }
  const administration = await administer(name, rest, surroundings);
  if (administration !== undefined) return administration;
  const command = COMMANDS.get(name);
  if (command === undefined) {
    const near = nearestName(name, [...COMMANDS.keys(), ...FAMILIES.map((family) => family.name)]);
    const hint = near === undefined ? "" : ` Is \`rmq ${near}\` meant?`;
    surroundings.complain(`rmq: ${name} is no command.${hint} \`rmq --help\` lists them.\n`);
    return 1;
  }
  try {
    return await command.run(rest, surroundings);
  } catch (error) {
    surroundings.complain(complaint(name, error));
    return 1;
  }
}

/** @returns the exit status; undefined where the name is of no such command */
async function administer(
  name: string,
  args: readonly string[],
  surroundings: Surroundings,
): Promise<number | undefined> {
  if (name === "admin") return await (await import("./admin/mqadmin.ts")).runMqadmin(args, surroundings);
  if (name === "__complete") return await complete(args, surroundings);
  const family = FAMILIES.find((one) => one.name === name);
  // `rmq broker` and its options run a broker; a word behind it asks brokers that run.
  const isServer = COMMANDS.has(name) && (args.length === 0 || args[0].startsWith("-"));
  if (family === undefined || isServer) return undefined;
  return await (await import("./admin/run.ts")).runFamily(family, args, surroundings);
}

/** For scripts of shells: a candidate on each line, and behind a tab what it is. */
async function complete(words: readonly string[], surroundings: Surroundings): Promise<number> {
  const { candidatesFor } = await import("./admin/complete.ts");
  const { ALIASES } = await import("./admin/mqadmin_aliases.ts");
  const plain = [...COMMANDS].map(([name, { summary, options, words }]) => ({
    name,
    summary,
    options,
    words,
  }));
  const aliases = ALIASES.map(({ name, command }) => ({ value: name, about: `rmq ${command}` }));
  plain.push({
    name: "admin",
    summary: "The commands of Apache's mqadmin",
    options: undefined,
    words: aliases,
  });
  const candidates = await candidatesFor(words, plain, FAMILIES, surroundings);
  surroundings.print(candidates.map(({ value, about }) => `${value}\t${about}\n`).join(""));
  return 0;
}

function complaint(command: string, error: unknown): string {
  if (error instanceof UsageError) {
    return `rmq ${command}: ${error.message}\nTry \`rmq ${command} --help\`.\n`;
  }
  if (error instanceof ConfigError) return `${error.message}\n`;
  return `rmq ${command}: ${error instanceof Error ? error.message : String(error)}\n`;
}
