// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { brokerKeys, loadBrokerConfiguration } from "../../src/config/broker_config.ts";
import type { BrokerSettings } from "../../src/config/broker_settings.ts";
import { ConfigError } from "../../src/config/config_error.ts";
import type { KeyTable } from "../../src/config/key.ts";
import { sourceOfKey, sourceOfPairs } from "../../src/config/sources.ts";
import { withDirectory } from "./temp_directory.ts";
import { testMachine } from "./test_machine.ts";

/** The configuration that `--set` with these pairs gives on the test machine. */
function load(...pairs: string[]) {
  return loadBrokerConfiguration({ overriding: [sourceOfPairs("--set", pairs)], machine: testMachine })
    .configuration;
}

function settings(...pairs: string[]): BrokerSettings {
  return load(...pairs).settings;
}

function refusal(...pairs: string[]): ConfigError {
  try {
    load(...pairs);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: `not refused: ${pairs}` });
}

test("without a file everything has Apache's default", () => {
  const all = settings();
  assert.equal(all.brokerName, "vm");
  assert.equal(all.clusterName, "DefaultCluster");
  assert.equal(all.advertisedHost, "192.0.2.2");
  assert.deepEqual([all.listenPort, all.vipListenPort, all.haListenPort], [10911, 10909, 10912]);
  assert.equal(all.storeDirectory, "/nowhere/root/store");
  assert.equal(all.commitLogDirectory, "/nowhere/root/store/commitlog");
  assert.equal(all.commitLogFileBytes, 1024 ** 3);
  assert.equal(all.maxMessageBytes, 4 * 1024 ** 2);
  assert.equal(all.flushMode, "ASYNC");
  assert.deepEqual(all.deleteAtHours, [4]);
  assert.equal(all.fileReservedHours, 72);
  assert.equal(all.delayLevelsMs.length, 18);
  assert.equal(all.delayLevelsMs[2], 10_000);
  assert.deepEqual(all.nameServerAddresses, []);
  assert.equal(all.nameServerLookupUrl, undefined);
  assert.equal(all.metadataPageCount, 2000);
  assert.equal(all.connectionMaxIdleMs, 120_000);
  assert.deepEqual(load().warnings, []);
});

test("ports follow listenPort, and 0 leaves them to the system", () => {
  const ports = (
    { listenPort, vipListenPort, haListenPort }: BrokerSettings,
  ) => [listenPort, vipListenPort, haListenPort];
  assert.deepEqual(ports(settings("listenPort=20911")), [20911, 20909, 20912]);
  assert.deepEqual(ports(settings("listenPort=20911", "haListenPort=30000")), [20911, 20909, 30000]);
  assert.deepEqual(ports(settings("listenPort=20911", "haListenPort=0")), [20911, 20909, 20912]);
  assert.deepEqual(ports(settings("listenPort=0")), [0, 0, 0]);
  assert.deepEqual(ports(settings("listenPort=65535")), [65535, 65533, 0]);
});

test("limits that Apache keeps silently are kept", () => {
  assert.equal(settings("registerNameServerPeriod=1").registerIntervalMs, 10_000);
  assert.equal(settings("registerNameServerPeriod=600000").registerIntervalMs, 60_000);
  assert.equal(settings("diskMaxUsedSpaceRatio=100").diskMaxUsedPercent, 95);
  assert.equal(settings("diskSpaceCleanForciblyRatio=0").diskCleanForciblyPercent, 30);
  assert.equal(settings("diskSpaceWarningLevelRatio=99").diskWarningPercent, 90);
  assert.equal(settings("mappedFileSizeConsumeQueue=1001").consumeQueueFileBytes, 1020);
});

test("0 idle seconds mean that connections may be idle for ever", () => {
  assert.equal(settings("serverChannelMaxIdleTimeSeconds=0").connectionMaxIdleMs, Infinity);
});

test("name servers are looked up only where none are given", () => {
  const lookup = "fetchNamesrvAddrByAddressServer=true";
  assert.equal(settings(lookup).nameServerLookupUrl, "http://jmenv.tbsite.net:8080/rocketmq/nsaddr");
  assert.equal(
    settings(lookup, "rmqAddressServerDomain=ns.example:81", "rmqAddressServerSubGroup=x")
      .nameServerLookupUrl,
    "http://ns.example:81/rocketmq/x",
  );
  assert.equal(settings(lookup, "namesrvAddr=a:1").nameServerLookupUrl, undefined);
});

test("the environment replaces defaults, and the file wins over it", () => {
  const machine = {
    ...testMachine,
    environment: { NAMESRV_ADDR: "a:1;b:2", ROCKETMQ_HOME: "/opt/rocketmq" },
  };
  const { configuration } = loadBrokerConfiguration({ machine });
  assert.deepEqual(configuration.settings.nameServerAddresses, ["a:1", "b:2"]);
  assert.equal(configuration.entries.get("rocketmqHome"), "/opt/rocketmq");
  const overriding = [sourceOfPairs("--set", ["namesrvAddr=c:3"])];
  assert.deepEqual(
    loadBrokerConfiguration({ machine, overriding }).configuration.settings.nameServerAddresses,
    ["c:3"],
  );
});

