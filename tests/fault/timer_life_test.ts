// SPDX-License-Identifier: Apache-2.0
/**
 * Timed messages through kills and power cuts, on a disk in memory: what was acknowledged comes at least once, and
 * never before its time; what was taken back long before does not come.
 *
 * `SEEDS=2000` tries so many lives; `SEED=7` repeats one.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseProperties } from "../../src/protocol/properties.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import { recordsOf } from "../harness/store.ts";
import { bodyOf, BrokerParts, TIMER_SLOTS } from "../harness/broker_parts.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import type { SeededRandom } from "../harness/seeded_random.ts";
import { eachSeed } from "./campaign.ts";
import { turns } from "../harness/until.ts";

const TOPIC = "Later";
const TIMER_LOG = "/store/timerlog";
const WHEEL = "/store/timerwheel";

interface Sent {
  readonly dueMs: number;
  isAcknowledged: boolean;
  recallHandle: string | undefined;
  /** Someone asked for it to be taken back; it may come or not. */
  isTakenBack: boolean;
}

class TimerLife {
  readonly #sent = new Map<string, Sent>();
  readonly #pairs: readonly string[];
  readonly #flushDiskType: string;
  readonly #precisionMs: number;
  #random: SeededRandom;
  #files: MemoryFiles;
  #clock = new ManualClock();
  #broker!: BrokerParts;
  #sentCount = 0;
  readonly story: string[] = [];
  readonly counts = { acknowledged: 0, powerCuts: 0, kills: 0, damages: 0 };

