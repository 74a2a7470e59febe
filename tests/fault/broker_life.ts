// SPDX-License-Identifier: Apache-2.0
/**
 * A broker that lives on a disk in memory: producers, a consumer group and an administrator use it at random, it dies,
 * is started again, and each time what it answers is compared with what it had promised. Everything follows from one
 * seed.
 */
import assert from "node:assert/strict";
import { readTables } from "../../src/cli/store_config.ts";
import { encodeBatch } from "../../src/protocol/batch_body.ts";
import { parseOffsetMessageId } from "../../src/protocol/message_id.ts";
import { decodeRecord, type MessageRecord } from "../../src/protocol/record.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import { ResponseCode } from "../../src/protocol/response_code.ts";
import type { Response } from "../../src/remoting/command.ts";
import { Findings } from "../../src/store/inspect/findings.ts";
import { readLayout } from "../../src/store/inspect/layout.ts";
import { verifyStore } from "../../src/store/inspect/verify.ts";
import { SCHEDULE_TOPIC } from "../../src/store/queue_tags.ts";
import { bodyOf, recordsIn, sendRequest } from "../harness/broker_parts.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import {
  MemoryBroker,
  type MemoryBrokerConfig,
  memoryBrokerConfig,
  memoryReader,
  STORE,
} from "../harness/memory_broker.ts";
import { turns } from "../harness/until.ts";
import { bodyBytes, type IncomingRequest } from "../harness/memory_connection.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import type { SeededRandom } from "../harness/seeded_random.ts";

const HOUR_MS = 3_600_000;
const GROUP = "readers";
const RETRY_TOPIC = `%RETRY%${GROUP}`;
const DELAYS_MS = [1000, 5000, 10_000];
/** After so long without a death ASYNC flush has flushed: the thorough interval, a round, and the steps of the clock. */
const FLUSHED_AFTER_MS = 10_000 + 500 + 1000;

/** Something that was acknowledged. */
interface Promised {
  readonly atMs: number;
  /** Its sender waited for the flush where the broker flushes. */
  readonly waits: boolean;
  /** Was there when a start had synced what it found. */
  isDurable: boolean;
}

interface Message {
  readonly id: number;
  /** Where it is consumed. */
  readonly topic: string;
  readonly queueId: number;
  readonly body: string;
  readonly key: string;
  readonly delayMs: number;
  readonly sentMs: number;
  readonly waits: boolean;
  acknowledged: Promised & { readonly physicalOffset: number; readonly queueOffset: number } | undefined;
}

/** One place of a queue, and what a consumer saw there. */
interface Seen {
  readonly physicalOffset: number;
  readonly id: number;
}

export type BrokerLifeCounts = {
  kills: number;
  powerCuts: number;
  deathsWhileStarting: number;
  acknowledged: number;
  logStartsMoved: number;
};

export class BrokerLife {
  readonly counts: BrokerLifeCounts = {
    kills: 0,
    powerCuts: 0,
    deathsWhileStarting: 0,
    acknowledged: 0,
    logStartsMoved: 0,
  };
  readonly story: string[] = [];
  readonly #random: SeededRandom;
  readonly #isSync: boolean;
  readonly #config: MemoryBrokerConfig;
  #files: MemoryFiles;
  #clock = new ManualClock();
  #broker!: MemoryBroker;

  #messages = new Map<number, Message>();
  /** What a death took; it must not come back. */
  #lost = new Set<number>();
  /** Topics with their queue counts. */
  #topics = new Map<string, number>([["Orders", 2]]);
  /** Topics whose deletion was asked for: nothing is promised of them. */
  #gone = new Set<string>();
  #deleting: string | undefined;
  #groups = new Map<string, number>();
  /** Messages that a consumer gave back, and that have to come again. */
  #back = new Map<number, Promised & { readonly logEnd: number }>();
  /** Of `#back`: what has come again. */
  #cameBack = new Set<number>();
  #hasRetryTopic = false;
  /** Given back at any time. */
  #wasGivenBack = new Set<number>();
  /** By queue, by offset. */
  #seen = new Map<string, Map<number, Seen>>();
  #positions = new Map<string, number>();
  #committed = new Map<string, number>();
  #highestMinOffset = 0;
  #wasPowerCut = false;
  #wasStopped = false;
  #isEnding = false;
  #lastAliveMs = 0;
  #nextId = 0;

