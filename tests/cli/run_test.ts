// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { reset } from "@logtape/logtape";
import { run } from "../../src/cli/run.ts";
import { VERSION } from "../../src/cli/version.ts";
import { freePort } from "../interop/ports.ts";

let directory: string;

before(() => {
  directory = mkdtempSync(join(tmpdir(), "rmq-cli-"));
});

after(async () => {
  await reset();
  rmSync(directory, { recursive: true, force: true });
});

/** Runs a command line to its end, which is asked for as soon as `untilPrinted` was printed. */
async function rmq(
  args: string[],
  untilPrinted?: RegExp,
): Promise<{ status: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  let stop = () => {};
  const stopRequested = new Promise<void>((resolve) => stop = resolve);
  const status = await run(args, {
    print(text) {
      out += text;
      if (untilPrinted?.test(out)) stop();
    },
    complain: (text) => void (err += text),
    stopRequested,
  });
  return { status, out, err };
}

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

/** `--set` options that keep a broker away from the home directory and from fixed ports. */
function ownStore(name: string): string[] {
  return ["--set", `storePathRootDir=${join(directory, name)}`, "--set", "listenPort=0"];
}

test("rmq --help names the commands, and each tells its options", async () => {
  const { status, out } = await rmq(["--help"]);
  assert.equal(status, 0);
  for (const command of ["namesrv", "broker", "standalone"]) {
    assert.match(out, new RegExp(`^  ${command} +[A-Z]`, "m"));
    const help = await rmq([command, "--help"]);
    assert.deepEqual([help.status, help.err], [0, ""]);
    assert.match(help.out, new RegExp(`^  rmq ${command} \\[options\\]$`, "m"));
    assert.match(help.out, /^ +-h, --help +Print this text$/m);
    assert.equal((await rmq([command, "-h"])).out, help.out);
  }
});

test("Apache's long option names are known", async () => {
  const { out } = await rmq(["broker", "--help"]);
  for (const name of ["--configFile", "--namesrvAddr", "--printConfigItem", "--printImportantConfig"]) {
    assert.ok(out.includes(name), name);
  }
});

test("rmq --help fits 80 columns, and names what is imported only when it is used", async () => {
  const { out } = await rmq(["--help"]);
  assert.deepEqual(out.split("\n").slice(1).filter((line) => line.length > 80), []);
  for (
    const family of ["cluster", "topic", "group", "message", "offset", "kv", "top", "doctor", "completion"]
  ) {
    assert.match(out, new RegExp(`^  ${family} +[A-Z]`, "m"));
  }
});

test("rmq --version tells the version", async () => {
  assert.deepEqual(await rmq(["--version"]), { status: 0, out: `rmq ${VERSION}\n`, err: "" });
});

test("no command, or an unknown one, is an error", async () => {
  const none = await rmq([]);
  assert.deepEqual([none.status, none.out], [1, ""]);
  assert.match(none.err, /rmq COMMAND \[options\]/);
  const unknown = await rmq(["brokr"]);
  assert.deepEqual(unknown, {
    status: 1,
    out: "",
    err: "rmq: brokr is no command. Is `rmq broker` meant? `rmq --help` lists them.\n",
  });
});

test("a wrong option is an error that points to the help", async () => {
  const { status, out, err } = await rmq(["broker", "--bogus"]);
  assert.deepEqual([status, out], [1, ""]);
  assert.equal(err, "rmq broker: --bogus is no option of this command.\nTry `rmq broker --help`.\n");
  assert.match(
    (await rmq(["broker", "--log-level", "loud", "-p"])).err,
    /--log-level takes debug, info, warning or error/,
  );
});

test("--enable-proxy is refused with the reason", async () => {
  const { status, err } = await rmq(["broker", "--enable-proxy"]);
  assert.equal(status, 1);
  assert.match(err, /gRPC proxy of RocketMQ 5 is not built/);
});

test("broker -p prints all keys as key=value, after the file, --set and -n", async () => {
  const path = file("p.conf", "brokerName=from-file\nregionId=from-file\nnamesrvAddr=a:1\nmy.own=x\n");
  const sets = ["--set", "regionId=from-set", "--set", "namesrvAddr=b:2", ...ownStore("p")];
  const { status, out, err } = await rmq(["broker", "-c", path, ...sets, "-n", "c:3", "-p"]);
  assert.equal(status, 0);
  const entries = new Map(out.trimEnd().split("\n").map((line) => [line.split("=", 1)[0], line]));
  assert.ok(entries.size > 450);
  const shown = ["brokerName", "regionId", "namesrvAddr", "my.own", "flushDiskType", "haMasterAddress"];
  assert.deepEqual(shown.map((key) => entries.get(key)), [
    "brokerName=from-file",
    "regionId=from-set",
    "namesrvAddr=c:3",
    "my.own=x",
    "flushDiskType=ASYNC_FLUSH",
    "haMasterAddress=",
  ]);
  assert.match(err, /p\.conf:4: my\.own is no known key/);
  assert.ok(!existsSync(join(directory, "p")), "printing touches no store");
});

test("broker -m prints the important keys only", async () => {
  const { status, out, err } = await rmq(["broker", "-m", ...ownStore("m")]);
  assert.deepEqual([status, err], [0, ""]);
  assert.match(out, /^brokerRole=ASYNC_MASTER$/m);
  assert.doesNotMatch(out, /^bindAddress=/m);
});

