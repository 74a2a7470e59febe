// SPDX-License-Identifier: Apache-2.0
/** What a slave says to its master and makes of its frames; the master's end is moved by hand. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import type { BytePipe, PipeListener } from "../../src/replication/pipe.ts";
import { ReplicationSlave, type ReplicationSlaveOptions } from "../../src/replication/slave.ts";
import { readOffset, writeFrameHead } from "../../src/replication/wire.ts";
import type { MessageStore, StoreOptions } from "../../src/store/message_store.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { openStore } from "../harness/store.ts";
import { until } from "../harness/until.ts";
import { turnEnds } from "../fault/store_life.ts";
import { fill, logBytes, probeOf } from "./parts.ts";

const FILE_BYTES = 16 * 1024;

/** A master's end of one connection. */
class Wire {
  readonly reports: number[] = [];
  isClosed = false;
  #listener!: PipeListener;

  readonly pipe: BytePipe = {
    remote: "10.0.0.9:10912",
    listen: (listener) => this.#listener = listener,
    write: (bytes) => {
      for (let at = 0; at < bytes.length; at += 8) this.reports.push(readOffset(bytes, at));
    },
    pause: () => {},
    resume: () => {},
    close: () => this.end(),
  };

  send(offset: number, body: Buffer = Buffer.alloc(0)): void {
    this.#listener.onData(frame(offset, body));
  }

  /** Frames of a log, as many as there are, that come all at once. */
  sendAll(offset: number, bytes: Buffer): void {
    const frames: Buffer[] = [];
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(bytes.length, at + FILE_BYTES - (offset + at) % FILE_BYTES);
      frames.push(frame(offset + at, bytes.subarray(at, end)));
      at = end;
    }
    this.#listener.onData(Buffer.concat(frames));
  }

  end(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#listener.onClose("ended");
  }
}

function frame(offset: number, body: Buffer): Buffer {
  const bytes = Buffer.alloc(12 + body.length);
  writeFrameHead(bytes, offset, body.length, 0);
  body.copy(bytes, 12);
  return bytes;
}

interface World {
  clock: ManualClock;
  files: MemoryFiles;
  /** The slave's. */
  store: MessageStore;
  /** The master's, with 60 messages in several files. */
  source: MessageStore;
  bytes: Buffer;
  slave: ReplicationSlave;
  /** Connections in the order in which they were made. */
  wires: Wire[];
  follow(): void;
}

async function withSlave(
  given: Partial<ReplicationSlaveOptions> & { source?: Partial<StoreOptions> },
  use: (world: World) => Promise<void>,
): Promise<void> {
  const clock = new ManualClock();
  const files = new MemoryFiles();
  const flushMode = given.flushMode ?? "ASYNC";
  const store = await openStore("/root/store", { files, clock, flushMode });
  const source = await openStore("/root/store", { files: new MemoryFiles() });
  fill(source, 60);
  await source.flush();
  const bytes = await logBytes(source, 0, source.writtenOffset);
  const wires: Wire[] = [];
  const slave = new ReplicationSlave({
    store,
    clock,
    flushMode,
    heartbeatIntervalMs: 5000,
    housekeepingIntervalMs: 20_000,
    startAtLastFile: false,
    network: {
      connect: () => {
        const wire = new Wire();
        wires.push(wire);
        return Promise.resolve(wire.pipe);
      },
      listen: () => Promise.reject(new Error("not asked for")),
    },
    ...given,
  });
  const follow = () => slave.follow({ haAddress: "10.0.0.9:10912", probe: probeOf(source) });
  try {
    await use({ clock, files, store, source, bytes, slave, wires, follow });
  } finally {
    slave.close();
    await Promise.all([store.close(), source.close()]);
  }
}

async function connected(wires: Wire[], count = 1): Promise<Wire> {
  await until(() => wires.length === count && wires[count - 1].reports.length > 0);
  return wires[count - 1];
}

