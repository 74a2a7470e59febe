// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { deflateSync } from "node:zlib";
import { run } from "../../src/cli/run.ts";
import { draft, openStore, visible } from "../harness/store.ts";
import {
  fill,
  flip,
  INDEX_SLOTS,
  indexFiles,
  logFile,
  longBytes,
  patch,
  patchEntry,
  type Place,
  placesOf,
  QUEUE_FILE_BYTES,
} from "../store/inspect/planted_store.ts";

/** A store as a broker leaves it, with tables; copied for each test. */
let original: string;
let places: Place[];
let directory: string;
let store: string;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "rmq-store-tool-"));
  original = join(directory, "original");
  const opened = await openStore(original);
  await fill(opened);
  await opened.close();
  writeTables(original);
  places = await placesOf(original);
});

after(() => rmSync(directory, { recursive: true, force: true }));

beforeEach(() => {
  store = mkdtempSync(join(directory, "store-"));
  cpSync(original, store, { recursive: true, preserveTimestamps: true });
});

/** Tables as Apache writes them: keys of numbers are not quoted. */
function writeTables(path: string): void {
  const config = join(path, "config");
  mkdirSync(config);
  const topic = (name: string) =>
    `"${name}":{"topicName":"${name}","perm":6,"readQueueNums":4,"writeQueueNums":4}`;
  const topics = ["TopicA", "TopicB", "SCHEDULE_TOPIC_XXXX"].map(topic).join();
  writeFileSync(join(config, "topics.json"), `{"dataVersion":{"counter":1},"topicConfigTable":{${topics}}}`);
  writeFileSync(
    join(config, "consumerOffset.json"),
    '{"offsetTable":{"TopicA@GroupA":{0:90,1:95},"TopicB@GroupA":{0:40},"Gone@GroupB":{0:0}}}',
  );
  writeFileSync(join(config, "delayOffset.json"), '{"offsetTable":{2:5}}');
  writeFileSync(
    join(config, "subscriptionGroup.json"),
    '{"subscriptionGroupTable":{"GroupA":{"groupName":"GroupA"}}}',
  );
}

interface Outcome {
  status: number;
  out: string;
  err: string;
}

/** Runs `rmq store …` to its end. */
async function tool(...args: string[]): Promise<Outcome> {
  let [out, err] = ["", ""];
  const status = await run(["store", ...args], {
    print: (text) => void (out += text),
    complain: (text) => void (err += text),
    stopRequested: new Promise(() => {}),
  });
  return { status, out, err };
}

function everything(path: string): unknown[] {
  return readdirSync(path, { recursive: true, encoding: "utf8" }).sort().map((name) => {
    const stat = statSync(join(path, name));
    return [name, stat.size, stat.isFile() && stat.mtimeMs];
  });
}

test("rmq store tells what it does, and each command its options", async () => {
  const { status, out } = await tool("--help");
  assert.equal(status, 0);
  for (const command of ["info", "dump", "verify"]) {
    assert.match(out, new RegExp(`^  rmq store ${command} DIR +[A-Z]`, "m"));
    const help = await tool(command, "--help");
    assert.deepEqual([help.status, help.err], [0, ""]);
    assert.match(help.out, new RegExp(`^  rmq store ${command} DIR \\[options\\]$`, "m"));
    assert.ok(help.out.split("\n").every((line) => line.length <= 118), help.out);
  }
  const main = await run(["--help"], {
    print: () => {},
    complain: () => {},
    stopRequested: new Promise(() => {}),
  });
  assert.equal(main, 0);
});

test("what can't be understood is a sentence that points to the help", async () => {
  const complaints: [string[], RegExp][] = [
    [[], /^rmq store: say what to do: info, dump, verify\./],
    [["look"], /^rmq store: look is nothing that it does; it does info, dump, verify\./],
    [["info"], /^rmq store: the directory of the store is missing\./],
    [["info", store, "more"], /^rmq store: more is not expected here\./],
    [["dump", store, "--limit", "many"], /^rmq store: --limit takes a whole number, not many\./],
    [["dump", store, "--from", "yesterday"], /^rmq store: --from takes an offset or a time, not yesterday\./],
    [["dump", store, "--group", "None"], /consumerOffset\.json has no offsets for the group None\.$/m],
    [["verify", store, "--all"], /^rmq store: --all and --configFile go with --repair\./],
  ];
  for (const [args, pattern] of complaints) {
    const { status, out, err } = await tool(...args);
    assert.deepEqual([status, out], [1, ""], args.join(" "));
    assert.match(err, pattern);
  }
});

