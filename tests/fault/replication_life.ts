// SPDX-License-Identifier: Apache-2.0
/**
 * A master, its slaves, their disks and the network between them in one process. Everything that happens follows
 * from one seed: messages come, bytes move, connections break, processes are killed and machines lose power at any
 * change of a disk. All the while the promises of replication are checked, and at the end, on a network that is well
 * again, that every slave has caught up, or refuses to follow for a reason.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Clock, Timer } from "../../src/base/clock.ts";
import { Durability, type Outcome } from "../../src/broker/durability.ts";
import { replicaPolicy } from "../../src/broker/replica_policy.ts";
import { decodeRecord, type MessageRecord } from "../../src/protocol/record.ts";
import { ReplicationMaster } from "../../src/replication/master.ts";
import { ReplicationSlave } from "../../src/replication/slave.ts";
import type { MasterProbe } from "../../src/replication/types.ts";
import type { MessageStore } from "../../src/store/message_store.ts";
import { StoreRefusedError } from "../../src/store/types.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles, type SyncHold } from "../harness/memory_files.ts";
import { MemoryNetwork } from "../harness/memory_network.ts";
import type { SeededRandom } from "../harness/seeded_random.ts";
import { draft, openStore, recordsOf } from "../harness/store.ts";
import { turnEnds } from "./store_life.ts";

const PORT = 10912;
const TOPICS = ["one", "two"];
const QUEUES = 2;
const HOUR_MS = 3_600_000;
const SLAVE_TIMEOUT_MS = 3000;

/** A clock whose timers die with their process. */
class ProcessClock implements Clock {
  isDead = false;

  constructor(readonly clock: ManualClock) {}

  nowMs(): number {
    return this.clock.nowMs();
  }

  monotonicMs(): number {
    return this.clock.monotonicMs();
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.clock.after(delayMs, () => this.isDead || callback());
  }

  every(periodMs: number, callback: () => void): Timer {
    const timer = this.clock.every(periodMs, () => this.isDead ? timer.cancel() : callback());
    return timer;
  }
}

/** A machine with its disk, and the process on it while there is one. */
class Machine {
  files: MemoryFiles;
  clock: ProcessClock | undefined;
  store: MessageStore | undefined;
  slowness: SyncHold | undefined;
  keepsFilesMs = 72 * HOUR_MS;
  /** What a sender may be told that this machine has: the highest offset that its policy has called safe. */
  safeOffset = 0;
  /** A power cut may have taken what was only written: nothing is promised of what was safe before. */
  mayHaveLost = false;

  constructor(
    readonly host: string,
    readonly flushMode: "SYNC" | "ASYNC",
    readonly fileBytes: number,
    readonly time: ManualClock,
    sectorBytes: number,
  ) {
    this.files = new MemoryFiles({ sectorBytes, nowMs: () => time.nowMs() });
  }

  speedUp(): void {
    this.slowness?.release();
    this.slowness = undefined;
  }

  get isAlive(): boolean {
    return this.store !== undefined && !this.files.isDead;
  }

  async open(): Promise<MessageStore> {
    const clock = this.clock = new ProcessClock(this.time);
    this.store = await openStore("/root/store", {
      files: this.files,
      clock,
      flushMode: this.flushMode,
      commitLogFileBytes: this.fileBytes,
      consumeQueueFileBytes: 20 * 20,
      maxMessageBytes: 2500,
      messageIndex: false,
      commitLogFlushIntervalMs: 500,
      commitLogFlushMinPages: 0,
      commitLogFlushThoroughIntervalMs: 5000,
      consumeQueueFlushIntervalMs: 700,
      consumeQueueFlushThoroughIntervalMs: 3000,
      pullMaxCountOnDisk: 32,
      // Where files are deleted at all, soon, and at any hour.
      cleanIntervalMs: 3000,
      deleteAtHours: Array.from({ length: 24 }, (_, hour) => hour),
      fileReservedHours: this.keepsFilesMs / HOUR_MS,
    });
    const { store } = this;
    const remember = () => this.safeOffset = Math.max(this.safeOffset, this.#safeOffsetOf(store));
    remember();
    store.onWritten(remember);
    store.onWatermark(remember);
    return store;
  }

  /** What is safe now by the policy of this machine's disk. */
  safeNow(): number {
    return this.#safeOffsetOf(this.store!);
  }

  #safeOffsetOf({ flushedOffset, writtenOffset }: MessageStore): number {
    return this.flushMode === "SYNC" ? flushedOffset : writtenOffset;
  }

