// SPDX-License-Identifier: Apache-2.0
/**
 * Stores that die at any moment, by a kill or a power cut, and are opened again, several lives in a row.
 *
 * Checked after each death:
 * - what was acknowledged (flushed, or written where only the process died) is there, unchanged, in its place;
 * - queues are dense, and hold messages that were appended in this place and not lost before;
 * - what was lost once never comes back;
 * - what was acknowledged is found by its keys.
 *
 * `SEEDS=2000` tries so many stores; `SEED=7` repeats one.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers";
import { tagsCodeOf } from "../../src/protocol/java_string.ts";
import { encodeProperties, Property } from "../../src/protocol/properties.ts";
import type { MessageStore } from "../../src/store/message_store.ts";
import { eachSeed } from "../fault/campaign.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import type { SeededRandom } from "../harness/seeded_random.ts";
import { bodiesOf, draft, openStore, recordsOf } from "../harness/store.ts";

const DIRECTORY = "/store";

interface Sent {
  body: string;
  topic: string;
  queueId: number;
  queueOffset: number;
  physicalOffset: number;
  endOffset: number;
  key: string;
  uniqueKey: string;
  tags: string | undefined;
}

const LIGHT = ["%LMQ%one", "%LMQ%two"];

class Life {
  /** By queue, in order; cut after a death to what survived. */
  sent = new Map<string, Sent[]>();
  /** Bodies of messages that did not survive a death. */
  lost = new Set<string>();
  files = new MemoryFiles({ sectorBytes: 512 });
  nowMs = 1_700_000_000_000;
  number = 0;
  readonly story: string[] = [];
  readonly counts = { kills: 0, powerCuts: 0 };

  /** @param isRich with tags, with messages in light queues, and now and then with extended queue entries */
  constructor(
    readonly random: SeededRandom,
    readonly flushMode: "SYNC" | "ASYNC",
    readonly isRich = false,
  ) {}

  /** Runs a store until it dies, and checks what the next one finds. */
  async live(): Promise<void> {
    const { random } = this;
    const clock = new ManualClock(this.nowMs);
    const store = await openStore(DIRECTORY, {
      files: this.files,
      clock,
      flushMode: this.flushMode,
      commitLogFlushIntervalMs: 500,
      consumeQueueFlushIntervalMs: 1000,
      consumeQueueFlushThoroughIntervalMs: 5000,
      maxOpenFiles: 4,
      multiDispatch: this.isRich,
      consumeQueueExtension: this.isRich && random.next() < 0.7,
    });
    store.calculateBitMaps((_topic, properties) => new TextEncoder().encode(properties.get(Property.TAGS)));
    await this.checkEverything(store);
    if (random.next() < 0.8) this.files.dieAt(this.files.changeCount + random.between(0, 250));
    let acknowledgedOffset = store.flushedOffset;
    let writtenOffset = store.writtenOffset;
    for (let turn = random.between(1, 60); turn > 0 && !this.files.isDead; turn--) {
      for (let count = random.between(0, 6); count > 0; count--) this.append(store);
      await turnEnds();
      if (random.next() < 0.4) clock.advance(random.between(100, 3000));
      for (let count = random.between(0, 4); count > 0; count--) await turnEnds();
      if (!this.files.isDead) ({ flushedOffset: acknowledgedOffset, writtenOffset } = store);
    }
    this.nowMs = clock.nowMs() + 1;
    if (random.next() < 0.2 && !this.files.isDead) {
      const closed = store.close();
      while (!await isSettled(closed) && !this.files.isDead) await turnEnds();
      if (!this.files.isDead) {
        assert.deepEqual(this.files.openPaths, [], "files left open");
        acknowledgedOffset = store.writtenOffset;
      }
    }
    const isPowerCut = random.next() < 0.7;
    this.counts[isPowerCut ? "powerCuts" : "kills"]++;
    this.story.push(`life ${this.number}: ${isPowerCut ? "power cut" : "killed"} at ${writtenOffset}`);
    this.files = isPowerCut ? this.files.crash(random) : this.files.kill();
    this.bury(isPowerCut ? acknowledgedOffset : writtenOffset);
    this.number++;
  }

  append(store: MessageStore): void {
    const { random } = this;
    const topic = `topic${random.between(0, 2)}`;
    const body = `${this.number}-${random.between(0, 1e9)}-${"x".repeat(random.between(0, 900))}`;
    const key = `key-${random.between(0, 1e9)}`;
    const tags = this.isRich ? `tag${random.between(0, 3)}` : undefined;
    const message = draft(topic, body, { keys: `${key} shared`, queueId: random.between(0, 1), tags });
    const light = this.isRich ? LIGHT.filter(() => random.next() < 0.3) : [];
    if (light.length > 0) {
      (message.propertyMap as Map<string, string>).set(Property.INNER_MULTI_DISPATCH, light.join(","));
      message.properties = encodeProperties(message.propertyMap);
    }
    try {
      const { queueOffset, physicalOffset, endOffset } = store.append(message);
      const uniqueKey = message.propertyMap.get(Property.UNIQ_KEY)!;
      const { queueId } = message;
      this.queue(topic, queueId).push({
        body,
        topic,
        queueId,
        queueOffset,
        physicalOffset,
        endOffset,
        ...{ key, uniqueKey, tags },
      });
      for (const topic of light) {
        const queue = this.queue(topic, 0);
        const place = { topic, queueId: 0, queueOffset: queue.length, physicalOffset, endOffset };
        queue.push({ ...place, body, key, uniqueKey, tags });
      }
    } catch (error) {
      if (!this.files.isDead) throw error;
    }
  }

  queue(topic: string, queueId: number): Sent[] {
    const name = `${topic}/${queueId}`;
    let sent = this.sent.get(name);
    if (sent === undefined) this.sent.set(name, sent = []);
    return sent;
  }

  /** What must have survived; the rest may have. */
  #acknowledgedOffset = 0;

  bury(acknowledgedOffset: number): void {
    this.#acknowledgedOffset = acknowledgedOffset;
  }

  async checkEverything(store: MessageStore): Promise<void> {
    for (const sent of this.sent.values()) {
      if (sent.length === 0) continue;
      const { topic, queueId } = sent[0];
      const bodies = await bodiesOf(store, topic, queueId, 0);
      const mustBe = sent.filter((message) => message.endOffset <= this.#acknowledgedOffset);
      assert.ok(
        bodies.length >= mustBe.length,
        `${topic}/${queueId}: ${bodies.length} of ${mustBe.length} acknowledged messages are left`,
      );
      assert.deepEqual(bodies, sent.slice(0, bodies.length).map(({ body }) => body));
      for (const { body } of sent.splice(bodies.length)) this.lost.add(body);
      for (const body of bodies) assert.ok(!this.lost.has(body), `a lost message came back: ${body}`);
      for (const message of sent) this.#checkTags(store, message);
      if (topic.startsWith("%LMQ%")) continue;
      for (const message of mustBe) this.#checkKeys(store, message);
    }
    this.#checkRecords(store);
  }

  #checkTags(store: MessageStore, { topic, queueId, queueOffset, tags }: Sent): void {
    const entry = store.queueEntry(topic, queueId, queueOffset);
    assert.equal(entry?.tagsCode, tagsCodeOf(tags), `${topic}/${queueId}: tags of ${queueOffset}`);
  }

  #checkKeys(store: MessageStore, { topic, key, uniqueKey, body }: Sent): void {
    for (const each of [key, uniqueKey]) {
      const { records } = store.queryByKey(topic, each, 64, 0, Number.MAX_SAFE_INTEGER);
      const bodies = recordsOf({ records } as never).map((record) => new TextDecoder().decode(record.body));
      assert.ok(bodies.includes(body), `${topic}: ${each} does not find its message`);
      assert.equal(new Set(bodies).size, bodies.length, `${each} finds a message twice`);
    }
  }

  #checkRecords(store: MessageStore): void {
    for (const sent of this.sent.values()) {
      for (const { physicalOffset, queueOffset, topic, queueId } of sent) {
        if (topic.startsWith("%LMQ%")) continue;
        const record = store.readMessage(physicalOffset);
        assert.deepEqual(
          [record?.topic, record?.queueId, record?.queueOffset],
          [topic, queueId, queueOffset],
        );
      }
    }
  }
}

function turnEnds(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const open = {};
  return await Promise.race([promise, turnEnds().then(() => open)]) !== open;
}

const KINDS = [
  { name: "under SYNC flush", flushMode: "SYNC", isRich: false },
  { name: "under ASYNC flush", flushMode: "ASYNC", isRich: false },
  { name: "with extended entries and light queues", flushMode: "ASYNC", isRich: true },
] as const;

for (const { name, flushMode, isRich } of KINDS) {
  test(`${name} no death of process or machine loses what was acknowledged`, {
    timeout: 3_600_000,
  }, async () => {
    const file = "tests/store/power_cut_test.ts";
    await eachSeed({ file, filter: name, seeds: 40 }, (random) => {
      const life = new Life(random, flushMode, isRich);
      const run = async () => {
        for (let count = 0; count < 5; count++) await life.live();
      };
      return { story: life.story, counts: life.counts, run };
    });
  });
}