test("a directory that holds no store is not taken for an empty one", async () => {
  const empty = join(store, "config");
  assert.match(
    (await tool("verify", empty)).err,
    /holds no store: neither a commitlog directory nor a checkpoint\.\n$/,
  );
  assert.match((await tool("info", join(store, "none"))).err, /there is no directory .*none\.\n$/);
  assert.match((await tool("verify", empty, "--repair")).err, /holds no store/);
  assert.ok(!existsSync(join(empty, "lock")), "nothing is made there");
  rmSync(join(store, "commitlog"), { recursive: true });
  assert.match(
    (await tool("verify", store)).err,
    /there is no log in .*commitlog\. .*tell it with --commitlog\.\n$/,
  );
});

// info

test("info tells files, messages, topics, queues and groups", async () => {
  const { status, out, err } = await tool("info", store);
  assert.deepEqual([status, err], [0, ""]);
  const end = places[299].physicalOffset + places[299].size;
  assert.match(out, /^ {2}not in use, stopped properly$/m);
  assert.match(out, new RegExp(`^log {7}\\d files of 16 KiB in .*\n {10}offsets 0 to ${end}, `, "m"));
  assert.match(out, /oldest message \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}, topic TopicB, at 0$/m);
  assert.match(
    out,
    new RegExp(`newest message .*, topic SCHEDULE_TOPIC_XXXX, at ${places[299].physicalOffset}$`, "m"),
  );
  assert.match(out, /^queues {4}300 messages in 3 topics, files of 1000 bytes$/m);
  assert.match(out, /^index {5}\d files? of 8\.2 KiB, \d+ entries, messages of /m);
  assert.match(out, /^safe {6}log until \d{4}-.*, queues until \d{4}-.*, index until \d{4}-/m);
  assert.match(out, /^\| TopicA +\| +2 \| +195 \| +0 \| +100 \|$/m);
  assert.match(out, /^\| GroupA +\| TopicA +\| +2 \| +10 \|$/m);
  assert.match(out, /^\| GroupB +\| Gone +\| +1 \| no queue \|$/m);
  const queues = (await tool("info", store, "--queues")).out;
  assert.match(queues, /^\| TopicA +\| +1 \| +95 \| +0 \| +95 \|$/m);
  assert.match(queues, /^\| GroupA +\| TopicB +\| +0 \| +40 \| +60 \|$/m);
});

test("info --json has the same as numbers", async () => {
  const facts = JSON.parse((await tool("info", store, "--json")).out);
  assert.equal(facts.state, "clean");
  assert.equal(facts.pid, null);
  assert.equal(facts.commitLog.endOffset, places[299].physicalOffset + places[299].size);
  assert.equal(facts.commitLog.newest.storeTimestampMs, places[299].storeTimestampMs);
  assert.deepEqual(facts.topics.find(({ topic }: { topic: string }) => topic === "TopicB"), {
    topic: "TopicB",
    messageCount: 100,
    queues: [{ queueId: 0, minOffset: 0, maxOffset: 100 }],
  });
  const group = facts.groups.find(({ group, topic }: { group: string; topic: string }) =>
    group === "GroupA" && topic === "TopicB"
  );
  assert.deepEqual(group, {
    group: "GroupA",
    topic: "TopicB",
    lag: 60,
    queues: [{ queueId: 0, offset: 40, lag: 60 }],
  });
  assert.ok(facts.checkpoint.physicMsgTimestampMs > 0);
});

test("info of an expired log begins where the log begins", async () => {
  rmSync(join(store, "commitlog", "0".repeat(20)));
  const facts = JSON.parse((await tool("info", store, "--json")).out);
  assert.equal(facts.commitLog.minOffset, 16 * 1024);
  const expected = places.filter(({ topic, physicalOffset }) =>
    topic === "TopicB" && physicalOffset >= 16 * 1024
  );
  const topicB = facts.topics.find(({ topic }: { topic: string }) => topic === "TopicB");
  assert.deepEqual(topicB.queues, [{ queueId: 0, minOffset: expected[0].queueOffset, maxOffset: 100 }]);
});

