// SPDX-License-Identifier: Apache-2.0
/** Runs one command of the administrators' families, from its arguments to its exit status. */
import { nearestName } from "../../config/near_name.ts";
import { UsageError } from "../args.ts";
import type { Surroundings } from "../command.ts";
import { parseDuration } from "../time_text.ts";
import { AllFailedError, Cluster, type Failure } from "./cluster.ts";
import type { AdminCommand, Family } from "./command.ts";
import { commandHelp, familyHelp } from "./help.ts";
import { Output, ReaderGoneError } from "./output.ts";
import { sentenceOf } from "./sentences.ts";

const DEFAULT_NAME_SERVERS = "127.0.0.1:9876";
const DEFAULT_TIMEOUT_MS = 5000;

/**
 * `rmq FAMILY COMMAND …`, or `rmq FAMILY …` for a family of one.
 * @returns the exit status
 */
export async function runFamily(
  family: Family,
  args: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  const commands = await family.load();
  if (family.isSingle) return await runCommand(family.name, commands[0], args, surroundings);
  const [name, ...rest] = args;
  if (name === undefined) {
    surroundings.complain(familyHelp(family, commands));
    return 1;
  }
  if (name === "help" || name === "-h" || name === "--help") {
    surroundings.print(familyHelp(family, commands));
    return 0;
  }
  // `config get` is two words.
  const found = commands.find((command) => command.name === name) ??
    commands.find((command) => command.name === `${name} ${rest[0]}`);
  if (found === undefined) {
    const names = commands.map((command) => command.name);
    const near = nearestName(name, names);
    const hint = near === undefined
      ? `It does ${names.join(", ")}.`
      : `Is \`rmq ${family.name} ${near}\` meant?`;
    surroundings.complain(`rmq ${family.name}: ${name} is nothing that it does. ${hint}\n`);
    return 1;
  }
  const words = found.name.split(" ").length;
  return await runCommand(`${family.name} ${found.name}`, found, args.slice(words), surroundings);
}

/** @param path the words after `rmq` that lead to the command */
export async function runCommand(
  path: string,
  command: AdminCommand,
  args: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  const { complain, print } = surroundings;
  let cluster: Cluster | undefined;
  try {
    const { given, operands } = command.parse(args);
    if (given.help) return print(commandHelp(path, command)), 0;
    cluster = new Cluster({
      nameServers: given.namesrv || surroundings.environment?.NAMESRV_ADDR || DEFAULT_NAME_SERVERS,
      timeoutMs: timeoutOf(given.timeout),
    });
    const out = new Output(surroundings, given.json ?? false);
    const status = await command.run({ given, operands, cluster, out, surroundings }) ?? 0;
    tellFailures(cluster.failures, path, surroundings);
    return status === 0 && cluster.failures.length > 0 ? 1 : status;
  } catch (error) {
    if (error instanceof ReaderGoneError) return 0;
    if (error instanceof AllFailedError) {
      tellFailures(cluster!.failures, path, surroundings);
      return 1;
    }
    complain(`rmq ${path}: ${sentenceOf(error)}\n`);
    if (error instanceof UsageError) complain(`Try \`rmq ${path} --help\`.\n`);
    return 1;
  } finally {
    cluster?.close();
  }
}

function timeoutOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_TIMEOUT_MS;
  const ms = parseDuration(text);
  if (!ms) throw new UsageError(`--timeout takes a time such as 10s, not ${text}.`);
  return ms;
}

function tellFailures(failures: readonly Failure[], path: string, { complain }: Surroundings): void {
  for (const { peer, address, error } of failures) {
    const who = peer === address ? peer : `${peer} (${address})`;
    complain(`rmq ${path}: ${who}: ${error}\n`);
  }
}
