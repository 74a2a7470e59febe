// SPDX-License-Identifier: Apache-2.0
import { getLogger } from "@logtape/logtape";
import type { Configuration } from "../config/configuration.ts";
import { loadNameServerConfiguration } from "../config/name_server_config.ts";
import type { NameServerSettings } from "../config/name_server_settings.ts";
import { sourceOfPairs } from "../config/sources.ts";
import { type NameServer, startNameServer } from "../namesrv/name_server.ts";
import { describeOptions, parseOptions } from "./args.ts";
import type { Command, Surroundings } from "./command.ts";
import { liveConfig } from "./live_config.ts";
import { configureLogging, logOptions } from "./logging.ts";
import { markNameServer } from "./running.ts";

const logger = getLogger(["rmq", "config"]);

const options = {
  configFile: {
    short: "c",
    value: "FILE",
    help: "Configuration file (Java properties, the keys of Apache RocketMQ)",
  },
  set: { value: "KEY=VALUE", multiple: true, help: "Set a key; wins over the file; may be repeated" },
  printConfigItem: { short: "p", help: "Print all keys with their values, and exit" },
  namesrvAddr: { short: "n", value: "ADDRS", help: "Accepted as Apache does, without effect" },
  ...logOptions,
  help: { short: "h", help: "Print this text" },
} as const;

export const namesrvCommand: Command = {
  summary: "Run a name server",
  options,
  help: `Runs a name server: brokers register with it, clients learn from it where topics are.

  rmq namesrv [options]

${describeOptions(options)}
It listens on port 9876 unless listenPort says otherwise. Without -c, ~/namesrv/namesrv.properties is read if
there is one. SIGTERM and SIGINT end it.
`,
  async run(args, surroundings) {
    const given = parseOptions(options, args);
    const { print } = surroundings;
    if (given.help) return print(namesrvCommand.help), 0;
    await configureLogging(given, "namesrv", surroundings);
    const { configuration, readFile } = loadNameServerConfiguration({
      file: given.configFile,
      overriding: [sourceOfPairs("--set", given.set)],
    });
    for (const warning of configuration.warnings) logger.warn("{warning}", { warning });
    if (given.printConfigItem) return print(configuration.print("all")), 0;
    if (readFile !== undefined) print(`load config properties file OK, ${readFile}\n`);
    const nameServer = await runNameServer(configuration, surroundings);
    surroundings.ready?.("name server serves");
    await surroundings.stopRequested;
    await nameServer.stop();
    return 0;
  },
};

/** Starts it, leaves its mark for `rmq shutdown`, says so as Apache does, and hands it changes of its configuration. */
export async function runNameServer(
  configuration: Configuration<NameServerSettings>,
  { print }: Pick<Surroundings, "print">,
): Promise<NameServer> {
  const nameServer = await listening(configuration);
  configuration.onChange((settings) => nameServer.applySettings(settings));
  const lookup = await listeningForLookups(configuration.settings, nameServer.port).catch(async (error) => {
    await nameServer.stop();
    throw error;
  });
  const mark = await markNameServer(configuration.settings.kvTableFile, nameServer.port);
  print(`The Name Server boot success. serializeType=JSON, address ${nameServer.address}\n`);
  const stop = async () => {
    await lookup?.stop();
    await nameServer.stop();
    mark.remove();
  };
  return { ...nameServer, stop };
}

/** The HTTP server that tells clients the name servers; undefined where none is wanted. */
async function listeningForLookups(settings: NameServerSettings, ownPort: number) {
  const { bindAddress, nsaddrHttpPort } = settings;
  if (nsaddrHttpPort === 0) return undefined;
  // loaded only here: most name servers have no HTTP port, and start sooner without it
  const { httpApp } = await import("../http/app.ts");
  const { listenHttp } = await import("../http/listen.ts");
  const { nameServerList } = await import("../http/name_servers.ts");
  const app = httpApp({ nameServers: nameServerList(settings, ownPort) });
  return await orInUse(listenHttp(app, bindAddress, nsaddrHttpPort), `${bindAddress}:${nsaddrHttpPort}`);
}

async function orInUse<T>(listening: Promise<T>, address: string): Promise<T> {
  try {
    return await listening;
  } catch (error) {
    if ((error as { code?: unknown }).code !== "EADDRINUSE") throw error;
    throw new Error(`the name server can't listen on ${address}: the port is in use`, { cause: error });
  }
}

async function listening(configuration: Configuration<NameServerSettings>): Promise<NameServer> {
  const { settings } = configuration;
  const address = `${settings.bindAddress}:${settings.listenPort}`;
  return await orInUse(startNameServer(settings, { config: liveConfig(configuration) }), address);
}
