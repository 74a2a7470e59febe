// SPDX-License-Identifier: Apache-2.0
/**
 * The whole broker as `startBroker` puts it together, on a disk in memory and with a clock moved by hand. Only sockets
 * are missing: requests are handed to the dispatch that a server would get.
 */
import { setImmediate } from "node:timers";
import { type RunningBroker, startBroker } from "../../src/broker/broker.ts";
import { type LiveConfig } from "../../src/broker/handlers/admin_config.ts";
import { liveConfig } from "../../src/cli/live_config.ts";
import { loadBrokerConfiguration } from "../../src/config/broker_config.ts";
import type { BrokerSettings } from "../../src/config/broker_settings.ts";
import { sourceOfPairs } from "../../src/config/sources.ts";
import type { Network } from "../../src/replication/mod.ts";
import type { Response } from "../../src/remoting/command.ts";
import type { Dispatch } from "../../src/remoting/dispatch.ts";
import type { StoreReader } from "../../src/store/inspect/reader.ts";
import type { ManualClock } from "./manual_clock.ts";
import { type IncomingRequest, MemoryConnection } from "./memory_connection.ts";
import type { MemoryFiles } from "./memory_files.ts";

export const STORE = "/store";

/** A network in which nobody else is. */
const NO_SLAVES: Network = {
  connect: () => Promise.reject(new Error("nobody is there")),
  listen: (_host, port) => Promise.resolve({ port, close: () => Promise.resolve() }),
};

/** A configuration, read once for all starts. */
export interface MemoryBrokerConfig {
  settings: BrokerSettings;
  live: LiveConfig;
  blackList: readonly string[];
}

/** @param pairs the broker's configuration, `key=value` in Apache's names */
export function memoryBrokerConfig(pairs: readonly string[] = []): MemoryBrokerConfig {
  const { configuration } = loadBrokerConfiguration({
    overriding: [sourceOfPairs("test", [
      "bindAddress=127.0.0.1",
      "brokerIP1=127.0.0.1",
      "brokerName=broker-a",
      `storePathRootDir=${STORE}`,
      "mappedFileSizeCommitLog=1048576",
      "mappedFileSizeConsumeQueue=2000",
      "maxHashSlotNum=100",
      "maxIndexNum=400",
      ...pairs,
    ])],
  });
  const { settings, blackList } = configuration;
  return { settings, blackList, live: liveConfig(configuration, () => Date.now()) };
}

export class MemoryBroker {
  #running: RunningBroker;
  #dispatch: Dispatch;
  #files: MemoryFiles;
  #clock: ManualClock;
  #connection = new MemoryConnection();

  /** @returns undefined when the process has ended on the way @throws what `startBroker` throws while it lives */
  static async start(
    config: MemoryBrokerConfig,
    files: MemoryFiles,
    clock: ManualClock,
  ): Promise<MemoryBroker | undefined> {
    let dispatch: Dispatch | undefined;
    const starting = startBroker({
      settings: () => config.settings,
      config: config.live,
      configBlackList: config.blackList,
      files,
      clock,
      listen: (options) => {
        // the first port serves everything, the second one less
        dispatch ??= options.dispatch;
        return Promise.resolve({ port: options.port, close: () => Promise.resolve() });
      },
      replicationNetwork: NO_SLAVES,
    });
    const outcome = await endOf(starting, files);
    if (files.isDead) return undefined;
    if (outcome instanceof Error) throw outcome;
    return new MemoryBroker(outcome!, dispatch!, files, clock);
  }

  private constructor(running: RunningBroker, dispatch: Dispatch, files: MemoryFiles, clock: ManualClock) {
    this.#running = running;
    this.#dispatch = dispatch;
    this.#files = files;
    this.#clock = clock;
  }

  /** The answer, if it comes while the process lives. */
  async ask(request: IncomingRequest): Promise<Response | undefined> {
    const response = await this.#connection.ask(this.#dispatch, request);
    return this.#files.isDead ? undefined : response;
  }

  /** The same for a request that is answered within a few turns, or not at all as its process is dead. */
  async askSoon(request: IncomingRequest): Promise<Response | undefined> {
    let response: Response | undefined;
    void this.ask(request).then((given) => response = given);
    for (let count = 0; count < 50 && response === undefined && !this.#files.isDead; count++) {
      await turnEnds();
    }
    return response;
  }

  /** Stops in order, unless the process ends before. @throws what `stop` throws while it lives */
  async stop(): Promise<void> {
    const outcome = await endOf(this.#running.stop(), this.#files, () => this.#clock.advance(10));
    if (outcome instanceof Error && !this.#files.isDead) throw outcome;
  }
}

/** What a promise comes to, an error included; undefined when the process ends first. */
async function endOf<T>(
  work: Promise<T>,
  files: MemoryFiles,
  onTurn = () => {},
): Promise<T | Error | undefined> {
  let ended: { value: T | Error } | undefined;
  work.then((value) => ended = { value }, (error) => ended = { value: error });
  while (ended === undefined && !files.isDead) {
    onTurn();
    await turnEnds();
  }
  return (ended as { value: T | Error } | undefined)?.value;
}

export function turnEnds(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A store on this disk, for those who only look at it. */
export function memoryReader(files: MemoryFiles): StoreReader {
  return {
    list: (directory: string) => files.list(directory),
    stat: (path: string) => files.stat(path),
    read: (path: string) => files.read(path),
    readAt(path: string, target: Uint8Array, position: number) {
      const file = files.open(path);
      try {
        return file.readAt(target, position);
      } finally {
        file.close();
      }
    },
    close() {},
  };
}