describe("a slave", () => {
  test("without data asks for byte 1, which is all of a log, also where the master is Apache's", () =>
    withSlave({}, async ({ wires, follow, store, bytes, slave }) => {
      follow();
      const wire = await connected(wires);
      assert.deepEqual(wire.reports, [1]);
      assert.equal(slave.state.phase, "SEEKING");
      wire.send(1, bytes.subarray(1, FILE_BYTES));
      assert.equal(slave.state.phase, "FOLLOWING");
      assert.ok(store.writtenOffset > 0);
      assert.deepEqual(await logBytes(store, 0, store.writtenOffset), bytes.subarray(0, store.writtenOffset));
    }));

  test("follows a master that has nothing either", () =>
    withSlave({}, async ({ wires, slave, bytes, source, store }) => {
      const range = () => Promise.resolve({ minOffset: 0, endOffset: 0 });
      slave.follow({ haAddress: "10.0.0.9:10912", probe: { ...probeOf(source), range } });
      const wire = await connected(wires);
      assert.deepEqual(wire.reports, [0]);
      wire.send(0);
      assert.equal(slave.state.phase, "FOLLOWING");
      wire.send(0, bytes.subarray(0, 3000));
      assert.ok(store.writtenOffset > 0);
    }));

  test("asks for the master's oldest file by its place, or for the last one if it is told to", async () => {
    for (const startAtLastFile of [false, true]) {
      await withSlave({ startAtLastFile }, async ({ wires, slave, source, bytes, store }) => {
        const endOffset = source.maxPhysicalOffset;
        const range = () => Promise.resolve({ minOffset: FILE_BYTES, endOffset });
        slave.follow({ haAddress: "10.0.0.9:10912", probe: { ...probeOf(source), range } });
        const wire = await connected(wires);
        const start = startAtLastFile ? endOffset - endOffset % FILE_BYTES : FILE_BYTES;
        assert.deepEqual(wire.reports, [start]);
        wire.send(start, bytes.subarray(start, start + 8000));
        assert.equal(store.minPhysicalOffset, start);
        assert.ok(store.writtenOffset > start);
      });
    }
  });

  test("reports what is written as soon as it is, and no part of a record", () =>
    withSlave({}, async ({ wires, follow, bytes, store }) => {
      follow();
      const wire = await connected(wires);
      wire.send(1, bytes.subarray(1, 5000));
      assert.equal(wire.reports.length, 2);
      assert.equal(wire.reports[1], store.writtenOffset);
      assert.ok(wire.reports[1] < 5000);
      wire.send(5000, bytes.subarray(5000, 5001));
      assert.equal(wire.reports.length, 2);
    }));

  test("reports less often while very much comes, and soon when that is over", () =>
    withSlave({}, async ({ wires, follow, source, store, clock }) => {
      follow();
      const wire = await connected(wires);
      fill(source, 800);
      await source.flush();
      const bytes = await logBytes(source, 0, source.writtenOffset);
      let at = 1;
      for (; at + 70_000 < bytes.length; at += 70_000) wire.sendAll(at, bytes.subarray(at, at + 70_000));
      const bulkCount = Math.ceil(at / 70_000);
      assert.ok(
        bulkCount > 5 && wire.reports.length < bulkCount / 2,
        `${wire.reports.length} of ${bulkCount}`,
      );
      assert.ok(wire.reports.at(-1)! < store.writtenOffset);
      clock.advance(1);
      assert.equal(wire.reports.at(-1), store.writtenOffset);
      wire.sendAll(at, bytes.subarray(at, at + 5000));
      assert.equal(wire.reports.at(-1), store.writtenOffset);
    }));

  test("under SYNC flush reports nothing that is not flushed, and asks for all that is there when it comes back", () =>
    withSlave({ flushMode: "SYNC" }, async ({ wires, follow, bytes, store, files, clock }) => {
      follow();
      const wire = await connected(wires);
      const hold = files.holdSyncs();
      wire.send(1, bytes.subarray(1, 9000));
      const end = store.writtenOffset;
      assert.ok(end > 0);
      await until(() => hold.waitingCount > 0);
      assert.deepEqual(wire.reports, [1]);
      wire.end();
      clock.advance(200);
      for (let turns = 0; turns < 10; turns++) await turnEnds();
      assert.equal(wires.length, 1);
      hold.release();
      const next = await connected(wires, 2);
      assert.deepEqual(next.reports, [end]);
      assert.equal(store.flushedOffset, end);
    }));

  test("says that it lives now and then, and takes a silent master for gone", () =>
    withSlave({}, async ({ wires, follow, clock, bytes, slave }) => {
      follow();
      const wire = await connected(wires);
      wire.send(1, bytes.subarray(1, 3000));
      const count = wire.reports.length;
      clock.advance(6500);
      assert.equal(wire.reports.length, count + 1);
      assert.equal(wire.reports.at(-1), wire.reports.at(-2));
      clock.advance(12_000);
      wire.send(3000);
      clock.advance(19_000);
      assert.ok(!wire.isClosed);
      clock.advance(2500);
      assert.ok(wire.isClosed);
      assert.match(slave.state.problem!, /has said nothing for/);
    }));

  test("leaves a master that goes on elsewhere, or sends what is no log, and keeps what it has", () =>
    withSlave({}, async ({ wires, follow, clock, bytes, store }) => {
      follow();
      (await connected(wires)).send(1, bytes.subarray(1, 4000));
      const end = store.writtenOffset;
      wires[0].send(4001);
      assert.ok(wires[0].isClosed);
      for (let attempt = 2; attempt < 5; attempt++) {
        clock.advance(5000);
        const wire = await connected(wires, attempt);
        assert.deepEqual(wire.reports, [end]);
        if (attempt === 2) wire.send(end, Buffer.alloc(300, 0x41));
        else if (attempt === 3) {
          wire.send(end, Buffer.concat([bytes.subarray(end, end + 95), Buffer.alloc(3000)]));
        } else wire.send(end, bytes.subarray(end, end + 4000));
        assert.equal(wire.isClosed, attempt < 4);
      }
      assert.ok(store.writtenOffset > end);
      assert.deepEqual(await logBytes(store, 0, store.writtenOffset), bytes.subarray(0, store.writtenOffset));
    }));

  test("does not follow a master whose log is another one, says why, and follows when it is its own again", () =>
    withSlave({}, async ({ wires, slave, clock, bytes, store, source }) => {
      store.appendReplicated(0, bytes.subarray(0, 4000));
      store.writeReplicated();
      store.dropUnfinished();
      const end = store.writtenOffset;
      let other: Uint8Array | undefined = Buffer.from("another record");
      const probe = { ...probeOf(source), record: () => Promise.resolve(other) };
      slave.follow({ haAddress: "10.0.0.9:10912", probe });
      const refuses = async (reason: RegExp) => {
        for (let waits = 0; waits < 100 && !reason.test(slave.state.problem ?? ""); waits++) {
          clock.advance(1000);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        assert.match(slave.state.problem!, reason);
        assert.equal(slave.state.phase, "REFUSING");
      };
      await refuses(/another one in its master's log: the two logs have gone apart/);
      other = undefined;
      await refuses(/not in its master's log/);
      assert.deepEqual([wires.length, store.writtenOffset], [0, end]);
      other = store.readRecord(store.lastRecordOffset);
      clock.advance(5000);
      assert.deepEqual((await connected(wires)).reports, [end]);
      wires[0].send(end, bytes.subarray(end, end + 2000));
      assert.deepEqual([slave.state.phase, slave.state.problem], ["FOLLOWING", undefined]);
    }));

  test("does not follow a master that has deleted what comes next", () =>
    withSlave({}, async ({ slave, wires, clock, bytes, store, source }) => {
      store.appendReplicated(0, bytes.subarray(0, 4000));
      store.writeReplicated();
      const range = () => Promise.resolve({ minOffset: FILE_BYTES, endOffset: source.maxPhysicalOffset });
      slave.follow({ haAddress: "10.0.0.9:10912", probe: { ...probeOf(source), range } });
      await until(() => (clock.advance(1000), slave.state.phase === "REFUSING"));
      assert.match(slave.state.problem!, /has deleted everything before 16384/);
      assert.equal(wires.length, 0);
    }));

  test("follows another master when it is told to, and none when there is none", () =>
    withSlave({}, async ({ slave, wires, follow, bytes, source }) => {
      follow();
      const first = await connected(wires);
      first.send(1, bytes.subarray(1, 3000));
      follow();
      assert.ok(!first.isClosed);
      slave.follow({ haAddress: "10.0.0.8:10912", probe: probeOf(source) });
      assert.ok(first.isClosed);
      const second = await connected(wires, 2);
      assert.equal(slave.state.masterAddress, "10.0.0.8:10912");
      slave.follow(undefined);
      assert.ok(second.isClosed);
      assert.equal(slave.state.phase, "IDLE");
    }));
});
