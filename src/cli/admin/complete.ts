// SPDX-License-Identifier: Apache-2.0
/** What a shell offers where the cursor stands: `rmq __complete WORDS…`. */
import { groupConfigs } from "../../client/admin/groups.ts";
import type { Option, Options } from "../args.ts";
import type { Surroundings } from "../command.ts";
import { Cluster } from "./cluster.ts";
import type { AdminCommand, Family, NameKind } from "./command.ts";
import { kindOfTopic, reservedNames } from "./topic_facts.ts";

export interface Candidate {
  readonly value: string;
  readonly about: string;
}

/** A command that is no family: with its options, and the words that may follow it. */
export interface PlainCommand {
  readonly name: string;
  readonly summary: string;
  readonly options?: Options;
  readonly words?: readonly Candidate[];
}

/** A shell must not wait long for names. */
const NAMES_TIMEOUT_MS = 1500;

/** @param words behind `rmq`; the last one is what has been typed of the word under the cursor */
export async function candidatesFor(
  words: readonly string[],
  plain: readonly PlainCommand[],
  families: readonly Family[],
  surroundings: Pick<Surroundings, "environment">,
): Promise<Candidate[]> {
  const current = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  const all = await allCandidates(before, current, plain, families, surroundings);
  const unique = new Map(all.map((candidate) => [candidate.value, candidate]));
  return [...unique.values()].filter(({ value }) => value.startsWith(current));
}

async function allCandidates(
  before: readonly string[],
  current: string,
  plain: readonly PlainCommand[],
  families: readonly Family[],
  surroundings: Pick<Surroundings, "environment">,
): Promise<Candidate[]> {
  const [name, ...rest] = before;
  if (name === undefined) {
    return [...plain, ...families].map(({ name, summary }) => ({ value: name, about: summary }));
  }
  const command = plain.find((one) => one.name === name);
  const family = families.find((one) => one.name === name);
  const own = command === undefined ? [] : plainCandidates(command, rest, current);
  if (family === undefined) return [...own];
  const commands = await family.load();
  if (family.isSingle) return await ofCommand(commands[0], rest, current, surroundings);
  const found = commands.find((one) => isPrefix(one.name.split(" "), rest));
  if (found !== undefined) {
    return await ofCommand(found, rest.slice(found.name.split(" ").length), current, surroundings);
  }
  const next = commands.filter((one) => isPrefix(rest, one.name.split(" "))).map((one) => {
    const parts = one.name.split(" ").slice(rest.length);
    return { value: parts[0], about: parts.length === 1 ? one.summary : "" };
  });
  return [...next, ...own];
}

function isPrefix(prefix: readonly string[], words: readonly string[]): boolean {
  return prefix.length <= words.length && prefix.every((word, at) => words[at] === word);
}

function plainCandidates(
  { options = {}, words = [] }: PlainCommand,
  rest: readonly string[],
  current: string,
) {
  if (current.startsWith("-")) return optionCandidates(options);
  return rest.length === 0 ? words : [];
}

async function ofCommand(
  { options, operands = [] }: AdminCommand,
  args: readonly string[],
  current: string,
  surroundings: Pick<Surroundings, "environment">,
): Promise<Candidate[]> {
  let given = 0;
  let pending: string | undefined;
  let nameServers: string | undefined;
  for (const word of args) {
    if (pending !== undefined) {
      if (pending === "namesrv") nameServers = word;
      pending = undefined;
    } else if (word.startsWith("-")) pending = optionThatTakesValue(options, word);
    else given++;
  }
  const ask = (kind: NameKind | undefined) => namesOf(kind, current, nameServers, surroundings);
  if (pending !== undefined) return await valuesOf(pending, options[pending], ask);
  if (current.startsWith("-")) return optionCandidates(options);
  const operand = operands[given] ?? (operands.at(-1)?.isRepeated ? operands.at(-1) : undefined);
  if (operand === undefined) return [];
  if (operand.name.includes("|")) return operand.name.split("|").map((value) => ({ value, about: "" }));
  return await ask(operand.kind);
}

/** The long name of an option whose value is the next word. */
function optionThatTakesValue(options: Options, word: string): string | undefined {
  const found = Object.entries(options).find(([name, { short }]) =>
    word === `--${name}` || word === `-${short}`
  );
  return found !== undefined && found[1].value !== undefined ? found[0] : undefined;
}

async function valuesOf(
  name: string,
  { value = "" }: Option,
  ask: (kind: NameKind | undefined) => Promise<Candidate[]>,
): Promise<Candidate[]> {
  if (/^[a-z|]+$/.test(value)) return value.split("|").map((one) => ({ value: one, about: "" }));
  if (name === "broker" || name === "cluster") return await ask(name);
  return await ask(value === "TOPIC" ? "topic" : undefined);
}

function optionCandidates(options: Options): Candidate[] {
  return Object.entries(options).map(([name, { help }]) => ({
    value: `--${name}`,
    about: help.split("\n")[0],
  }));
}

/** Names from the cluster; none where it can't be reached in time. */
async function namesOf(
  kind: NameKind | undefined,
  current: string,
  nameServers: string | undefined,
  { environment }: Pick<Surroundings, "environment">,
): Promise<Candidate[]> {
  if (kind === undefined) return [];
  const cluster = new Cluster({
    nameServers: nameServers || environment?.NAMESRV_ADDR || "127.0.0.1:9876",
    timeoutMs: NAMES_TIMEOUT_MS,
  });
  try {
    return (await askNames(cluster, kind, current)).map((value) => ({ value, about: kind })).sort((a, b) => {
      return a.value < b.value ? -1 : 1;
    });
  } catch {
    return [];
  } finally {
    cluster.close();
  }
}

async function askNames(cluster: Cluster, kind: NameKind, current: string): Promise<string[]> {
  switch (kind) {
    case "topic": {
      const reserved = await reservedNames(cluster);
      const topics = await cluster.askNameServer((nameServer) => nameServer.topics());
      // Typing the first letters of others still finds them.
      return topics.filter((topic) => current !== "" || kindOfTopic(topic, reserved) === "user");
    }
    case "cluster":
      return [...(await cluster.info()).clusterAddrTable.keys()];
    case "broker":
      return [...(await cluster.info()).brokerAddrTable.keys()];
    case "group": {
      const answers = await cluster.each(await cluster.readers(), groupConfigs);
      return [...new Set(answers.flatMap(([, configs]) => [...configs.keys()]))];
    }
  }
}
