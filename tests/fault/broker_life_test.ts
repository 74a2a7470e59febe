// SPDX-License-Identifier: Apache-2.0
/**
 * The parts of a broker through kills and power cuts: what was acknowledged is consumed at least once, delayed
 * messages too, and no group is ever ahead of the messages that it has seen.
 *
 * `SEEDS=2000` tries so many lives; `SEED=7` repeats one.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { setImmediate } from "node:timers";
import { test } from "node:test";
import { bodyOf, BrokerParts, propertiesOf, recordsIn } from "../harness/broker_parts.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { SeededRandom } from "../harness/seeded_random.ts";

const SEEDS = Number(process.env.SEEDS ?? 60);
const ONLY_SEED = process.env.SEED === undefined ? undefined : Number(process.env.SEED);
const TOPIC = "Orders";
const GROUP = "readers";
const QUEUES = 2;
/** Level 3: `messageDelayLevel` below. */
const DELAY_MS = 10_000;

class BrokerLife {
  readonly acknowledged = new Set<string>();
  readonly consumed = new Set<string>();
  /** Delayed messages that were acknowledged, and when they had been sent. */
  readonly delayed = new Map<string, number>();
  #files: MemoryFiles;
  #clock = new ManualClock();
  #broker!: BrokerParts;
  #positions: number[] = [];
  #sentCount = 0;

  constructor(readonly random: SeededRandom, readonly flushDiskType: string) {
    this.#files = new MemoryFiles({ nowMs: () => this.#clock.nowMs() });
  }