  constructor(random: SeededRandom, flushDiskType: string) {
    this.#random = random;
    this.#flushDiskType = flushDiskType;
    this.#files = new MemoryFiles({ nowMs: () => this.#clock.nowMs() });
    this.#precisionMs = [100, 200, 500, 1000][random.between(0, 3)];
    this.#pairs = [
      `flushDiskType=${flushDiskType}`,
      `timerPrecisionMs=${this.#precisionMs}`,
      `timerRollWindowSlot=${random.between(5, 60)}`,
      `mappedFileSizeTimerLog=${52 * random.between(1, 12) + 16 + random.between(0, 51)}`,
      `timerFlushIntervalMs=${random.between(300, 3000)}`,
      "recallMessageEnable=true",
    ];
  }

  /** Starts; with some luck it dies a few times on the way. */
  async open(dyingOdds = 0): Promise<void> {
    for (;;) {
      const dies = this.#random.next() < dyingOdds;
      const files = this.#files;
      if (dies) files.dieAt(files.changeCount + this.#random.between(0, 30));
      try {
        this.#broker = await BrokerParts.open({ files, clock: this.#clock, pairs: this.#pairs });
        if (dies && !files.isDead) files.dieAt(Infinity);
        if (!files.isDead) break;
      } catch (error) {
        if (!files.isDead) throw error;
      }
      this.#bury();
    }
    const broker = this.#broker;
    if (broker.topics.get(TOPIC) === undefined) broker.createTopic(TOPIC);
    broker.timers.start();
  }

  async use(actions: number): Promise<void> {
    const random = this.#random;
    for (; actions > 0 && !this.#files.isDead; actions--) {
      const dice = random.next();
      if (dice < 0.55) this.#send();
      else if (dice < 0.62) this.#recall();
      else await this.#pass(random.between(10, 2500));
      if (random.next() < 0.5) await turns(random.between(1, 6));
    }
  }

  async die(): Promise<void> {
    const random = this.#random;
    if (random.next() < 0.8) this.#files.dieAt(this.#files.changeCount + random.between(0, 60));
    await this.use(random.between(0, 25));
    this.#bury();
  }

  async restart(): Promise<void> {
    await this.close();
    this.#clock = new ManualClock(this.#clock.nowMs() + this.#random.between(0, 3000));
    this.#tell("restarted");
    await this.open();
  }

  /** Lets everything come, and then compares. */
  async finish(): Promise<void> {
    await this.#pass(40_000);
    const came = await this.#arrivals();
    const waiting = new Set(await this.#bodiesIn("rmq_sys_wheel_timer"));
    for (const [body, { isAcknowledged, isTakenBack }] of this.#sent) {
      if (isTakenBack) continue;
      if (isAcknowledged) assert.ok(came.has(body), `${body} was acknowledged, and never came`);
      if (waiting.has(body)) assert.ok(came.has(body), `${body} is stored, and never came`);
    }
    const { pendingCount, offsetBehind } = this.#broker.timers.status();
    assert.equal(offsetBehind, 0);
    assert.ok(pendingCount <= 0, `${pendingCount} messages are still said to wait`);
  }

  async close(): Promise<void> {
    let isClosed = false;
    void this.#broker.close().then(() => isClosed = true);
    while (!isClosed) await this.#pass(100);
    assert.deepEqual(this.#files.openPaths, [], "files left open");
  }

  #bury(): void {
    const random = this.#random;
    const isPowerCut = random.next() < 0.7;
    this.counts[isPowerCut ? "powerCuts" : "kills"]++;
    this.#files = isPowerCut ? this.#files.crash(random) : this.#files.kill();
    // Under ASYNC flush a power cut may take what was acknowledged; what is left must come all the same.
    if (isPowerCut && this.#flushDiskType === "ASYNC_FLUSH") {
      for (const sent of this.#sent.values()) sent.isAcknowledged = false;
    }
    if (random.next() < 0.15) this.#damage();
    this.#clock = new ManualClock(this.#clock.nowMs() + random.between(1, 5000));
    this.#tell(isPowerCut ? "power cut" : "killed");
  }

  #send(): void {
    const random = this.#random;
    const body = `${this.#sentCount++} ${"x".repeat(random.between(0, 200))}`;
    const dueMs = this.#clock.nowMs() + random.between(-100, random.next() < 0.8 ? 5000 : 30_000);
    const sent: Sent = { dueMs, isAcknowledged: false, recallHandle: undefined, isTakenBack: false };
    this.#sent.set(body, sent);
    const files = this.#files;
    const properties = { TIMER_DELIVER_MS: String(dueMs) };
    void this.#broker.send({ topic: TOPIC, body, properties }).then(({ code, fields }) => {
      if (code !== 0 || files.isDead) return;
      this.#tell(`sent ${body.slice(0, 6)} for ${dueMs}`);
      sent.isAcknowledged = true;
      this.counts.acknowledged++;
      sent.recallHandle = fields?.recallHandle;
    });
  }

  #recall(): void {
    const known = [...this.#sent.values()].filter(({ recallHandle }) => recallHandle !== undefined);
    if (known.length === 0) return;
    const sent = known[this.#random.between(0, known.length - 1)];
    sent.isTakenBack = true;
    const fields = { topic: TOPIC, producerGroup: "pg", recallHandle: sent.recallHandle! };
    void this.#broker.connection.ask(this.#broker.dispatch, { code: RequestCode.RECALL_MESSAGE, fields });
  }

  /** Of what is derived from the messages; not of the checkpoint, which nothing tells from a true one. */
  #damage(): void {
    const random = this.#random;
    const files = this.#files;
    const logs = files.list(TIMER_LOG).map((name) => `${TIMER_LOG}/${name}`).sort();
    const log = logs[random.between(0, logs.length - 1)];
    const kind = random.between(0, 6);
    this.#tell(`damage ${kind}`);
    this.counts.damages++;
    if (kind === 0 && log !== undefined) {
      files.damage(log, 52 * random.between(0, 3), new Uint8Array(random.between(1, 52)));
    } else if (kind === 1 && log !== undefined) files.remove(log);
    else if (kind === 2) files.remove(WHEEL);
    else if (kind === 3) files.remove("/store/config/timercheck");
    else if (files.stat(WHEEL)?.sizeBytes === 32 * TIMER_SLOTS) {
      const dueMs = [...this.#sent.values()].at(-1)?.dueMs ?? 0;
      const slot = Math.floor(dueMs / this.#precisionMs) % TIMER_SLOTS - random.between(0, 10);
      if (slot < 0) return;
      const bytes = Uint8Array.from({ length: random.between(1, 32) }, () => random.between(0, 255));
      files.damage(WHEEL, 32 * slot, kind === 4 ? new Uint8Array(32) : bytes);
    }
  }

  /** What has come, none of it too early. */
  async #arrivals(): Promise<Set<string>> {
    const came = new Set<string>();
    for (const record of await this.#recordsIn(TOPIC)) {
      const body = bodyOf(record);
      const sent = this.#sent.get(body);
      assert.ok(sent !== undefined, `${body} was never sent`);
      assert.ok(
        record.storeTimestampMs >= sent.dueMs,
        `${body} came ${sent.dueMs - record.storeTimestampMs} ms early`,
      );
      assert.ok(!parseProperties(record.properties).has("TIMER_DEL_UNIQKEY"));
      came.add(body);
    }
    return came;
  }

  async #bodiesIn(topic: string): Promise<string[]> {
    const records = await this.#recordsIn(topic);
    return records.filter(({ properties }) => !parseProperties(properties).has("TIMER_DEL_UNIQKEY")).map(
      bodyOf,
    );
  }

  async #recordsIn(topic: string) {
    const { store } = this.#broker;
    const records = [];
    for (let offset = store.minOffset(topic, 0); offset < store.maxOffset(topic, 0);) {
      const result = await store.getMessages(topic, 0, offset, { maxCount: 32 });
      records.push(...recordsOf(result));
      assert.ok(result.nextBeginOffset > offset, result.status);
      offset = result.nextBeginOffset;
    }
    return records;
  }

  async #pass(ms: number): Promise<void> {
    for (; ms > 0 && !this.#files.isDead; ms -= 100) {
      this.#clock.advance(Math.min(ms, 100));
      await turns(4);
    }
    await turns(2);
  }

  #tell(what: string): void {
    this.story.push(`${this.#clock.nowMs()} ${what}`);
  }
}

async function liveAndDie(life: TimerLife, random: SeededRandom): Promise<void> {
  await life.open();
  for (let deaths = random.between(1, 5); deaths > 0; deaths--) {
    await life.use(random.between(0, 60));
    if (random.next() < 0.2) await life.restart();
    await life.die();
    await life.open(0.3);
  }
  await life.finish();
  await life.close();
}

for (const flushDiskType of ["SYNC_FLUSH", "ASYNC_FLUSH"]) {
  const name = `under ${flushDiskType} no death makes a timed message stay away, or come too early`;
  test(name, { timeout: 24 * 3_600_000 }, async () => {
    const file = "tests/fault/timer_life_test.ts";
    const totals = await eachSeed({ file, filter: `under ${flushDiskType}`, seeds: 40 }, (random) => {
      const life = new TimerLife(random, flushDiskType);
      const { story, counts } = life;
      return { story, counts, run: () => liveAndDie(life, random) };
    });
    assert.ok(totals.acknowledged > 0, "nothing was ever acknowledged");
  });
}
