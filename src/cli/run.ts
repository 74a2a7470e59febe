// SPDX-License-Identifier: Apache-2.0
import { ConfigError } from "../config/config_error.ts";
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

const HELP = `rmq: a message broker and name server that Apache RocketMQ's clients and tools work with

  rmq COMMAND [options]

${[...COMMANDS].map(([name, { summary }]) => `  ${name.padEnd(12)}${summary}\n`).join("")}
  rmq COMMAND --help    tells the options of a command
  rmq --version         tells the version
`;

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
  const command = COMMANDS.get(name);
  if (command === undefined) {
    surroundings.complain(`rmq: ${name} is no command. \`rmq --help\` lists them.\n`);
    return 1;
  }
  try {
    return await command.run(rest, surroundings);
  } catch (error) {
    surroundings.complain(complaint(name, error));
    return 1;
  }
}

function complaint(command: string, error: unknown): string {
  if (error instanceof UsageError) {
    return `rmq ${command}: ${error.message}\nTry \`rmq ${command} --help\`.\n`;
  }
  if (error instanceof ConfigError) return `${error.message}\n`;
  return `rmq ${command}: ${error instanceof Error ? error.message : String(error)}\n`;
}
