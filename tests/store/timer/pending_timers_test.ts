// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { decodeTimerCheckpoint, TimerCheckpoint } from "../../../src/store/timer/timer_checkpoint.ts";
import { PendingTimers, type PendingTimersOptions } from "../../../src/store/timer/pending_timers.ts";
import { UnitMagic } from "../../../src/store/timer/timer_unit.ts";
import { asBuffer } from "../../../src/protocol/record.ts";
import { MemoryFiles } from "../../harness/memory_files.ts";
import { SeededRandom } from "../../harness/seeded_random.ts";

const START_MS = 1_700_000_000_000;
const CHECKPOINT = "/store/config/timercheck";
/** Three units of a file, and a blank. */
const FILE_BYTES = 52 * 3 + 20;

let files: MemoryFiles;
let nowMs: number;
let endOffset: number;
/** What was asked of the disk and the log, in its order. */
let order: string[];

beforeEach(() => {
  files = new MemoryFiles();
  files.makeDirectory("/store/config");
  nowMs = START_MS;
  endOffset = 1_000_000;
  order = [];
});

function open(given: Partial<PendingTimersOptions> = {}): PendingTimers {
  return PendingTimers.open({
    files,
    storeDirectory: "/store",
    precisionMs: 1000,
    logFileBytes: FILE_BYTES,
    nowMs: () => nowMs,
    endOffset,
    flushCommitLog: () => {
      order.push("CommitLog");
      return Promise.resolve();
    },
    slotCount: 1000,
    ...given,
  });
}

/** Puts the message at `100 * number` into the slot of a second after the start. */
function put(
  pending: PendingTimers,
  number: number,
  second: number,
  magic: number = UnitMagic.DEFAULT,
): boolean {
  return pending.put({
    slotTimeMs: START_MS + second * 1000,
    magic,
    writeTimeMs: nowMs,
    physicalOffset: 100 * number,
    messageBytes: 100,
    topicHash: 7,
  });
}

/** Numbers of a slot's messages, the last one first. */
function numbersAt(pending: PendingTimers, second: number): number[] {
  const timeMs = START_MS + second * 1000;
  const numbers: number[] = [];
  let position = pending.slot(timeMs)?.lastPosition ?? -1;
  while (position >= 0) {
    const unit = pending.unit(position, timeMs)!;
    numbers.push(unit.physicalOffset / 100);
    position = unit.previousPosition;
  }
  return numbers;
}

async function stop(pending: PendingTimers): Promise<void> {
  await pending.flushAll();
  pending.close();
}

describe("what waits", () => {
  test("is found by its moment, the last one first, in files of the log that are full", async () => {
    const pending = open();
    for (let number = 1; number <= 8; number++) put(pending, number, 5 + number % 2);
    pending.write();
    assert.deepEqual(numbersAt(pending, 5), [8, 6, 4, 2]);
    assert.deepEqual(numbersAt(pending, 6), [7, 5, 3, 1]);
    assert.equal(pending.count, 8);
    assert.equal(pending.countAt(START_MS + 5000), 4);
    assert.equal(files.list("/store/timerlog").length, 3);
    const blank = asBuffer(files.read("/store/timerlog/00000000000000000000")).subarray(156);
    assert.equal(blank.subarray(0, 16).toString("hex"), "00000014" + "0000000000000000" + "cbd43194");
    await stop(pending);
  });

  test("is less by what is taken back", async () => {
    const pending = open();
    put(pending, 1, 5);
    put(pending, 2, 5);
    put(pending, 3, 5, UnitMagic.DEFAULT | UnitMagic.DELETE);
    assert.equal(pending.count, 1);
    await stop(pending);
  });

  test("is there after a proper stop", async () => {
    const pending = open();
    for (let number = 1; number <= 8; number++) put(pending, number, 5);
    pending.passQueue(8);
    await stop(pending);
    const again = open();
    assert.deepEqual(numbersAt(again, 5), [8, 7, 6, 5, 4, 3, 2, 1]);
    assert.deepEqual([again.count, again.queueOffset, again.masterQueueOffset], [8, 8, 8]);
    assert.equal(again.isKnown(800), false, "what the checkpoint covers is not looked at again");
    put(again, 9, 5);
    again.write();
    assert.deepEqual(numbersAt(again, 5).slice(0, 2), [9, 8]);
    await stop(again);
    assert.deepEqual(files.openPaths, []);
  });

  test("waits for a slot that another moment has", async () => {
    const pending = open();
    pending.passTime(START_MS);
    assert.equal(put(pending, 1, 5), true);
    assert.equal(put(pending, 2, 1005), false);
    pending.passTime(START_MS + 6000);
    assert.equal(put(pending, 2, 1005), true);
    await stop(pending);
  });

  test("is passed over where there is nothing, however long", async () => {
    const pending = open();
    pending.passTime(START_MS);
    put(pending, 1, 700);
    assert.equal(pending.nextSlot(START_MS + 700_000), undefined);
    assert.equal(pending.nextSlot(START_MS + 701_000), START_MS + 700_000);
    pending.passTime(START_MS + 700_000);
    pending.passTime(START_MS + 701_000);
    assert.equal(pending.count, 0);
    await stop(pending);
  });
});

