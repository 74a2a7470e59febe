// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { crc32 } from "node:zlib";
import { Property } from "../../../src/protocol/properties.ts";
import { draft, openStore, snapshot, temporaryDirectory, visible } from "../../harness/store.ts";
import {
  copyStore,
  ENTRY_BYTES,
  fill,
  flip,
  INDEX_SLOTS,
  indexFiles,
  intBytes,
  kindsOf,
  LOG_FILE_BYTES,
  logFile,
  longBytes,
  makeStore,
  patch,
  patchEntry,
  patchLog,
  type Place,
  placesOf,
  QUEUE_FILE_BYTES,
  queueFile,
  told,
  verify,
  type VerifyGiven,
} from "./planted_store.ts";

let sound: { path: string; remove(): void };
let places: Place[];

before(async () => {
  sound = await makeStore();
  places = await placesOf(sound.path);
});

after(() => sound.remove());

/** Message `number` of the log. */
const place = (number: number): Place => places[number];

/** The message with a queue offset. */
const inQueue = (topic: string, queueId: number, queueOffset: number): Place =>
  places.find((one) => one.topic === topic && one.queueId === queueId && one.queueOffset === queueOffset)!;

const logEnd = () => places[places.length - 1].physicalOffset + places[places.length - 1].size;

/** Plants a defect in a copy of a sound store, and checks it. @returns what is told */
async function toldAfter(plant: (path: string) => unknown, given: VerifyGiven = {}): Promise<string[]> {
  const copy = copyStore(sound.path);
  try {
    await plant(copy.path);
    const { findings } = await verify(copy.path, given);
    for (const { means, todo } of findings.list) assert.ok(means.length > 20 && todo.length > 5);
    return told(copy.path, findings);
  } finally {
    copy.remove();
  }
}

/** File and byte of a place in the log, as it is told. */
const inLog = (offset: number) => `${logFile("", offset)}@${offset % LOG_FILE_BYTES}`;

/** File and byte of a queue's entry. */
const inQueueFile = (topic: string, queueId: number, queueOffset: number) => {
  return `${queueFile("", topic, queueId, queueOffset)}@${(queueOffset * ENTRY_BYTES) % QUEUE_FILE_BYTES}`;
};

test("nothing is wrong with a store that was stopped properly", async () => {
  const { findings, verified } = await verify(sound.path);
  assert.deepEqual(told(sound.path, findings), []);
  assert.equal(findings.wrongCount, 0);
  assert.equal(verified.messageCount, 300);
  assert.equal(verified.logEnd, logEnd());
  assert.deepEqual(verified.indexShape, { slotCount: 100, entryCount: 400 });
  const bounds = verified.queues.map(({ topic, queueId, minOffset, maxOffset }) => {
    return `${topic} ${queueId}: ${minOffset} to ${maxOffset}`;
  });
  assert.deepEqual(bounds.sort(), [
    "SCHEDULE_TOPIC_XXXX 1: 0 to 5",
    "TopicA 0: 0 to 100",
    "TopicA 1: 0 to 95",
    "TopicB 0: 0 to 100",
  ]);
});

test("checking changes nothing", async () => {
  const earlier = everything(sound.path);
  await verify(sound.path);
  assert.deepEqual(everything(sound.path), earlier);
});

/** Names, sizes, times and checksums of all files. */
function everything(path: string): unknown[] {
  return readdirSync(path, { recursive: true, encoding: "utf8" }).sort().map((name) => {
    const stat = statSync(join(path, name));
    return [name, stat.size, stat.mtimeMs, stat.isFile() ? crc32(readFileSync(join(path, name))) : 0];
  });
}

test("an empty store is in order", async () => {
  const directory = temporaryDirectory();
  await (await openStore(directory.path)).close();
  const { findings, verified } = await verify(directory.path);
  assert.deepEqual(told(directory.path, findings), []);
  assert.equal(verified.messageCount, 0);
  directory.remove();
});

test("a store that is in use, or was killed, may lack the last entries", async () => {
  const directory = temporaryDirectory();
  const store = await openStore(directory.path);
  await fill(store);
  const now = snapshot(directory.path);
  for (const state of ["in use", "unclean"] as const) {
    const { findings } = await verify(now.path, { state });
    assert.equal(findings.wrongCount, 0, told(now.path, findings).join("\n"));
    assert.ok(kindsOf(findings).includes("QUEUE_BEHIND_LOG"));
  }
  assert.ok(kindsOf((await verify(now.path, { state: "clean" })).findings).includes("QUEUE_ENTRY_MISSING"));
  await store.close();
  now.remove();
  directory.remove();
});

