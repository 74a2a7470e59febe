// SPDX-License-Identifier: Apache-2.0
import { basename, join, resolve } from "node:path";
import { getLogger } from "@logtape/logtape";
import { type RunningBroker, startBroker } from "../broker/broker.ts";
import { loadBrokerConfiguration } from "../config/broker_config.ts";
import type { BrokerSettings } from "../config/broker_settings.ts";
import type { Configuration } from "../config/configuration.ts";
import { sourceOfKey, sourceOfPairs } from "../config/sources.ts";
import { describeOptions, type Given, parseOptions, UsageError } from "./args.ts";
import type { Command, Surroundings } from "./command.ts";
import { liveConfig } from "./live_config.ts";
import { configureLogging, logOptions } from "./logging.ts";
import { markBroker } from "./running.ts";

const logger = getLogger(["rmq", "config"]);

const options = {
  configFile: {
    short: "c",
    value: "FILE",
    multiple: true,
    help:
      "Configuration file (Java properties, the keys of Apache RocketMQ). Given more than once: a broker for\n" +
      "each, in one process, each with a thread of its own; they need stores and ports of their own",
  },
  namesrvAddr: {
    short: "n",
    value: "ADDRS",
    help: "Name servers, host:port with ; between them; wins over everything",
  },
  set: { value: "KEY=VALUE", multiple: true, help: "Set a key; wins over the file; may be repeated" },
  printConfigItem: { short: "p", help: "Print all keys with their values, and exit" },
  printImportantConfig: { short: "m", help: "Print the important keys only, and exit" },
  "give-up-slave-log": {
    help:
      "Start a master with its log as it is, even if a slave has messages beyond it: they are\ngiven up (docs/cluster.md)",
  },
  "enable-proxy": { help: "Refused: the gRPC proxy is not built" },
  ...logOptions,
  help: { short: "h", help: "Print this text" },
} as const;

export const brokerCommand: Command = {
  summary: "Run a broker: a master, or a slave",
  options,
  help: `Runs a broker: it stores messages and gives them to consumers.

  rmq broker [options]

${describeOptions(options)}
It listens on port 10911, and on 10909 for older clients, unless listenPort says otherwise; messages are kept in
~/store unless storePathRootDir does. Without -c, config/broker.properties in the store is read if there is one.
docs/configuration.md lists all keys. SIGTERM and SIGINT end it, and so does \`rmq shutdown broker\`; a second signal
doesn't wait. Brokers that run are asked by \`rmq broker list\`, \`status\`, \`config get\`, \`config set\`, \`drain\`,
\`resume\` and \`clean\`.
`,
  async run(args, surroundings) {
    const given = parseOptions(options, args);
    const { print } = surroundings;
    if (given.help) return print(brokerCommand.help), 0;
    if (given["enable-proxy"]) {
      throw new UsageError(
        "--enable-proxy is refused: the gRPC proxy of RocketMQ 5 is not built. Clients that speak remoting (Java " +
          "4.x and 5.x rocketmq-client, Go, C++, Node) connect to the broker directly.",
      );
    }
    if (given.configFile.length > 1) return await runSeveral(given, surroundings);
    await configureLogging(given, "broker", surroundings);
    const [file] = given.configFile;
    const { configuration, readFile } = loadBrokerConfiguration({
      file,
      overriding: [
        sourceOfPairs("--set", given.set),
        ...given.namesrvAddr === undefined ? [] : [sourceOfKey("-n", "namesrvAddr", given.namesrvAddr)],
      ],
    });
    for (const warning of configuration.warnings) logger.warn("{warning}", { warning });
    if (given.printConfigItem) return print(configuration.print("all")), 0;
    if (given.printImportantConfig) return print(configuration.print("important")), 0;
    if (file === undefined && readFile !== undefined) {
      print(`load config properties file OK, ${readFile}\n`);
    }
    if (given["give-up-slave-log"] && configuration.settings.brokerRole === "SLAVE") {
      throw new UsageError(
        "--give-up-slave-log is for a master. To have a slave begin anew, move its store away and start it.",
      );
    }
    const broker = await runBroker(configuration, surroundings, given["give-up-slave-log"]);
    surroundings.ready?.(`broker ${broker.name} serves at ${broker.address}`);
    await surroundings.stopRequested;
    await broker.stop();
    return 0;
  },
};

/** A broker for each file. When one of them ends, the others are stopped too: who watches the process starts it again. */
async function runSeveral(given: Given<typeof options>, surroundings: Surroundings): Promise<number> {
  const { inWorker, stopRequested } = surroundings;
  if (given.printConfigItem || given.printImportantConfig) {
    throw new UsageError("-p and -m tell of one configuration: give -c once.");
  }
  const files = new Set(given.configFile.map((file) => resolve(file)));
  if (files.size < given.configFile.length) throw new UsageError("the same file is given twice.");
  if (given["give-up-slave-log"]) {
    throw new UsageError("--give-up-slave-log is for one broker: give -c once.");
  }
  if (inWorker === undefined) throw new UsageError("several brokers can't be run from here: give -c once.");
  const common = [
    ...given.namesrvAddr === undefined ? [] : ["-n", given.namesrvAddr],
    ...given.set.flatMap((pair) => ["--set", pair]),
    ...Object.keys(logOptions).flatMap((name) => {
      const value = given[name as keyof typeof logOptions];
      return value === undefined || name === "log-dir" ? [] : [`--${name}`, value];
    }),
  ];
  // Each in its own directory: two threads can't roll the same file.
  const logDirectory = given["log-dir"] ?? surroundings.logDirectory ?? "none";
  const logDirectoryOf = (file: string) =>
    logDirectory === "none" ? logDirectory : join(logDirectory, basename(file).replace(/\.[^.]*$/, ""));
  let startingCount = files.size;
  const ready = () => {
    if (--startingCount === 0) surroundings.ready?.(`${files.size} brokers serve`);
  };
  const brokers = given.configFile.map((file) => {
    const complain = (text: string) => surroundings.complain(text.replace(/^(?=.)/gm, `${file}: `));
    const logs = ["--log-dir", logDirectoryOf(file)];
    return inWorker(["broker", "-c", file, ...common, ...logs], { ...surroundings, complain, ready });
  });
  const ends = brokers.map(({ ended }) => ended);
  await Promise.race([stopRequested, ...ends]);
  for (const broker of brokers) broker.stop();
  return Math.max(...await Promise.all(ends));
}

/** Starts it, leaves its pid for tools, and says so as Apache does. @param givesUpSlaveLog what a slave has beyond the master's log is given up */
export async function runBroker(
  configuration: Configuration<BrokerSettings>,
  { print }: Pick<Surroundings, "print">,
  givesUpSlaveLog = false,
): Promise<RunningBroker> {
  const broker = await startBroker({
    settings: () => configuration.settings,
    config: liveConfig(configuration),
    configBlackList: configuration.blackList,
    givesUpSlaveLog,
  });
  const mark = markBroker(configuration.settings.storeDirectory);
  const nameServers = configuration.entries.get("namesrvAddr");
  print(
    `The broker[${broker.name}, ${broker.address}] boot success. serializeType=JSON` +
      `${nameServers ? ` and name server is ${nameServers}` : ""}\n`,
  );
  const stop = async () => {
    await broker.stop();
    mark.remove();
  };
  return { ...broker, stop };
}
