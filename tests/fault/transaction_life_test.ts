// SPDX-License-Identifier: Apache-2.0
/**
 * Transactions through kills and power cuts, on a disk in memory: of what was acknowledged, whatever its producer
 * commits, by itself or when it is asked, comes at least once; what it rolls back never comes. Producers come and
 * go, decide twice or not at all, and lose questions.
 *
 * `SEEDS=2000` tries so many lives; `SEED=7` repeats one.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeRecord } from "../../src/protocol/record.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import type { Response } from "../../src/remoting/command.ts";
import { bodyOf, BrokerParts } from "../harness/broker_parts.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { bodyBytes, MemoryConnection } from "../harness/memory_connection.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import type { SeededRandom } from "../harness/seeded_random.ts";
import { type Counts, eachSeed, type SeededRun } from "./campaign.ts";
import { turns } from "../harness/until.ts";

const FILE = "tests/fault/transaction_life_test.ts";
const COMMIT = 8;
const ROLLBACK = 12;

interface Half {
  readonly body: string;
  readonly isCommitted: boolean;
  isAcknowledged: boolean;
  /** As the last answer or question said. */
  place: { queueOffset: string; physicalOffset: string } | undefined;
}

class TransactionLife implements SeededRun {
  readonly story: string[] = [];
  readonly counts: Counts = { halves: 0, questions: 0, restarts: 0 };
  #random: SeededRandom;
  #isSync: boolean;
  #files: MemoryFiles;
  #clock = new ManualClock();
  #broker!: BrokerParts;
  #producer: MemoryConnection | undefined;
  #halves: Half[] = [];
  #pairs: string[];