test("what a running broker writes while its store is checked is no fault", async () => {
  const directory = temporaryDirectory();
  const store = await openStore(directory.path, { consumeQueueFlushIntervalMs: 5 });
  let isDone = false;
  const writing = (async () => {
    for (let number = 0; !isDone; number++) {
      store.append(draft("TopicA", `body ${number}`, { queueId: number % 3, keys: `key-${number}` }));
      if (number % 50 === 0) await visible(store);
    }
  })();
  for (let round = 0; round < 10; round++) {
    const { findings, verified } = await verify(directory.path, { state: "in use" });
    assert.equal(findings.wrongCount, 0, told(directory.path, findings).join("\n"));
    assert.ok(verified.messageCount >= round);
  }
  isDone = true;
  await writing;
  await store.close();
  directory.remove();
});

test("a topic that was deleted, and one that was made again, are no faults", async () => {
  const directory = temporaryDirectory();
  const store = await openStore(directory.path);
  await fill(store);
  store.deleteTopic("TopicA");
  store.deleteTopic("TopicB");
  for (let number = 0; number < 7; number++) store.append(draft("TopicB", `again ${number}`));
  await visible(store);
  await store.close();
  const { findings, verified } = await verify(directory.path, { topics: ["TopicB", "SCHEDULE_TOPIC_XXXX"] });
  assert.deepEqual(findings.wrongCount, 0, told(directory.path, findings).join("\n"));
  assert.deepEqual(kindsOf(findings).sort(), ["QUEUE_RESTARTED", "TOPIC_DELETED", "TOPIC_DELETED"]);
  assert.equal(verified.queues.find(({ topic }) => topic === "TopicB")?.maxOffset, 7);
  directory.remove();
});

// The log

test("a body that is not what was stored is found at its message", async () => {
  const { physicalOffset } = place(20);
  assert.deepEqual(await toldAfter((path) => flip(logFile(path, physicalOffset), physicalOffset + 90)), [
    `RECORD_CRC ${
      inLog(physicalOffset)
    }: at ${physicalOffset} of the log: the body of the message does not fit its checksum`,
  ]);
});

test("the checksum over a whole message is held against it, where it has one", async () => {
  const directory = temporaryDirectory();
  const store = await openStore(directory.path);
  const one = draft("TopicA", "checked");
  // Apache writes the item behind all others; our store takes it for a property like any other.
  store.append({ ...one, properties: `${one.properties}__CRC32#\u00010000000000\u0002` });
  await visible(store);
  await store.close();
  const [{ size }] = await placesOf(directory.path);
  const file = logFile(directory.path, 0);
  const crc = crc32(readFileSync(file).subarray(0, size - 20)) & 0x7fffffff;
  const digits = [...String(crc).padStart(10, "0")].reverse().join("");
  patch(file, size - 11, Buffer.from(digits));
  assert.deepEqual(told(directory.path, (await verify(directory.path)).findings), []);
  flip(file, 19); // the flag, which no other checksum covers
  const lines = told(directory.path, (await verify(directory.path)).findings);
  assert.equal(lines.length, 1);
  assert.match(
    lines[0],
    /^RECORD_PROPERTIES_CRC commitlog\/0{20}@0: .*its property __CRC32#, does not fit it$/,
  );
  directory.remove();
});

test("bytes that are no message are told with their length, and the log is followed behind them", async () => {
  const { physicalOffset, size, topic, queueId, queueOffset } = place(40);
  const next = places.find((one) => {
    return one.topic === topic && one.queueId === queueId && one.queueOffset === queueOffset + 1;
  })!;
  const where = `RECORD_DAMAGED ${inLog(physicalOffset)}: at ${physicalOffset} of the log:`;
  const lost =
    `QUEUE_OFFSET_GAP ${topic} queue ${queueId}: queue offset ${queueOffset} is missing before the message at ` +
    `${next.physicalOffset} of the log`;
  const cases: [bytes: Uint8Array, at: number, what: string][] = [
    [Buffer.alloc(size), 0, `${size} bytes are zeros, and the log goes on behind them`],
    [Buffer.alloc(size, "rubbish"), 0, `${size} bytes are no message`],
    [intBytes(size - 1), 0, `${size} bytes are no message: its lengths do not fit each other`],
    [longBytes(77), 28, `a message that says it belongs at 77; ${size} bytes in all hold no message`],
    [intBytes(0x3fffffff), 0, `${size} bytes are the beginning of a message that does not end in this file`],
  ];
  for (const [bytes, at, what] of cases) {
    const lines = await toldAfter((path) => patchLog(path, physicalOffset + at, bytes));
    assert.deepEqual(lines, [`${where} ${what}`, lost]);
  }
});

