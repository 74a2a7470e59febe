// SPDX-License-Identifier: Apache-2.0
import { join, resolve } from "node:path";
import { getLogger } from "@logtape/logtape";
import { brokerKeys, loadBrokerConfiguration } from "../config/broker_config.ts";
import { loadNameServerConfiguration, nameServerRoleKeys } from "../config/name_server_config.ts";
import type { Source } from "../config/resolve.ts";
import { sourceOfKey, sourceOfPairs } from "../config/sources.ts";
import { describeOptions, parseOptions } from "./args.ts";
import { runBroker } from "./broker.ts";
import type { Command } from "./command.ts";
import { configureLogging, logOptions } from "./logging.ts";
import { runNameServer } from "./namesrv.ts";

const logger = getLogger(["rmq", "config"]);

const options = {
  store: { value: "DIR", help: "Directory of everything that is kept (default ./data)" },
  configFile: { short: "c", value: "FILE", help: "Configuration file of the broker" },
  set: {
    value: "KEY=VALUE",
    multiple: true,
    help: "Set a key, of the broker or of the name server; may be repeated",
  },
  "namesrv-port": { value: "PORT", help: "Port of the name server (default 9876)" },
  ...logOptions,
  help: { short: "h", help: "Print this text" },
} as const;

export const standaloneCommand: Command = {
  summary: "Run a name server and one broker in one process, for development",
  options,
  help: `Runs a name server and one broker in one process: all that clients on this machine need.

  rmq standalone [options]

${describeOptions(options)}
Clients connect to 127.0.0.1:9876. For clients on other machines set brokerIP1 to the address of this one.
listenPort is the broker's: --set listenPort=20911.
`,
  async run(args, surroundings) {
    const given = parseOptions(options, args);
    if (given.help) return surroundings.print(standaloneCommand.help), 0;
    await configureLogging(given, "broker", surroundings);
    const sets = sourceOfPairs("--set", given.set);
    // Checked before anything is started; the name server's port is known only then.
    const draft = brokerConfiguration(given, sets, "127.0.0.1:9876");
    const nameServerDirectory = join(draft.settings.storeDirectory, "namesrv");
    const nameServerConfig = nameServerConfiguration(nameServerDirectory, sets, given["namesrv-port"]);
    for (const warning of new Set([...nameServerConfig.warnings, ...draft.warnings])) {
      logger.warn("{warning}", { warning });
    }
    const nameServer = await runNameServer(nameServerConfig, surroundings);
    try {
      const broker = await runBroker(
        brokerConfiguration(given, sets, `127.0.0.1:${nameServer.port}`),
        surroundings,
      );
      surroundings.ready?.("name server and broker serve");
      await surroundings.stopRequested;
      await broker.stop();
    } finally {
      await nameServer.stop();
    }
    return 0;
  },
};

function nameServerConfiguration(directory: string, sets: Source, port: string | undefined) {
  const entries = [
    { key: "kvConfigPath", value: join(directory, "kvConfig.json") },
    { key: "configStorePath", value: join(directory, "namesrv.properties") },
  ];
  const own = { ...sets, entries: sets.entries.filter(({ key }) => isForNameServer(key)) };
  return loadNameServerConfiguration({
    presets: { name: "standalone", entries },
    overriding: [own, ...port === undefined ? [] : [sourceOfKey("--namesrv-port", "listenPort", port)]],
  }).configuration;
}

function brokerConfiguration(
  given: { store?: string; configFile?: string },
  sets: Source,
  nameServer: string,
) {
  const entries = [
    { key: "storePathRootDir", value: resolve("data") },
    { key: "brokerIP1", value: "127.0.0.1" },
    { key: "brokerIP2", value: "127.0.0.1" },
  ];
  const own = { ...sets, entries: sets.entries.filter(({ key }) => isForBroker(key)) };
  return loadBrokerConfiguration({
    presets: { name: "standalone", entries },
    file: given.configFile,
    overriding: [
      own,
      ...given.store === undefined ? [] : [sourceOfKey("--store", "storePathRootDir", resolve(given.store))],
      sourceOfKey("standalone", "namesrvAddr", nameServer),
    ],
  }).configuration;
}

/** Keys that both roles know are set for both, but for the ports. */
function isForNameServer(key: string): boolean {
  return Object.hasOwn(nameServerRoleKeys, key) && key !== "listenPort";
}

function isForBroker(key: string): boolean {
  return Object.hasOwn(brokerKeys, key) || !isForNameServer(key);
}
