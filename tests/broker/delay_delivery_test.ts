// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { decodeRecord } from "../../src/protocol/record.ts";
import {
  bodyOf,
  BrokerParts,
  type BrokerPartsOptions,
  propertiesOf,
  recordsIn,
} from "../harness/broker_parts.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import type { MemoryFiles } from "../harness/memory_files.ts";
import { SeededRandom } from "../harness/seeded_random.ts";
import { until } from "../harness/until.ts";

const PAIRS = ["messageDelayLevel=1s 5s 1m 2h"];
const SCHEDULE = "SCHEDULE_TOPIC_XXXX";
const PROGRESS = "/store/config/delayOffset.json";

let broker: BrokerParts;

async function start(options: BrokerPartsOptions = {}): Promise<void> {
  broker = await BrokerParts.open({ ...options, pairs: [...PAIRS, ...options.pairs ?? []] });
  broker.delay.start();
}

beforeEach(async () => {
  await start();
  broker.createTopic("T", 2);
});
afterEach(() => broker.close());

async function send(level: number, body: string, given: Parameters<BrokerParts["send"]>[0] | object = {}) {
  const sent = await broker.send({ topic: "T", body, properties: { DELAY: String(level) }, ...given });
  assert.equal(sent.code, 0, sent.remark);
}

/** Lets time pass, with the event loop in between as it would be. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 100) {
    broker.clock.advance(Math.min(100, left));
    for (let turn = 0; turn < 4; turn++) await setImmediate();
  }
}

function offsetOf(level: number): number {
  return broker.delay.progress()[level - 1].offset;
}

/** What the file says of each level. */
function keptProgress(files: MemoryFiles = broker.files): Record<string, number> {
  if (files.stat(PROGRESS) === undefined) return {};
  return JSON.parse(new TextDecoder().decode(files.read(PROGRESS))).offsetTable;
}

/** Ends the process without a word; what comes back is what the next one finds. */
async function restartAfter(end: (files: MemoryFiles) => MemoryFiles, clock = broker.clock): Promise<void> {
  const files = end(broker.files);
  await start({ files, clock });
}