test("damage up to the end of a file is told to it, and the next file is read", async () => {
  const last = places.filter(({ physicalOffset }) => physicalOffset < LOG_FILE_BYTES).at(-1)!;
  const { physicalOffset } = last;
  const rest = LOG_FILE_BYTES - physicalOffset;
  const lines = await toldAfter((path) => patchLog(path, physicalOffset, Buffer.alloc(rest, 7)));
  assert.equal(lines.length, 2);
  const what = `at ${physicalOffset} of the log: ${rest} bytes are no message`;
  assert.equal(lines[0], `RECORD_DAMAGED ${inLog(physicalOffset)}: ${what}`);
});

test("a filler with a wrong length is told", async () => {
  const last = places.filter(({ physicalOffset }) => physicalOffset < LOG_FILE_BYTES).at(-1)!;
  const offset = last.physicalOffset + last.size;
  const rest = LOG_FILE_BYTES - offset;
  assert.deepEqual(await toldAfter((path) => patchLog(path, offset, intBytes(12))), [
    `BLANK_SIZE ${
      inLog(offset)
    }: at ${offset} of the log: the filler tells 12 bytes, the file has ${rest} more`,
  ]);
});

test("what stands behind the log's end is told: as wrong after a clean stop, not after a crash", async () => {
  const end = logEnd();
  const plant = (path: string) => patchLog(path, end + 1000, Buffer.from("left over"));
  const where = `${inLog(end + 1000)}: the log ends at ${end}; what stands at ${end + 1000} is no message`;
  assert.deepEqual(await toldAfter(plant), [`BEHIND_END ${where}`]);
  assert.deepEqual(await toldAfter(plant, { state: "unclean" }), [`TORN_END ${where}`]);
  assert.deepEqual(await toldAfter(plant, { state: "in use" }), []);
});

test("a last message of which a part is missing is the log's end", async () => {
  const last = places[places.length - 1];
  const tear = (path: string) => patchLog(path, last.physicalOffset + 100, Buffer.alloc(last.size - 100));
  const lines = await toldAfter(tear, { state: "unclean" });
  assert.ok(
    lines.some((line) =>
      line.startsWith(`TORN_END ${inLog(last.physicalOffset)}: the log ends at ${last.physicalOffset};`)
    ),
  );
  const afterClean = await toldAfter(tear);
  assert.match(afterClean[0], /^(BEHIND_END|RECORD_CRC|RECORD_DAMAGED) /);
});

test("a store time that goes back is told", async () => {
  const { physicalOffset, storeTimestampMs } = place(150);
  const back = place(149).storeTimestampMs - storeTimestampMs + 60_000;
  const lines = await toldAfter((path) =>
    patchLog(path, physicalOffset + 56, longBytes(storeTimestampMs - 60_000))
  );
  const what = `at ${physicalOffset} of the log: stored ${back} ms before the message in front of it`;
  assert.equal(lines[0], `STORE_TIME_BACK ${inLog(physicalOffset)}: ${what}`);
});

test("properties, topics and queues that nobody can read are told", async () => {
  const bytes = readFileSync(logFile(sound.path, 0)).subarray(0, place(0).size);
  const propertiesAt = bytes.indexOf(Property.UNIQ_KEY);
  const topicAt = bytes.indexOf("TopicB");
  const first = async (at: number, value: Uint8Array) =>
    (await toldAfter((path) => patchLog(path, at, value)))[0];
  const where = "RECORD_FIELDS commitlog/00000000000000000000@0: at 0 of the log:";
  assert.equal(
    await first(propertiesAt, Buffer.from([1])),
    `${where} its properties can't be read: one has no name`,
  );
  assert.match(
    await first(propertiesAt + Property.UNIQ_KEY.length, Buffer.from("x")),
    /: its properties can't be read: "UNIQ_KEYx[0-9A-F]{31}" has no value$/,
  );
  assert.equal(
    await first(propertiesAt, Buffer.from([0xff])),
    `${where} its properties can't be read: they are not UTF-8`,
  );
  assert.equal(await first(12, intBytes(-7)), `${where} its queue is -7`);
  assert.equal(await first(topicAt, Buffer.from("a/b")), `${where} its topic is "a/bicB"`);
});

