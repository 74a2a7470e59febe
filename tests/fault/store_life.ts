// SPDX-License-Identifier: Apache-2.0
/**
 * A store that lives on a disk in memory: it is used at random, dies, is opened again, and each time what it
 * holds is compared with what was ever appended to it. Everything follows from one seed.
 */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { encodeProperties, Property } from "../../src/protocol/properties.ts";
import { tagsCodeOf } from "../../src/protocol/java_string.ts";
import type { MessageRecord } from "../../src/protocol/record.ts";
import { type MessageStore, type StoreOptions } from "../../src/store/message_store.ts";
import { SCHEDULE_TOPIC } from "../../src/store/queue_tags.ts";
import { type MessageDraft, StoreRefusedError } from "../../src/store/types.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { type Fault, MemoryFiles } from "../harness/memory_files.ts";
import type { SeededRandom } from "../harness/seeded_random.ts";
import { openStore, recordsOf } from "../harness/store.ts";

const DIRECTORY = "/root/store";
const HOUR_MS = 3_600_000;
const HOST = { ip: Uint8Array.of(127, 0, 0, 1), port: 10911 };
const DELAY_LEVELS_MS = [1000, 5000];
/** Topics that are deleted now and then; what is left of them is only looked at message by message. */
const PASSING_TOPIC = "passing";

/** A message that the store has taken. */
interface Taken {
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly physicalOffset: number;
  readonly endOffset: number;
  readonly storeTimestampMs: number;
  readonly properties: string;
  readonly tagsCode: number;
  readonly key: string;
  readonly body: string;
  isAcknowledged: boolean;
  /** Its sender was told that it is not stored. */
  isRefused: boolean;
}

interface Draft extends MessageDraft {
  key: string;
  text: string;
}

export interface LifeOptions {
  flushMode: "SYNC" | "ASYNC";
  /** How likely the disk begins to fail before an action. */
  faultOdds?: number;
}

/** What a disk may fail to do, and how it says so. */
const FAULTS = [
  { operation: "write", codes: ["ENOSPC", "EIO", "EDQUOT"] },
  { operation: "create", codes: ["ENOSPC", "EIO", "EMFILE"] },
  { operation: "sync", codes: ["EIO", "ENOSPC"] },
  { operation: "truncate", codes: ["EIO"] },
  { operation: "read", codes: ["EIO"] },
  { operation: "open", codes: ["EMFILE", "EIO"] },
  { operation: "remove", codes: ["EACCES", "EIO"] },
  { operation: "syncDirectory", codes: ["EIO"] },
  { operation: "makeDirectory", codes: ["ENOSPC"] },
] as const;
/** Not `abort`: what is written to it takes the place of what is there. */
const FAULT_PATHS = [/commitlog/, /commitlog/, /consumequeue/, /index/, /checkpoint/, /^(?!.*abort)/];

/** One directory, through all of its stores' lives. */
export class StoreLife {
  readonly #random: SeededRandom;
  readonly #flushMode: "SYNC" | "ASYNC";
  readonly #faultOdds: number;
  #faults: Fault[] = [];
  readonly #given: Partial<StoreOptions>;
  #files: MemoryFiles;
  #clock: ManualClock;
  #store!: MessageStore;
  /** What must be in the log, in its order, expired messages included. */
  #taken: Taken[] = [];
  /** Bodies of what a death or an error took. */
  #lost = new Set<string>();
  /** By queue: how far consumers have seen it. */
  #seen = new Map<string, number>();
  #sentCount = 0;
  /** Files of the log that were deleted may be back after a power cut; what was deleted with them is not. */
  #highestMinOffset = 0;
  readonly story: string[] = [];
  readonly counts = { kills: 0, powerCuts: 0, deathsWhileStarting: 0, callsFailed: 0 };