test("a store that is in use is looked into without touching it, and not repaired", async () => {
  const live = await openStore(store);
  try {
    for (let number = 0; number < 10; number++) live.append(draft("TopicA", `live ${number}`));
    await visible(live);
    const earlier = everything(store);
    const info = await tool("info", store);
    assert.match(info.out, new RegExp(`^ {2}in use by process ${process.pid} \\(`, "m"));
    const verify = await tool("verify", store);
    assert.equal(verify.status, 0, verify.out);
    assert.match(verify.out, /310 messages/);
    assert.equal((await tool("dump", store, "-t", "TopicA", "--log", "--key", "none")).status, 0);
    const repair = await tool("verify", store, "--repair");
    assert.deepEqual([repair.status, repair.out], [1, ""]);
    assert.match(repair.err, /in use by .*\. Stop it first; nothing was changed\.\n$/);
    assert.deepEqual(everything(store), earlier);
  } finally {
    await live.close();
  }
});

test("a store that was not stopped properly is told so", async () => {
  writeFileSync(join(store, "abort"), "4711");
  assert.match(
    (await tool("info", store)).out,
    /^ {2}not in use; the last process \(4711\) did not stop properly, /m,
  );
  assert.equal(JSON.parse((await tool("info", store, "--json")).out).state, "unclean");
});

test("a log elsewhere is found with --commitlog", async () => {
  const elsewhere = join(directory, "elsewhere");
  cpSync(join(store, "commitlog"), elsewhere, { recursive: true });
  rmSync(join(store, "commitlog"), { recursive: true });
  assert.equal((await tool("verify", store, "--commitlog", elsewhere)).status, 0);
  assert.match((await tool("info", store, "--commitlog", elsewhere)).out, /300 messages/);
  assert.equal((await tool("dump", store, "--commitlog", elsewhere)).out.trimEnd().split("\n").length, 300);
  rmSync(elsewhere, { recursive: true });
});

// dump

const linesOf = ({ out }: Outcome) => out === "" ? [] : out.trimEnd().split("\n");

test("dump prints one line for each message, in the order of the log", async () => {
  const outcome = await tool("dump", store);
  assert.deepEqual([outcome.status, outcome.err], [0, ""]);
  const lines = linesOf(outcome);
  assert.deepEqual(
    lines.map((line) => Number(/^physicalOffset=(\d+) /.exec(line)?.[1])),
    places.map(({ physicalOffset }) => physicalOffset),
  );
  const { physicalOffset, queueOffset, size } = places[1];
  assert.match(
    lines[1],
    new RegExp(
      `^physicalOffset=${physicalOffset} queueOffset=${queueOffset} topic=TopicA queueId=1 size=${size} ` +
        "storeTime=\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3} bornHost=127\\.0\\.0\\.1:10911 " +
        'msgId=7F00000100002A9F[0-9A-F]{16} UNIQ_KEY=[0-9A-F]{32} tags=Tag1 keys="key-1 more-1" sysFlag=0 reconsumeTimes=0$',
    ),
  );
  assert.match(lines[59], / properties=\{"DELAY":"2","REAL_TOPIC":"TopicA","REAL_QID":"0"\}$/);
});

test("dump --json prints one object for each message, --body its body", async () => {
  const [line] = linesOf(await tool("dump", store, "--json", "--body", "--key", "key-7"));
  const message = JSON.parse(line);
  assert.equal(message.body, "body 7");
  assert.deepEqual([message.topic, message.queueId, message.tags, message.keys], [
    "TopicA",
    1,
    "Tag3",
    "key-7 more-7",
  ]);
  assert.equal(message.properties.UNIQ_KEY, message.uniqKey);
  assert.equal(message.storeTimestamp, places[7].storeTimestampMs);
  assert.equal(JSON.parse(linesOf(await tool("dump", store, "--json", "--key", "key-7"))[0]).body, undefined);
});