test("queue offsets that are missing, or can't be, are told", async () => {
  const { physicalOffset } = inQueue("TopicA", 0, 50);
  const next = inQueue("TopicA", 0, 51);
  const renumber = (queueOffset: number) => (path: string) =>
    patchLog(path, physicalOffset + 20, longBytes(queueOffset));
  const entry =
    `QUEUE_ENTRY_WRONG ${
      inQueueFile("TopicA", 0, 50)
    }: entry 50 points to ${physicalOffset} of the log, where ` +
    "no message of this queue begins";
  assert.deepEqual(await toldAfter(renumber(9_000_000)), [
    `QUEUE_OFFSET_GAP TopicA queue 0: queue offset 50 is missing before the message at ${next.physicalOffset} of the log`,
    `QUEUE_OFFSET_WRONG TopicA queue 0: the message at ${physicalOffset} of the log has queue offset 9000000; 50 comes next`,
    entry,
  ]);
  const back = await toldAfter(renumber(20));
  assert.equal(
    back[1],
    `QUEUE_OFFSET_WRONG TopicA queue 0: the message at ${physicalOffset} of the log has queue offset 20; 50 comes next`,
  );
});

test("log files with a wrong name or size, or of which one is missing, are told", async () => {
  const file = (path: string, start: number) => join(path, "commitlog", String(start).padStart(20, "0"));
  const missing = await toldAfter((path) => rmSync(file(path, LOG_FILE_BYTES)));
  assert.equal(
    missing[0],
    `LOG_FILE_MISSING ${
      file("", 2 * LOG_FILE_BYTES)
    }: before it a file is missing: the one before ends at ${LOG_FILE_BYTES}`,
  );
  const misnamed = await toldAfter((path) => renameSync(file(path, 0), file(path, 100)));
  assert.equal(
    misnamed[0],
    `LOG_FILE_NAME ${file("", 100)}: its name is no multiple of the size of the files, ${LOG_FILE_BYTES}`,
  );
  const short = await toldAfter((path) => truncateSync(file(path, 0), 16_000));
  assert.equal(
    short[0],
    `LOG_FILE_SIZE ${file("", 0)}: it has 16000 bytes, the others have ${LOG_FILE_BYTES}`,
  );
  const empty = await toldAfter((path) => writeFileSync(file(path, 9 * LOG_FILE_BYTES), ""));
  assert.deepEqual(empty, [`EMPTY_FILE ${file("", 9 * LOG_FILE_BYTES)}: it has no bytes`]);
});

test("files that are none of the store's are told where Apache does not start with them", async () => {
  const add = (name: string) => toldAfter((path) => writeFileSync(join(path, name), "12345"));
  assert.deepEqual(await add("commitlog/.DS_Store"), [
    "FOREIGN_FILE commitlog/.DS_Store: a file of 5 bytes that does not belong here",
  ]);
  assert.deepEqual(await add("consumequeue/TopicA/0/notes"), [
    "FOREIGN_FILE consumequeue/TopicA/0/notes: a file of 5 bytes that does not belong here",
  ]);
  assert.deepEqual(await add("consumequeue/notes"), [
    "STRAY_FILE consumequeue/notes: a file among the directories of topics",
  ]);
  assert.deepEqual(await add("index/notes"), ["STRAY_FILE index/notes: a name that is no time"]);
});

// Queues

test("an entry that does not lead to its message is told with both places", async () => {
  const { physicalOffset, size, storeTimestampMs } = inQueue("TopicA", 1, 60);
  const earlier = inQueue("TopicA", 1, 59).physicalOffset;
  const where = `QUEUE_ENTRY_WRONG ${inQueueFile("TopicA", 1, 60)}: entry 60`;
  const plant = (at: number, bytes: Uint8Array) =>
    toldAfter((path) => patchEntry(path, "TopicA", 1, 60, at, bytes));
  assert.deepEqual(await plant(0, longBytes(earlier)), [
    `${where} points to ${earlier} of the log; its message is at ${physicalOffset}`,
  ]);
  assert.deepEqual(await plant(0, longBytes(physicalOffset + 1)), [
    `${where} points to ${physicalOffset + 1} of the log, where no message of this queue begins`,
  ]);
  assert.deepEqual(await plant(0, longBytes(-5)), [
    `${where} points to -5 of the log; its message is at ${physicalOffset}`,
  ]);
  assert.deepEqual(await plant(8, intBytes(size + 1)), [
    `${where} tells ${size + 1} bytes; its message at ${physicalOffset} has ${size}`,
  ]);
  const tags = await plant(12, longBytes(4711));
  assert.equal(tags.length, 1);
  assert.match(
    tags[0],
    new RegExp(`entry 60 has the tags code 4711, not -?\\d+ as its message at ${physicalOffset}$`),
  );
  const late = inQueue("SCHEDULE_TOPIC_XXXX", 1, 3);
  const soon = await toldAfter((path) => patchEntry(path, "SCHEDULE_TOPIC_XXXX", 1, 3, 12, longBytes(1000)));
  assert.deepEqual(soon, [
    `QUEUE_ENTRY_WRONG ${
      inQueueFile("SCHEDULE_TOPIC_XXXX", 1, 3)
    }: entry 3 has the tags code 1000, not a time from ` +
    `${late.storeTimestampMs} on as its message at ${late.physicalOffset}`,
  ]);
  assert.ok(storeTimestampMs > 1000);
});