test("a wrong NAMESRV_ADDR is named as what it is", () => {
  const machine = { ...testMachine, environment: { NAMESRV_ADDR: "nowhere" } };
  assert.throws(
    () => loadBrokerConfiguration({ machine }),
    /^ConfigError: default \(\$NAMESRV_ADDR\): namesrvAddr=nowhere must be/,
  );
});

test("presets lose to the file, the file to --set, --set to the command line", () =>
  withDirectory((directory) => {
    const file = join(directory, "broker.conf");
    writeFileSync(file, "brokerName=from-file\nregionId=from-file\nlistenPort=1000\n");
    const { configuration, readFile } = loadBrokerConfiguration({
      presets: {
        name: "presets",
        entries: ["brokerName", "bindAddress"].map((key) => ({ key, value: "from-preset" })),
      },
      file,
      overriding: [
        sourceOfPairs("--set", ["regionId=from-set", "namesrvAddr=a:1"]),
        sourceOfKey("-n", "namesrvAddr", "b:2"),
      ],
      machine: testMachine,
    });
    const { settings } = configuration;
    assert.equal(readFile, file);
    assert.deepEqual(
      [
        settings.bindAddress,
        settings.brokerName,
        settings.listenPort,
        settings.regionId,
        settings.nameServerAddresses,
      ],
      ["from-preset", "from-file", 1000, "from-set", ["b:2"]],
    );
    assert.equal(configuration.entries.get("brokerConfigPath"), file);
  }));

test("all bad keys are told at once, in the file's order, with line, key and what is allowed", () =>
  withDirectory((directory) => {
    const file = join(directory, "broker.conf");
    writeFileSync(
      file,
      "# a comment\nfileReservedTime=two days\n\nlistenPort = 70000\nautoCreateTopicEnable=true \nbrokerRole=MASTER\n" +
        "flushDiskType=SYNC\n",
    );
    const load = () => loadBrokerConfiguration({ file, machine: testMachine });
    assert.throws(load, (error: ConfigError) => {
      assert.equal(
        error.message,
        `${file}:2: fileReservedTime=two days must be a whole number of hours from 0 to 2147483647.\n` +
          `${file}:4: listenPort=70000 must be a port number from 0 to 65535.\n` +
          `${file}:5: autoCreateTopicEnable=true  must be true or false, without blanks around it.\n` +
          `${file}:6: brokerRole=MASTER must be ASYNC_MASTER, SYNC_MASTER or SLAVE.\n` +
          `${file}:7: flushDiskType=SYNC must be ASYNC_FLUSH or SYNC_FLUSH.`,
      );
      assert.deepEqual(error.problems.map(({ key }) => key), [
        "fileReservedTime",
        "listenPort",
        "autoCreateTopicEnable",
        "brokerRole",
        "flushDiskType",
      ]);
      return true;
    });
  }));

test("the last line of a key counts, and only that one is checked", () =>
  withDirectory((directory) => {
    const file = join(directory, "broker.conf");
    writeFileSync(file, "listenPort=x\nlistenPort=1000\n");
    assert.equal(
      loadBrokerConfiguration({ file, machine: testMachine }).configuration.settings.listenPort,
      1000,
    );
  }));

/** Pairs that choose another layout, another role, or a protection that is not there. */
const REFUSED = [
  "brokerRole=SLAVE",
  "brokerId=1",
  "brokerId=-1",
  "enableDLegerCommitLog=true",
  "enableControllerMode=true",
  "enableRemoteEscape=true",
  "inBrokerContainer=true",
  "duplicationEnable=true",
  "storeType=defaultRocksDB",
  "configManagerVersion=v2",
  "useSingleRocksDBForAllConfigs=true",
  "rocksdbCQDoubleWriteEnable=true",
  "transRocksDBEnable=true",
  "timerRocksDBEnable=true",
  "indexRocksDBEnable=true",
  "popConsumerKVServiceInit=true",
  "popConsumerKVServiceEnable=true",
  "messageStorePlugIn=org.apache.rocketmq.tieredstore.TieredMessageStore",
  "storePathCommitLog=/a,/b",
  "readOnlyCommitLogStorePaths=/a",
  "aclEnable=true",
  "authenticationEnabled=true",
  "authorizationEnabled=true",
  "tls.server.mode=enforcing",
];

test("keys that would break a promise are refused with a reason", () => {
  for (const pair of REFUSED) {
    const { problems } = refusal(pair);
    assert.equal(problems.length, 1, pair);
    assert.ok(problems[0].message.startsWith(`${pair} `), problems[0].message);
    assert.match(problems[0].message, /is refused: \S.{15,}\.$|must be/, pair);
  }
  assert.equal(
    refusal(...REFUSED.filter((pair) => !/brokerRole|brokerId/.test(pair))).problems.length,
    REFUSED.length - 3,
  );
});

