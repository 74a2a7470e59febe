// SPDX-License-Identifier: Apache-2.0
/** A master and its slave in one process, over real sockets. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { systemClock } from "../../src/base/clock.ts";
import { ReplicationMaster, type ReplicationMasterOptions } from "../../src/replication/master.ts";
import { ReplicationSlave, type ReplicationSlaveOptions } from "../../src/replication/slave.ts";
import type { MasterProbe } from "../../src/replication/types.ts";
import type { MessageStore, StoreOptions } from "../../src/store/message_store.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { draft, openStore } from "../harness/store.ts";

/** What a test opened, closed in reverse. */
export class Parts {
  #undo: (() => unknown)[] = [];

  add<T>(part: T, close: (part: T) => unknown): T {
    this.#undo.push(() => close(part));
    return part;
  }

  async store(given: Partial<StoreOptions> = {}): Promise<MessageStore> {
    return this.add(
      await openStore("/root/store", { files: new MemoryFiles(), ...given }),
      (store) => store.close(),
    );
  }

  async master(
    store: MessageStore,
    given: Partial<ReplicationMasterOptions> = {},
  ): Promise<ReplicationMaster> {
    const options: ReplicationMasterOptions = {
      store,
      clock: systemClock,
      host: "127.0.0.1",
      port: 0,
      sends: "WRITTEN",
      batchBytes: 32768,
      maxBytesPerSecond: Infinity,
      heartbeatIntervalMs: 5000,
      housekeepingIntervalMs: 20_000,
      maxGapBytes: 1 << 28,
      startAtLastFile: false,
      longestWaitMs: 3000,
      ...given,
    };
    return this.add(await ReplicationMaster.listen(options), (master) => master.close());
  }

  slave(store: MessageStore, given: Partial<ReplicationSlaveOptions> = {}): ReplicationSlave {
    const options: ReplicationSlaveOptions = {
      store,
      clock: systemClock,
      flushMode: "ASYNC",
      heartbeatIntervalMs: 5000,
      housekeepingIntervalMs: 20_000,
      startAtLastFile: false,
      ...given,
    };
    return this.add(new ReplicationSlave(options), (slave) => slave.close());
  }

  async close(): Promise<void> {
    for (const undo of this.#undo.reverse()) await undo();
  }
}

/** Asks a store in this process. */
export function probeOf(store: MessageStore): MasterProbe {
  return {
    range: () => Promise.resolve({ minOffset: store.minPhysicalOffset, endOffset: store.maxPhysicalOffset }),
    record: (offset) => Promise.resolve(store.readWrittenRecord(offset)),
  };
}

export function masterToFollow(master: ReplicationMaster, store: MessageStore) {
  return { haAddress: `127.0.0.1:${master.port}`, probe: probeOf(store) };
}

/** Messages of any length, so that files of 16 KiB end in fillers. @returns the end of the last one */
export function fill(store: MessageStore, count: number, topic = "topic"): number {
  let end = store.maxPhysicalOffset;
  for (let number = 0; number < count; number++) {
    const body = `${number} ${"x".repeat((number * 97) % 1500)}`;
    end =
      store.append(draft(topic, body, { queueId: number % 3, tags: `t${number % 2}` } as never)).endOffset;
  }
  return end;
}

/** Bytes of the log from `offset` to `end`, as files hold them. */
export async function logBytes(store: MessageStore, offset: number, end: number): Promise<Buffer> {
  const bytes = Buffer.alloc(end - offset);
  for (let at = 0; at < bytes.length;) {
    const count = await store.readLog(bytes, at, offset + at, bytes.length - at);
    assert.ok(count > 0, `nothing at offset ${offset + at}`);
    at += count;
  }
  return bytes;
}

/** Where their logs overlap, every byte of the slave's log is the master's. */
export async function assertEqualLogs(slave: MessageStore, master: MessageStore): Promise<void> {
  const from = Math.max(slave.minPhysicalOffset, master.minPhysicalOffset);
  const end = slave.writtenOffset;
  assert.ok(end <= master.writtenOffset);
  assert.deepEqual(await logBytes(slave, from, end), await logBytes(master, from, end));
}
