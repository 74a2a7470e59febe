// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { readLayout } from "../../../src/store/inspect/layout.ts";
import { diskReader } from "../../../src/store/inspect/reader.ts";
import { type Found, select, type Selection } from "../../../src/store/inspect/select.ts";
import {
  copyStore,
  flip,
  logFile,
  longBytes,
  makeStore,
  patchEntry,
  patchLog,
  type Place,
  placesOf,
} from "./planted_store.ts";

let sound: { path: string; remove(): void };
let places: Place[];

before(async () => {
  sound = await makeStore();
  places = await placesOf(sound.path);
});

after(() => sound.remove());

interface Selected {
  found: Found[];
  unreadable: string[];
}

async function selected(selection: Selection, path = sound.path, limit = Infinity): Promise<Selected> {
  const reader = diskReader();
  const layout = readLayout(reader, path, join(path, "commitlog"));
  const result: Selected = { found: [], unreadable: [] };
  await select(reader, layout, selection, {
    found: ({ record, ...found }) => {
      return result.found.push({ ...found, record: { ...record, body: Uint8Array.from(record.body) } }) <
        limit;
    },
    unreadable: (what) => void result.unreadable.push(what),
    pause: () => Promise.resolve(true),
  });
  reader.close();
  return result;
}

/** Physical offsets of what is selected; by the queues and through the log it must be the same. */
async function offsets(selection: Selection): Promise<number[]> {
  const byQueues = (await selected(selection)).found.map(({ record }) => record.physicalOffset);
  const byLog = (await selected({ ...selection, throughLog: true })).found.map(({ record }) =>
    record.physicalOffset
  );
  assert.deepEqual(byQueues, byLog);
  return byLog;
}

/** The same from the list of all messages. */
const wanted = (filter: (place: Place) => boolean) =>
  places.filter(filter).map(({ physicalOffset }) => physicalOffset);

test("everything comes in the order of the log", async () => {
  const { found, unreadable } = await selected({});
  assert.deepEqual(found.map(({ record }) => record.physicalOffset), wanted(() => true));
  assert.deepEqual(unreadable, []);
  assert.equal(new TextDecoder().decode(found[10].record.body), "body 10");
});

test("topics and queues are picked out, by their queues as well as by the log", async () => {
  assert.deepEqual(await offsets({ topic: "TopicA" }), wanted(({ topic }) => topic === "TopicA"));
  assert.deepEqual(
    await offsets({ topic: "TopicA", queueId: 1 }),
    wanted(({ topic, queueId }) => topic === "TopicA" && queueId === 1),
  );
  assert.deepEqual(await offsets({ topic: "TopicA", queueId: 9 }), []);
  assert.deepEqual(await offsets({ topic: "None" }), []);
  const queue1 = (await selected({ queueId: 1 })).found.map(({ record }) => record.physicalOffset);
  assert.deepEqual(queue1, wanted(({ queueId }) => queueId === 1));
});

test("bounds are places in the log, in a queue, or times, and belong to what is wanted", async () => {
  const [from, to] = [places[50], places[60]];
  assert.deepEqual(
    await offsets({
      from: { physicalOffset: from.physicalOffset },
      to: { physicalOffset: to.physicalOffset },
    }),
    wanted(({ physicalOffset }) =>
      physicalOffset >= from.physicalOffset && physicalOffset <= to.physicalOffset
    ),
  );
  assert.deepEqual(
    await offsets({ topic: "TopicB", from: { physicalOffset: from.physicalOffset + 1 } }),
    wanted(({ topic, physicalOffset }) => topic === "TopicB" && physicalOffset > from.physicalOffset),
  );
  assert.deepEqual(
    await offsets({ topic: "TopicB", queueId: 0, from: { queueOffset: 70 }, to: { queueOffset: 72 } }),
    wanted(({ topic, queueOffset }) => topic === "TopicB" && queueOffset >= 70 && queueOffset <= 72),
  );
  const [fromMs, toMs] = [places[120].storeTimestampMs, places[250].storeTimestampMs];
  for (const topic of [undefined, "TopicA"]) {
    assert.deepEqual(
      await offsets({ topic, from: { timeMs: fromMs }, to: { timeMs: toMs } }),
      wanted((place) => {
        const isInTime = place.storeTimestampMs >= fromMs && place.storeTimestampMs <= toMs;
        return isInTime && (topic === undefined || place.topic === topic);
      }),
    );
  }
  assert.deepEqual(await offsets({ from: { timeMs: Date.now() + 1000 } }), []);
  assert.deepEqual(await offsets({ topic: "TopicA", from: { timeMs: Date.now() + 1000 } }), []);
});