  constructor(random: SeededRandom, flushDiskType: string) {
    this.#random = random;
    this.#isSync = flushDiskType === "SYNC_FLUSH";
    this.#files = new MemoryFiles({
      sectorBytes: random.next() < 0.7 ? 512 : 4096,
      nowMs: () => this.#clock.nowMs(),
      syncTurns: () => random.between(1, 6),
    });
    const queueEntries = random.between(5, 60);
    this.#config = memoryBrokerConfig([
      `flushDiskType=${flushDiskType}`,
      `mappedFileSizeCommitLog=${4096 * random.between(2, 8)}`,
      `mappedFileSizeConsumeQueue=${20 * queueEntries}`,
      `maxHashSlotNum=${random.between(1, 100)}`,
      `maxIndexNum=${random.between(20, 400)}`,
      "messageDelayLevel=1s 5s 10s",
      `flushDelayOffsetInterval=${random.between(500, 5000)}`,
      `flushConsumerOffsetInterval=${random.between(500, 5000)}`,
      `flushConsumeQueueThoroughInterval=${random.between(1000, 20_000)}`,
      `deleteWhen=${Array.from({ length: 24 }, (_, hour) => String(hour).padStart(2, "0")).join(";")}`,
      "fileReservedTime=1",
      "deleteCommitLogFilesInterval=0",
    ]);
  }

  /** Starts the broker, which may die a few times on the way, and checks what it has. */
  async start(dyingOdds = 0): Promise<void> {
    for (;;) {
      const dies = this.#random.next() < dyingOdds;
      if (dies) this.#files.dieAt(this.#files.changeCount + this.#random.between(0, 60));
      const broker = await MemoryBroker.start(this.#config, this.#files, this.#clock);
      if (broker !== undefined) {
        this.#files.dieAt(Infinity);
        this.#broker = broker;
        break;
      }
      this.counts.deathsWhileStarting++;
      this.#bury("died while it started");
    }
    this.#tell("started");
    await this.#check();
    if (this.#nextId === 0) await this.#updateTopic("Orders", 2);
    if (this.#deleting !== undefined) await this.#deleteTopic(this.#deleting);
  }

  async use(actions: number): Promise<void> {
    for (; actions > 0 && !this.#files.isDead; actions--) {
      await this.#act();
      if (this.#random.next() < 0.5) await turns(this.#random.between(1, 4));
    }
  }

  /** Ends process or machine, at once or at some change of the disk that is soon to come. */
  async die(): Promise<void> {
    if (this.#random.next() < 0.75) this.#files.dieAt(this.#files.changeCount + this.#random.between(0, 60));
    await this.use(this.#random.between(0, 20));
    this.#lastAliveMs = this.#clock.nowMs();
    this.#bury("died");
  }

  /** Stops in order; then the store holds together, and is left as it is. */
  async stop(): Promise<void> {
    await this.#broker.stop();
    this.#tell("stopped");
    assert.deepEqual(this.#files.openPaths, [], "files left open");
    assert.equal(
      this.#files.stat(`${STORE}/abort`),
      undefined,
      "a broker that was stopped left its abort file",
    );
    await this.#verify("clean");
    this.#wasStopped = true;
    this.#clock = new ManualClock(this.#clock.nowMs() + this.#random.between(1, 5000));
  }

  /** Everything that is there is consumed from the committed offsets on, and then compared. */
  async finish(): Promise<void> {
    this.#isEnding = true;
    await this.#pass(12_000);
    await this.#lookAtLogStart();
    for (const [topic, queueId] of this.#queues()) {
      const name = `${topic}/${queueId}`;
      const end = await this.#offset(RequestCode.GET_MAX_OFFSET, topic, queueId);
      for (let before = -1; this.#position(name) < end && this.#position(name) !== before;) {
        before = this.#position(name);
        await this.#consume(topic, queueId);
      }
      const seen = this.#seen.get(name);
      for (const record of await this.#read(topic, queueId)) {
        const id = idOf(record);
        if (record.physicalOffset < this.#highestMinOffset) continue;
        assert.equal(
          seen?.get(record.queueOffset)?.id,
          id,
          `${name}: the group has passed over message ${id}`,
        );
      }
    }
    await this.#lookAtLogStart();
    for (const message of this.#messages.values()) {
      if (message.delayMs === 0 || message.acknowledged === undefined || this.#isExempt(message)) continue;
      const isThere = [...this.#seen.get(placeOf(message))?.values() ?? []].some(({ id }) =>
        id === message.id
      );
      const what =
        `message ${message.id}, delayed by ${message.delayMs} ms, stored at ${message.acknowledged.physicalOffset}, never came`;
      assert.ok(isThere, what);
    }
    for (const [id, { logEnd }] of this.#back) {
      const mayHaveExpired = logEnd < this.#highestMinOffset;
      assert.ok(
        mayHaveExpired || this.#cameBack.has(id),
        `message ${id} was given back, and never came again`,
      );
    }
  }

  // Use

  async #act(): Promise<void> {
    const random = this.#random;
    const dice = random.next();
    if (dice < 0.4) { for (let count = random.between(1, 4); count > 0; count--) this.#send(); }
    else if (dice < 0.46) this.#sendBatch();
    else if (dice < 0.7) await this.#consume(...this.#someQueue());
    else if (dice < 0.9) await this.#pass(random.between(10, 3000));
    else if (dice < 0.93) await this.#pass(15_000);
    else if (dice < 0.96) await this.#updateTopic(`made-${this.#nextId++}`, 1);
    else if (dice < 0.98) await this.#updateGroup(`group-${this.#nextId++}`);
    else if (this.#topics.size > 2) await this.#deleteTopic([...this.#topics.keys()].at(-1)!);
  }

  #send(): void {
    const random = this.#random;
    const level = random.next() < 0.2 ? random.between(1, 3) : 0;
    const message = this.#message(...this.#someTarget(), {
      delayMs: level === 0 ? 0 : DELAYS_MS[level - 1],
      waits: random.next() < 0.9,
    });
    const properties: Record<string, string> = { KEYS: `${message.key} shared` };
    if (level > 0) properties.DELAY = String(level);
    if (!message.waits) properties.WAIT = "false";
    const { topic, queueId, body } = message;
    const request = sendRequest({ topic, body, properties, header: { queueId: String(queueId) } });
    void this.#broker.ask(request).then((response) => this.#onSent([message], response));
  }

  #sendBatch(): void {
    const [topic, queueId] = this.#someTarget();
    const count = this.#random.between(2, 5);
    const messages = Array.from(
      { length: count },
      () => this.#message(topic, queueId, { delayMs: 0, waits: true }),
    );
    const body = encodeBatch(messages.map((message) => ({
      flag: 0,
      body: new TextEncoder().encode(message.body),
      properties: `KEYS\u0001${message.key}\u0002`,
    })));
    const code = RequestCode.SEND_BATCH_MESSAGE;
    const request = sendRequest({ topic, body, code, header: { queueId: String(queueId), batch: "true" } });
    void this.#broker.ask(request).then((response) => this.#onSent(messages, response));
  }

  #message(topic: string, queueId: number, given: { delayMs: number; waits: boolean }): Message {
    const random = this.#random;
    const id = this.#nextId++;
    const message = {
      id,
      topic,
      queueId,
      body: `${id} ${"x".repeat(random.next() < 0.1 ? random.between(0, 3000) : random.between(0, 200))}`,
      key: `key-${id}`,
      sentMs: this.#clock.nowMs(),
      acknowledged: undefined,
      ...given,
    };
    this.#messages.set(id, message);
    return message;
  }

  #onSent(messages: readonly Message[], response: Response | undefined): void {
    if (response === undefined) return;
    const { code, remark, fields } = response;
    if (this.#gone.has(messages[0].topic) && code === ResponseCode.TOPIC_NOT_EXIST) return;
    assert.equal(code, ResponseCode.SUCCESS, `message ${messages[0].id}: ${code} ${remark}`);
    const ids = fields!.msgId!.split(",");
    assert.equal(ids.length, messages.length);
    for (const [index, message] of messages.entries()) {
      message.acknowledged = {
        physicalOffset: parseOffsetMessageId(ids[index])!.physicalOffset,
        queueOffset: Number(fields!.queueOffset) + index,
        ...this.#promised(message.waits),
      };
      this.counts.acknowledged++;
      const { physicalOffset, queueOffset } = message.acknowledged;
      const what = message.delayMs > 0 ? `delayed by ${message.delayMs} ms, ` : "";
      this.#tell(`${message.id}, ${what}stored at ${physicalOffset} as ${placeOf(message)}/${queueOffset}`);
    }
  }

  #promised(waits: boolean): Promised {
    return { atMs: this.#clock.nowMs(), waits, isDurable: false };
  }

  /** Pulls from a queue, processes what comes, gives something back, then commits. */
  async #consume(topic: string, queueId: number): Promise<void> {
    const random = this.#random;
    const name = `${topic}/${queueId}`;
    const response = await this.#broker.askSoon(pullRequest(topic, queueId, this.#position(name)));
    if (response === undefined) return this.#mustBeDead();
    if (this.#gone.has(topic)) return;
    const next = Number(response.fields?.nextBeginOffset ?? this.#position(name));
    for (const record of response.code === ResponseCode.SUCCESS ? recordsIn(response) : []) {
      this.#see(name, record);
      if (topic !== RETRY_TOPIC && !this.#isEnding && random.next() < 0.03) await this.#giveBack(record);
    }
    this.#positions.set(name, next);
    if (random.next() < 0.7) await this.#commit(topic, queueId, next);
  }

  #see(name: string, record: MessageRecord): void {
    const id = idOf(record);
    const message = this.#messages.get(id);
    assert.ok(
      message !== undefined && message.body === bodyOf(record),
      `${name}: a message that was never sent`,
    );
    assert.ok(!this.#lost.has(id), `${name}: message ${id} was lost, and is back`);
    if (record.topic === RETRY_TOPIC) {
      assert.ok(this.#wasGivenBack.has(id), `message ${id} comes again, and nobody gave it back`);
      this.#cameBack.add(id);
    } else {
      assert.deepEqual([record.topic, record.queueId], [message.topic, message.queueId]);
      const dueMs = message.sentMs + message.delayMs;
      assert.ok(
        this.#clock.nowMs() >= dueMs,
        `message ${id} came ${dueMs - this.#clock.nowMs()} ms too early`,
      );
    }
    this.#tell(`${id} at ${record.physicalOffset} consumed as ${name}/${record.queueOffset}`);
    let seen = this.#seen.get(name);
    if (seen === undefined) this.#seen.set(name, seen = new Map());
    seen.set(record.queueOffset, { physicalOffset: record.physicalOffset, id });
  }

  async #giveBack(record: MessageRecord): Promise<void> {
    const id = idOf(record);
    if (this.#wasGivenBack.has(id)) return;
    this.#wasGivenBack.add(id);
    const fields = {
      offset: String(record.physicalOffset),
      group: GROUP,
      delayLevel: String(this.#random.between(1, 3)),
      originTopic: record.topic,
      unitMode: "false",
      maxReconsumeTimes: "16",
    };
    const response = await this.#broker.askSoon({ code: RequestCode.CONSUMER_SEND_MSG_BACK, fields });
    if (response === undefined) return this.#mustBeDead();
    this.#tell(`given back ${id}: ${response.code}`);
    if (response.code === ResponseCode.SUCCESS) {
      this.#hasRetryTopic = true;
      const promised = this.#promised(true);
      if (this.#files.isDead) return;
      const { commitLogMaxOffset: logEnd } = await this.#runtimeInfo();
      this.#back.set(id, { ...promised, logEnd });
    } else {assert.match(
        response.remark!,
        /look message by offset failed/,
        "only what expired can't be given back",
      );}
  }

  async #commit(topic: string, queueId: number, offset: number): Promise<void> {
    const fields = { consumerGroup: GROUP, topic, queueId: String(queueId), commitOffset: String(offset) };
    const response = await this.#broker.askSoon({ code: RequestCode.UPDATE_CONSUMER_OFFSET, fields });
    // without an answer it may count all the same
    this.#committed.set(`${topic}/${queueId}`, offset);
    if (response === undefined) this.#mustBeDead();
    else assert.equal(response.code, ResponseCode.SUCCESS, response.remark ?? "");
  }

  async #updateTopic(topic: string, queueCount: number): Promise<void> {
    const fields = {
      topic,
      defaultTopic: "TBW102",
      readQueueNums: String(queueCount),
      writeQueueNums: String(queueCount),
      perm: "6",
      topicFilterType: "SINGLE_TAG",
      topicSysFlag: "0",
      order: "false",
    };
    const response = await this.#broker.askSoon({ code: RequestCode.UPDATE_AND_CREATE_TOPIC, fields });
    if (response === undefined) return this.#mustBeDead();
    assert.equal(response.code, ResponseCode.SUCCESS, response.remark ?? "");
    this.#topics.set(topic, queueCount);
  }

  async #updateGroup(group: string): Promise<void> {
    const retryMaxTimes = this.#random.between(1, 100);
    const body = new TextEncoder().encode(JSON.stringify({ groupName: group, retryMaxTimes }));
    const code = RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP;
    const response = await this.#broker.askSoon({ code, body });
    if (response === undefined) return this.#mustBeDead();
    assert.equal(response.code, ResponseCode.SUCCESS, response.remark ?? "");
    this.#groups.set(group, retryMaxTimes);
  }

  /** An administrator who gets no answer tries again when the broker is back. */
  async #deleteTopic(topic: string): Promise<void> {
    this.#topics.delete(topic);
    this.#gone.add(topic);
    this.#deleting = topic;
    this.#tell(`deletes ${topic}`);
    const response = await this.#broker.askSoon({
      code: RequestCode.DELETE_TOPIC_IN_BROKER,
      fields: { topic },
    });
    if (response === undefined) return this.#mustBeDead();
    assert.equal(response.code, ResponseCode.SUCCESS, response.remark ?? "");
    this.#deleting = undefined;
    this.#tell(`deleted ${topic}`);
  }

  async #pass(ms: number): Promise<void> {
    for (; ms > 0 && !this.#files.isDead; ms -= 100) {
      this.#clock.advance(Math.min(ms, 100));
      await turns(2);
    }
  }

  #someTarget(): [topic: string, queueId: number] {
    const [topic, queueCount] = [...this.#topics][this.#random.next() < 0.7 ? 0 : this.#topics.size - 1];
    return [topic, this.#random.between(0, queueCount - 1)];
  }

  #someQueue(): [topic: string, queueId: number] {
    const queues = this.#queues();
    return queues[this.#random.between(0, queues.length - 1)];
  }

  /** All queues that the group consumes. */
  #queues(): [topic: string, queueId: number][] {
    const queues: [string, number][] = [];
    for (const [topic, count] of this.#topics) {
      for (let queueId = 0; queueId < count; queueId++) queues.push([topic, queueId]);
    }
    if (this.#hasRetryTopic) queues.push([RETRY_TOPIC, 0]);
    return queues;
  }

  #position(name: string): number {
    return this.#positions.get(name) ?? 0;
  }

  #mustBeDead(): void {
    assert.ok(this.#files.isDead, "a request was not answered");
  }

  // Death

  #bury(event: string): void {
    const random = this.#random;
    const isPowerCut = random.next() < 0.7;
    this.#wasStopped = false;
    this.counts[isPowerCut ? "powerCuts" : "kills"]++;
    this.#wasPowerCut ||= isPowerCut;
    const left = this.#files.kill();
    // Files that were deleted may be back after the power cut; what was deleted with them is not.
    const starts = left.list(`${STORE}/commitlog`).map(Number);
    this.#onLogStart(Math.min(...starts, Infinity));
    this.#files = isPowerCut ? left.crash(random) : left;
    const downMs = random.next() < 0.15 ? 2 * HOUR_MS : random.between(1, 5000);
    this.#clock = new ManualClock(this.#clock.nowMs() + downMs);
    this.#tell(`${event}${isPowerCut ? ", power cut" : ""}, down for ${downMs} ms`);
  }

  /** Whether the death may have taken something that was promised. */
  #mayBeLost(promised: Promised): boolean {
    if (!this.#wasPowerCut || promised.isDurable) return false;
    if (this.#isSync && promised.waits) return false;
    return promised.atMs > this.#lastAliveMs - FLUSHED_AFTER_MS;
  }

  /** Of messages that expired or whose topic was deleted nothing is promised. */
  #isExempt({ topic, acknowledged }: Message): boolean {
    return this.#gone.has(topic) || acknowledged!.physicalOffset < this.#highestMinOffset;
  }

  // Checks

  async #check(): Promise<void> {
    await this.#lookAtLogStart();
    const present = new Map<string, MessageRecord[]>();
    for (const [topic, queueId] of this.#queues()) {
      present.set(`${topic}/${queueId}`, await this.#read(topic, queueId));
    }
    await this.#checkAcknowledged(present);
    this.#buryOthers(present);
    for (const [name, records] of present) this.#checkQueue(name, records);
    for (const [id, promised] of this.#back) {
      if (this.#mayBeLost(promised) && !this.#cameBack.has(id)) this.#back.delete(id);
      else promised.isDurable = true;
    }
    await this.#checkTables();
    for (const [topic, queueId] of this.#queues()) await this.#checkCommitted(topic, queueId);
    this.#wasPowerCut = false;
    if (this.#nextId > 0) await this.#checkNext();
  }

  async #lookAtLogStart(): Promise<void> {
    this.#onLogStart((await this.#runtimeInfo()).commitLogMinOffset);
  }

  #onLogStart(offset: number): void {
    if (offset === Infinity || offset <= this.#highestMinOffset) return;
    this.counts.logStartsMoved++;
    this.#highestMinOffset = offset;
  }

  /** Every acknowledged message is at its place; where some may be lost, what is left is a prefix of the log. */
  async #checkAcknowledged(present: ReadonlyMap<string, readonly MessageRecord[]>): Promise<void> {
    const acknowledged = [...this.#messages.values()]
      .filter((message) => message.acknowledged !== undefined)
      .sort((a, b) => a.acknowledged!.physicalOffset - b.acknowledged!.physicalOffset);
    let firstLost: Message | undefined;
    for (const message of acknowledged) {
      const { physicalOffset, queueOffset } = message.acknowledged!;
      if (physicalOffset < this.#highestMinOffset) continue;
      const record = await this.#view(physicalOffset);
      const name = placeOf(message);
      if (record === undefined) {
        assert.ok(
          this.#mayBeLost(message.acknowledged!),
          `message ${message.id} was acknowledged, and is lost`,
        );
        firstLost ??= message;
        message.acknowledged = undefined;
        this.#lost.add(message.id);
        continue;
      }
      if (firstLost !== undefined) {
        // its place has gone to a message that was never acknowledged, or is in doubt itself
        const isOther = bodyOf(record) !== message.body;
        assert.ok(isOther, `message ${firstLost.id} is lost, but ${message.id} behind it is there`);
      }
      assert.equal(bodyOf(record), message.body, `message ${message.id}`);
      message.acknowledged!.isDurable = true;
      if (message.delayMs > 0 || this.#gone.has(message.topic)) continue;
      const first = present.get(name)![0]?.queueOffset ?? 0;
      const placed = present.get(name)![queueOffset - first];
      assert.equal(placed?.physicalOffset, physicalOffset, `message ${message.id} is not in its queue`);
      if (this.#random.next() < 0.2) await this.#checkKey(message, record);
    }
  }

  /** What was sent, not acknowledged, and is not there, must never be. */
  #buryOthers(present: ReadonlyMap<string, readonly MessageRecord[]>): void {
    const ids = new Set([...present.values()].flatMap((records) => records.map(idOf)));
    for (const message of this.#messages.values()) {
      if (message.acknowledged !== undefined || message.delayMs > 0 || ids.has(message.id)) continue;
      if (!this.#gone.has(message.topic)) this.#lost.add(message.id);
    }
  }

  /** Records without holes, each sent and none lost before, and everything that a consumer had seen. */
  #checkQueue(name: string, records: readonly MessageRecord[]): void {
    const ids = new Set<string>();
    for (const [index, record] of records.entries()) {
      const id = idOf(record);
      const place = `${name}/${record.queueOffset}`;
      assert.equal(record.queueOffset, records[0].queueOffset + index, place);
      assert.equal(this.#messages.get(id)?.body, bodyOf(record), `${place}: what was never sent`);
      assert.ok(!this.#lost.has(id), `${place}: message ${id} was lost, and is back`);
      const mayComeTwice = name.startsWith(RETRY_TOPIC) || this.#messages.get(id)!.delayMs > 0;
      assert.ok(mayComeTwice || !ids.has(`${id}`), `${place}: message ${id} is there twice`);
      ids.add(`${id}`);
    }
    const first = records[0]?.queueOffset ?? Infinity;
    for (const [queueOffset, { physicalOffset, id }] of this.#seen.get(name) ?? []) {
      if (physicalOffset < this.#highestMinOffset) continue;
      if (records[queueOffset - first]?.physicalOffset === physicalOffset) continue;
      const place = `${name}/${queueOffset}`;
      assert.ok(!this.#isSync && this.#wasPowerCut, `${place}: a consumer saw message ${id}, and it is gone`);
      this.#seen.get(name)!.delete(queueOffset);
    }
  }

  async #checkKey({ id, topic, key }: Message, { physicalOffset }: MessageRecord): Promise<void> {
    const fields = { topic, key, maxNum: "32", beginTimestamp: "0", endTimestamp: String(2 ** 52) };
    const response = await this.#must({ code: RequestCode.QUERY_MESSAGE, fields });
    assert.equal(response.code, ResponseCode.SUCCESS, `message ${id} is not found by its key`);
    const found = recordsIn(response).filter((record) => record.physicalOffset === physicalOffset);
    assert.equal(found.length, 1, `message ${id} is found ${found.length} times by its key`);
  }

  async #checkTables(): Promise<void> {
    for (const [topic, queueCount] of this.#topics) {
      if (this.#nextId === 0) break;
      const { code, body } = await this.#must({ code: RequestCode.GET_TOPIC_CONFIG, fields: { topic } });
      assert.equal(code, ResponseCode.SUCCESS, `the topic ${topic} is gone`);
      assert.equal(jsonOf(body).writeQueueNums, queueCount);
    }
    for (const [group, retryMaxTimes] of this.#groups) {
      const code = RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG;
      const { body } = await this.#must({ code, fields: { group } });
      assert.equal(jsonOf(body).retryMaxTimes, retryMaxTimes, `the group ${group}`);
    }
    const { body } = await this.#must({ code: RequestCode.GET_ALL_DELAY_OFFSET });
    for (const [level, offset] of Object.entries(jsonOf(body).offsetTable as Record<string, number>)) {
      const end = await this.#offset(RequestCode.GET_MAX_OFFSET, SCHEDULE_TOPIC, Number(level) - 1);
      assert.ok(offset <= end, `delay level ${level} is at ${offset} of ${end}`);
    }
  }

  /** A group is never ahead of its queue, nor of what it committed; after a stop it is where it was. */
  async #checkCommitted(topic: string, queueId: number): Promise<void> {
    const name = `${topic}/${queueId}`;
    const fields = { consumerGroup: GROUP, topic, queueId: String(queueId), setZeroIfNotFound: "false" };
    const response = await this.#must({ code: RequestCode.QUERY_CONSUMER_OFFSET, fields });
    const offset = response.code === ResponseCode.SUCCESS ? Number(response.fields!.offset) : undefined;
    const end = await this.#offset(RequestCode.GET_MAX_OFFSET, topic, queueId);
    const committed = this.#committed.get(name);
    if (offset !== undefined) {
      assert.ok(offset <= end, `${name}: the group is at ${offset} of ${end}`);
      assert.ok(
        offset <= (committed ?? 0),
        `${name}: the group is at ${offset}, it had committed ${committed}`,
      );
    }
    if (this.#wasStopped) assert.equal(offset, committed, name);
    if (offset === undefined) this.#committed.delete(name);
    else this.#committed.set(name, offset);
    this.#positions.set(name, offset ?? await this.#offset(RequestCode.GET_MIN_OFFSET, topic, queueId));
  }

  /** The next message gets the next offset. */
  async #checkNext(): Promise<void> {
    const [topic, queueId] = this.#someTarget();
    const end = await this.#offset(RequestCode.GET_MAX_OFFSET, topic, queueId);
    const message = this.#message(topic, queueId, { delayMs: 0, waits: true });
    const header = { queueId: String(queueId) };
    const response = await this.#must(
      sendRequest({ topic, body: message.body, properties: { KEYS: message.key }, header }),
    );
    this.#onSent([message], response);
    assert.equal(message.acknowledged!.queueOffset, end, `${topic}/${queueId}: the next message`);
  }

  /** Looks at the store as `rmq store verify` does. */
  async #verify(state: "clean" | "unclean"): Promise<void> {
    const findings = new Findings();
    const reader = memoryReader(this.#files);
    const layout = readLayout(reader, STORE, `${STORE}/commitlog`, findings);
    const tables = readTables(reader, STORE, findings);
    await verifyStore({ reader, layout, state, tables, findings });
    reader.close();
    const wrong = findings.list.filter(({ severity }) => severity === "wrong");
    assert.deepEqual(wrong.map(({ kind, file, what }) => `${kind} ${file}: ${what}`), []);
  }

  // What the checks ask

  /** All records of a queue. */
  async #read(topic: string, queueId: number): Promise<MessageRecord[]> {
    const end = await this.#offset(RequestCode.GET_MAX_OFFSET, topic, queueId);
    const records: MessageRecord[] = [];
    let tries = 100;
    for (let next = await this.#offset(RequestCode.GET_MIN_OFFSET, topic, queueId); next < end;) {
      const response = await this.#must(pullRequest(topic, queueId, next));
      // its log file was deleted just now, and the queue will follow in a moment
      const isGoing = response.code === ResponseCode.PULL_RETRY_IMMEDIATELY && records.length === 0;
      if (isGoing && tries-- > 0) {
        await this.#pass(10);
        next = Math.max(next, await this.#offset(RequestCode.GET_MIN_OFFSET, topic, queueId));
        continue;
      }
      const status = `${topic}/${queueId}/${next} of ${end}: ${response.code} ${response.remark}`;
      assert.equal(response.code, ResponseCode.SUCCESS, status);
      records.push(...recordsIn(response));
      next = Number(response.fields!.nextBeginOffset);
    }
    return records;
  }

  async #view(physicalOffset: number): Promise<MessageRecord | undefined> {
    const fields = { offset: String(physicalOffset) };
    const response = await this.#must({ code: RequestCode.VIEW_MESSAGE_BY_ID, fields });
    if (response.code !== ResponseCode.SUCCESS) return undefined;
    const record = decodeRecord(bodyBytes(response));
    return typeof record === "string" ? undefined : record;
  }

  async #offset(code: number, topic: string, queueId: number): Promise<number> {
    const response = await this.#must({ code, fields: { topic, queueId: String(queueId) } });
    assert.equal(response.code, ResponseCode.SUCCESS, response.remark ?? "");
    return Number(response.fields!.offset);
  }

  async #runtimeInfo(): Promise<{ commitLogMinOffset: number; commitLogMaxOffset: number }> {
    const { body } = await this.#must({ code: RequestCode.GET_BROKER_RUNTIME_INFO });
    const { table } = jsonOf(body) as { table: Record<string, string> };
    const { commitLogMinOffset, commitLogMaxOffset } = table;
    return { commitLogMinOffset: Number(commitLogMinOffset), commitLogMaxOffset: Number(commitLogMaxOffset) };
  }

  async #must(request: IncomingRequest): Promise<Response> {
    const response = await this.#broker.askSoon(request);
    assert.ok(response !== undefined, `request ${request.code} was not answered`);
    return response;
  }

  #tell(event: string): void {
    this.story.push(`${new Date(this.#clock.nowMs()).toISOString()} ${event}`);
  }
}

function pullRequest(topic: string, queueId: number, queueOffset: number): IncomingRequest {
  return {
    code: RequestCode.PULL_MESSAGE,
    fields: {
      consumerGroup: GROUP,
      topic,
      queueId: String(queueId),
      queueOffset: String(queueOffset),
      maxMsgNums: "32",
      sysFlag: "4",
      commitOffset: "0",
      suspendTimeoutMillis: "0",
      subscription: "*",
      subVersion: "0",
    },
  };
}

function placeOf({ topic, queueId }: Message): string {
  return `${topic}/${queueId}`;
}

function idOf(record: MessageRecord): number {
  return parseInt(bodyOf(record), 10);
}

// deno-lint-ignore no-explicit-any
function jsonOf(body: Response["body"]): any {
  return JSON.parse(new TextDecoder().decode(bodyBytes({ code: 0, body })));
}