test("namesrv -p prints a name server's keys, and -n is accepted", async () => {
  const path = file("namesrv.conf", "listenPort=1234\n");
  const { status, out, err } = await rmq(["namesrv", "-c", path, "-n", "a:1", "-p"]);
  assert.deepEqual([status, err], [0, ""]);
  assert.match(out, /^listenPort=1234$/m);
  assert.match(out, /^enableTopicList=true$/m);
});

test("a bad configuration ends with status 1 and all its problems, before the store is touched", async () => {
  const path = file("bad.conf", "enableDLegerCommitLog=true\nbrokerId=-1\nfileReservedTime=x\n");
  const { status, out, err } = await rmq(["broker", "-c", path, ...ownStore("bad")]);
  assert.deepEqual([status, out], [1, ""]);
  assert.deepEqual(err.split("\n").map((line) => line.slice(0, path.length + 2)), [
    `${path}:1`,
    `${path}:2`,
    `${path}:3`,
    "",
  ]);
  assert.doesNotMatch(err, /^ +at /m);
  assert.ok(!existsSync(join(directory, "bad")));
});

test("a missing file is a sentence", async () => {
  const { status, err } = await rmq(["namesrv", "-c", join(directory, "missing.conf")]);
  assert.equal(status, 1);
  assert.match(err, /^The configuration file .*missing\.conf can't be read: .*\.\n$/);
});

test("namesrv says what Apache says, and ends when it is asked to", async () => {
  const path = file(
    "small.conf",
    `listenPort=0\nbindAddress=127.0.0.1\nkvConfigPath=${join(directory, "kv.json")}\n`,
  );
  const { status, out, err } = await rmq(["namesrv", "-c", path], /boot success/);
  assert.deepEqual([status, err], [0, ""]);
  const [loaded, started] = out.split("\n");
  assert.equal(loaded, `load config properties file OK, ${path}`);
  assert.match(started, /^The Name Server boot success\. serializeType=JSON, address 127\.0\.0\.1:\d+$/);
});

test("broker says what Apache says, with the name server only if it has one", async () => {
  const sets = ["--set", "brokerName=b-1", "--set", "brokerIP1=127.0.0.1", "--set", "bindAddress=127.0.0.1"];
  const { status, out, err } = await rmq(["broker", ...sets, ...ownStore("lone"), "-n", ""], /boot success/);
  assert.equal(status, 0, err);
  assert.match(out, /^The broker\[b-1, 127\.0\.0\.1:\d+\] boot success\. serializeType=JSON\n$/);
});

test("standalone runs both, keeps everything in its directory, and tells the broker of the name server", async () => {
  const store = join(directory, "standalone");
  const args = [
    "standalone",
    "--store",
    store,
    "--namesrv-port",
    "0",
    "--set",
    "listenPort=0",
    "--set",
    "brokerName=b-2",
  ];
  const quiet = [
    "--set",
    "bindAddress=127.0.0.1",
    "--set",
    "orderMessageEnable=true",
    "--log-level",
    "error",
  ];
  const { status, out, err } = await rmq([...args, ...quiet], /The broker.*boot success/);
  assert.equal(status, 0, err);
  const [nameServer, broker] = out.split("\n");
  const port = /^The Name Server boot success\. serializeType=JSON, address 127\.0\.0\.1:(\d+)$/.exec(
    nameServer,
  )?.[1];
  assert.match(
    broker,
    new RegExp(
      `^The broker\\[b-2, 127\\.0\\.0\\.1:\\d+\\] boot success\\. .* name server is 127\\.0\\.0\\.1:${port}$`,
    ),
  );
  assert.ok(existsSync(join(store, "commitlog")));
  assert.ok(!existsSync(join(store, "abort")), "it was stopped in order");
});

test("a port in use is a sentence, and the store is closed again", async () => {
  const occupant = createServer();
  await new Promise<void>((resolve) => occupant.listen(0, "127.0.0.1", resolve));
  const { port } = occupant.address() as AddressInfo;
  try {
    const address = ["--set", "bindAddress=127.0.0.1", "--set", `listenPort=${port}`];
    const nameServer = await rmq([
      "namesrv",
      ...address,
      "--set",
      `configStorePath=${join(directory, "none")}`,
    ]);
    assert.equal(nameServer.status, 1);
    assert.equal(
      nameServer.err,
      `rmq namesrv: the name server can't listen on 127.0.0.1:${port}: the port is in use\n`,
    );
    const more = ["--set", `haListenPort=${await freePort()}`, "--log-level", "error"];
    const broker = await rmq(["broker", ...ownStore("taken"), ...address, ...more]);
    assert.equal(broker.status, 1);
    assert.match(broker.err, new RegExp(`^rmq broker: .*127\\.0\\.0\\.1:${port}.* in use\n$`));
    assert.ok(!existsSync(join(directory, "taken", "abort")));
  } finally {
    occupant.close();
  }
});

test("what is changed over the network is read at the next start", async () => {
  const store = join(directory, "changed");
  const first = await rmq(["broker", "-p", ...ownStore("changed")]);
  assert.match(first.out, /^fileReservedTime=72$/m);
  const { loadBrokerConfiguration } = await import("../../src/config/broker_config.ts");
  const { sourceOfKey } = await import("../../src/config/sources.ts");
  const { configuration } = loadBrokerConfiguration({
    overriding: [sourceOfKey("--set", "storePathRootDir", store)],
  });
  configuration.update(new Map([["fileReservedTime", "12"]]));
  assert.equal(readFileSync(join(store, "config", "broker.properties"), "latin1"), "fileReservedTime=12\n");
  const second = await rmq(["broker", "-p", ...ownStore("changed")]);
  assert.match(second.out, /^fileReservedTime=12$/m);
});