test("a key is a unique key or one of the keys", async () => {
  const [{ record, properties }] = (await selected({ key: "more-7" })).found;
  assert.equal(new TextDecoder().decode(record.body), "body 7");
  assert.deepEqual(await offsets({ key: "key-7" }), [record.physicalOffset]);
  assert.deepEqual(await offsets({ topic: "TopicA", key: properties.get("UNIQ_KEY") }), [
    record.physicalOffset,
  ]);
  assert.deepEqual(await offsets({ key: "key" }), []);
});

test("a backlog is what a group has not consumed", async () => {
  const backlog = new Map([["TopicA", new Map([[0, 98]])], ["TopicB", new Map([[0, 100]])]]);
  assert.deepEqual(
    await offsets({ backlog }),
    wanted(({ topic, queueId, queueOffset }) => topic === "TopicA" && queueId === 0 && queueOffset >= 98),
  );
});

test("nothing is read behind the last message wanted", async () => {
  assert.equal((await selected({}, sound.path, 3)).found.length, 3);
  assert.equal((await selected({ topic: "TopicA" }, sound.path, 3)).found.length, 3);
});

test("what can't be read is told, and the rest is found", async () => {
  const copy = copyStore(sound.path);
  const [broken, changed] = [places[30], places[31]];
  patchLog(copy.path, broken.physicalOffset, new Uint8Array(broken.size));
  flip(logFile(copy.path, changed.physicalOffset), changed.physicalOffset + 90);
  const { found, unreadable } = await selected({}, copy.path);
  assert.equal(found.length, 299);
  assert.equal(
    found.find(({ defect }) => defect !== undefined)?.record.physicalOffset,
    changed.physicalOffset,
  );
  assert.equal(unreadable.length, 2);
  assert.match(
    unreadable[0],
    new RegExp(`at ${broken.physicalOffset} of the log ${broken.size} bytes hold no message`),
  );
  const byQueue = await selected({ topic: broken.topic, queueId: broken.queueId }, copy.path);
  assert.deepEqual(byQueue.unreadable, [
    `${broken.topic} queue ${broken.queueId}: entry ${broken.queueOffset} points to ${broken.physicalOffset}, where its ` +
    "message is not",
  ]);
  copy.remove();
});

test("messages that a queue has lost are found through the log", async () => {
  const copy = copyStore(sound.path);
  const [first] = places.filter(({ topic }) => topic === "TopicB");
  patchEntry(copy.path, "TopicB", 0, 0, 0, longBytes(first.physicalOffset + 1));
  assert.equal((await selected({ topic: "TopicB" }, copy.path)).found.length, 99);
  assert.equal((await selected({ topic: "TopicB", throughLog: true }, copy.path)).found.length, 100);
  rmSync(join(copy.path, "consumequeue"), { recursive: true });
  assert.equal((await selected({ topic: "TopicB" }, copy.path)).found.length, 100);
  copy.remove();
});

test("what has expired is passed over", async () => {
  const copy = copyStore(sound.path);
  rmSync(join(copy.path, "commitlog", "0".repeat(20)));
  const { found, unreadable } = await selected({ topic: "TopicA" }, copy.path);
  assert.deepEqual(unreadable, []);
  assert.deepEqual(
    found.map(({ record }) => record.physicalOffset),
    wanted(({ topic, physicalOffset }) => topic === "TopicA" && physicalOffset >= 16 * 1024),
  );
  copy.remove();
});