test("entries that are missing, empty or fillers where the log has messages are told", async () => {
  const { physicalOffset } = inQueue("TopicA", 1, 60);
  const one = `no entry for message 60 (at ${physicalOffset} of the log)`;
  const empty = await toldAfter((path) => patchEntry(path, "TopicA", 1, 60, 0, Buffer.alloc(ENTRY_BYTES)));
  assert.deepEqual(empty, [`QUEUE_ENTRY_MISSING ${inQueueFile("TopicA", 1, 60)}: ${one}`]);
  const filler = Buffer.concat([longBytes(0), intBytes(0x7fffffff), longBytes(0)]);
  const filled = await toldAfter((path) => patchEntry(path, "TopicA", 1, 60, 0, filler));
  assert.deepEqual(filled, [`QUEUE_ENTRY_MISSING ${inQueueFile("TopicA", 1, 60)}: ${one}`]);
  const last = inQueue("TopicA", 1, 94);
  const cut = await toldAfter((path) => patchEntry(path, "TopicA", 1, 60, 0, Buffer.alloc(35 * ENTRY_BYTES)));
  assert.deepEqual(cut, [
    `QUEUE_ENTRY_MISSING ${
      inQueueFile("TopicA", 1, 60)
    }: no entry for 35 messages, 60 to 94 (at ${physicalOffset} to ` +
    `${last.physicalOffset} of the log)`,
  ]);
});

test("a queue without files is told where its topic exists, and where nobody knows", async () => {
  const remove = (path: string) => rmSync(join(path, "consumequeue", "TopicB"), { recursive: true });
  const { physicalOffset: first } = inQueue("TopicB", 0, 0);
  const { physicalOffset: last } = inQueue("TopicB", 0, 99);
  const messages = `100 messages, 0 to 99 (at ${first} to ${last} of the log)`;
  const wrong = [`QUEUE_ENTRY_MISSING consumequeue/TopicB/0: no entry for ${messages}`];
  assert.deepEqual(await toldAfter(remove), wrong);
  assert.deepEqual(await toldAfter(remove, { topics: null }), wrong);
  assert.deepEqual(await toldAfter(remove, { topics: ["TopicA", "SCHEDULE_TOPIC_XXXX"] }), [
    `TOPIC_DELETED TopicB queue 0: ${messages} of a topic that does not exist`,
  ]);
});

test("entries behind the log's end are told: as wrong after a clean stop, not after a crash", async () => {
  const entry = Buffer.concat([longBytes(logEnd() + 500), intBytes(170), longBytes(0)]);
  const plant = (path: string) => patchEntry(path, "TopicA", 1, 95, 0, entry);
  const what = `entry 95 points to ${logEnd() + 500} (170 bytes); the log ends at ${logEnd()}`;
  assert.deepEqual(await toldAfter(plant), [
    `QUEUE_ENTRY_BEHIND_END ${inQueueFile("TopicA", 1, 95)}: ${what}`,
  ]);
  assert.deepEqual(await toldAfter(plant, { state: "unclean" }), [
    `QUEUE_AHEAD_OF_LOG consumequeue: TopicA queue 1: ${what}`,
  ]);
  assert.deepEqual(await toldAfter(plant, { state: "in use" }), []);
});

test("entries behind empty ones are told", async () => {
  const entry = Buffer.concat([
    longBytes(inQueue("TopicA", 1, 90).physicalOffset),
    intBytes(170),
    longBytes(0),
  ]);
  const lines = await toldAfter((path) => patchEntry(path, "TopicA", 1, 98, 0, entry));
  assert.deepEqual(lines, [
    `QUEUE_ENTRY_WRONG ${
      inQueueFile("TopicA", 1, 95)
    }: entry 95 is empty, as 3 in a row are; then more follow`,
  ]);
});