describe("a delayed message", () => {
  test("comes when its delay is over, and not before", async () => {
    await send(1, "a");
    await pass(900);
    assert.deepEqual(await broker.bodies("T"), []);
    await pass(200);
    assert.deepEqual(await broker.bodies("T"), ["a"]);
    await pass(10_000);
    assert.deepEqual(await broker.bodies("T"), ["a"], "once");
    assert.equal(offsetOf(1), 1);
  });

  test("comes at its moment, whenever in between the looks that is", async () => {
    await pass(100);
    broker.clock.advance(37);
    await send(1, "a");
    broker.clock.advance(100);
    for (let ms = 0; ms < 1000 - 100 - 1; ms += 1) broker.clock.advance(1);
    assert.deepEqual(await broker.bodies("T"), []);
    broker.clock.advance(1);
    assert.deepEqual(await broker.bodies("T"), ["a"]);
  });

  test("may have any of as many levels as are configured", async () => {
    await broker.close();
    await start({
      pairs: [`messageDelayLevel=${Array.from({ length: 25 }, (_, i) => `${i + 1}s`).join(" ")}`],
    });
    broker.createTopic("T", 2);
    await send(25, "25");
    await send(26, "the last, too");
    await send(19, "19");
    await pass(18_900);
    assert.deepEqual(await broker.bodies("T"), []);
    await pass(200);
    assert.deepEqual(await broker.bodies("T"), ["19"]);
    await pass(6000);
    assert.deepEqual(await broker.bodies("T"), ["19", "25", "the last, too"]);
  });

  test("comes to the queue that it was sent to, as it was sent", async () => {
    await broker.send({
      topic: "T",
      body: "a",
      properties: { DELAY: "1", TAGS: "x", KEYS: "k", colour: "red", UNIQ_KEY: "K" },
      header: { queueId: "1", flag: "3", sysFlag: "1", bornTimestamp: "5" },
    });
    const waiting = await broker.last(SCHEDULE, 0);
    await pass(1100);
    const record = await broker.last("T", 1);
    assert.equal(bodyOf(record), "a");
    assert.equal(record.flag, 3);
    assert.equal(record.sysFlag, 1);
    assert.equal(record.bornTimestampMs, 5);
    assert.equal(record.reconsumeTimes, 0);
    assert.deepEqual(record.bornHost, waiting.bornHost);
    assert.equal(propertiesOf(record).colour, "red");
    assert.equal(propertiesOf(record).UNIQ_KEY, "K");
    const pulled = (subscription: string) =>
      broker.pull({ group: "g", topic: "T", header: { queueId: "1", subscription } });
    assert.equal((await pulled("y")).code, 20);
    assert.deepEqual(recordsIn(await pulled("x")).map(bodyOf), ["a"]);
    assert.equal(broker.store.queryByKey("T", "k", 9, 0, Number.MAX_SAFE_INTEGER).records.length, 1);
  });

  test("wakes a consumer that waits for it", async () => {
    await send(1, "a");
    const held = broker.pullLater({ group: "g", topic: "T", header: { sysFlag: "6" } });
    await pass(1100);
    assert.deepEqual(recordsIn(held.response!).map(bodyOf), ["a"]);
  });

  test("keeps its place among those of its level, and holds up no other level", async () => {
    await send(2, "later");
    for (let i = 0; i < 5; i++) {
      await send(1, `${i}`);
      await pass(100);
    }
    await pass(1000);
    assert.deepEqual(await broker.bodies("T"), ["0", "1", "2", "3", "4"]);
    await pass(4000);
    assert.deepEqual(await broker.bodies("T"), ["0", "1", "2", "3", "4", "later"]);
  });

  test("comes even if many do at the same time, all in their order and once", async () => {
    const bodies = Array.from({ length: 3000 }, (_, i) => String(i));
    await Promise.all(bodies.map((body) => send(1, body)));
    broker.clock.advance(1100);
    await until(() => broker.store.maxOffset("T", 0) === bodies.length);
    assert.deepEqual(await broker.bodies("T"), bodies);
    assert.equal(offsetOf(1), bodies.length);
  });

  test("that can't be read any more is left out, the others come", async () => {
    const pairs = ["mappedFileSizeCommitLog=4096"];
    await broker.close();
    await start({ pairs });
    for (const body of ["a", "b", "c"]) await send(1, body);
    // recovery would find the damage in the last file of the log
    for (let i = 0; i < 3; i++) await broker.send({ topic: "Filler", body: "x".repeat(3000) });
    await broker.bodies("Filler");
    const { physicalOffset } = broker.store.queueEntry(SCHEDULE, 0, 1)!;
    await broker.close();
    const { files, clock } = broker;
    files.damage("/store/commitlog/00000000000000000000", physicalOffset + 4, new Uint8Array(4));
    await start({ files, clock, pairs });
    await pass(1100);
    assert.deepEqual(await broker.bodies("T"), ["a", "c"]);
    assert.equal(offsetOf(1), 3);
  });

  test("comes behind however many that can't be delivered", async () => {
    await send(1, "a");
    const message = { ...(await draftOf({ DELAY: "1" })), topic: SCHEDULE, queueId: 0 };
    for (let i = 0; i < 1500; i++) broker.store.append(message);
    await send(1, "b");
    await pass(3000);
    assert.deepEqual(await broker.bodies("T"), ["a", "b"]);
    assert.equal(offsetOf(1), 1502);
  });

  test("of a store that Apache filled may have no place to go: it is left out", async () => {
    const message = { ...(await draftOf({ DELAY: "1" })), topic: SCHEDULE, queueId: 0 };
    broker.store.append(message);
    await send(1, "b");
    await pass(1100);
    assert.deepEqual(await broker.bodies("T"), ["b"]);
    assert.equal(offsetOf(1), 2);
  });
});

async function draftOf(properties: Record<string, string>) {
  const { draft } = await import("../harness/store.ts");
  return draft("T", "nowhere", { propertyMap: new Map(Object.entries(properties)) });
}