  async open(): Promise<void> {
    const files = this.#files;
    const broker = this.#broker = await BrokerParts.open({
      files,
      clock: this.#clock,
      pairs: [
        `flushDiskType=${this.flushDiskType}`,
        "messageDelayLevel=1s 5s 10s",
        "flushDelayOffsetInterval=2000",
        "flushConsumerOffsetInterval=2000",
      ],
    });
    const cutCount = broker.offsets.cutAbove((topic, queueId) => broker.store.maxOffset(topic, queueId));
    if (cutCount > 0) await broker.offsets.flush();
    if (broker.topics.get(TOPIC) === undefined) broker.createTopic(TOPIC, QUEUES);
    broker.delay.start();
    this.#positions = Array.from({ length: QUEUES }, (_, queueId) => {
      const committed = broker.offsets.query(GROUP, TOPIC, queueId);
      return committed < 0 ? broker.store.minOffset(TOPIC, queueId) : committed;
    });
  }

  async use(actions: number): Promise<void> {
    const { random } = this;
    for (; actions > 0 && !this.#files.isDead; actions--) {
      const dice = random.next();
      if (dice < 0.5) this.#send();
      else if (dice < 0.75) await this.#consume(random.between(0, QUEUES - 1));
      else await this.#pass(random.between(10, 3000));
      if (random.next() < 0.5) await turns(random.between(1, 4));
    }
  }

  /** @returns whether the machine lost its power */
  async die(): Promise<void> {
    const { random } = this;
    if (random.next() < 0.7) this.#files.dieAt(this.#files.changeCount + random.between(0, 40));
    await this.use(random.between(0, 20));
    const isPowerCut = random.next() < 0.7;
    this.#files = isPowerCut ? this.#files.crash(random) : this.#files.kill();
    // Under ASYNC flush a power cut may take what was acknowledged; what is left must be consumed all the same.
    if (isPowerCut && this.flushDiskType === "ASYNC_FLUSH") {
      this.acknowledged.clear();
      this.delayed.clear();
    }
    this.#clock = new ManualClock(this.#clock.nowMs() + random.between(1, 5000));
  }

  /** Everything that is there is consumed from the committed offsets on, and then compared. */
  async finish(): Promise<void> {
    for (let round = 0; round < 20; round++) await this.#pass(1000);
    for (let queueId = 0; queueId < QUEUES; queueId++) {
      while (this.#positions[queueId] < this.#broker.store.maxOffset(TOPIC, queueId)) {
        await this.#consume(queueId);
      }
      for (const body of await this.#broker.bodies(TOPIC, queueId)) {
        assert.ok(
          this.consumed.has(body),
          `${body} is in queue ${queueId}, but the group has passed over it`,
        );
      }
    }
    for (const body of this.acknowledged) {
      assert.ok(this.consumed.has(body), `${body} was acknowledged, and is lost`);
    }
    for (const body of this.delayed.keys()) {
      assert.ok(this.consumed.has(body), `${body}, delayed, never came`);
    }
  }

  async close(): Promise<void> {
    const closing = this.#broker.close();
    let isClosed = false;
    void closing.then(() => isClosed = true);
    while (!isClosed) await this.#pass(100);
  }

  #send(): void {
    const { random } = this;
    const body = `${this.#sentCount++} ${"x".repeat(random.between(0, 300))}`;
    const isDelayed = random.next() < 0.2;
    const queueId = String(random.between(0, QUEUES - 1));
    const files = this.#files;
    const sentMs = this.#clock.nowMs();
    void this.#broker.send({
      topic: TOPIC,
      body,
      properties: isDelayed ? { DELAY: "3" } : {},
      header: { queueId },
    }).then(({ code }) => {
      if (code !== 0 || files.isDead) return;
      if (isDelayed) this.delayed.set(body, sentMs);
      else this.acknowledged.add(body);
    });
  }

  /** Pulls from a queue, processes what comes, then commits. */
  async #consume(queueId: number): Promise<void> {
    const broker = this.#broker;
    const files = this.#files;
    const response = await answerOf(
      broker.pull({
        group: GROUP,
        topic: TOPIC,
        header: {
          queueId: String(queueId),
          queueOffset: String(this.#positions[queueId]),
          sysFlag: "4",
          suspendTimeoutMillis: "0",
        },
      }),
    );
    if (response === undefined || response.code !== 0 || files.isDead) return;
    for (const record of recordsIn(response)) {
      const body = bodyOf(record);
      if (propertiesOf(record).DELAY === "3") this.#checkDelay(body);
      this.consumed.add(body);
      this.#positions[queueId] = record.queueOffset + 1;
    }
    if (this.random.next() < 0.8) {
      broker.offsets.commit(GROUP, TOPIC, queueId, this.#positions[queueId]);
    }
  }

  #checkDelay(body: string): void {
    const sentMs = this.delayed.get(body);
    if (sentMs !== undefined) assert.ok(this.#clock.nowMs() >= sentMs + DELAY_MS, `${body} came too early`);
  }

  async #pass(ms: number): Promise<void> {
    for (; ms > 0; ms -= 100) {
      this.#clock.advance(Math.min(ms, 100));
      await turns(2);
    }
  }
}

async function turns(count: number): Promise<void> {
  for (; count > 0; count--) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** An answer that does not come within a few turns will not come: its broker is dead, or holds it. */
async function answerOf<T>(answer: Promise<T>): Promise<T | undefined> {
  let answered: T | undefined;
  void answer.then((value) => answered = value);
  for (let count = 0; count < 20 && answered === undefined; count++) await turns(1);
  return answered;
}

for (const flushDiskType of ["SYNC_FLUSH", "ASYNC_FLUSH"]) {
  test(
    `under ${flushDiskType} no death makes a group miss a message`,
    { timeout: 24 * 3_600_000 },
    async () => {
      const first = ONLY_SEED ?? 1;
      for (let seed = first; seed < first + (ONLY_SEED === undefined ? SEEDS : 1); seed++) {
        const random = new SeededRandom(seed);
        const life = new BrokerLife(random, flushDiskType);
        try {
          await life.open();
          for (let deaths = random.between(1, 5); deaths > 0; deaths--) {
            await life.use(random.between(0, 60));
            await life.die();
            await life.open();
          }
          await life.finish();
          await life.close();
        } catch (error) {
          const command =
            `SEED=${seed} deno test -A tests/fault/broker_life_test.ts --filter ${flushDiskType}`;
          throw new Error(`seed ${seed}; repeat with: ${command}`, { cause: error });
        }
      }
    },
  );
}