test("dump picks out topics, queues, bounds, keys, a group's backlog, and stops at the limit", async () => {
  const count = async (...args: string[]) => linesOf(await tool("dump", store, ...args)).length;
  assert.equal(await count("--topic", "TopicA"), 195);
  assert.equal(await count("-t", "TopicA", "-q", "1"), 95);
  assert.equal(await count("-t", "TopicA", "-q", "1", "--from", "90"), 5);
  assert.equal(await count("-t", "TopicA", "-q", "1", "--from", "90", "--to", "91"), 2);
  assert.equal(await count("--from", String(places[290].physicalOffset)), 10);
  assert.equal(
    await count("--from", `@${places[200].storeTimestampMs}`),
    places.filter(
      ({ storeTimestampMs }) => storeTimestampMs >= places[200].storeTimestampMs,
    ).length,
  );
  assert.equal(await count("--to", "2001-01-01"), 0);
  assert.equal(await count("--key", "more-8"), 1);
  assert.equal(await count("--group", "GroupA"), 10 + 60);
  assert.equal(await count("--group", "GroupA", "--topic", "TopicB"), 60);
  assert.equal(await count("--limit", "7"), 7);
  assert.equal(await count("-n", "0"), 0);
});

test("nothing in a message can move the cursor of a terminal or begin a new line", async () => {
  const live = await openStore(store);
  const propertyMap = new Map([["evil", "\u001b[2Jgone\nphysicalOffset=1\u009b"]]);
  live.append(draft("TopicA", "\u001b[31mred\n", { tags: "a b", propertyMap }));
  await visible(live);
  await live.close();
  const lines = linesOf(await tool("dump", store, "--body", "-t", "TopicA", "-q", "0", "--from", "100"));
  assert.equal(lines.length, 1);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(lines[0], /[\u0000-\u001f\u007f-\u009f]/);
  assert.ok(lines[0].includes('tags="a b"'));
  assert.ok(lines[0].endsWith('body="\\u001b[31mred\\n"'));
});

test("bodies are shown as their sender wrote them, or in Base64 where they are no text", async () => {
  const live = await openStore(store);
  const append = (body: Uint8Array, sysFlag: number) =>
    live.append({ ...draft("Bodies", ""), body, sysFlag });
  append(deflateSync("compressed by an old client"), 0x1);
  append(deflateSync("compressed by a new client"), 0x301);
  append(Uint8Array.of(1, 2, 3), 0x101);
  append(Uint8Array.of(0xff, 0xfe), 0);
  await visible(live);
  await live.close();
  const bodies = linesOf(await tool("dump", store, "--topic", "Bodies", "--json", "--body")).map((line) => {
    const { body, bodyBase64, isCompressed } = JSON.parse(line);
    return { body, bodyBase64, isCompressed };
  });
  assert.deepEqual(bodies, [
    { body: "compressed by an old client", bodyBase64: undefined, isCompressed: undefined },
    { body: "compressed by a new client", bodyBase64: undefined, isCompressed: undefined },
    { body: undefined, bodyBase64: "AQID", isCompressed: true },
    { body: undefined, bodyBase64: "//4=", isCompressed: undefined },
  ]);
});

test("dump goes on behind what it can't read, tells of it, and says so by its status", async () => {
  const { physicalOffset } = places[20];
  flip(logFile(store, physicalOffset), physicalOffset + 4);
  const outcome = await tool("dump", store);
  assert.equal(outcome.status, 1);
  assert.equal(linesOf(outcome).length, 299);
  assert.match(
    outcome.err,
    new RegExp(`^rmq store dump: .*: at ${physicalOffset} of the log ${places[20].size} bytes hold no `),
  );
});