describe("the progress of delivery", () => {
  test("moves when the copy is stored, not before", async () => {
    await broker.close();
    await start({ pairs: ["flushDiskType=SYNC_FLUSH"] });
    broker.createTopic("T");
    await send(1, "a");
    const syncs = broker.files.holdSyncs();
    await pass(1100);
    assert.equal(offsetOf(1), 0);
    assert.deepEqual(keptProgress(), {});
    syncs.release();
    assert.deepEqual(await broker.bodies("T"), ["a"]);
    assert.equal(offsetOf(1), 1);
  });

  test("is told with the end of each queue", async () => {
    await send(1, "a");
    await send(2, "b");
    await pass(1100);
    assert.deepEqual(broker.delay.progress().slice(0, 2), [
      { level: 1, offset: 1, maxOffset: 1 },
      { level: 2, offset: 0, maxOffset: 1 },
    ]);
  });

  test("is kept every ten seconds, once the copies are flushed", async () => {
    await send(1, "a");
    await pass(1100);
    const syncs = broker.files.holdSyncs();
    await send(1, "b");
    await pass(1100);
    assert.equal(offsetOf(1), 2);
    await pass(30_000);
    assert.deepEqual(keptProgress(), {});
    syncs.release();
    await pass(20_000);
    assert.deepEqual(keptProgress(), { 1: 2 });
  });

  test("is kept by an orderly stop, so that nothing comes twice", async () => {
    await send(1, "a");
    await send(2, "b");
    await pass(1100);
    await broker.close();
    assert.deepEqual(keptProgress(), { 1: 1 });
    const { files, clock } = broker;
    await start({ files, clock });
    await pass(5000);
    assert.deepEqual(await broker.bodies("T"), ["a", "b"]);
  });

  test("may be behind after the end of the process: messages come twice, none is skipped", async () => {
    for (const body of ["a", "b", "c"]) await send(1, body);
    await pass(1100);
    await send(1, "d");
    await restartAfter((files) => files.kill());
    await pass(1100);
    const bodies = await broker.bodies("T");
    assert.deepEqual(bodies, ["a", "b", "c", "a", "b", "c", "d"]);
  });

  test("never skips a message because of a power cut, whenever it comes", async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = new SeededRandom(seed);
      const clock = new ManualClock();
      await broker.close();
      await start({ clock });
      broker.createTopic("T");
      for (let i = 0; i < 4; i++) await send(1, `${i}`);
      // the messages themselves are safe; their copies may not be
      await broker.store.flush();
      const syncs = random.next() < 0.5 ? broker.files.holdSyncs() : undefined;
      await pass(1100 + random.between(0, 300) * 100);
      await restartAfter((files) => files.crash(random));
      syncs?.release();
      await pass(2000);
      const delivered = new Set(await broker.bodies("T"));
      assert.deepEqual([...delivered].sort(), ["0", "1", "2", "3"], `seed ${seed}`);
    }
  });

  test("beyond the queue's end or before its start is brought into it", async () => {
    await send(1, "a");
    await pass(1100);
    await broker.close();
    const { files, clock } = broker;
    for (const offset of [7, -3, "9"]) {
      const text = JSON.stringify({ dataVersion: { counter: 1 }, offsetTable: { 1: offset, 3: "x" } });
      files.replace(PROGRESS, new TextEncoder().encode(text));
      await start({ files, clock });
      assert.equal(offsetOf(1), offset === -3 ? 0 : 1);
      assert.equal(offsetOf(3), 0);
      await broker.close();
    }
    await start({ files, clock });
  });

  test("of levels that the configuration no longer has is kept for when they come back", async () => {
    await send(2, "a");
    await send(1, "b");
    await pass(5100);
    await broker.close();
    const { files, clock } = broker;
    broker = await BrokerParts.open({ files, clock, pairs: ["messageDelayLevel=1s"] });
    broker.delay.start();
    await send(1, "c");
    await pass(1100);
    await broker.close();
    assert.deepEqual(keptProgress(files), { 1: 2, 2: 1 });
    await start({ files, clock });
    await pass(10_000);
    assert.deepEqual(await broker.bodies("T"), ["b", "a", "c"]);
  });

  test("that can't be written is tried again", async () => {
    await send(1, "a");
    broker.files.fail({ operation: "create", code: "ENOSPC", path: /delayOffset/, times: 2 });
    await pass(21_000);
    assert.deepEqual(keptProgress(), {});
    await pass(10_000);
    assert.deepEqual(keptProgress(), { 1: 1 });
  });

  test("is what slaves are told, in Apache's form", async () => {
    await send(2, "a");
    await pass(5100);
    const { offsetTable, dataVersion } = broker.delay.toJson() as Record<string, unknown>;
    assert.deepEqual(offsetTable, new Map([[2, 1]]));
    assert.equal(typeof (dataVersion as Record<string, unknown>).counter, "number");
  });

  test("is read from a file of Apache's", async () => {
    for (const version of ["4.9.7", "5.4.0"]) {
      const { readFileSync } = await import("node:fs");
      const bytes = readFileSync(new URL(`../golden/config/${version}/delayOffset.json`, import.meta.url));
      const levels = JSON.parse(bytes.toString()).offsetTable;
      await broker.close();
      const files = broker.files;
      files.replace(PROGRESS, new Uint8Array(bytes));
      await start({ files, clock: broker.clock });
      // the queues are empty, so all of it is beyond their ends
      for (const level of Object.keys(levels)) {
        if (Number(level) <= 4) assert.equal(offsetOf(Number(level)), 0);
      }
    }
  });
});

