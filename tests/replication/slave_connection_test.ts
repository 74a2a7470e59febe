// SPDX-License-Identifier: Apache-2.0
/** What a master sends to a slave, and what it makes of its reports. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import { ReplicationMaster, type ReplicationMasterOptions } from "../../src/replication/master.ts";
import type { BytePipe, PipeListener } from "../../src/replication/pipe.ts";
import type { SourceLog } from "../../src/replication/types.ts";
import { FrameReader } from "../../src/replication/wire.ts";
import { ManualClock } from "../harness/manual_clock.ts";

const FILE_BYTES = 10_000;

/** A log that begins at 2 files, of which each byte tells its place. */
class Log implements SourceLog {
  minPhysicalOffset = 2 * FILE_BYTES;
  maxPhysicalOffset = 2 * FILE_BYTES;
  writtenOffset = 2 * FILE_BYTES;
  flushedOffset = 2 * FILE_BYTES;
  readonly logFileBytes = FILE_BYTES;
  /** Reads from before this offset come by promise. */
  coldBefore = 0;
  #onWritten: (() => void)[] = [];
  #onWatermark: (() => void)[] = [];

  readLog(target: Buffer, at: number, offset: number, bytes: number): number | Promise<number> {
    if (offset < this.minPhysicalOffset) return 0;
    for (let index = 0; index < bytes; index++) target[at + index] = byteAt(offset + index);
    return offset < this.coldBefore ? Promise.resolve(bytes) : bytes;
  }

  onWritten(listener: () => void): void {
    this.#onWritten.push(listener);
  }

  onWatermark(listener: () => void): void {
    this.#onWatermark.push(listener);
  }