describe("the checkpoint", () => {
  test("is written last, when all that it tells is durable", async () => {
    const pending = open();
    put(pending, 1, 5);
    pending.passQueue(1);
    const flushing = pending.flush();
    put(pending, 2, 5);
    pending.passQueue(2);
    await flushing;
    const { queueOffset, logFlushPosition } = decodeTimerCheckpoint(asBuffer(files.read(CHECKPOINT)));
    assert.deepEqual([queueOffset, logFlushPosition], [1, 52], "what came meanwhile is not told");
    assert.deepEqual(order, ["CommitLog"]);
    await stop(pending);
  });

  for (const [what, path] of [["timer log", /timerlog/], ["wheel", /timerwheel/]] as const) {
    test(`does not move when the ${what} can't be synced, until the next start`, async () => {
      const pending = open();
      put(pending, 1, 5);
      pending.passQueue(1);
      await pending.flush();
      files.fail({ operation: "sync", code: "EIO", path });
      put(pending, 2, 5);
      pending.passQueue(2);
      await assert.rejects(pending.flush(), /EIO/);
      await assert.rejects(pending.flush(), /EIO/);
      pending.close();
      const again = open();
      assert.equal(again.queueOffset, 1);
      assert.equal(again.isKnown(200), true);
      assert.deepEqual(numbersAt(again, 5), [2, 1]);
      await stop(again);
    });
  }

  test("after a sync that failed, units are written once more before it tells of them", async () => {
    const given = { logFileBytes: 52 * 100 + 16 };
    for (let seed = 1; seed <= 30; seed++) {
      files = new MemoryFiles();
      files.makeDirectory("/store/config");
      files.syncDirectory("/");
      files.syncDirectory("/store");
      const pending = open(given);
      for (let number = 1; number <= 30; number++) put(pending, number, 5);
      pending.passQueue(30);
      files.fail({ operation: "sync", code: "EIO", path: /timerlog/ });
      await assert.rejects(pending.flush(), /EIO/);
      pending.close();
      const again = open(given);
      for (let number = 1; number <= 30; number++) assert.equal(again.isKnown(100 * number), true);
      again.passQueue(30);
      await stop(again);
      files = files.crash(new SeededRandom(seed));
      const third = open(given);
      assert.deepEqual([third.queueOffset, numbersAt(third, 5).length], [30, 30], `seed ${seed}`);
      await stop(third);
    }
  });

  test("that can't be is taken for none", async () => {
    const bytes = new Uint8Array(4096);
    bytes[0] = 0xff;
    const file = files.create(CHECKPOINT, 4096);
    file.writeAt(bytes, 0);
    file.close();
    const pending = open();
    assert.equal(pending.queueOffset, 0);
    await stop(pending);
  });
});

