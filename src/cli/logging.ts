// SPDX-License-Identifier: Apache-2.0
/**
 * Where logs go: warnings to the standard error output, and everything from `info` on to files that are named and
 * rolled as Apache's are. Rooms only say what they have to say, by category.
 */
import { accessSync, constants, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { inspect } from "node:util";
import { getRotatingFileSink } from "@logtape/file";
import {
  configure,
  getJsonLinesFormatter,
  getTextFormatter,
  isLogLevel,
  type LoggerConfig,
  type LogLevel,
  type Sink,
  type TextFormatter,
  withFilter,
} from "@logtape/logtape";
import { type Option, UsageError } from "./args.ts";
import type { Surroundings } from "./command.ts";

export const logOptions = {
  "log-level": {
    value: "LEVEL",
    help: "How much to log: debug, info, warning, error (default: info to files, warning to standard error)",
  },
  "log-dir": {
    value: "DIR",
    help: "Directory of log files, or none (default: RMQ_LOG_DIR, or ~/logs/rocketmqlogs)",
  },
  "log-format": { value: "FORMAT", help: "Lines of log files: text (default) or json" },
  "log-size": { value: "MB", help: "A log file is rolled when it has so many megabytes (default 100)" },
  "log-files": { value: "COUNT", help: "So many rolled files are kept of each (default 10)" },
} as const satisfies Readonly<Record<string, Option>>;

export type LogOptions = { readonly [N in keyof typeof logOptions]?: string };

/** Whose logs they are: it names the file of everything that has no file of its own. */
export type LogRole = "broker" | "namesrv";

/** Categories with a file of their own. [RMQ rmq.broker.logback.xml] */
const OWN_FILES: Readonly<Record<string, string>> = {
  store: "store.log",
  remoting: "remoting.log",
  pop: "pop.log",
  replication: "replication.log",
};
const NO_FILES = "none";
const DEFAULT_FILE_MB = 100;
const DEFAULT_FILE_COUNT = 10;

/** @throws UsageError for an option's value that can't be */
export async function configureLogging(
  given: LogOptions,
  role: LogRole,
  { complain, logDirectory }: Pick<Surroundings, "complain" | "logDirectory">,
): Promise<void> {
  const level = levelOf(given["log-level"]);
  const files = filesOf(given);
  const directory = directoryOf(given["log-dir"] ?? logDirectory);
  const toErrors = textFormat();
  const errors: Sink = (record) => complain(toErrors(record));
  const sinks: Record<string, Sink> = { errors: withFilter(errors, level ?? "warning") };
  const problem = directory === undefined ? undefined : unusable(directory);
  if (directory !== undefined && problem === undefined) {
    for (const name of [`${role}.log`, ...Object.values(OWN_FILES)]) {
      sinks[name] = files(join(directory, name));
    }
  }
  const hasFiles = Object.keys(sinks).length > 1;
  const lowestLevel = level ?? (hasFiles ? "info" : "warning");
  const own = hasFiles
    ? Object.entries(OWN_FILES).map(([room, file]): LoggerConfig<string, string> => ({
      ...{ category: ["rmq", room], lowestLevel, parentSinks: "override" },
      sinks: ["errors", file],
    }))
    : [];
  await configure({
    sinks,
    loggers: [
      { category: "rmq", lowestLevel, sinks: hasFiles ? ["errors", `${role}.log`] : ["errors"] },
      ...own,
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["errors"] },
    ],
    reset: true,
  });
  if (problem !== undefined) complain(`no log files are written: ${problem}\n`);
}

/** The directory that the process uses unless told: RMQ_LOG_DIR, or Apache's. */
export function usualLogDirectory(): string {
  return process.env.RMQ_LOG_DIR || join(homedir(), "logs", "rocketmqlogs");
}

function directoryOf(given: string | undefined): string | undefined {
  return given === undefined || given === NO_FILES ? undefined : resolve(given);
}

/** Makes the directory. @returns why no files can be written there */
function unusable(directory: string): string | undefined {
  try {
    mkdirSync(directory, { recursive: true });
    accessSync(directory, constants.W_OK);
    return undefined;
  } catch (error) {
    return `${directory}: ${
      (error as Error).message
    }. Choose another directory with --log-dir, or --log-dir none`;
  }
}

function filesOf(given: LogOptions): (path: string) => Sink {
  const format = given["log-format"] ?? "text";
  if (format !== "text" && format !== "json") {
    throw new UsageError(`--log-format takes text or json, not ${format}.`);
  }
  const maxSize = numberOf(given, "log-size", DEFAULT_FILE_MB) * 1024 * 1024;
  const maxFiles = numberOf(given, "log-files", DEFAULT_FILE_COUNT);
  const formatter = format === "json" ? getJsonLinesFormatter() : textFormat();
  // Unbuffered: what a process said last before it died is what one wants to read.
  return (path) => {
    let sink: Sink | undefined;
    return (record) =>
      (sink ??= getRotatingFileSink(path, { formatter, maxSize, maxFiles, bufferSize: 0 }))(record);
  };
}

function numberOf(given: LogOptions, name: "log-size" | "log-files", fallback: number): number {
  const text = given[name];
  if (text === undefined) return fallback;
  if (!/^[1-9][0-9]{0,5}$/.test(text)) {
    throw new UsageError(`--${name} takes a whole number from 1, not ${text}.`);
  }
  return Number(text);
}

function levelOf(text: string | undefined): LogLevel | undefined {
  const level = text?.toLowerCase();
  if (level !== undefined && !isLogLevel(level)) {
    throw new UsageError(`--log-level takes debug, info, warning or error, not ${text}.`);
  }
  return level;
}

function textFormat(): TextFormatter {
  return getTextFormatter({
    timestamp: "date-time",
    timeZone: null,
    value: (value: unknown) => (typeof value === "string" ? value : inspect(value)),
  });
}