  write(endOffset: number): void {
    this.maxPhysicalOffset = this.writtenOffset = endOffset;
    for (const listener of this.#onWritten) listener();
    for (const listener of this.#onWatermark) listener();
  }

  flush(endOffset: number): void {
    this.flushedOffset = endOffset;
    for (const listener of this.#onWatermark) listener();
  }
}

function byteAt(offset: number): number {
  return (offset * 31 + (offset >> 8)) & 0xff;
}

/** The slave's end of a connection, by hand. */
class Peer {
  readonly frames: { offset: number; bytes: number }[] = [];
  readonly received: Buffer[] = [];
  isClosed = false;
  /** Whether the system takes what is sent at once. */
  takes = true;
  #waiting: (() => void)[] = [];
  #listener: PipeListener | undefined;
  #reader = new FrameReader({
    onHead: (offset, bytes) => this.frames.push({ offset, bytes }),
    onBody: (offset, bytes) => {
      for (const [index, byte] of bytes.entries()) assert.equal(byte, byteAt(offset + index));
    },
  });

  constructor(readonly address: string) {}

  readonly pipe: BytePipe = {
    remote: "10.0.0.1:4711",
    listen: (listener) => this.#listener = listener,
    write: (bytes, onTaken) => {
      this.#reader.read(Buffer.from(bytes));
      if (this.takes) onTaken();
      else this.#waiting.push(onTaken);
    },
    pause: () => {},
    resume: () => {},
    close: () => {
      this.isClosed = true;
      this.#listener?.onClose("closed here");
    },
  };

  report(offset: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(BigInt(offset));
    this.#listener!.onData(bytes);
  }

  take(): void {
    for (const onTaken of this.#waiting.splice(0)) onTaken();
  }

  get bodyBytes(): number {
    return this.frames.reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

async function setUp(given: Partial<ReplicationMasterOptions> = {}) {
  const log = new Log();
  const clock = new ManualClock();
  let accept!: (pipe: BytePipe) => void;
  const master = await ReplicationMaster.listen({
    store: log,
    clock,
    host: "10.0.0.9",
    port: 1,
    sends: "WRITTEN",
    batchBytes: 3000,
    maxBytesPerSecond: Infinity,
    heartbeatIntervalMs: 5000,
    housekeepingIntervalMs: 20_000,
    maxGapBytes: 5000,
    startAtLastFile: false,
    longestWaitMs: 3000,
    ...given,
    network: {
      connect: () => Promise.reject(new Error("not asked for")),
      listen: (_host, port, onPipe) => {
        accept = onPipe;
        return Promise.resolve({ port, close: () => Promise.resolve() });
      },
    },
  });
  const connect = () => {
    const peer = new Peer("10.0.0.1:4711");
    accept(peer.pipe);
    return peer;
  };
  return { log, clock, master, connect };
}

const BASE = 2 * FILE_BYTES;

describe("a master", () => {
  test("says nothing before a slave has reported, and closes when it never does", async () => {
    const { log, clock, connect, master } = await setUp();
    log.write(BASE + 500);
    const peer = connect();
    log.write(BASE + 600);
    clock.advance(19_000);
    assert.deepEqual([peer.frames, peer.isClosed], [[], false]);
    clock.advance(3000);
    assert.ok(peer.isClosed);
    assert.deepEqual(master.slaves(), []);
    await master.close();
  });

  test("sends from where the first report says, in frames that end with the batch or the file", async () => {
    const { log, connect, master } = await setUp();
    log.write(BASE + FILE_BYTES + 1000);
    const peer = connect();
    peer.report(BASE + 500);
    assert.deepEqual(peer.frames.map(({ offset, bytes }) => [offset - BASE, bytes]), [
      [500, 3000],
      [3500, 3000],
      [6500, 3000],
      [9500, 500],
      [10_000, 1000],
    ]);
    log.write(BASE + FILE_BYTES + 1007);
    assert.deepEqual(peer.frames.at(-1), { offset: BASE + FILE_BYTES + 1000, bytes: 7 });
    await master.close();
  });

  test("gives a slave without data the oldest file, or the last one where the operator wants that", async () => {
    for (const startAtLastFile of [false, true]) {
      const { log, connect, master } = await setUp({ startAtLastFile });
      log.write(BASE + FILE_BYTES + 1000);
      const peer = connect();
      peer.report(0);
      assert.equal(peer.frames[0].offset, startAtLastFile ? BASE + FILE_BYTES : BASE);
      await master.close();
    }
  });

  test("tells a slave that has everything at once, and then now and then, that it is alive", async () => {
    const { log, clock, connect, master } = await setUp();
    log.write(BASE + 100);
    const peer = connect();
    peer.report(BASE + 100);
    assert.deepEqual(peer.frames, [{ offset: BASE + 100, bytes: 0 }]);
    clock.advance(4000);
    peer.report(BASE + 100);
    assert.equal(peer.frames.length, 1);
    clock.advance(3000);
    assert.deepEqual(peer.frames.slice(1), [{ offset: BASE + 100, bytes: 0 }]);
    await master.close();
  });

  test("takes no more connections than any cluster needs", async () => {
    const { connect, master } = await setUp();
    const peers = Array.from({ length: 65 }, () => connect());
    assert.deepEqual(peers.map(({ isClosed }) => isClosed), [...Array(64).fill(false), true]);
    peers[0].report(-1);
    assert.ok(!connect().isClosed);
    await master.close();
  });

  test("closes a connection whose slave has become silent", async () => {
    const { clock, connect, master } = await setUp();
    const peer = connect();
    peer.report(BASE);
    clock.advance(15_000);
    peer.report(BASE);
    clock.advance(20_000);
    assert.ok(!peer.isClosed);
    clock.advance(1500);
    assert.ok(peer.isClosed);
    await master.close();
  });

  test("sends nothing to a slave that has more than itself, and never counts it", async () => {
    const { log, connect, master } = await setUp();
    log.write(BASE + 100);
    const peer = connect();
    peer.report(BASE + 101);
    assert.ok(peer.isClosed);
    assert.deepEqual([peer.frames, master.slaves(), master.ackedBy(1)], [[], [], -1]);
    await master.close();
  });

  test("does not believe a slave that has what it was not sent", async () => {
    const { log, connect, master } = await setUp({ maxBytesPerSecond: 1000 });
    log.write(BASE + 5000);
    const peer = connect();
    peer.report(BASE);
    assert.equal(peer.bodyBytes, 1000);
    peer.report(BASE + 1000);
    assert.equal(master.ackedBy(1), BASE + 1000);
    peer.report(BASE + 1001);
    assert.ok(peer.isClosed);
    assert.equal(master.ackedBy(1), -1);
    await master.close();
  });

  test("closes on a negative report, and where what a slave needs has been deleted", async () => {
    const { log, connect, master } = await setUp();
    log.write(BASE + 5000);
    for (const report of [-1, 1, BASE - 1]) {
      const peer = connect();
      peer.report(report);
      assert.ok(peer.isClosed, String(report));
      assert.deepEqual(peer.frames, []);
    }
    const peer = connect();
    peer.takes = false;
    peer.report(BASE);
    log.write(BASE + 3 * FILE_BYTES);
    log.minPhysicalOffset = BASE + 2 * FILE_BYTES;
    peer.takes = true;
    peer.take();
    assert.ok(peer.isClosed);
    await master.close();
  });

  test("keeps to its limit of bytes in a second", async () => {
    const { log, clock, connect, master } = await setUp({ maxBytesPerSecond: 2000 });
    log.write(BASE + 5000);
    const peer = connect();
    peer.report(BASE);
    assert.equal(peer.bodyBytes, 2000);
    clock.advance(999);
    assert.equal(peer.bodyBytes, 2000);
    clock.advance(1);
    assert.equal(peer.bodyBytes, 4000);
    clock.advance(1000);
    assert.equal(peer.bodyBytes, 5000);
    assert.equal(master.slaves()[0].transferredBytesPerSecond, 2000);
    await master.close();
  });

  test("reads no further than its slave takes, and goes on when it does", async () => {
    const { log, connect, master } = await setUp();
    log.write(BASE + 4 * FILE_BYTES);
    const peer = connect();
    peer.takes = false;
    peer.report(BASE);
    const held = peer.bodyBytes;
    assert.ok(held > 0 && held <= 2 * FILE_BYTES);
    for (let round = 0; round < 4; round++) peer.take();
    assert.equal(peer.bodyBytes, 4 * FILE_BYTES);
    await master.close();
  });

  test("sends what it has to read from the disk first", async () => {
    const { log, connect, master } = await setUp();
    log.coldBefore = BASE + FILE_BYTES;
    log.write(BASE + 2 * FILE_BYTES);
    const peer = connect();
    peer.report(BASE + 1);
    log.write(BASE + 2 * FILE_BYTES + 10);
    while (peer.bodyBytes < 2 * FILE_BYTES + 9) await Promise.resolve();
    assert.equal(peer.bodyBytes, 2 * FILE_BYTES + 9);
    await master.close();
  });

  test("that waits for nobody sends only what it can't lose any more", async () => {
    const { log, connect, master } = await setUp({ sends: "FLUSHED" });
    log.write(BASE + 500);
    const peer = connect();
    peer.report(BASE);
    assert.equal(peer.bodyBytes, 0);
    log.flush(BASE + 300);
    assert.equal(peer.bodyBytes, 300);
    await master.close();
  });

  test("knows how far slaves are, and who is in sync", async () => {
    const { log, connect, master } = await setUp();
    log.write(BASE + 6000);
    const [one, two] = [connect(), connect()];
    const told: number[] = [];
    master.onAcked(() => told.push(master.ackedBy(1)));
    one.report(BASE);
    two.report(BASE + 2000);
    assert.deepEqual([master.ackedBy(1), master.ackedBy(2), master.ackedBy(3)], [BASE + 2000, BASE, -1]);
    assert.deepEqual(master.slaves().map(({ gapBytes, isInSync }) => [gapBytes, isInSync]), [
      [6000, false],
      [4000, true],
    ]);
    assert.equal(master.inSyncCount(), 1);
    one.report(BASE + 6000);
    one.report(BASE + 5000);
    assert.equal(master.ackedBy(1), BASE + 6000);
    assert.deepEqual(told, [BASE, BASE + 2000, BASE + 6000]);
    await master.close();
    assert.ok(one.isClosed && two.isClosed);
  });

  test("does not count a slave that may have begun with the last file as long as someone waits", async () => {
    const { log, clock, connect, master } = await setUp({ longestWaitMs: 3000 });
    log.write(BASE + FILE_BYTES + 300);
    const empty = connect();
    empty.report(BASE + FILE_BYTES);
    empty.report(BASE + FILE_BYTES + 300);
    assert.equal(master.ackedBy(1), -1);
    clock.advance(3999);
    assert.equal(master.ackedBy(1), -1);
    clock.advance(1);
    assert.equal(master.ackedBy(1), BASE + FILE_BYTES + 300);
    const known = connect();
    known.report(BASE + FILE_BYTES + 200);
    assert.equal(master.ackedBy(2), BASE + FILE_BYTES + 200);
    await master.close();
  });
});