test("an entry of which only the tags code is left is told", async () => {
  const lines = await toldAfter((path) => patchEntry(path, "TopicA", 1, 97, 12, longBytes(5)));
  assert.deepEqual(lines, [
    `QUEUE_ENTRY_WRONG ${
      inQueueFile("TopicA", 1, 95)
    }: entry 95 is empty, as 2 in a row are; then more follow`,
  ]);
});

test("queue files with a wrong name or size, or of which one is missing, are told", async () => {
  const file = (start: number) => `consumequeue/TopicB/0/${String(start).padStart(20, "0")}`;
  const short = await toldAfter((path) => truncateSync(join(path, file(QUEUE_FILE_BYTES)), 700));
  assert.equal(
    short[0],
    `QUEUE_FILES ${file(QUEUE_FILE_BYTES)}: it has 700 bytes, the others have ${QUEUE_FILE_BYTES}`,
  );
  const misnamed = await toldAfter((path) => renameSync(join(path, file(0)), join(path, file(10))));
  assert.equal(
    misnamed[0],
    `QUEUE_FILES ${file(10)}: its name is no multiple of the size of the files, ${QUEUE_FILE_BYTES}`,
  );
  const gap = await toldAfter((path) =>
    renameSync(join(path, file(QUEUE_FILE_BYTES)), join(path, file(4 * QUEUE_FILE_BYTES)))
  );
  assert.equal(
    gap[0],
    `QUEUE_FILES ${
      file(4 * QUEUE_FILE_BYTES)
    }: before it 3 files are missing: the one before ends at ${QUEUE_FILE_BYTES}`,
  );
});

test("after a crash, entries that the next start builds again are not wrong, earlier ones are", async () => {
  const [early, late] = [inQueue("TopicA", 1, 10), inQueue("TopicA", 1, 93)];
  const lastFile = LOG_FILE_BYTES * Math.floor(late.physicalOffset / LOG_FILE_BYTES);
  assert.ok(early.physicalOffset < lastFile);
  const plant = (path: string) => {
    // Messages up to the last file's first one were durable.
    const durableMs = places.find(({ physicalOffset }) => physicalOffset === lastFile)!.storeTimestampMs +
      3000;
    patch(
      join(path, "checkpoint"),
      0,
      Buffer.concat([longBytes(durableMs), longBytes(durableMs), longBytes(durableMs)]),
    );
    for (const { queueOffset } of [early, late]) patchEntry(path, "TopicA", 1, queueOffset, 0, longBytes(1));
    patchEntry(path, "TopicA", 1, 94, 0, Buffer.alloc(ENTRY_BYTES));
  };
  const lines = await toldAfter(plant, { state: "unclean" });
  const entry = (at: Place) =>
    `entry ${at.queueOffset} points to 1 of the log; its message is at ${at.physicalOffset}`;
  const last = inQueue("TopicA", 1, 94).physicalOffset;
  assert.deepEqual(lines.filter((line) => line.startsWith("QUEUE")), [
    `QUEUE_ENTRY_WRONG ${inQueueFile("TopicA", 1, 10)}: ${entry(early)}`,
    `QUEUE_BEHIND_LOG consumequeue: TopicA queue 1: no entry yet for message 94 (at ${last} of the log)`,
    `QUEUE_TORN consumequeue: TopicA queue 1: ${entry(late)}`,
  ]);
});

// The index

/** Byte of entry `number` in an index file. */
const indexEntryAt = (number: number) => 40 + INDEX_SLOTS * 4 + number * 20;

test("index entries that lead nowhere, and keys that are not found, are told", async () => {
  const index = indexFiles(sound.path)[0].slice(sound.path.length + 1);
  const plant = (at: number, bytes: Uint8Array) => toldAfter((path) => patch(indexFiles(path)[0], at, bytes));
  // Entries 1 to 3 are the unique key and the two keys of the first message.
  const { physicalOffset } = place(1);
  const nowhere = await plant(indexEntryAt(5) + 4, longBytes(physicalOffset + 1));
  const wrong = `INDEX_ENTRY_WRONG ${index}@${indexEntryAt(5)}: entry 5`;
  assert.equal(nowhere[0], `${wrong} points to ${physicalOffset + 1} of the log, where no message begins`);
  const otherHash = await plant(indexEntryAt(5), intBytes(12345));
  const missing =
    `the key "key-1" of the message at ${physicalOffset} of the log (topic TopicA) is not there`;
  assert.deepEqual(otherHash.slice(0, 2), [
    `${wrong} has the hash 12345, of which the message at ${physicalOffset} has no key`,
    `INDEX_KEY_MISSING ${index}: ${missing}`,
  ]);
  const otherTime = await plant(indexEntryAt(5) + 12, intBytes(99));
  assert.deepEqual(otherTime, [
    `${wrong} tells 99 seconds; the message at ${physicalOffset} was stored after 0`,
  ]);
});

