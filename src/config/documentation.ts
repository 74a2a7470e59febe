// SPDX-License-Identifier: Apache-2.0
import { brokerAreas } from "./broker_config.ts";
import type { Area, Key } from "./key.ts";
import { nameServerAreas } from "./name_server_config.ts";

/** The text of `docs/configuration.md`: how configuration works, and every key of the tables. */
export function configurationPage(): string {
  return [
    INTRODUCTION,
    role("Keys of brokers", brokerAreas),
    role("Keys of name servers", nameServerAreas),
  ].join("\n");
}

const INTRODUCTION = `<!-- Made by \`deno task docs\` from src/config/keys. Don't edit. -->

# Configuration

\`rmq\` takes the configuration files of Apache RocketMQ: the same keys, the same spelling, the same units. [conf/](../conf) has examples.

\`\`\`
rmq broker -c broker.conf -n 10.0.0.1:9876 --set flushDiskType=SYNC_FLUSH
rmq broker -c broker.conf -p          # all keys with their values, and exit
rmq broker -c broker.conf -m          # only the important ones
\`\`\`

**Where a value comes from.** Defaults, then the file, then \`--set key=value\`, then options such as \`-n\`: what comes later wins. \`NAMESRV_ADDR\` and \`ROCKETMQ_HOME\` in the environment replace the defaults of \`namesrvAddr\` and \`rocketmqHome\`. Without \`-c\`, a broker reads \`config/broker.properties\` in its store, and a name server \`~/namesrv/namesrv.properties\`, if there is one: that is where keys changed over the network are kept.

**The file** is a Java properties file: \`key=value\` lines, comments begin with \`#\` or \`!\`, a backslash escapes (write \`\\\\\` for one) and at the end of a line continues it. It is read as ISO-8859-1; other characters are written \`\\u4f60\`.

**Mistakes are errors.** Apache silently ignores a value it can't read, and takes \`true\` with a blank behind it for false. \`rmq\` doesn't start then, and names the file, the line, the key and what is allowed, for all bad keys at once. An unknown key is a warning, with the nearest known name. Keys that choose another disk layout, another role, or a protection that \`rmq\` does not have are refused; other keys without effect are listed in one warning.

**Changing keys while running.** \`mqadmin updateBrokerConfig\` and \`updateNamesrvConfig\` change the file (comments stay, the old file becomes \`.bak\`). Keys marked *at once* take effect immediately, the others at the next start.

In the tables, *count* means a whole number without a unit, *ms* milliseconds, *s* seconds, *h* hours.
`;

function role(title: string, areas: readonly Area[]): string {
  return [`## ${title}\n`, ...areas.map(areaSection)].join("\n");
}

function areaSection({ title, about, keys }: Area): string {
  const rows = Object.entries(keys);
  const working = rows.filter(([, key]) => key.standing !== "not yet");
  const waiting = rows.filter(([, key]) => key.standing === "not yet");
  return [
    `### ${title}\n\n${about}\n`,
    ...working.length > 0
      ? [table(["Key", "Value", "Default", "Meaning", "A change counts"], working.map(workingRow))]
      : [],
    ...waiting.length > 0
      ? [
        `Known, without effect yet:\n`,
        table(["Key", "Value", "Default", "Meaning in Apache"], waiting.map(waitingRow)),
      ]
      : [],
  ].join("\n");
}

function workingRow([name, key]: [string, Key]): string[] {
  return [
    ...cells(name, key),
    key.standing === "fixed"
      ? `refused if not ${defaultWords(key)}`
      : key.live
      ? "at once"
      : "at the next start",
  ];
}

function waitingRow([name, key]: [string, Key]): string[] {
  return cells(name, key);
}

function cells(name: string, key: Key): string[] {
  return [`\`${name}\``, key.kind.unit, defaultWords(key), key.meaning];
}

function defaultWords({ fallback }: Key): string {
  if (fallback === undefined) return "";
  if (typeof fallback === "object") return fallback.words;
  return fallback === "" ? "empty" : `\`${fallback}\``;
}

function table(head: readonly string[], rows: readonly string[][]): string {
  const line = (columns: readonly string[]) =>
    `| ${columns.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line), ""].join("\n");
}
