// SPDX-License-Identifier: Apache-2.0
import { UsageError } from "./args.ts";
import type { Command } from "./command.ts";
import { storeDumpCommand } from "./store_dump.ts";
import { storeInfoCommand } from "./store_info.ts";
import { storeVerifyCommand } from "./store_verify.ts";

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ["info", storeInfoCommand],
  ["dump", storeDumpCommand],
  ["verify", storeVerifyCommand],
]);

export const storeCommand: Command = {
  summary: "Look into a store directory: what it holds, whether it is in order",
  words: [...COMMANDS].map(([value, { summary }]) => ({ value, about: summary })),
  help: `Looks into the directory of a store, of rmq or of Apache RocketMQ 4.9 and 5.x.

${[...COMMANDS].map(([name, { summary }]) => `  rmq store ${`${name} DIR`.padEnd(12)}${summary}\n`).join("")}
  rmq store COMMAND --help    tells the options of a command

Sizes of files are taken from the files, so no configuration is needed. docs/store-tool.md shows examples.
`,
  async run(args, surroundings) {
    const [name, ...rest] = args;
    if (name === "--help" || name === "-h" || name === "help") {
      return surroundings.print(storeCommand.help), 0;
    }
    const command = COMMANDS.get(name);
    if (command !== undefined) return await command.run(rest, surroundings);
    const names = [...COMMANDS.keys()].join(", ");
    throw new UsageError(
      name === undefined ? `say what to do: ${names}.` : `${name} is nothing that it does; it does ${names}.`,
    );
  },
};
