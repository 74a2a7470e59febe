// SPDX-License-Identifier: Apache-2.0
import { basename, dirname, join, resolve } from "node:path";
import { readdirSync } from "node:fs";
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { loadBrokerConfiguration } from "../../config/broker_config.ts";
import { loadNameServerConfiguration } from "../../config/name_server_config.ts";
import { type Options, UsageError } from "../args.ts";
import { nameServerRunDirectory, processOf } from "../running.ts";
import { parseDuration } from "../time_text.ts";
import { adminCommand, type Context, numberOption } from "./command.ts";

const DEFAULT_WAIT_MS = 60_000;
const POLL_MS = 50;

const waitOption = {
  "wait-time": { value: "TIME", help: "How long to wait until it has ended (default 60s)" },
} as const satisfies Options;

const fileOption = {
  configFile: { short: "c", value: "FILE", help: "The configuration file that it was started with" },
} as const satisfies Options;

const broker = adminCommand({
  name: "broker",
  summary: "Stop the broker that has a store on this machine, and wait until it has ended",
  help:
    "It is found by the lock of its store, so the store must be said where it is not ~/store; Apache's brokers are " +
    "found, too. The broker says goodbye to name servers, answers what is under way, and writes everything down. Where several brokers run in one process, all of them end. Its pid also stands in STORE/rmq/broker.pid.",
  options: {
    ...fileOption,
    store: { value: "DIR", help: "Its store (default: storePathRootDir of --configFile, else ~/store)" },
    ...waitOption,
  },
  examples: [
    ["shutdown broker", "the broker on ~/store"],
    ["shutdown broker -c /etc/rmq/broker-a.properties", "the one that was started with this file"],
  ],
  isLocal: true,
  json: `{"role", "pid", "lock"}`,
  async run(context) {
    const { given } = context;
    if (given.store !== undefined && given.configFile !== undefined) {
      throw new UsageError("--store and --configFile exclude each other.");
    }
    const store = given.store !== undefined
      ? resolve(given.store)
      : loadBrokerConfiguration({ file: given.configFile }).configuration.settings.storeDirectory;
    const lock = join(store, "lock");
    const pid = await processOf(lock);
    if (pid === undefined) {
      throw new Error(
        `no broker has the store ${store}. Say which one is meant with --store or --configFile.`,
      );
    }
    return await stop(context, "broker", pid, lock, given["wait-time"]);
  },
});

const namesrv = adminCommand({
  name: "namesrv",
  summary: "Stop the name server of this machine, and wait until it has ended",
  help:
    "It is found by the lock that it keeps beside its table of keys (kvConfigPath), in rmq-namesrv-PORT; its pid stands " +
    "there, too. Apache's name servers leave none.",
  options: {
    ...fileOption,
    port: { value: "PORT", help: "Its port, where several share a directory (kvConfigPath)" },
    ...waitOption,
  },
  examples: [
    ["shutdown namesrv", "the one that runs with the defaults"],
    ["shutdown namesrv --port 9877", "one of several"],
  ],
  isLocal: true,
  json: `{"role", "pid", "lock"}`,
  async run(context) {
    const { given } = context;
    const { settings } = loadNameServerConfiguration({ file: given.configFile }).configuration;
    const port = given.port === undefined
      ? undefined
      : numberOption("--port", given.port, 0, { max: 65_535 });
    const running = [];
    for (const candidate of port === undefined ? portsIn(settings.kvTableFile) : [port]) {
      const lock = join(nameServerRunDirectory(settings.kvTableFile, candidate), "lock");
      const pid = await processOf(lock);
      if (pid !== undefined) running.push({ port: candidate, pid, lock });
    }
    if (running.length > 1) {
      const ports = running.map((one) => one.port).join(", ");
      throw new UsageError(
        `several name servers run here, on the ports ${ports}: say which one with --port.`,
      );
    }
    if (running.length === 0) {
      const which = port === undefined ? "name server" : `name server on port ${port}`;
      throw new Error(
        `no ${which} runs with the table ${settings.kvTableFile}. Say which one with --configFile.`,
      );
    }
    return await stop(context, "name server", running[0].pid, running[0].lock, given["wait-time"]);
  },
});

/** Ports of name servers that left their mark beside a table. */
function portsIn(kvTableFile: string): number[] {
  try {
    return readdirSync(dirname(kvTableFile)).flatMap((name) => {
      const port = /-([0-9]+)$/.exec(name)?.[1];
      const isMark = port !== undefined &&
        basename(nameServerRunDirectory(kvTableFile, Number(port))) === name;
      return isMark ? [Number(port)] : [];
    });
  } catch {
    return [];
  }
}

async function stop(
  { out, surroundings }: Pick<Context, "out" | "surroundings">,
  role: string,
  pid: number,
  lock: string,
  waitTime: string | undefined,
): Promise<void> {
  const waitMs = waitTime === undefined ? DEFAULT_WAIT_MS : parseDuration(waitTime);
  if (waitMs === undefined) throw new UsageError(`--wait-time takes a time such as 60s, not ${waitTime}.`);
  if (pid <= 0) {
    throw new Error(`${lock} is held by a process that can't be seen from here: of another container?`);
  }
  if (pid === process.pid) throw new Error(`the ${role} runs in this very process.`);
  signal(role, pid, "SIGTERM");
  const endMs = performance.now() + waitMs;
  while (signal(role, pid, 0)) {
    if (performance.now() >= endMs) {
      throw new Error(
        `the ${role} (process ${pid}) has not ended within ${waitMs / 1000} s of SIGTERM; it may still.`,
      );
    }
    surroundings.showProgress?.(`waiting for process ${pid} to end`);
    await setTimeout(POLL_MS);
  }
  surroundings.showProgress?.("");
  if (out.isJson) await out.json({ role, pid, lock });
  else await out.line(`The ${role} (process ${pid}) has ended.`);
}

/** @returns false when there is no such process (any more) */
function signal(role: string, pid: number, what: "SIGTERM" | 0): boolean {
  try {
    process.kill(pid, what);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ESRCH") return false;
    if (code === "EPERM") {
      throw new Error(`the ${role} is process ${pid} of another user: stop it as that user.`);
    }
    throw error;
  }
}

export const shutdownCommands = [broker, namesrv];