  constructor(random: SeededRandom, options: LifeOptions) {
    this.#random = random;
    this.#flushMode = options.flushMode;
    this.#faultOdds = options.faultOdds ?? 0;
    this.#clock = new ManualClock();
    this.#files = new MemoryFiles({
      sectorBytes: random.next() < 0.7 ? 512 : 4096,
      nowMs: () => this.#clock.nowMs(),
    });
    this.#given = {
      commitLogFileBytes: 1024 * random.between(4, 16),
      consumeQueueFileBytes: 20 * random.between(3, 60),
      maxOpenFiles: random.between(3, 40),
      maxMessageBytes: 2500,
      messageIndex: random.next() < 0.8,
      indexHashSlotCount: random.between(1, 200),
      indexEntryCount: random.between(10, 400),
      commitLogFlushIntervalMs: 500,
      commitLogFlushMinPages: random.between(0, 4),
      commitLogFlushThoroughIntervalMs: random.between(500, 10_000),
      consumeQueueFlushIntervalMs: random.between(200, 1000),
      consumeQueueFlushThoroughIntervalMs: random.between(500, 20_000),
      cleanIntervalMs: 10_000,
      commitLogDeletePauseMs: random.between(0, 100),
      deleteAtHours: Array.from({ length: 24 }, (_, hour) => hour),
      fileReservedHours: 1,
      pullMaxCountOnDisk: 32,
      inMemoryBytes: random.next() < 0.5 ? 1 << 30 : 4096,
      delayLevelsMs: DELAY_LEVELS_MS,
    };
  }

  get files(): MemoryFiles {
    return this.#files;
  }

  get store(): MessageStore {
    return this.#store;
  }

  /** Opens the store; with some luck it dies a few times on the way. */
  async open(dyingOdds = 0): Promise<void> {
    const random = this.#random;
    for (;;) {
      const dies = random.next() < dyingOdds;
      if (dies) this.#files.dieAt(this.#files.changeCount + random.between(0, 40));
      const files = this.#files;
      try {
        this.#store = await openStore(DIRECTORY, {
          ...this.#given,
          files,
          clock: this.#clock,
          flushMode: this.#flushMode,
        });
        if (dies && !files.isDead) files.dieAt(Infinity);
        if (!files.isDead) break;
      } catch (error) {
        if (!files.isDead) throw error;
      }
      this.counts.deathsWhileStarting++;
      this.#bury("died while it was opened");
    }
    this.#wasPowerCut = false;
    const files = this.#files;
    this.#store.onWatermark(() => files.isDead || this.#acknowledge());
    this.#store.onLoss((fromOffset, error) => files.isDead || this.#onLoss(fromOffset, error));
  }

  /** Uses the store for a while. */
  async use(actions: number): Promise<void> {
    for (; actions > 0 && !this.#files.isDead; actions--) {
      if (this.#faultOdds > 0 && this.#random.next() < this.#faultOdds) this.#breakSomething();
      await this.#act();
    }
  }

  /** Ends the process or the machine, at once or at some change of the disk that is soon to come. */
  async die(): Promise<void> {
    const random = this.#random;
    if (random.next() < 0.8) this.#files.dieAt(this.#files.changeCount + random.between(0, 30));
    await this.use(random.between(0, 15));
    this.#bury("died");
  }

  /** The disk is well again. @returns how many calls had failed */
  mend(): number {
    const hits = this.#faults.reduce((sum, fault) => sum + fault.hits, 0);
    for (const fault of this.#faults.splice(0)) fault.remove();
    this.counts.callsFailed += hits;
    return hits;
  }

  /** What was promised must be readable, whatever has failed since; and who can take messages again does. */
  async checkAlive(): Promise<void> {
    for (let round = 0; round < 3; round++) await this.#pass(1000);
    const store = this.#store;
    this.#highestMinOffset = Math.max(this.#highestMinOffset, store.minPhysicalOffset);
    for (const message of this.#taken) {
      const { topic, queueId, queueOffset, physicalOffset } = message;
      if (!message.isAcknowledged || physicalOffset < this.#highestMinOffset) continue;
      const record = store.readMessage(physicalOffset);
      assert.ok(record !== undefined, `${nameOf(message)} can't be read`);
      this.#checkRecord(record, message);
      if (topic === PASSING_TOPIC) continue;
      assert.equal(
        store.queueEntry(topic, queueId, queueOffset)?.physicalOffset,
        physicalOffset,
        nameOf(message),
      );
    }
    await this.#readSomewhere();
    const reason = store.refusal?.reason;
    const mayRefuse = reason === "SYNC_FAILED" || reason === "WRITE_FAILED";
    assert.ok(mayRefuse || await this.#takesAgain(), `${reason}: nothing is taken though the disk is well`);
  }

  /** Ends process or machine where nothing is going on. */
  endAtOnce(): void {
    this.#bury("ended");
  }

  /** Stops the store properly and opens it again. */
  async restart(): Promise<void> {
    assert.ok(await this.stop());
    await this.open();
  }

  /** Stops the store properly. @returns whether it ended before it died */
  async stop(): Promise<boolean> {
    const closed = this.#store.close();
    while (!this.#files.isDead && !await isSettled(closed)) this.#clock.advance(10);
    this.#tell("stopped");
    if (this.#files.isDead) return false;
    assert.deepEqual(this.#files.openPaths, [], "files left open");
    return true;
  }

  /** Whether the next start will count as a clean one. */
  get wasMarkedClean(): boolean {
    return this.#files.stat(`${DIRECTORY}/abort`) === undefined;
  }

  /** Compares what the store holds with what it has taken. */
  async check(): Promise<void> {
    const store = this.#store;
    this.#highestMinOffset = Math.max(this.#highestMinOffset, store.minPhysicalOffset);
    const endOffset = store.maxPhysicalOffset;
    this.#checkEnd(endOffset);
    for (const message of this.#taken) {
      if (message.endOffset <= endOffset) continue;
      assert.ok(
        message.endOffset > this.#survivesUpTo,
        `${nameOf(message)} is gone: the log ends at ${endOffset}, it must reach ${this.#survivesUpTo}`,
      );
      this.#lost.add(message.body);
    }
    this.#taken = this.#taken.filter((message) => message.endOffset <= endOffset);
    for (const message of this.#taken) message.isRefused = false;
    this.#checkLog();
    await this.#checkQueues();
    this.#checkKeys();
    this.#checkFiles();
    this.#survivesUpTo = 0;
  }

  /** Ends of the log and of each queue, for a comparison. */
  ends(): unknown {
    const store = this.#store;
    const queues = store.topics().flatMap((topic) =>
      store.queueIdsOf(topic).filter((queueId) => store.maxOffset(topic, queueId) > 0).map((queueId) =>
        [topic, queueId, store.minOffset(topic, queueId), store.maxOffset(topic, queueId)].join(" ")
      )
    );
    return [store.minPhysicalOffset, store.maxPhysicalOffset, queues.sort()];
  }

  async #takesAgain(): Promise<boolean> {
    for (let round = 0; round < 3; round++) {
      const count = this.#taken.length;
      this.#append(this.#draft());
      await turnEnds();
      if (this.#taken.length > count && this.#store.refusal === undefined) return true;
      await this.#pass(1000);
    }
    return false;
  }

  #breakSomething(): void {
    const random = this.#random;
    const pick = <T>(list: readonly T[]) => list[random.between(0, list.length - 1)];
    const { operation, codes } = pick(FAULTS);
    const path = pick(FAULT_PATHS);
    const rule = {
      operation,
      code: pick<typeof codes[number]>(codes),
      path,
      skip: random.between(0, 3),
      times: random.next() < 0.7 ? 1 : random.between(2, 40),
      // What lies within one page of a small file is written as a whole or not at all.
      writtenBytes: /commitlog|consumequeue/.test(path.source) ? random.between(0, 300) : 0,
    };
    this.#tell(`${rule.code} at ${operation} of ${rule.path}, ${rule.times} times after ${rule.skip}`);
    this.#faults.push(this.#files.fail(rule));
  }

  // Actions

  async #act(): Promise<void> {
    const random = this.#random;
    const dice = random.next();
    if (dice < 0.45) {
      for (let count = random.between(1, 6); count > 0; count--) this.#append(this.#draft());
      if (random.next() < 0.7) await turnEnds();
    } else if (dice < 0.52) {
      const first = this.#draft();
      const { topic, queueId } = first;
      const rest = Array.from({ length: random.between(0, 8) }, () => this.#draft({ topic, queueId }));
      this.#append(first, ...rest);
      if (random.next() < 0.5) await turnEnds();
    } else if (dice < 0.7) {
      await this.#pass(random.between(50, 3000));
    } else if (dice < 0.75) {
      await this.#pass(random.between(0, 2) * HOUR_MS / 2 + 10_000);
    } else if (dice < 0.9) {
      await this.#readSomewhere();
    } else if (dice < 0.92 && !this.#files.isDead) {
      this.#deletePassing();
    } else {
      await turnEnds();
    }
  }

  async #pass(ms: number): Promise<void> {
    this.#tell(`${ms} ms pass`);
    for (let turns = this.#random.between(1, 8); turns > 0; turns--) {
      const step = Math.floor(ms / turns);
      this.#clock.advance(step);
      ms -= step;
      for (let count = this.#random.between(0, 3); count > 0; count--) await turnEnds();
    }
  }

  #draft(given: { topic?: string; queueId?: number } = {}): Draft {
    const random = this.#random;
    const dice = random.next();
    const topic = given.topic ??
      (dice < 0.1 ? SCHEDULE_TOPIC : dice < 0.2 ? PASSING_TOPIC : `topic${random.between(0, 3)}`);
    const queueId = given.queueId ?? random.between(0, 2);
    const number = this.#sentCount++;
    const text = `${number} ${
      "x".repeat(random.next() < 0.2 ? random.between(0, 2400) : random.between(0, 200))
    }`;
    const key = `key${number}`;
    const propertyMap = new Map([[Property.KEYS as string, `${key} shared`]]);
    if (random.next() < 0.5) propertyMap.set(Property.TAGS, `tag${random.between(0, 3)}`);
    if (topic === SCHEDULE_TOPIC) propertyMap.set(Property.DELAY, String(random.between(1, 3)));
    if (random.next() < 0.1) propertyMap.set("user", "y".repeat(random.between(1, 1500)));
    const nowMs = this.#clock.nowMs();
    return {
      key,
      text,
      topic,
      queueId,
      flag: 0,
      sysFlag: 0,
      bornTimestampMs: nowMs,
      bornHost: HOST,
      storeHost: HOST,
      reconsumeTimes: 0,
      preparedTransactionOffset: 0,
      body: new TextEncoder().encode(text),
      properties: encodeProperties(propertyMap),
      propertyMap,
    };
  }

  #append(...drafts: Draft[]): void {
    const store = this.#store;
    try {
      const appended = drafts.length === 1 ? [store.append(drafts[0])] : store.appendBatch(drafts);
      for (const [index, { topic, queueId, key, text: body, properties, propertyMap }] of drafts.entries()) {
        // Nothing that was refused can come back once the log goes on in its place.
        while (this.#taken.at(-1)?.isRefused) this.#forget(this.#taken.pop()!);
        const level = Math.min(Number(propertyMap.get(Property.DELAY) ?? 0), DELAY_LEVELS_MS.length);
        const tagsCode = level > 0
          ? appended[index].storeTimestampMs + DELAY_LEVELS_MS[level - 1]
          : tagsCodeOf(propertyMap.get(Property.TAGS));
        this.#taken.push({
          ...appended[index],
          ...{ topic, queueId, key, body, properties, tagsCode, isAcknowledged: false, isRefused: false },
        });
      }
    } catch (error) {
      if (!(error instanceof StoreRefusedError)) throw error;
      this.#tell(`refused: ${error.message}`);
    }
  }

  #acknowledge(): void {
    const watermark = this.#flushMode === "SYNC" ? this.#store.flushedOffset : this.#store.writtenOffset;
    for (let at = this.#taken.length - 1; at >= 0 && !this.#taken[at].isAcknowledged; at--) {
      if (this.#taken[at].endOffset <= watermark) this.#taken[at].isAcknowledged = true;
    }
  }

  #onLoss(fromOffset: number, error: StoreRefusedError): void {
    this.#tell(`lost from ${fromOffset} on: ${error.message}`);
    for (const message of this.#taken) {
      if (message.endOffset <= fromOffset) continue;
      const mayBeThere = error.reason === "SYNC_FAILED";
      if (mayBeThere && this.#flushMode === "ASYNC") continue;
      assert.ok(!message.isAcknowledged, `${nameOf(message)} was acknowledged before it was lost`);
      message.isRefused ||= !mayBeThere;
    }
  }

  #forget(message: Taken): void {
    this.#lost.add(message.body);
  }

  #deletePassing(): void {
    try {
      this.#store.deleteTopic(PASSING_TOPIC);
      this.#tell("topic deleted");
    } catch (error) {
      if (!isOfDisk(error)) throw error;
    }
  }

  /** Reads as a consumer would: whoever has seen a message under SYNC flush must find it again. */
  async #readSomewhere(): Promise<void> {
    const { topic, queueId } = this.#draft();
    const store = this.#store;
    const maxOffset = store.maxOffset(topic, queueId);
    const from = this.#random.between(store.minOffset(topic, queueId), maxOffset);
    try {
      const reading = Promise.resolve(store.getMessages(topic, queueId, from, { maxCount: 32 }));
      while (!this.#files.isDead && !await isSettled(reading)) { /* turns pass */ }
      if (this.#files.isDead) return;
      const result = await reading;
      if (from < maxOffset) {
        assert.ok(["FOUND", "MESSAGE_WAS_REMOVING"].includes(result.status), result.status);
      }
      if (topic !== PASSING_TOPIC) this.#checkRecords(recordsOf(result));
    } catch (error) {
      if (!isOfDisk(error)) throw error;
    }
    if (topic === PASSING_TOPIC || this.#flushMode === "ASYNC") return;
    this.#seen.set(`${topic} ${queueId}`, maxOffset);
  }

  // Death

  /** What has to be there after a death. */
  #survivesUpTo = 0;
  #wasPowerCut = false;

  #bury(event: string): void {
    // A process that is killed at once after a failed sync has no time to say so: the page cache must go too.
    const isTooLate = this.#files.isDead && this.#store?.refusal?.reason === "SYNC_FAILED";
    const isPowerCut = this.#random.next() < 0.7 || isTooLate;
    const { flushedOffset, writtenOffset } = this.#store ?? { flushedOffset: 0, writtenOffset: 0 };
    this.#highestMinOffset = Math.max(this.#highestMinOffset, this.#store?.minPhysicalOffset ?? 0);
    this.counts[isPowerCut ? "powerCuts" : "kills"]++;
    if (isPowerCut) this.#wasPowerCut = true;
    this.#survivesUpTo = this.#wasPowerCut ? flushedOffset : writtenOffset;
    this.#tell(
      `${event}${isPowerCut ? ", power cut" : ""}; written ${writtenOffset}, flushed ${flushedOffset}`,
    );
    this.#files = isPowerCut ? this.#files.crash(this.#random) : this.#files.kill();
    this.#clock = new ManualClock(this.#clock.nowMs() + 1);
  }

  // Checks

  #checkEnd(endOffset: number): void {
    const { commitLogFileBytes } = this.#given;
    const isEnd = endOffset === this.#store.minPhysicalOffset ||
      this.#taken.some((message) =>
        message.endOffset === endOffset ||
        endOffset % commitLogFileBytes! === 0 && message.endOffset < endOffset &&
          message.endOffset > endOffset - commitLogFileBytes!
      );
    assert.ok(isEnd, `the log ends at ${endOffset}, where no message ended`);
  }

  #checkLog(): void {
    const store = this.#store;
    for (const message of this.#taken) {
      if (message.physicalOffset < store.minPhysicalOffset) continue;
      const record = store.readMessage(message.physicalOffset);
      assert.ok(record !== undefined, `${nameOf(message)} can't be read`);
      this.#checkRecord(record, message);
    }
  }

  #checkRecords(records: MessageRecord[]): void {
    const byPlace = new Map(this.#taken.map((message) => [message.physicalOffset, message]));
    for (const record of records) {
      const message = byPlace.get(record.physicalOffset);
      assert.ok(message !== undefined, `a record at ${record.physicalOffset} that was never taken`);
      this.#checkRecord(record, message);
    }
  }

  #checkRecord(record: MessageRecord, message: Taken): void {
    const { topic, queueId, queueOffset, physicalOffset, storeTimestampMs, properties } = record;
    const body = new TextDecoder().decode(record.body);
    assert.deepEqual({ topic, queueId, queueOffset, physicalOffset, storeTimestampMs, properties, body }, {
      topic: message.topic,
      queueId: message.queueId,
      queueOffset: message.queueOffset,
      physicalOffset: message.physicalOffset,
      storeTimestampMs: message.storeTimestampMs,
      properties: message.properties,
      body: message.body,
    });
  }

  async #checkQueues(): Promise<void> {
    const store = this.#store;
    const queues = new Map<string, Taken[]>();
    for (const message of this.#taken) {
      if (message.topic === PASSING_TOPIC) continue;
      const name = `${message.topic} ${message.queueId}`;
      const queue = queues.get(name) ?? [];
      assert.equal(message.queueOffset, queue.length, `${nameOf(message)}: its number was given before`);
      queues.set(name, [...queue, message]);
    }
    for (const topic of store.topics()) {
      if (topic === PASSING_TOPIC) continue;
      for (const queueId of store.queueIdsOf(topic)) {
        if (!queues.has(`${topic} ${queueId}`)) assert.equal(store.maxOffset(topic, queueId), 0);
      }
    }
    for (const [name, queue] of queues) await this.#checkQueue(name, queue);
  }

  async #checkQueue(name: string, queue: Taken[]): Promise<void> {
    const store = this.#store;
    const { topic, queueId } = queue[0];
    assert.equal(store.maxOffset(topic, queueId), queue.length, `the end of ${name}`);
    assert.ok(queue.length >= (this.#seen.get(name) ?? 0), `${name} ends before what consumers have seen`);
    const minOffset = store.minOffset(topic, queueId);
    const startAt = (minPhysicalOffset: number) => {
      const first = queue.findIndex((message) => message.physicalOffset >= minPhysicalOffset);
      return first < 0 ? queue.length : first;
    };
    assert.ok(
      minOffset >= startAt(store.minPhysicalOffset) && minOffset <= startAt(this.#highestMinOffset),
      `${name} begins at ${minOffset}`,
    );
    for (const message of queue.slice(minOffset)) {
      const { physicalOffset, endOffset, tagsCode, queueOffset } = message;
      assert.deepEqual(
        store.queueEntry(topic, queueId, queueOffset),
        { physicalOffset, size: endOffset - physicalOffset, tagsCode },
        `the entry of ${nameOf(message)}`,
      );
    }
    const bodies: string[] = [];
    for (let next = minOffset; next < queue.length;) {
      const result = await store.getMessages(topic, queueId, next, { maxCount: 32 });
      assert.equal(result.status, "FOUND");
      assert.equal(result.nextBeginOffset, next + result.messageCount);
      bodies.push(...recordsOf(result).map((record) => new TextDecoder().decode(record.body)));
      next = result.nextBeginOffset;
    }
    assert.deepEqual(bodies, queue.slice(minOffset).map(({ body }) => body), name);
    for (const body of bodies) assert.ok(!this.#lost.has(body), `a lost message came back: ${body}`);
  }

  /** Messages are found by key as long as they are in the log. */
  #checkKeys(): void {
    if (this.#given.messageIndex === false) return;
    const store = this.#store;
    for (const message of this.#taken) {
      if (message.physicalOffset < this.#highestMinOffset || this.#random.next() > 0.2) continue;
      const { records } = store.queryByKey(message.topic, message.key, 64, 0, Number.MAX_SAFE_INTEGER);
      const found = recordsOf({ records } as never).filter((record) =>
        record.physicalOffset === message.physicalOffset
      );
      assert.equal(found.length, 1, `${nameOf(message)} is found ${found.length} times by its key`);
    }
  }

  /** Sizes and names are as Apache wants them, and nothing stands behind the log's end. */
  #checkFiles(): void {
    const files = this.#files;
    const { commitLogFileBytes, consumeQueueFileBytes } = this.#given;
    const sizesAre = (directory: string, sizeBytes: number) => {
      const names = files.list(directory).sort();
      for (const [index, name] of names.entries()) {
        assert.equal(files.stat(`${directory}/${name}`)!.sizeBytes, sizeBytes, `${directory}/${name}`);
        assert.equal(Number(name), Number(names[0]) + index * sizeBytes, `${directory}/${name}`);
      }
    };
    sizesAre(`${DIRECTORY}/commitlog`, commitLogFileBytes!);
    for (const topic of files.list(`${DIRECTORY}/consumequeue`)) {
      for (const queueId of files.list(`${DIRECTORY}/consumequeue/${topic}`)) {
        sizesAre(`${DIRECTORY}/consumequeue/${topic}/${queueId}`, consumeQueueFileBytes!);
      }
    }
    const last = files.list(`${DIRECTORY}/commitlog`).sort().at(-1);
    if (last === undefined || Number(last) > this.#store.maxPhysicalOffset) return;
    const rest = files.read(`${DIRECTORY}/commitlog/${last}`)
      .subarray(this.#store.writtenOffset - Number(last));
    assert.ok(rest.every((byte) => byte === 0), "something stands behind the log's end");
  }

  #tell(event: string): void {
    const line = `${this.#store?.maxPhysicalOffset ?? 0}: ${event}`;
    if (line !== this.story.at(-1)) this.story.push(line);
  }
}

function nameOf({ topic, queueId, queueOffset, physicalOffset, endOffset }: Taken): string {
  return `${topic}/${queueId}/${queueOffset} (bytes ${physicalOffset} to ${endOffset})`;
}

/** Whether an error comes from the disk, whose faults readers may be told of. */
function isOfDisk(error: unknown): boolean {
  return typeof (error as { code?: unknown }).code === "string" &&
    (error as Error).name === "MemoryFileError";
}

export function turnEnds(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const open = {};
  const first = await Promise.race([promise.catch(() => {}), turnEnds().then(() => open)]);
  return first !== open;
}