test("a slave has an id above 0, and a master has not", () => {
  const { settings } = load("brokerRole=SLAVE", "brokerId=3", "haMasterAddress=10.0.0.1:10912");
  assert.deepEqual(
    [settings.brokerRole, settings.brokerId, settings.haMasterAddress],
    ["SLAVE", 3, "10.0.0.1:10912"],
  );
  assert.match(refusal("brokerRole=SLAVE").problems[0].message, /a slave needs a brokerId above 0/);
  assert.match(refusal("brokerId=1").problems[0].message, /only slaves have an id above 0/);
  assert.match(refusal("haMasterAddress=somewhere").problems[0].message, /no host:port/);
});

test("every key that the tables call fixed is refused when it is changed", () => {
  const other: Record<string, string> = {
    true: "false",
    false: "true",
    default: "defaultRocksDB",
    v1: "v2",
    ASYNC_MASTER: "SLAVE",
  };
  const fixed = Object.entries(brokerKeys as KeyTable).filter(([, { standing }]) => standing === "fixed");
  assert.ok(fixed.length > 10);
  for (const [name, { fallback }] of fixed) refusal(`${name}=${other[fallback as string] ?? "something"}`);
});

test("a refused file leaves the disk alone", () =>
  withDirectory((directory) => {
    const store = join(directory, "store");
    refusal(`storePathRootDir=${store}`, "brokerRole=SLAVE");
    assert.ok(!existsSync(store));
  }));

test("keys without effect are named in one warning, if they are set to something else", () => {
  const { warnings } = load(
    "transientStorePoolEnable=true",
    "sendMessageThreadPoolNums=16",
    "timerPrecisionMs=1000",
    "putMessageFutureThreadPoolNums=2",
    'initAuthenticationUser={"username":"u","password":"secret"}',
  );
  assert.deepEqual(warnings, [
    "Known, but without effect in rmq yet: transientStorePoolEnable=true, initAuthenticationUser, sendMessageThreadPoolNums=16.",
  ]);
});

test("an unknown key is a warning with the nearest known name", () => {
  assert.deepEqual(load("flushDiskTyp=SYNC_FLUSH", "kvConfigPath=/x", "my.own=1").warnings, [
    "--set: flushDiskTyp is no known key; did you mean flushDiskType?",
    "--set: kvConfigPath is a key of name servers; brokers don't look at it.",
    "--set: my.own is no known key",
  ]);
});

test("unknown keys stay visible, after the known ones", () => {
  const entries = [...load("my.own=1 ").entries];
  assert.deepEqual(entries.at(-1), ["my.own", "1 "]);
  assert.ok(entries.length > 450);
});

test("names of Object's own members are ordinary unknown keys", () => {
  const { warnings, entries } = load("constructor=1", "__proto__=2", "toString=3");
  assert.equal(warnings.length, 3);
  assert.equal(entries.get("__proto__"), "2");
});

test("without a named file the one in the store is read", () =>
  withDirectory((directory) => {
    const written = join(directory, "config", "broker.properties");
    mkdirSync(join(directory, "config"));
    writeFileSync(written, "fileReservedTime=5\n");
    const overriding = [sourceOfPairs("--set", [`storePathRootDir=${directory}`])];
    const found = loadBrokerConfiguration({ overriding, machine: testMachine });
    assert.equal(found.readFile, written);
    assert.equal(found.configuration.settings.fileReservedHours, 5);

    const named = join(directory, "named.conf");
    writeFileSync(named, "brokerName=x\n");
    const other = loadBrokerConfiguration({ file: named, overriding, machine: testMachine });
    assert.equal(other.configuration.settings.fileReservedHours, 72);
  }));

test("a file in the store that names another store is refused", () =>
  withDirectory((directory) => {
    mkdirSync(join(directory, "config"));
    writeFileSync(join(directory, "config", "broker.properties"), "\nstorePathRootDir=/elsewhere\n");
    const presets = sourceOfKey("presets", "storePathRootDir", directory);
    assert.throws(
      () => loadBrokerConfiguration({ presets, machine: testMachine }),
      /broker\.properties:2: storePathRootDir=\/elsewhere names another store/,
    );
  }));

test("a file that can't be read, or is no properties file, is told as a sentence", () =>
  withDirectory((directory) => {
    const file = join(directory, "broker.conf");
    assert.throws(() => loadBrokerConfiguration({ file, machine: testMachine }), /can't be read: ENOENT/);
    writeFileSync(file, "a=1\nb=\\u00\n");
    assert.throws(
      () => loadBrokerConfiguration({ file, machine: testMachine }),
      new RegExp(`${file}:2: a \\\\u is not followed by four hexadecimal digits\\.`),
    );
  }));

test("--set takes key=value", () => {
  assert.deepEqual(sourceOfPairs("--set", ["a=b=c", " d =", "e= "]).entries, [
    { key: "a", value: "b=c" },
    { key: "d", value: "" },
    { key: "e", value: " " },
  ]);
  assert.throws(() => sourceOfPairs("--set", ["=x"]), /--set takes key=value, not "=x"\./);
  assert.throws(() => sourceOfPairs("--set", ["x"]), ConfigError);
});