  constructor(random: SeededRandom, isSync: boolean) {
    this.#random = random;
    this.#isSync = isSync;
    this.#files = new MemoryFiles({ nowMs: () => this.#clock.nowMs() });
    this.#pairs = [
      `flushDiskType=${isSync ? "SYNC_FLUSH" : "ASYNC_FLUSH"}`,
      `transactionOpBatchInterval=${random.between(0, 1) * 3000}`,
      `transactionOpMsgMaxSize=${random.between(1, 20)}`,
      "transactionCheckMax=100000",
      `flushConsumerOffsetInterval=${random.between(1, 4) * 2000}`,
    ];
  }

  async run(): Promise<void> {
    await this.#start();
    this.#broker.createTopic("T");
    this.#broker.topics.flush();
    for (let step = this.#random.between(20, 80); step > 0; step--) await this.#step();
    await this.#settle();
    await this.#broker.close();
  }

  async #step(): Promise<void> {
    const choice = this.#random.between(0, 99);
    if (choice < 35) this.#send();
    else if (choice < 60) this.#decide();
    else if (choice < 85) await this.#pass(this.#random.between(1, 40_000));
    else if (choice < 90) this.#changeProducer();
    else if (choice < 94) await this.#broker.store.flush().catch(() => {});
    else await this.#restart();
    if (this.#random.between(0, 2) > 0) await turns(this.#random.between(1, 6));
  }

  #send(): void {
    const half: Half = {
      body: `${this.#halves.length}`,
      isCommitted: this.#random.between(0, 1) === 1,
      isAcknowledged: false,
      place: undefined,
    };
    this.#halves.push(half);
    this.counts.halves++;
    this.story.push(`half ${half.body}, to be ${half.isCommitted ? "committed" : "rolled back"}`);
    void this.#broker.send({
      topic: "T",
      body: half.body,
      properties: { TRAN_MSG: "true", PGROUP: "pg" },
      header: { sysFlag: "4", bornTimestamp: String(this.#clock.nowMs()) },
    }).then(({ code, fields }: Response) => {
      if (code !== 0) return;
      half.isAcknowledged = true;
      half.place = {
        queueOffset: fields!.queueOffset,
        physicalOffset: String(parseInt(fields!.msgId.slice(16), 16)),
      };
    });
  }

  /** By itself; perhaps again, perhaps with a place that the half has left. */
  #decide(): void {
    const half = this.#halves[this.#random.between(0, this.#halves.length - 1)];
    if (half?.place === undefined) return;
    this.story.push(`decides about ${half.body}`);
    this.#end(half, half.place, false);
  }

  #end(half: Half, place: NonNullable<Half["place"]>, isAnswer: boolean): void {
    void this.#broker.connection.ask(this.#broker.dispatch, {
      code: RequestCode.END_TRANSACTION,
      fields: {
        producerGroup: "pg",
        tranStateTableOffset: place.queueOffset,
        commitLogOffset: place.physicalOffset,
        commitOrRollback: String(half.isCommitted ? COMMIT : ROLLBACK),
        fromTransactionCheck: String(isAnswer),
      },
    });
  }

  #changeProducer(): void {
    if (this.#producer !== undefined) {
      this.story.push("the producer leaves");
      this.#producer.close();
      this.#producer = undefined;
      return;
    }
    this.story.push("a producer comes");
    this.#producer = new MemoryConnection();
    this.#broker.clients.registerProducer("pg", {
      connection: this.#producer,
      clientId: "p",
      language: "JAVA",
      version: 453,
    });
  }

  /** @param answers how many of a hundred questions are answered */
  #answer(answers: number): void {
    for (const { code, fields, body } of this.#producer?.notifications.splice(0) ?? []) {
      assert.equal(code, RequestCode.CHECK_TRANSACTION_STATE);
      const record = decodeRecord(bodyBytes({ code: 0, body: body! }));
      assert.ok(typeof record === "object");
      const half = this.#halves[Number(bodyOf(record))];
      half.place = { queueOffset: fields!.tranStateTableOffset, physicalOffset: fields!.commitLogOffset };
      this.counts.questions++;
      const isAnswered = this.#random.between(1, 100) <= answers;
      this.story.push(`asked about ${half.body}${isAnswered ? "" : ", without answer"}`);
      if (isAnswered) this.#end(half, half.place, true);
    }
  }

  async #pass(ms: number): Promise<void> {
    this.story.push(`${ms} ms pass`);
    for (let left = ms; left > 0; left -= 2000) {
      this.#clock.advance(Math.min(2000, left));
      await turns(6);
      this.#answer(30);
    }
  }

  async #restart(): Promise<void> {
    const isPowerCut = this.#isSync && this.#random.between(0, 1) === 1;
    this.story.push(isPowerCut ? "power cut" : "kill");
    this.counts.restarts++;
    this.#producer = undefined;
    this.#files = isPowerCut ? this.#files.crash(this.#random) : this.#files.kill();
    await this.#start();
    for (const half of this.#halves) if (!half.isAcknowledged) half.place = undefined;
  }

  async #start(): Promise<void> {
    this.#broker = await BrokerParts.open({ files: this.#files, clock: this.#clock, pairs: this.#pairs });
    this.#broker.transactions.start();
  }

  async #settle(): Promise<void> {
    await turns(10);
    if (this.#producer === undefined) this.#changeProducer();
    for (let round = 0; round < 6; round++) {
      this.#clock.advance(30_000);
      await turns(100);
      this.#answer(100);
      await turns(10);
    }
    const delivered = await this.#broker.bodies("T");
    for (const { body, isCommitted, isAcknowledged } of this.#halves) {
      const times = delivered.filter((text) => text === body).length;
      if (!isCommitted) assert.equal(times, 0, `${body} was rolled back`);
      else if (isAcknowledged) assert.ok(times >= 1, `${body} was committed and never came`);
    }
    this.#broker.transactions.transactions.keepProgress();
    assert.equal(
      this.#broker.transactions.transactions.firstOpen,
      this.#broker.store.maxOffset("RMQ_SYS_TRANS_HALF_TOPIC", 0),
      "nothing is left open",
    );
  }
}

for (
  const [name, isSync] of [
    ["under ASYNC_FLUSH transactions survive kills", false],
    ["under SYNC_FLUSH transactions survive kills and power cuts", true],
  ] as const
) {
  test(name, { timeout: 600_000 }, async () => {
    const filter = isSync ? "SYNC_FLUSH transactions survive kills and" : "under ASYNC_FLUSH transactions";
    const counts = await eachSeed(
      { file: FILE, filter, seeds: 30 },
      (random) => new TransactionLife(random, isSync),
    );
    assert.ok(counts.questions > 0 && counts.restarts > 0, JSON.stringify(counts));
  });
}