describe("after a death", () => {
  /** Two units that the checkpoint covers, and two that it does not. */
  async function die(end: (files: MemoryFiles) => MemoryFiles): Promise<void> {
    const pending = open();
    put(pending, 1, 5);
    put(pending, 2, 6);
    pending.passQueue(2);
    await pending.flush();
    put(pending, 3, 5);
    put(pending, 4, 7);
    pending.write();
    files = end(files);
  }

  test("the wheel learns from the timer log, and each message that has a unit is known", async () => {
    await die((files) => files.kill());
    const pending = open();
    assert.deepEqual([numbersAt(pending, 5), numbersAt(pending, 6), numbersAt(pending, 7)], [[3, 1], [2], [
      4,
    ]]);
    assert.deepEqual([pending.count, pending.queueOffset], [4, 2]);
    assert.deepEqual([250, 300, 350, 400, 450].map((offset) => pending.isKnown(offset)), [
      ...[false, true, false, true, false],
    ]);
    await stop(pending);
  });

  test("a unit whose message is gone ends the timer log", async () => {
    await die((files) => files.kill());
    endOffset = 450;
    const pending = open();
    assert.deepEqual([numbersAt(pending, 5), numbersAt(pending, 7)], [[3, 1], []]);
    assert.equal(pending.isKnown(300), true);
    assert.equal(pending.isKnown(400), false);
    put(pending, 5, 7);
    pending.write();
    assert.deepEqual(numbersAt(pending, 7), [5]);
    await stop(pending);
  });

  test("by a power cut what the checkpoint covers is there", async () => {
    for (let seed = 1; seed <= 50; seed++) {
      files = new MemoryFiles();
      files.makeDirectory("/store/config");
      files.syncDirectory("/");
      files.syncDirectory("/store");
      await die((files) => files.crash(new SeededRandom(seed)));
      const pending = open();
      assert.equal(pending.queueOffset, 2, `seed ${seed}`);
      assert.equal(numbersAt(pending, 5).at(-1), 1, `seed ${seed}`);
      assert.deepEqual(numbersAt(pending, 6), [2], `seed ${seed}`);
      await stop(pending);
    }
  });
});

describe("files that don't fit together are made again", () => {
  async function prepare(): Promise<void> {
    const pending = open();
    pending.passTime(START_MS + 1000);
    for (let number = 1; number <= 4; number++) put(pending, number, 5);
    pending.passQueue(4);
    await stop(pending);
    nowMs += 2000;
  }

  const damages: [string, () => Partial<PendingTimersOptions>][] = [
    ["no wheel", () => (files.remove("/store/timerwheel"), {})],
    ["a wheel of another size", () => ({ slotCount: 500 })],
    ["another precision", () => ({ precisionMs: 100 })],
    ["no timer log", () => {
      for (const name of files.list("/store/timerlog")) files.remove(`/store/timerlog/${name}`);
      return {};
    }],
    ["a hole in the timer log", () => (files.remove("/store/timerlog/00000000000000000000"), {})],
    ["files of another size", () => ({ logFileBytes: 1000 })],
    ["snapshots of the wheel", () => (files.create("/store/timerwheel.208", 64).close(), {})],
  ];
  for (const [name, damage] of damages) {
    test(`${name}: nothing is known of units, but all of what was delivered`, async () => {
      await prepare();
      const pending = open(damage());
      const { count, queueOffset, masterQueueOffset, masterReadTimeMs } = pending;
      assert.deepEqual([count, queueOffset, masterQueueOffset], [0, 0, 4]);
      assert.equal(masterReadTimeMs, START_MS + 1000);
      assert.equal(pending.isKnown(100), false);
      assert.equal(files.list("/store").includes("timerwheel.208"), false);
      await stop(pending);
    });
  }

  test("a wheel that knows more than the timer log: the same", async () => {
    const pending = open();
    put(pending, 1, 5);
    pending.passQueue(1);
    await pending.flush();
    put(pending, 2, 6);
    pending.passQueue(2);
    files.fail({ operation: "write", code: "EIO", path: /timercheck/ });
    await assert.rejects(pending.flush(), /EIO/);
    pending.close();
    files.damage("/store/timerlog/00000000000000000000", 52, new Uint8Array(52));
    const again = open();
    assert.deepEqual([again.count, again.queueOffset, again.masterQueueOffset], [0, 0, 1]);
    await stop(again);
  });

  test("files from before this broker was a slave: the same", async () => {
    await prepare();
    const checkpoint = TimerCheckpoint.open(CHECKPOINT, files);
    checkpoint.writeNow({ ...checkpoint.values, logFlushPosition: 0, queueOffset: 0, masterQueueOffset: 9 });
    checkpoint.close();
    const pending = open();
    assert.deepEqual([pending.count, pending.queueOffset, pending.masterQueueOffset], [0, 0, 9]);
    assert.deepEqual(files.list("/store/timerlog"), []);
    await stop(pending);
  });

  test("while they are made, the checkpoint keeps what tells delivered messages apart", async () => {
    await prepare();
    files.remove("/store/timerwheel");
    const pending = open();
    put(pending, 1, 5);
    pending.passQueue(1);
    await pending.flush();
    files = files.kill();
    nowMs += 60_000;
    const again = open();
    assert.deepEqual([again.queueOffset, again.masterQueueOffset], [1, 4]);
    assert.equal(again.masterReadTimeMs, START_MS + 1000);
    assert.deepEqual(numbersAt(again, 5), [1]);
    put(again, 2, 100);
    again.passQueue(2);
    await again.flush();
    files = files.kill();
    const third = open();
    assert.equal(third.masterReadTimeMs, START_MS + 1000);
    await stop(third);
  });
});

