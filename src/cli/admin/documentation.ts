// SPDX-License-Identifier: Apache-2.0
/** The text of `docs/commands.md`, from the tables of commands: it can't tell what they don't do. */
import { describeOptions } from "../args.ts";
import { type AdminCommand, clusterOptions, type Family, helpOption } from "./command.ts";
import { FAMILIES } from "./families.ts";
import { usageOf } from "./help.ts";
import { ALIASES } from "./mqadmin_aliases.ts";

export async function commandsPage(): Promise<string> {
  const sections = await Promise.all(FAMILIES.map(familySection));
  return [INTRODUCTION, ...sections, aliasSection()].join("\n");
}

const INTRODUCTION = `<!-- Made by \`deno task docs\` from src/cli/admin. Don't edit. -->

# Commands for administrators

\`rmq\` asks and changes clusters of \`rmq\` and of Apache RocketMQ (4.9 and 5.x): it speaks the same requests as \`mqadmin\`. Servers are run by \`rmq namesrv\`, \`rmq broker\` and \`rmq standalone\`; \`rmq broker\` with a word behind it (\`rmq broker list\`) asks brokers that run.

**Which cluster.** \`-n\`, else \`NAMESRV_ADDR\`, else \`127.0.0.1:9876\`. Several name servers have \`;\` between them: questions go to the first that answers, changes to all.

**Output.** Aligned columns for people; where a terminal is narrow, long cells are cut and columns of less importance left out. Colours on terminals only, and not with \`NO_COLOR\`. \`--json\` gives everything, under keys that stay; times are milliseconds since 1970 and end in \`Ms\`. A key that is not known has the value \`null\`.

**What goes wrong** is one sentence on the standard error output, and the exit status 1. Where some of several brokers can't be asked, the others' answers are shown, the failures told (in JSON under \`failures\`), and the exit status is 1, too.

**What can't be undone** is asked before; \`--yes\` answers. Where nobody can be asked (no terminal) and \`--yes\` is missing, nothing is done.

**Completion**: \`source <(rmq completion bash)\`, and likewise for zsh and fish; it knows topics, groups and brokers of the cluster.

**Scripts for mqadmin** go on with \`rmq admin\`: [its commands](#rmq-admin).

Options that all commands have which ask a cluster:

\`\`\`
${describeOptions({ ...clusterOptions, help: helpOption })}\`\`\`
`;

async function familySection(family: Family): Promise<string> {
  const commands = await family.load();
  const path = (command: AdminCommand) => family.isSingle ? family.name : `${family.name} ${command.name}`;
  return [
    `## rmq ${family.name}\n`,
    ...family.isSingle ? [] : [`${family.summary}.\n`],
    ...commands.map((command) => commandSection(path(command), command, family.isSingle ?? false)),
  ].join("\n");
}

function commandSection(path: string, command: AdminCommand, isSingle: boolean): string {
  const parts = isSingle ? [] : [`### rmq ${path}`];
  parts.push(`${command.summary}.${command.help === undefined ? "" : ` ${escaped(command.help)}`}`);
  const own = Object.entries(command.options).filter(([name]) =>
    !Object.hasOwn(clusterOptions, name) && name !== "help"
  );
  const options = own.length === 0 ? "" : `\n${describeOptions(Object.fromEntries(own))}`;
  parts.push(`\`\`\`\n${usageOf(path, command)}\n${options}\`\`\``);
  parts.push(command.examples.map(([line, effect]) => `- \`rmq ${line}\`: ${escaped(effect)}`).join("\n"));
  if (command.json !== undefined) parts.push(`With \`--json\`:\n\n\`\`\`\n${command.json}\n\`\`\``);
  return `${parts.join("\n\n")}\n`;
}

function aliasSection(): string {
  const rows = ALIASES.map(({ name, options, command, note }) => {
    const letters = Object.keys(options).map((short) => `-${short}`).join(" ");
    return `| \`${name}\` | ${letters} | \`rmq ${command}\` | ${escaped(note ?? "")} |`;
  });
  return `## rmq admin

The sub-commands of \`mqadmin\`, with its options, done by the commands above. What is printed is theirs; \`--json\` works where they have it. Nothing is asked. The exit status is 1 after a failure, where mqadmin's is 0. Every one takes \`-n\`.

| Sub-command | Options | Done by | |
| --- | --- | --- | --- |
${rows.join("\n")}
`;
}

/** What Markdown would take for something else. */
function escaped(text: string): string {
  return text.replaceAll("|", "\\|").replace(/(?<!\\)([*<])/g, "\\$1");
}
