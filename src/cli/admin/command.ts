// SPDX-License-Identifier: Apache-2.0
import { type Given, type Option, type Options, parseCommandLine, UsageError } from "../args.ts";
import type { Surroundings } from "../command.ts";
import type { Cluster } from "./cluster.ts";
import type { Output } from "./output.ts";

/** What stands on a command line without a name. */
export interface Operand {
  /** As help texts show it, in capitals. */
  readonly name: string;
  readonly isOptional?: true;
  /** It may be given more than once; the last operand only. */
  readonly isRepeated?: true;
  /** What a shell completes it with. */
  readonly kind?: NameKind;
}

/** Names that a cluster knows. */
export type NameKind = "topic" | "group" | "broker" | "cluster";

/** Options of all commands that ask a cluster. */
export const clusterOptions = {
  namesrv: {
    short: "n",
    value: "ADDRS",
    help: "Name servers, host:port with ; between them\n(default NAMESRV_ADDR, else 127.0.0.1:9876)",
  },
  timeout: { value: "TIME", help: "How long each answer may take, such as 10s (default 5s)" },
  json: { help: "JSON instead of text" },
} as const satisfies Options;

/** Which brokers are meant. */
export const brokerOptions = {
  cluster: { short: "c", value: "NAME", help: "Brokers of this cluster only" },
  broker: { short: "b", value: "NAME", help: "This broker only, by its name or its address" },
} as const satisfies Options;

/** Of commands that destroy something. */
export const yesOption = {
  yes: { short: "y", help: "Don't ask" },
} as const satisfies Options;

export const helpOption = { short: "h", help: "Print this text" } as const satisfies Option;

type CommonOptions = typeof clusterOptions & { help: typeof helpOption };

/** What a command works with. */
export interface Context<O extends Options = Options> {
  readonly given: Given<O & CommonOptions>;
  readonly operands: readonly string[];
  readonly cluster: Cluster;
  readonly out: Output;
  readonly surroundings: Surroundings;
}

/** One thing that an administrator can do. All texts end up in help, documentation and completion. */
export interface CommandSpec<O extends Options> {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** Further sentences. */
  readonly help?: string;
  readonly operands?: readonly Operand[];
  readonly options?: O;
  /** Command lines without `rmq`, and what they do. */
  readonly examples: readonly (readonly [line: string, effect: string])[];
  /** The shape of what `--json` prints. Keys are promised to stay; absent where there is no JSON. */
  readonly json?: string;
  /** It asks no cluster. */
  readonly isLocal?: true;
  /** @returns the exit status where it is not 0; failures of single brokers make it 1 by themselves */
  run(context: Context<O>): Promise<number | void>;
}

/** The part of JSON answers that tells who could not be asked. */
export const FAILURES = '"failures": [{"peer", "address", "error"}]';

/** A command whose options are no longer known to the compiler. */
export interface AdminCommand extends Omit<CommandSpec<Options>, "run"> {
  readonly options: Options;
  parse(args: readonly string[]): { given: Given<CommonOptions>; operands: string[] };
  run(context: Context): Promise<number | void>;
}

export function adminCommand<const O extends Options = Record<never, never>>(
  spec: CommandSpec<O>,
): AdminCommand {
  const { json, ...common } = clusterOptions;
  const options = {
    ...spec.options,
    ...spec.isLocal ? {} : common,
    ...spec.json === undefined ? {} : { json },
    help: helpOption,
  };
  const operands = spec.operands ?? [];
  return {
    ...spec,
    options,
    parse(args) {
      const isOpen = operands.at(-1)?.isRepeated ?? false;
      const parsed = parseCommandLine(options, args, isOpen ? Infinity : operands.length);
      const missing = operands.slice(parsed.operands.length).find(({ isOptional }) => !isOptional);
      const given = parsed.given as Given<CommonOptions>;
      if (missing !== undefined && !given.help) throw new UsageError(`${missing.name} is missing.`);
      return { given, operands: parsed.operands };
    },
    run: (context) => spec.run(context as unknown as Context<O>),
  };
}

/** Commands that are about the same thing: `rmq NAME COMMAND`. */
export interface Family {
  readonly name: string;
  /** One line for `rmq --help`. */
  readonly summary: string;
  /** Imported when it is needed, so that servers start without it. */
  load(): Promise<readonly AdminCommand[]>;
  /** The family is one command: `rmq NAME`. */
  readonly isSingle?: true;
}

/** A whole number in bounds. @throws UsageError */
export function numberOption(
  option: string,
  text: string | undefined,
  fallback: number,
  { min = 0, max = Number.MAX_SAFE_INTEGER } = {},
): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!/^-?[0-9]+$/.test(text) || !(value >= min && value <= max)) {
    const bounds = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new UsageError(`${option} takes a whole number ${bounds}, not ${text}.`);
  }
  return value;
}