describe("old files", () => {
  test("of the timer log go when the last message of each is gone, but the last file stays", async () => {
    const pending = open();
    pending.passTime(START_MS + 5000);
    for (let number = 1; number <= 8; number++) put(pending, number, number <= 6 ? 5 : 6);
    pending.passTime(START_MS + 6000);
    nowMs += 6000;
    pending.passQueue(8);
    await pending.flush();
    pending.deleteBefore(300);
    assert.equal(files.list("/store/timerlog").length, 3);
    pending.deleteBefore(301);
    assert.deepEqual(files.list("/store/timerlog").sort(), ["00000000000000000176", "00000000000000000352"]);
    pending.deleteBefore(10_000);
    assert.deepEqual(files.list("/store/timerlog"), ["00000000000000000352"]);
    await stop(pending);
    const again = open();
    assert.equal(again.minPosition, 352);
    assert.equal(again.queueOffset, 8);
    assert.deepEqual(numbersAt(again, 6), [8, 7]);
    await stop(again);
  });
});

test("a topic that has lost its end leaves nothing believed of what takes its place", async () => {
  const pending = open();
  for (let number = 1; number <= 4; number++) put(pending, number, 5);
  pending.passQueue(4);
  await stop(pending);
  const again = open();
  again.fitQueue(1, 3);
  assert.deepEqual([again.count, again.queueOffset, again.masterQueueOffset], [0, 1, 3]);
  await stop(again);
});

test("a clock that was set back does not bring delivered slots again", async () => {
  const pending = open();
  pending.passTime(START_MS);
  put(pending, 1, 5);
  put(pending, 2, 50);
  pending.passTime(START_MS + 5000);
  pending.passTime(START_MS + 6000);
  pending.turnBack(START_MS + 2000);
  assert.equal(pending.readTimeMs, START_MS + 2000);
  assert.equal(pending.nextSlot(START_MS + 50_000), undefined);
  assert.equal(pending.count, 1);
  put(pending, 3, 5);
  pending.write();
  assert.deepEqual(numbersAt(pending, 5), [3]);
  await stop(pending);
  const again = open();
  assert.deepEqual([numbersAt(again, 5), numbersAt(again, 50)], [[3], [2]]);
  await stop(again);
});