test("dump ends quietly when nobody reads any more", async () => {
  const live = await openStore(store, { commitLogFileBytes: 16 * 1024 });
  for (let number = 0; number < 5000; number++) {
    live.append(draft("TopicA", "x".repeat(500)));
    if (number % 1000 === 999) await visible(live);
  }
  await live.close();
  const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
  const runtimeArgs = "Deno" in globalThis ? ["run", "-A"] : ["run"];
  const child = spawn(process.execPath, [...runtimeArgs, main, "store", "dump", store, "--body"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let err = "";
  child.stderr.on("data", (chunk) => err += chunk);
  const status = await new Promise((resolve) => {
    child.on("close", resolve);
    child.stdout.once("data", () => child.stdout.destroy());
  });
  assert.deepEqual([status, err], [0, ""]);
});

// verify

test("verify says that nothing is wrong, and its status is 0", async () => {
  const earlier = everything(store);
  const { status, out, err } = await tool("verify", store);
  assert.deepEqual([status, err], [0, ""]);
  assert.match(
    out,
    /^ {2}checked \d+ KiB of log \(0 to \d+\), 300 messages, 4 queues, \d index files? in \d+\.\d s$/m,
  );
  assert.match(out, /^Nothing is wrong\.$/m);
  assert.deepEqual(everything(store), earlier);
});

test("verify tells what is wrong, where, what it means and what to do, and its status is 1", async () => {
  const wrong = places.find(({ topic, queueId, queueOffset }) =>
    topic === "TopicA" && queueId === 1 && queueOffset === 60
  )!;
  patchEntry(store, "TopicA", 1, 60, 0, longBytes(99));
  const { status, out } = await tool("verify", store);
  assert.equal(status, 1);
  assert.ok(
    out.includes(`
WRONG  consumequeue/TopicA/1/00000000000000001000, byte 200
       entry 60 points to 99 of the log; its message is at ${wrong.physicalOffset}
       It means: Consumers of this queue get nothing, or something else, at this place.
`),
    out,
  );
  assert.match(out, /^ {7}To do: Stop the broker.*`rmq store verify .* --repair`/m);
  assert.match(out, /^1 thing is wrong\.$/m);
  assert.ok(out.split("\n").every((line) => line.length <= 115 || line.includes(store)));
  const json = JSON.parse((await tool("verify", store, "--json")).out);
  assert.equal(json.wrongCount, 1);
  assert.equal(json.findings.length, 1);
  const { kind, severity, position, count } = json.findings[0];
  assert.deepEqual([kind, severity, position, count], ["QUEUE_ENTRY_WRONG", "wrong", 200, 1]);
});

test("verify reads the tables as brokers do", async () => {
  const told = async (plant: (config: string) => void) => {
    const config = join(store, "config");
    rmSync(config, { recursive: true });
    cpSync(join(original, "config"), config, { recursive: true });
    plant(config);
    const { findings, wrongCount } = JSON.parse((await tool("verify", store, "--json")).out);
    const kinds = findings.map(({ kind, file, what }: { kind: string; file: string; what: string }) => {
      return `${kind} ${file.slice(config.length + 1)}: ${what}`;
    });
    return { wrongCount, kinds };
  };
  const write = (name: string, text: string) => (config: string) => writeFileSync(join(config, name), text);
  const broken = await told(write("topics.json", "{ broken"));
  assert.equal(broken.wrongCount, 1);
  assert.match(
    broken.kinds[0],
    /^CONFIG_UNREADABLE topics\.json: not readable as JSON at character \d+; its \.bak is missing$/,
  );
  const backedUp = await told((config) => {
    cpSync(join(config, "topics.json"), join(config, "topics.json.bak"));
    write("topics.json", '{"topicConfigTable":[]}')(config);
  });
  assert.deepEqual(backedUp, {
    wrongCount: 1,
    kinds: ["CONFIG_FROM_BACKUP topics.json: topicConfigTable is no JSON object"],
  });
  const onlyBackup = await told((config) => {
    cpSync(join(config, "topics.json"), join(config, "topics.json.bak"));
    rmSync(join(config, "topics.json"));
  });
  assert.deepEqual(onlyBackup, { wrongCount: 0, kinds: ["CONFIG_ONLY_BACKUP topics.json: it is missing"] });
  const backup = await told(write("consumerOffset.json.bak", "[]"));
  assert.deepEqual([backup.wrongCount, backup.kinds.length], [0, 1]);
  assert.match(backup.kinds[0], /^CONFIG_BACKUP_UNREADABLE consumerOffset\.json\.bak: /);
  const other = await told(write("timermetrics", "{"));
  assert.match(other.kinds[0], /^CONFIG_UNREADABLE timermetrics: /);
  const ahead = await told(write("consumerOffset.json", '{"offsetTable":{"TopicA@GroupA":{0:101}}}'));
  assert.deepEqual(ahead.kinds, [
    "CONSUMER_OFFSET_AHEAD consumerOffset.json: group GroupA, topic TopicA, queue 0: offset 101; the queue ends at 100",
  ]);
  const noOffset = await told(write("consumerOffset.json", '{"offsetTable":{"TopicA@GroupA":{0:"x"}}}'));
  assert.match(
    noOffset.kinds[0],
    /^CONFIG_UNREADABLE consumerOffset\.json: an offset of TopicA@GroupA is no number; /,
  );
  const delayed = await told(write("delayOffset.json", '{"offsetTable":{2:6}}'));
  assert.deepEqual(delayed.kinds, [
    "DELAY_OFFSET_AHEAD delayOffset.json: delay level 2: offset 6; the queue of the level ends at 5",
  ]);
});

test("verify ends when it is asked to, and does not say that nothing is wrong", async () => {
  let out = "";
  const status = await run(["store", "verify", store], {
    print: (text) => void (out += text),
    complain: () => {},
    stopRequested: Promise.resolve(),
  });
  assert.equal(status, 1);
  assert.match(out, /^Stopped before the end: /m);
  assert.doesNotMatch(out, /Nothing is wrong/);
});

test("progress is shown on a terminal and taken away at the end", async () => {
  const shown: string[] = [];
  await run(["store", "verify", store], {
    print: () => {},
    complain: () => {},
    showProgress: (text) => void shown.push(text),
    stopRequested: new Promise(() => {}),
  });
  assert.match(shown[0], /^checking: .* of \d+ KiB, \d+ %, \d+ s left$/);
  assert.equal(shown.at(-1), "");
});

// verify --repair

test("verify --repair builds what is wrong, says so, and leaves nothing behind", async () => {
  patchEntry(store, "TopicA", 1, 60, 0, longBytes(99));
  rmSync(join(store, "consumequeue", "TopicB"), { recursive: true });
  const { status, out } = await tool("verify", store, "--repair");
  assert.equal(status, 0, out);
  assert.match(out, /^2 things are wrong\.$/m);
  assert.match(
    out,
    /^Built from the log: 2 queues with 195 entries \((TopicA 1, TopicB 0|TopicB 0, TopicA 1)\)\.$/m,
  );
  assert.match(out, /^Nothing is wrong\.$/m);
  assert.deepEqual(readdirSync(store).sort(), [...new Set([...readdirSync(original), "lock"])].sort());
  assert.equal((await tool("verify", store)).status, 0);
});

test("verify --repair of a store in order changes nothing, --all builds everything", async () => {
  const files = () => everything(store).filter(([name]: any) => !["lock", "checkpoint"].includes(name));
  const earlier = files();
  const { status, out } = await tool("verify", store, "--repair");
  assert.equal(status, 0);
  assert.doesNotMatch(out, /Built/);
  assert.deepEqual(files(), earlier);
  const all = JSON.parse((await tool("verify", store, "--repair", "--all", "--json")).out);
  assert.deepEqual([all.rebuilt.queues.length, all.rebuilt.entryCount, all.rebuilt.indexedCount], [
    4,
    300,
    300,
  ]);
  assert.deepEqual([all.before.wrongCount, all.after.wrongCount, all.rebuilt.keptIn], [0, 0, null]);
});

test("verify --repair keeps the delays that the entries have", async () => {
  const queue = join(store, "consumequeue", "SCHEDULE_TOPIC_XXXX", "1", "0".repeat(20));
  const earlier = readFileSync(queue);
  patchEntry(store, "SCHEDULE_TOPIC_XXXX", 1, 2, 0, longBytes(99));
  assert.equal((await tool("verify", store, "--repair")).status, 0);
  assert.deepEqual(readFileSync(queue), earlier);
});

test("verify --repair does not guess what the files do not tell", async () => {
  const conf = join(directory, "broker.conf");
  const keys = {
    mappedFileSizeConsumeQueue: QUEUE_FILE_BYTES,
    maxHashSlotNum: INDEX_SLOTS,
    maxIndexNum: 400,
    messageDelayLevel: "1s 5s",
  };
  writeFileSync(conf, Object.entries(keys).map(([key, value]) => `${key}=${value}\n`).join(""));
  const cases: [plant: (path: string) => void, reason: string][] = [
    [
      (path) => rmSync(join(path, "consumequeue"), { recursive: true }),
      "there is no queue file to tell the size of others",
    ],
    [
      (path) => {
        for (const name of ["TopicA", "TopicB"]) {
          rmSync(join(path, "consumequeue", name), { recursive: true });
        }
      },
      `a single queue file of ${QUEUE_FILE_BYTES} bytes does not tell the size of others`,
    ],
    [
      (path) => rmSync(join(path, "consumequeue", "SCHEDULE_TOPIC_XXXX"), { recursive: true }),
      "no entry tells how long messages of delay level 2 wait",
    ],
    [
      (path) => indexFiles(path).forEach((file) => patch(file, 24, longBytes(5))),
      "no index file tells how many slots it has",
    ],
  ];
  for (const [plant, reason] of cases) {
    rmSync(store, { recursive: true });
    cpSync(original, store, { recursive: true, preserveTimestamps: true });
    plant(store);
    const { status, err } = await tool("verify", store, "--repair");
    assert.equal(status, 1);
    assert.equal(
      err,
      `rmq store: ${reason}: give the broker's configuration with --configFile (an empty file stands for the ` +
        "defaults). Nothing was changed.\n",
    );
    assert.ok(!existsSync(join(store, "rmq-repair")));
    const told = await tool("verify", store, "--repair", "--configFile", conf);
    assert.equal(told.status, 0, told.out + told.err);
    assert.equal((await tool("verify", store)).status, 0);
    const opened = await openStore(store);
    assert.equal(opened.maxOffset("TopicA", 0), 100);
    await opened.close();
  }
});

test("verify --repair --all makes no index where there is none, unless the configuration is given", async () => {
  rmSync(join(store, "index"), { recursive: true });
  const without = JSON.parse((await tool("verify", store, "--repair", "--all", "--json")).out);
  assert.equal(without.rebuilt.indexedCount, null);
  const conf = join(store, "broker.conf");
  writeFileSync(conf, `maxHashSlotNum=${INDEX_SLOTS}\nmaxIndexNum=400\n`);
  const given = JSON.parse((await tool("verify", store, "--repair", "--all", "--json", "-c", conf)).out);
  assert.equal(given.rebuilt.indexedCount, 300);
  const opened = await openStore(store);
  assert.equal(opened.queryByKey("TopicA", "key-1", 10, 0, Date.now()).records.length, 1);
  await opened.close();
});

test("verify tells of a repair that did not come to its end; the next one undoes it first", async () => {
  const old = join(store, "rmq-repair", "old", "consumequeue", "TopicA");
  mkdirSync(old, { recursive: true });
  cpSync(join(store, "consumequeue", "TopicA", "0"), join(old, "0"), { recursive: true });
  rmSync(join(store, "consumequeue", "TopicA", "0"), { recursive: true });
  const { findings } = JSON.parse((await tool("verify", store, "--json")).out);
  const kinds = findings.map(({ kind }: { kind: string }) => kind).sort();
  assert.deepEqual(kinds, ["QUEUE_ENTRY_MISSING", "REPAIR_INTERRUPTED"]);
  const { status, out } = await tool("verify", store, "--repair");
  assert.equal(status, 0, out);
  assert.match(out, /^A repair had not come to its end: /);
  assert.doesNotMatch(out, /Built/);
  assert.ok(!existsSync(join(store, "rmq-repair")));
});

test("what is wrong with the log stays wrong after a repair, and is told", async () => {
  const { physicalOffset } = places[20];
  flip(logFile(store, physicalOffset), physicalOffset + 90);
  rmSync(join(store, "consumequeue", "TopicB"), { recursive: true });
  const { status, out } = await tool("verify", store, "--repair");
  assert.equal(status, 1);
  assert.match(out, /^Built from the log: 1 queue with 100 entries /m);
  assert.match(out, /^1 thing is wrong\.$/m);
  assert.ok(!existsSync(join(store, "rmq-repair")), "the queues are right");
});