test("a hash table that does not lead to all entries is told", async () => {
  const index = indexFiles(sound.path)[0].slice(sound.path.length + 1);
  const bytes = readFileSync(join(sound.path, index));
  const slot = bytes.readInt32BE(indexEntryAt(300)) % INDEX_SLOTS;
  const newest = bytes.readInt32BE(40 + slot * 4);
  assert.deepEqual(await toldAfter((path) => patch(join(path, index), 40 + slot * 4, intBytes(0))), [
    `INDEX_CHAIN ${index}@${40 + slot * 4}: slot ${slot} points to entry 0; ${newest} is its newest`,
  ]);
  const previous = bytes.readInt32BE(indexEntryAt(300) + 16);
  assert.deepEqual(await toldAfter((path) => patch(join(path, index), indexEntryAt(300) + 16, intBytes(1))), [
    `INDEX_CHAIN ${index}: entry 300 leads on to entry 1; ${previous} is the one before it in slot ${slot}`,
  ]);
});

test("index files that can't be read are told", async () => {
  const index = indexFiles(sound.path)[1].slice(sound.path.length + 1);
  const size = statSync(join(sound.path, index)).size;
  const first = async (plant: (file: string) => void) =>
    (await toldAfter((path) => plant(join(path, index))))[0];
  assert.equal(
    await first((file) => patch(file, 0, longBytes(-1))),
    `INDEX_FILE ${index}: it has a value that can't be`,
  );
  assert.equal(
    await first((file) => patch(file, 36, intBytes(100_000))),
    `INDEX_FILE ${index}: it counts 100000 entries, the file has no room for them`,
  );
  assert.equal(
    await first((file) => truncateSync(file, size - 20)),
    `INDEX_FILE ${index}: it has ${size - 20} bytes, the others have ${size}`,
  );
  assert.equal(
    await first((file) => truncateSync(file, 7)),
    `INDEX_FILE ${index}: it has no room for a header`,
  );
  const header = await first((file) => patch(file, 24, longBytes(logEnd() + 5)));
  assert.match(
    header,
    new RegExp(
      `^INDEX_FILE ${index}: its header tells messages from \\d+ to ${
        logEnd() + 5
      } of the log, its entries from \\d+ to \\d+$`,
    ),
  );
});

test("an only index file whose slots do not fit its entries is told", async () => {
  const lines = await toldAfter((path) => {
    const [first, ...others] = indexFiles(path);
    for (const other of others) rmSync(other);
    patch(first, 24, longBytes(5));
  });
  assert.match(lines[0], /^INDEX_FILE index\/\d+: its slots do not fit its entries$/);
});

test("a part of the index that is not there is worth knowing, not wrong", async () => {
  const lines = await toldAfter((path) => rmSync(indexFiles(path)[0]));
  assert.equal(lines.length, 1);
  assert.match(
    lines[0],
    /^INDEX_INCOMPLETE index: \d+ messages with keys, the first at 0 of the log, are in none of its files$/,
  );
  const none = await toldAfter((path) => rmSync(join(path, "index"), { recursive: true }));
  assert.deepEqual(none, [
    "INDEX_INCOMPLETE index: 300 messages with keys, the first at 0 of the log, are in none of its files",
  ]);
});

test("after a crash, index files that the next start removes are not wrong", async () => {
  const names = indexFiles(sound.path).map((file) => file.slice(sound.path.length + 1));
  const plant = (path: string) => {
    patch(join(path, "checkpoint"), 16, longBytes(1));
    patch(join(path, names[0]), indexEntryAt(5), intBytes(12345));
  };
  assert.deepEqual(await toldAfter(plant, { state: "unclean" }), [
    ...names.map((name) => `INDEX_UNFINISHED ${name}: it was not on the disk as a whole`),
    "INDEX_INCOMPLETE index: 300 messages with keys, the first at 0 of the log, are in none of its files",
  ]);
  assert.ok((await toldAfter(plant)).some((line) => line.startsWith("INDEX_ENTRY_WRONG ")));
});

// Offsets and the checkpoint

