// SPDX-License-Identifier: Apache-2.0
/**
 * Popped messages through kills and power cuts, on a disk in memory: what was acknowledged to its sender is popped
 * until a consumer acknowledges it, and in order nothing is passed over. Where brokers only stop, nothing that was
 * acknowledged in time comes again.
 *
 * `SEEDS=2000` tries so many lives; `SEED=7` repeats one, and tells its story.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bodiesOf, messagesOf, PopParts, type PoppedMessage, type Popping } from "../broker/pop/parts.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import type { SeededRandom } from "../harness/seeded_random.ts";
import { eachSeed } from "./campaign.ts";
import { turns } from "../harness/until.ts";

const TOPIC = "T";
const ORDERED = "Ordered";
const QUEUES = 2;

class PopLife {
  readonly story: string[] = [];
  readonly counts = { sent: 0, popped: 0, kills: 0, powerCuts: 0, stops: 0 };
  /** Bodies whose senders know that they are stored. */
  readonly #sent = new Set<string>();
  /** Bodies for which an acknowledgement was on its way. */
  readonly #consumed = new Set<string>();
  /** Bodies whose acknowledgement was answered, in time. */
  readonly #settled = new Set<string>();
  readonly #random: SeededRandom;
  readonly #flushDiskType: string;
  readonly #pairs: readonly string[];
  #files: MemoryFiles;
  #clock = new ManualClock();
  #broker!: PopParts;
  #orderedCount = 0;
  #hasDied = false;

  constructor(random: SeededRandom, flushDiskType: string) {
    this.#random = random;
    this.#flushDiskType = flushDiskType;
    this.#files = new MemoryFiles({ nowMs: () => this.#clock.nowMs() });
    this.#pairs = [
      `flushDiskType=${flushDiskType}`,
      `flushConsumerOffsetInterval=${random.between(200, 2000)}`,
      `flushIntervalCommitLog=${random.between(500, 3000)}`,
      `reviveQueueNum=${random.between(1, 3)}`,
      `enableRetryTopicV2=${random.next() < 0.5}`,
      "timerRollWindowSlot=20",
      `timerFlushIntervalMs=${random.between(700, 6000)}`,
    ];
  }

  async open(): Promise<void> {
    this.#broker = await PopParts.open({ files: this.#files, clock: this.#clock, pairs: this.#pairs });
    const { parts } = this.#broker;
    if (!parts.topics.has(TOPIC)) parts.createTopic(TOPIC, QUEUES);
    if (!parts.topics.has(ORDERED)) parts.createTopic(ORDERED);
  }

  async use(actions: number): Promise<void> {
    const random = this.#random;
    for (; actions > 0 && !this.#files.isDead; actions--) {
      const dice = random.next();
      if (dice < 0.35) this.#send();
      else if (dice < 0.6) this.#consume();
      else if (dice < 0.7) this.#consumeInOrder();
      else await this.#pass(random.between(100, 3000));
      if (random.next() < 0.5) await turns(random.between(1, 6));
    }
  }

  async die(): Promise<void> {
    const random = this.#random;
    if (random.next() < 0.7) this.#files.dieAt(this.#files.changeCount + random.between(0, 50));
    await this.use(random.between(0, 20));
    const isPowerCut = random.next() < 0.6;
    this.#files = isPowerCut ? this.#files.crash(random) : this.#files.kill();
    // Under ASYNC flush a power cut may take what was acknowledged; what is left must be consumed all the same.
    if (isPowerCut && this.#flushDiskType === "ASYNC_FLUSH") this.#sent.clear();
    this.#hasDied = true;
    this.#clock = new ManualClock(this.#clock.nowMs() + random.between(1, 5000));
    if (isPowerCut) this.counts.powerCuts++;
    else this.counts.kills++;
    this.#tell(isPowerCut ? "power cut" : "killed");
    await this.open();
    await this.#findWhatIsLeft();
  }

  async restart(): Promise<void> {
    await this.close();
    this.#clock = new ManualClock(this.#clock.nowMs() + this.#random.between(0, 3000));
    this.counts.stops++;
    this.#tell("restarted");
    await this.open();
  }

  /** Consumes all that comes, until nothing has come for longer than anything stays invisible. */
  async finish(): Promise<void> {
    for (let quietMs = 0; quietMs < 30_000;) {
      const found = await this.#drain(TOPIC, "G", {}) + await this.#drain(ORDERED, "O", { order: "true" });
      await this.#pass(1000);
      quietMs = found > 0 ? 0 : quietMs + 1000;
    }
    for (const body of this.#sent) {
      assert.ok(this.#consumed.has(body), `${body} was stored, and never came (again)`);
    }
  }

  async close(): Promise<void> {
    let isClosed = false;
    void this.#broker.close().then(() => isClosed = true);
    while (!isClosed) await this.#pass(100);
    assert.deepEqual(this.#files.openPaths, [], "files left open");
  }

  /** What the log still has was sent, whoever was told. */
  async #findWhatIsLeft(): Promise<void> {
    const { parts } = this.#broker;
    for (const body of await parts.bodies(ORDERED)) this.#sent.add(body);
    for (let queueId = 0; queueId < QUEUES; queueId++) {
      for (const body of await parts.bodies(TOPIC, queueId)) this.#sent.add(body);
    }
  }

  #send(): void {
    const random = this.#random;
    const isOrdered = random.next() < 0.3;
    const body = isOrdered ? `o${this.#orderedCount++}` : `m${this.counts.sent++}`;
    const files = this.#files;
    const header = { queueId: isOrdered ? "0" : String(random.between(0, QUEUES - 1)) };
    void this.#broker.parts.send({ topic: isOrdered ? ORDERED : TOPIC, body, header }).then(({ code }) => {
      if (code === 0 && !files.isDead) this.#sent.add(body);
    });
  }

  #consume(): void {
    const random = this.#random;
    const invisibleMs = random.between(1500, 9000);
    const header = { maxMsgNums: String(random.between(1, 8)), invisibleTime: String(invisibleMs) };
    const endMs = this.#clock.nowMs() + invisibleMs;
    this.#pop({ header }, (messages) => {
      for (const message of messages) {
        const dice = random.next();
        if (dice < 0.5) this.#ack(message, "G", endMs);
        else if (dice < 0.65) void this.#broker.changeInvisibleTime(message, random.between(500, 6000));
        else if (dice < 0.75) this.#batchAck([message], endMs);
      }
    });
  }

  #consumeInOrder(): void {
    const random = this.#random;
    const invisibleMs = random.between(1500, 9000);
    const header = { order: "true", maxMsgNums: "4", invisibleTime: String(invisibleMs) };
    const endMs = this.#clock.nowMs() + invisibleMs;
    this.#pop({ topic: ORDERED, group: "O", header }, (messages) => {
      if (messages.length > 0) this.#checkOrder(messages);
      for (const message of messages.slice(0, random.between(0, messages.length))) {
        this.#ack(message, "O", endMs);
      }
    });
  }

  /** All that were stored before the first one have been acknowledged. */
  #checkOrder(messages: readonly PoppedMessage[]): void {
    const numbers = messages.map(({ body }) => Number(body.slice(1)));
    for (const body of this.#sent) {
      const isBefore = body.startsWith("o") && Number(body.slice(1)) < numbers[0];
      if (isBefore) assert.ok(this.#consumed.has(body), `${body} was passed over by ${messages[0].body}`);
    }
    const offsets = messages.map(({ queueOffset }) => queueOffset);
    assert.deepEqual(offsets, offsets.map((_, index) => offsets[0] + index));
  }

  #pop(popping: Popping, use: (messages: PoppedMessage[]) => void): void {
    const files = this.#files;
    void this.#broker.popRaw(popping).then((response) => {
      if (files.isDead) return;
      const messages = messagesOf(response);
      this.counts.popped += messages.length;
      if (messages.length > 0) {
        this.#tell(`popped ${messages.map(({ body, receipt }) => `${body} (${receipt})`)}`);
      }
      if (!this.#hasDied) {
        for (const body of bodiesOf(messages)) assert.ok(!this.#settled.has(body), `${body} came once more`);
      }
      use(messages);
    });
  }

  #ack(message: PoppedMessage, group: string, endMs: number): void {
    this.#consumed.add(message.body);
    const files = this.#files;
    void this.#broker.ack(message, group).then(({ code }) => {
      if (code !== 0 || files.isDead) return;
      this.#tell(`acknowledged ${message.body}`);
      if (this.#clock.nowMs() < endMs) this.#settled.add(message.body);
    });
  }

  #batchAck(messages: readonly PoppedMessage[], endMs: number): void {
    const [startOffset, popTime, invisibleTime, reviveQueueId, retry, , queueId] = messages[0].receipt.split(
      " ",
    );
    for (const { body } of messages) this.#consumed.add(body);
    const files = this.#files;
    void this.#broker.batchAck([{
      ...{ group: "G", topic: TOPIC, retry, startOffset: Number(startOffset), queueId: Number(queueId) },
      ...{
        reviveQueueId: Number(reviveQueueId),
        popTimeMs: Number(popTime),
        invisibleMs: Number(invisibleTime),
      },
      offsets: messages.map(({ queueOffset }) => queueOffset),
    }]).then(({ code }) => {
      if (code !== 0 || files.isDead || this.#clock.nowMs() >= endMs) return;
      for (const { body } of messages) this.#settled.add(body);
    });
  }

  async #drain(topic: string, group: string, given: Record<string, string>): Promise<number> {
    const header = { invisibleTime: "20000", ...given };
    const messages = await this.#broker.popNow({ topic, group, header });
    if (topic === ORDERED && messages.length > 0) this.#checkOrder(messages);
    for (const message of messages) {
      this.#consumed.add(message.body);
      await this.#broker.ack(message, group);
    }
    return messages.length;
  }

  async #pass(ms: number): Promise<void> {
    for (; ms > 0 && !this.#files.isDead; ms -= 250) {
      this.#clock.advance(Math.min(ms, 250));
      await turns(4);
    }
    await turns(2);
  }

  #tell(what: string): void {
    this.story.push(`${this.#clock.nowMs()} ${what}`);
  }
}

async function liveAndDie(life: PopLife, random: SeededRandom): Promise<void> {
  await life.open();
  const deathChance = random.next() < 0.3 ? 0 : 0.8;
  for (let ends = random.between(1, 4); ends > 0; ends--) {
    await life.use(random.between(0, 60));
    if (random.next() < deathChance) await life.die();
    else await life.restart();
  }
  await life.finish();
  await life.close();
}

for (const flushDiskType of ["SYNC_FLUSH", "ASYNC_FLUSH"]) {
  const name = `under ${flushDiskType} no death of the broker makes a popped message stay away`;
  test(name, { timeout: 24 * 3_600_000 }, async () => {
    const file = "tests/fault/pop_life_test.ts";
    const totals = await eachSeed({ file, filter: `under ${flushDiskType}`, seeds: 25 }, (random) => {
      const life = new PopLife(random, flushDiskType);
      const { story, counts } = life;
      return { story, counts, run: () => liveAndDie(life, random) };
    });
    assert.ok(totals.popped > 0, "nothing was ever popped");
  });
}