  bury(isPowerCut: boolean, random: SeededRandom): void {
    if (isPowerCut && this.flushMode === "ASYNC") this.mayHaveLost = true;
    if (this.clock !== undefined) this.clock.isDead = true;
    this.slowness = undefined;
    this.files = isPowerCut ? this.files.crash(random) : this.files.kill();
    this.store = undefined;
  }
}

/** A message of which a sender was told that it is stored. */
interface Promised {
  readonly physicalOffset: number;
  readonly bytes: Buffer;
  /** Slaves that had it then, and must have it as long as they keep what their policy calls safe. */
  readonly holders: Machine[];
}

interface SlaveProcess {
  machine: Machine;
  slave: ReplicationSlave | undefined;
}

export class ReplicationLife {
  readonly story: string[] = [];
  readonly #random: SeededRandom;
  readonly #clock = new ManualClock();
  readonly #network: MemoryNetwork;
  readonly #master: Machine;
  #listener: ReplicationMaster | undefined;
  #durability: Durability | undefined;
  readonly #slaves: SlaveProcess[];
  readonly #batchBytes: number;
  readonly #maxBytesPerSecond: number;
  readonly #heartbeatIntervalMs = 5000;
  readonly #startAtLastFile: boolean;
  #promised: Promised[] = [];
  #sentCount = 0;
  #failure: unknown;
  acknowledgedCount = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
    this.#network = new MemoryNetwork(random, this.#clock);
    const fileBytes = 1024 * random.between(4, 12);
    const machine = (host: string) =>
      new Machine(
        host,
        random.next() < 0.5 ? "SYNC" : "ASYNC",
        fileBytes,
        this.#clock,
        random.next() < 0.7 ? 512 : 4096,
      );
    this.#master = machine("master");
    if (random.next() < 0.2) this.#master.keepsFilesMs = random.between(1, 10_000);
    this.#batchBytes = random.between(256, 5000);
    this.#maxBytesPerSecond = random.next() < 0.8 ? Infinity : random.between(2000, 20_000);
    this.#startAtLastFile = random.next() < 0.2;
    const slaveCount = random.next() < 0.7 ? 1 : 2;
    this.#slaves = Array.from({ length: slaveCount }, (_, index) => {
      return { machine: machine(`slave${index}`), slave: undefined };
    });
    this.#tell(
      `master ${this.#master.flushMode}, slaves ${this.#slaves.map(({ machine }) => machine.flushMode)}, ` +
        `files of ${fileBytes}, frames of ${this.#batchBytes}, ${this.#maxBytesPerSecond} bytes a second, ` +
        `files are kept for ${this.#master.keepsFilesMs} ms`,
    );
  }

  async live(actions: number): Promise<void> {
    await this.#startMaster();
    for (const slave of this.#slaves) if (this.#random.next() < 0.7) await this.#startSlave(slave);
    for (; actions > 0; actions--) {
      await this.#act();
      this.#buryTheDead();
      this.#observe();
      if (this.#failure !== undefined) throw this.#failure;
    }
    await this.#end();
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #act(): Promise<void> {
    const random = this.#random;
    const dice = random.next();
    if (dice < 0.3) return await this.#send(random.between(1, 4));
    if (dice < 0.65) return this.#move(random.between(1, 12));
    if (dice < 0.78) return this.#pass(random.between(1, 2500));
    if (dice < 0.9) return await turnEnds();
    if (dice < 0.93) return this.#tell(`broken: ${this.#network.breakSome()}`);
    if (dice < 0.95) return this.#separate();
    if (dice < 0.965) return await this.#fate(this.#master);
    await this.#fate(this.#slaves[random.between(0, this.#slaves.length - 1)].machine);
  }

  /** Something is about to happen to a machine, or it is started again. */
  async #fate(machine: Machine): Promise<void> {
    const random = this.#random;
    if (!machine.isAlive) {
      if (machine === this.#master) return await this.#startMaster();
      return await this.#startSlave(this.#slaves.find((slave) => slave.machine === machine)!);
    }
    if (random.next() < 0.3) return this.#slowDown(machine);
    if (random.next() < 0.15 && machine !== this.#master) return this.#failDisk(machine);
    if (random.next() < 0.6) machine.files.dieAt(machine.files.changeCount + random.between(0, 12));
    else this.#die(machine);
  }

  /** Syncs take until it is well again. */
  #slowDown(machine: Machine): void {
    if (machine.slowness === undefined) machine.slowness = machine.files.holdSyncs();
    else machine.speedUp();
    this.#tell(`${machine.host}: the disk is ${machine.slowness === undefined ? "fast again" : "slow"}`);
  }

  #failDisk(machine: Machine): void {
    const writtenBytes = this.#random.between(0, 300);
    machine.files.fail({ operation: "write", code: "ENOSPC", path: /commitlog/, writtenBytes });
    this.#tell(`${machine.host}: the disk fails`);
  }

  #buryTheDead(): void {
    for (const machine of [this.#master, ...this.#slaves.map((slave) => slave.machine)]) {
      if (machine.store !== undefined && machine.files.isDead) this.#die(machine);
    }
  }

  #die(machine: Machine): void {
    const isPowerCut = this.#random.next() < 0.4;
    const { writtenOffset, flushedOffset } = machine.store!;
    this.#tell(
      `${machine.host} dies${
        isPowerCut ? " of a power cut" : ""
      }; written ${writtenOffset}, flushed ${flushedOffset}`,
    );
    machine.bury(isPowerCut, this.#random);
    this.#network.kill(machine.host, isPowerCut);
    if (machine === this.#master) this.#durability = this.#listener = undefined;
    else this.#slaves.find((slave) => slave.machine === machine)!.slave = undefined;
  }

  async #startMaster(): Promise<void> {
    const machine = this.#master;
    const store = await machine.open();
    const { files } = machine;
    const listener = await ReplicationMaster.listen({
      store,
      clock: machine.clock!,
      host: machine.host,
      port: PORT,
      network: this.#network.of(machine.host, () => !files.isDead),
      sends: "WRITTEN",
      batchBytes: this.#batchBytes,
      maxBytesPerSecond: this.#maxBytesPerSecond,
      heartbeatIntervalMs: this.#heartbeatIntervalMs,
      housekeepingIntervalMs: 20_000,
      maxGapBytes: 1 << 20,
      startAtLastFile: this.#startAtLastFile,
      longestWaitMs: SLAVE_TIMEOUT_MS,
    });
    this.#listener = listener;
    const policy = replicaPolicy({
      brokerRole: "SYNC_MASTER",
      inSyncReplicas: undefined,
      minInSyncReplicas: 1,
      autoInSyncReplicas: false,
      slaveActingMaster: false,
      slaveTimeoutMs: SLAVE_TIMEOUT_MS,
    })!;
    this.#durability = new Durability({
      store,
      clock: machine.clock!,
      flushMode: machine.flushMode,
      syncFlushTimeoutMs: 5000,
      replication: { policy, replicas: listener },
    });
    this.#tell(`master started, its log ends at ${store.maxPhysicalOffset}`);
    this.#checkPromises();
  }

  async #startSlave(process: SlaveProcess): Promise<void> {
    const { machine } = process;
    const store = await machine.open();
    const { files } = machine;
    this.#tell(`${machine.host} started, its log ends at ${store.maxPhysicalOffset}`);
    process.slave = new ReplicationSlave({
      store,
      clock: machine.clock!,
      flushMode: machine.flushMode,
      heartbeatIntervalMs: this.#heartbeatIntervalMs,
      housekeepingIntervalMs: 20_000,
      startAtLastFile: this.#startAtLastFile,
      network: this.#network.of(machine.host, () => !files.isDead),
    });
    process.slave.follow({ haAddress: `master:${PORT}`, probe: this.#probe(machine) });
    this.#checkPromises();
  }

  /** Requests to the master, which it may not answer. */
  #probe(machine: Machine): MasterProbe {
    const ask = async <T>(answer: (store: MessageStore) => T): Promise<T> => {
      await turnEnds();
      if (!this.#master.isAlive || this.#network.areApart(machine.host, "master")) {
        throw new Error("no answer");
      }
      const given = answer(this.#master.store!);
      await turnEnds();
      return given;
    };
    return {
      range: () =>
        ask(({ minPhysicalOffset, maxPhysicalOffset }) => {
          return { minOffset: minPhysicalOffset, endOffset: maxPhysicalOffset };
        }),
      record: (offset) => ask((store) => store.readWrittenRecord(offset)),
    };
  }

  async #send(count: number): Promise<void> {
    const { store, files } = this.#master;
    if (!this.#master.isAlive) return;
    const random = this.#random;
    for (; count > 0; count--) {
      const number = ++this.#sentCount;
      const body = `${number} ${
        "x".repeat(random.next() < 0.2 ? random.between(0, 2300) : random.between(0, 300))
      }`;
      const message = draft(TOPICS[random.between(0, TOPICS.length - 1)], body, {
        queueId: random.between(0, QUEUES - 1),
      });
      try {
        const { physicalOffset, endOffset } = store!.append(message);
        this.#durability!.when(endOffset, true, (outcome) => {
          // Whoever calls this back goes on whatever it throws.
          try {
            if (!files.isDead) this.#onAnswer(store!, physicalOffset, endOffset, outcome);
          } catch (error) {
            this.#failure ??= error;
          }
        });
      } catch (error) {
        if (!(error instanceof StoreRefusedError)) throw error;
      }
    }
    if (random.next() < 0.7) await turnEnds();
  }

  /** A sender is told that its message is stored: then a slave has it, by what its own policy calls safe. */
  #onAnswer(store: MessageStore, physicalOffset: number, endOffset: number, outcome: Outcome): void {
    if (outcome !== "STORED") return;
    this.acknowledgedCount++;
    if (physicalOffset < store.minPhysicalOffset) return;
    const bytes = recordBytes(store, physicalOffset, endOffset);
    const reached = this.#slaves.map(({ machine }) => machine).filter(({ safeOffset }) =>
      safeOffset >= endOffset
    );
    // One that has a message there may have another one: its master had lost it, and gave its place away.
    const holders = reached.filter((machine) =>
      machine.isAlive &&
      Buffer.compare(machine.store!.readRecord(physicalOffset) ?? Buffer.alloc(0), bytes) === 0
    );
    assert.ok(
      holders.length > 0 || reached.some(({ isAlive, mayHaveLost }) => !isAlive || mayHaveLost),
      `the message at ${physicalOffset} was acknowledged, and no slave has it`,
    );
    this.#promised.push({
      physicalOffset,
      bytes,
      holders: holders.filter(({ mayHaveLost }) => !mayHaveLost),
    });
  }

  /** What slaves have said that they have, they have. */
  #checkPromises(): void {
    for (const { machine } of this.#slaves) {
      if (!machine.isAlive) continue;
      for (const { holders, physicalOffset, bytes } of this.#promised) {
        if (!holders.includes(machine) || machine.mayHaveLost) continue;
        if (physicalOffset < machine.store!.minPhysicalOffset) continue;
        const end = physicalOffset + bytes.length;
        assert.ok(
          end <= machine.store!.writtenOffset,
          `${machine.host} has lost the message at ${physicalOffset}`,
        );
        assert.deepEqual(
          recordBytes(machine.store!, physicalOffset, end),
          bytes,
          `${machine.host}: ${physicalOffset}`,
        );
      }
    }
  }

  /** Now and then between two actions: what consumers of a slave see. */
  #observe(): void {
    for (const { machine, slave } of this.#slaves) {
      if (!machine.isAlive) continue;
      if (slave?.state.phase === "FOLLOWING" && this.#random.next() < 0.1) this.#checkQueues(machine.store!);
    }
  }

  #move(steps: number): void {
    while (steps > 0 && this.#network.step()) steps--;
  }

  #pass(ms: number): void {
    this.#clock.advance(ms);
  }

  #separate(): void {
    const { host } = this.#slaves[this.#random.between(0, this.#slaves.length - 1)].machine;
    if (this.#random.next() < 0.6) this.#network.separate(host, "master");
    else this.#network.join();
  }

  // The end

  /** Everything is well again: then every slave follows and has all, or it says why not, and is right. */
  async #end(): Promise<void> {
    this.#tell("all is well from now on");
    this.#network.join();
    for (const machine of [this.#master, ...this.#slaves.map(({ machine }) => machine)]) {
      machine.files.dieAt(Infinity);
      machine.speedUp();
    }
    if (!this.#master.isAlive) await this.#startMaster();
    for (const slave of this.#slaves) if (!slave.machine.isAlive) await this.#startSlave(slave);
    await this.#settle();
    await this.#send(3);
    await this.#settle();
    // One that began with the last file is believed when nobody can wait for earlier ones any more.
    this.#pass(2 * SLAVE_TIMEOUT_MS);
    this.#checkPromises();
    for (const process of this.#slaves) await this.#checkSlave(process);
    await this.#stop();
  }

  /** Lets time pass until nothing moves any more; half-open connections take longest. */
  async #settle(): Promise<void> {
    for (let round = 0, quietRounds = 0; round < 400 && quietRounds < 3; round++) {
      for (let turn = 0; turn < 3; turn++) {
        while (this.#network.step()) { /* moves */ }
        await turnEnds();
      }
      quietRounds = this.#slaves.every((process) => this.#hasSettled(process)) ? quietRounds + 1 : 0;
      this.#pass(250);
    }
  }

  #hasSettled({ machine, slave }: SlaveProcess): boolean {
    const phase = slave?.state.phase;
    if (phase === "REFUSING") return true;
    return phase === "FOLLOWING" && machine.safeNow() === this.#master.store!.writtenOffset;
  }

  async #checkSlave({ machine, slave }: SlaveProcess): Promise<void> {
    const ours = machine.store!;
    const theirs = this.#master.store!;
    const { phase, problem } = slave!.state;
    const isPart = ours.writtenOffset <= theirs.writtenOffset &&
      ours.writtenOffset >= theirs.minPhysicalOffset &&
      isEqualUpTo(ours, theirs, ours.writtenOffset);
    if (phase === "REFUSING") {
      assert.ok(!isPart, `${machine.host} refuses to follow, but could: ${problem}`);
      return;
    }
    assert.equal(phase, "FOLLOWING", `${machine.host} does not follow: ${problem}`);
    assert.ok(isPart, `${machine.host} follows, but its log is another one`);
    assert.equal(machine.safeNow(), theirs.writtenOffset, `${machine.host} has not caught up`);
    assert.ok(
      this.#listener!.ackedBy(1) >= theirs.writtenOffset,
      "the master does not know what its slave has",
    );
    await turnEnds();
    this.#checkQueues(ours);
    await this.#checkSameQueues(ours, theirs);
  }

  /** No queue of what consumers are shown has a gap. */
  #checkQueues(store: MessageStore): void {
    for (const topic of store.topics()) {
      for (const queueId of store.queueIdsOf(topic)) {
        const maxOffset = store.maxOffset(topic, queueId);
        for (let offset = store.minOffset(topic, queueId); offset < maxOffset; offset++) {
          const entry = store.queueEntry(topic, queueId, offset);
          assert.ok(entry !== undefined, `${topic} ${queueId} has no entry ${offset}`);
          const record = decodeRecord(
            recordBytes(store, entry.physicalOffset, entry.physicalOffset + entry.size),
          );
          assert.ok(typeof record !== "string", `${topic} ${queueId} ${offset}: ${record}`);
          assert.deepEqual([record.topic, record.queueId, record.queueOffset], [topic, queueId, offset]);
        }
      }
    }
  }

  async #checkSameQueues(ours: MessageStore, theirs: MessageStore): Promise<void> {
    const minOffset = Math.max(ours.minPhysicalOffset, theirs.minPhysicalOffset);
    const isAtBoth = ({ physicalOffset }: MessageRecord) => physicalOffset >= minOffset;
    for (const topic of theirs.topics()) {
      for (const queueId of theirs.queueIdsOf(topic)) {
        const maxOffset = theirs.maxOffset(topic, queueId);
        const hasMessages = theirs.queueEntry(topic, queueId, maxOffset - 1)?.physicalOffset ?? -1;
        if (hasMessages < ours.minPhysicalOffset) continue;
        assert.equal(ours.maxOffset(topic, queueId), maxOffset, `the end of ${topic} ${queueId}`);
        const from = Math.max(ours.minOffset(topic, queueId), theirs.minOffset(topic, queueId));
        if (from === maxOffset) continue;
        const [mine, other] = await Promise.all(
          [ours, theirs].map(async (store) =>
            recordsOf(await store.getMessages(topic, queueId, from, { maxCount: 32 })).filter(isAtBoth)
          ),
        );
        const count = Math.min(mine.length, other.length);
        assert.deepEqual(mine.slice(0, count), other.slice(0, count));
      }
    }
  }

  async #stop(): Promise<void> {
    for (const { slave, machine } of this.#slaves) {
      slave?.close();
      await this.#close(machine);
    }
    await this.#listener?.close();
    this.#durability?.stop();
    await this.#close(this.#master);
  }

  async #close(machine: Machine): Promise<void> {
    let isClosed = false;
    void machine.store?.close().then(() => isClosed = true);
    for (let turns = 0; !isClosed && turns < 200; turns++) {
      this.#clock.advance(10);
      await turnEnds();
    }
    assert.ok(isClosed, `${machine.host} does not stop`);
    assert.deepEqual(machine.files.openPaths, [], `${machine.host} has left files open`);
  }

  #tell(event: string): void {
    this.story.push(`${this.#clock.monotonicMs()} ms: ${event}`);
  }
}

/** Bytes that are written, from memory or the file. */
function recordBytes(store: MessageStore, from: number, to: number): Buffer {
  const bytes = Buffer.from(store.readRecord(from) ?? []);
  assert.equal(bytes.length, to - from, `no message from ${from} to ${to}`);
  return bytes;
}

/** Whether two logs have the same records up to an offset, as far as both have them. */
function isEqualUpTo(ours: MessageStore, theirs: MessageStore, end: number): boolean {
  const fileBytes = ours.logFileBytes;
  for (let offset = Math.max(ours.minPhysicalOffset, theirs.minPhysicalOffset); offset < end;) {
    const mine = ours.readRecord(offset);
    const other = theirs.readRecord(offset);
    if (mine === undefined && other === undefined) {
      offset += fileBytes - offset % fileBytes;
      continue;
    }
    if (mine === undefined || other === undefined || Buffer.compare(mine, other) !== 0) return false;
    offset += mine.length;
  }
  return true;
}