test("consumer offsets are held against their queues", async () => {
  const at = (topic: string, offset: number) => ({ group: "GroupA", topic, queueId: 0, offset });
  const check = (...consumerOffsets: ReturnType<typeof at>[]) =>
    toldAfter(() => {}, { tables: { consumerOffsets } });
  assert.deepEqual(await check(at("TopicA", 0), at("TopicB", 100)), []);
  assert.deepEqual(await check(at("TopicA", 101)), [
    "CONSUMER_OFFSET_AHEAD config/consumerOffset.json: group GroupA, topic TopicA, queue 0: offset 101; the queue ends at 100",
  ]);
  assert.deepEqual(await check(at("Gone", 3)), [
    "CONSUMER_OFFSET_NO_QUEUE config/consumerOffset.json: group GroupA, topic Gone, queue 0: offset 3",
  ]);
  assert.deepEqual(await check(at("Gone", 0)), []);
  assert.deepEqual(await check(at("TopicA", -3)), [
    "CONSUMER_OFFSET_BEHIND config/consumerOffset.json: group GroupA, topic TopicA, queue 0: offset -3; the queue begins at 0",
  ]);
});

test("delay offsets are held against the queues of their levels", async () => {
  const check = (level: number, offset: number) => {
    return toldAfter(() => {}, { tables: { delayOffsets: new Map([[level, offset]]) } });
  };
  assert.deepEqual(await check(2, 5), []);
  assert.deepEqual(await check(2, 6), [
    "DELAY_OFFSET_AHEAD config/delayOffset.json: delay level 2: offset 6; the queue of the level ends at 5",
  ]);
  assert.deepEqual(await check(7, 1), [
    "DELAY_OFFSET_AHEAD config/delayOffset.json: delay level 7: offset 1; the queue of the level ends at 0",
  ]);
});

test("a checkpoint that can't be right, or knows more than the log has, is told", async () => {
  const plant = (at: number, value: number) =>
    toldAfter((path) => patch(join(path, "checkpoint"), at, longBytes(value)));
  assert.deepEqual(await plant(8, -1), ["CHECKPOINT_VALUE checkpoint: logicsMsgTimestampMs is -1"]);
  const ahead = await plant(0, place(299).storeTimestampMs + 5000);
  assert.equal(ahead.length, 1);
  assert.match(
    ahead[0],
    /^CHECKPOINT_AHEAD checkpoint: messages up to .* were safe; the last message of the log was stored at /,
  );
  assert.deepEqual(await plant(32, logEnd() + 7), [
    `CHECKPOINT_AHEAD checkpoint: the log was once seen to reach ${logEnd() + 7}; it ends at ${logEnd()}`,
  ]);
  assert.deepEqual(await toldAfter((path) => rmSync(join(path, "checkpoint"))), [
    "CHECKPOINT_MISSING checkpoint: there is none",
  ]);
});

test("a log that has lost its end is told by the checkpoint, queues and index", async () => {
  const cut = place(250).physicalOffset;
  const lines = await toldAfter((path) => {
    patchLog(path, cut, Buffer.alloc(LOG_FILE_BYTES - cut % LOG_FILE_BYTES));
    for (const name of readdirSync(join(path, "commitlog"))) {
      if (Number(name) > cut) rmSync(join(path, "commitlog", name));
    }
  });
  const kinds = lines.map((line) => line.split(" ")[0]);
  for (const kind of ["CHECKPOINT_AHEAD", "QUEUE_ENTRY_BEHIND_END", "INDEX_ENTRY_WRONG"]) {
    assert.ok(kinds.includes(kind), kind);
  }
});

test("queues of light topics are held against the messages that they share", async () => {
  const directory = temporaryDirectory();
  const store = await openStore(directory.path);
  for (let number = 0; number < 3; number++) {
    const propertyMap = new Map([
      ["INNER_MULTI_DISPATCH", "%LMQ%one,%LMQ%two"],
      ["INNER_MULTI_QUEUE_OFFSET", `${number},${number + 4}`],
    ]);
    store.append(draft("TopicA", `shared ${number}`, { propertyMap }));
  }
  await visible(store);
  await store.close();
  const lines = told(directory.path, (await verify(directory.path)).findings);
  assert.deepEqual(lines.map((line) => line.split(":")[0]), [
    "TOPIC_DELETED %LMQ%one queue 0",
    "TOPIC_DELETED %LMQ%two queue 0",
  ]);
  const one = join(directory.path, "consumequeue", "%LMQ%one", "0");
  mkdirSync(one, { recursive: true });
  const queue = readFileSync(queueFile(directory.path, "TopicA", 0, 0));
  writeFileSync(join(one, "00000000000000000000"), queue);
  assert.deepEqual(
    told(directory.path, (await verify(directory.path)).findings).map((line) => line.split(":")[0]),
    ["TOPIC_DELETED %LMQ%two queue 0"],
  );
  directory.remove();
});