describe("where delivery fails", () => {
  test("a full disk: nothing is lost, nothing comes twice, it goes on when there is space", async () => {
    await send(1, "a");
    await send(1, "b");
    await pass(900);
    const full = broker.files.fail({ operation: "write", code: "ENOSPC", path: /commitlog/, times: 3 });
    await pass(1500);
    assert.deepEqual(await broker.bodies("T"), []);
    assert.equal(offsetOf(1), 0);
    assert.ok(full.hits > 0);
    await pass(5000);
    assert.deepEqual(await broker.bodies("T"), ["a", "b"]);
    assert.equal(offsetOf(1), 2);
  });

  test("a queue or log that can't be read for a while: the message comes later", async () => {
    await send(1, "a");
    await send(1, "b");
    await broker.close();
    const { files, clock } = broker;
    await start({ files, clock });
    const broken = files.fail({ operation: "read", code: "EIO", path: /consumequeue|commitlog/, times: 5 });
    await pass(2000);
    assert.equal(broken.hits, 5);
    assert.deepEqual(await broker.bodies("T"), ["a", "b"]);
  });

  test("a sync that fails: nothing is delivered any more, and the progress stays", async () => {
    await broker.close();
    await start({ pairs: ["flushDiskType=SYNC_FLUSH"] });
    broker.createTopic("T");
    await send(1, "a");
    await pass(900);
    broker.files.fail({ operation: "sync", code: "EIO", path: /commitlog/ });
    await pass(2000);
    assert.equal(offsetOf(1), 0);
    assert.equal(broker.store.maxOffset("T", 0), 0);
    await broker.delay.stop();
    assert.deepEqual(keptProgress(), {});
  });
});

/** A clock by which everything takes its time. */
class SlowClock extends ManualClock {
  #askedCount = 0;

  override monotonicMs(): number {
    return super.monotonicMs() + this.#askedCount++;
  }
}

test("others are served while many messages are delivered that take long to read", async () => {
  await broker.close();
  await start({ clock: new SlowClock() });
  broker.createTopic("T");
  for (let i = 0; i < 200; i++) await send(1, String(i));
  const { store } = broker;
  const append = store.append.bind(store);
  let turn = 0;
  const counts: number[] = [];
  store.append = (draft) => {
    counts[turn] = (counts[turn] ?? 0) + 1;
    return append(draft);
  };
  broker.clock.advance(1100);
  while (store.maxOffset("T", 0) < 200) {
    turn++;
    await setImmediate();
    broker.clock.advance(1);
  }
  assert.deepEqual(await broker.bodies("T"), Array.from({ length: 200 }, (_, i) => String(i)));
  assert.ok(Math.max(...counts.filter(Boolean)) <= 20, String(counts));
});

/** A clock that an operator sets. */
class SetClock extends ManualClock {
  #shiftMs = 0;

  override nowMs(): number {
    return super.nowMs() + this.#shiftMs;
  }

  shift(ms: number): void {
    this.#shiftMs += ms;
  }
}

describe("a clock that is set", () => {
  let clock: SetClock;

  beforeEach(async () => {
    await broker.close();
    clock = new SetClock();
    await start({ clock });
    broker.createTopic("T");
  });

  test("back a little: messages don't come early", async () => {
    await send(1, "a");
    await send(4, "long");
    clock.shift(-500);
    await send(1, "b");
    await pass(500);
    assert.deepEqual(await broker.bodies("T"), []);
    await pass(1200);
    assert.deepEqual(await broker.bodies("T"), ["a", "b"]);
    await pass(60_000);
    assert.deepEqual(await broker.bodies("T"), ["a", "b"]);
  });

  test("back by hours: messages that are sent then wait as long as they should", async () => {
    await broker.send({ topic: "T", body: "before" });
    clock.shift(-3 * 3600_000);
    await send(1, "a");
    await send(3, "b");
    await pass(900);
    assert.deepEqual(await broker.bodies("T"), ["before"]);
    await pass(300);
    assert.deepEqual(await broker.bodies("T"), ["before", "a"]);
    await pass(58_000);
    assert.deepEqual(await broker.bodies("T"), ["before", "a"]);
    await pass(1000);
    assert.deepEqual(await broker.bodies("T"), ["before", "a", "b"]);
  });

  test("back by hours: messages that were waiting don't wait for hours more", async () => {
    await send(3, "a");
    clock.shift(-3 * 3600_000);
    await pass(60_000);
    assert.deepEqual(await broker.bodies("T"), ["a"]);
  });

  test("on: messages whose time has come by it are delivered", async () => {
    await send(4, "a");
    clock.shift(2 * 3600_000);
    await pass(100);
    assert.deepEqual(await broker.bodies("T"), ["a"]);
  });
});

test("what is stopped delivers no more and leaves no timer", async () => {
  await send(1, "a");
  const before = broker.clock.timerCount;
  await broker.delay.stop();
  assert.equal(broker.clock.timerCount, before - 2);
  await pass(5000);
  assert.deepEqual(await broker.bodies("T"), []);
  const record = await broker.last(SCHEDULE, 0);
  assert.equal(typeof decodeRecord(broker.store.readRecord(record.physicalOffset)!), "object");
});
