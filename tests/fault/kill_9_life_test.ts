// SPDX-License-Identifier: Apache-2.0
/**
 * The broker's process is killed with SIGKILL while everything goes on at once: messages come in, log files are so small
 * that one is made and an old one deleted several times a second, topics are created, a group commits, all tables are
 * written; and killed again, a few times, while it recovers from that. After each start every acknowledged message that
 * has not expired is at its place with its bytes, every topic that was acknowledged exists, and no group is ahead; at
 * the end `rmq store verify` finds nothing wrong.
 *
 * `KILLS=50` makes a campaign of it; `RMQ_EXECUTABLE` names the executable to be killed.
 */
import assert from "node:assert/strict";
import { readdirSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { offsetResponse } from "../../src/protocol/headers/offset.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import { ResponseCode } from "../../src/protocol/response_code.ts";
import { RemotingClient } from "../../src/remoting/client.ts";
import { RemotingIoError } from "../../src/remoting/remoting_error.ts";
import { SeededRandom } from "../harness/seeded_random.ts";
import type { Child } from "../interop/child.ts";
import { spawnRmq, startRmq } from "../interop/rmq.ts";
import { type BrokerSite, newBrokerSite, Workspace, writeBrokerConfig } from "../interop/servers.ts";
import { report } from "./campaign.ts";
import { faults, Ledger, readQueue, sendUntilGone } from "./ledger.ts";

const KILLS = Number(process.env.KILLS ?? 3);
const QUEUES = 2;
const GROUP = "readers";
const HOUR_MS = 3_600_000;
const REQUEST_TIMEOUT_MS = 10_000;
/** Log files that stay; older ones are made to look expired. */
const KEPT_FILES = 8;
const HOURS = Array.from({ length: 24 }, (_, hour) => String(hour).padStart(2, "0")).join(";");
const PROPERTIES = {
  mappedFileSizeCommitLog: 128 << 10,
  mappedFileSizeConsumeQueue: 20 * 50,
  maxHashSlotNum: 50,
  maxIndexNum: 200,
  deleteWhen: HOURS,
  fileReservedTime: 1,
  cleanResourceInterval: 50,
  deleteCommitLogFilesInterval: 0,
  flushConsumerOffsetInterval: 50,
  flushDelayOffsetInterval: 50,
  flushIntervalConsumeQueue: 20,
  flushConsumeQueueThoroughInterval: 50,
};

interface Counts {
  [name: string]: number;
}

class Life {
  readonly counts: Counts = { kills: 0, killsInRecovery: 0, topicsMade: 0, filesDeleted: 0 };
  readonly #site: BrokerSite;
  readonly #args: string[];
  readonly #random: SeededRandom;
  readonly #ledger = new Ledger("Ledger", QUEUES);
  readonly #topics: string[] = [];
  readonly #committed = new Map<number, number>();
  #topicCount = 0;
  #broker!: Child;

  constructor(site: BrokerSite, configFile: string, random: SeededRandom) {
    this.#site = site;
    this.#args = ["broker", "-c", configFile];
    this.#random = random;
  }

  async live(): Promise<void> {
    await this.#start();
    try {
      for (let kill = 1; kill <= KILLS; kill++) {
        await this.#workUntilKilled();
        while (this.#random.next() < 0.4) await this.#killInRecovery();
        await this.#start();
        await this.#check(`kill ${kill}`);
      }
      assert.match(await this.#broker.stop(), /exit code 0/);
    } finally {
      if (this.#broker.isRunning) await this.#broker.kill();
    }
    this.counts.acknowledged = this.#ledger.acknowledged.length;
    await this.#verify();
  }

  async #start(): Promise<void> {
    this.#broker = await startRmq(this.#args, { name: "rmq", port: this.#site.port });
  }

  async #workUntilKilled(): Promise<void> {
    const { address } = this.#site;
    const before = this.#ledger.acknowledged.length;
    const work = [
      sendUntilGone(address, this.#ledger, 8),
      this.#makeTopics(),
      this.#commit(),
      this.#expire(),
    ];
    while (this.#ledger.acknowledged.length < before + 20) {
      assert.ok(this.#broker.isRunning, `the broker ended by itself\n${this.#broker.tail()}`);
      await delay(2);
    }
    await delay(this.#random.between(0, 700));
    assert.ok(this.#broker.isRunning, `the broker ended by itself\n${this.#broker.tail()}`);
    await this.#broker.kill();
    await Promise.all(work);
    this.counts.kills++;
  }

  async #killInRecovery(): Promise<void> {
    const broker = spawnRmq(this.#args, "rmq");
    await delay(this.#random.between(0, 600));
    assert.ok(broker.isRunning, `the broker ended by itself\n${broker.tail()}`);
    await broker.kill();
    this.counts.killsInRecovery++;
  }

  async #makeTopics(): Promise<void> {
    await this.#untilGone(async (client) => {
      const topic = `Made-${this.#topicCount++}`;
      const fields = {
        topic,
        defaultTopic: "TBW102",
        readQueueNums: "1",
        writeQueueNums: "1",
        perm: "6",
        topicFilterType: "SINGLE_TAG",
        topicSysFlag: "0",
        order: "false",
      };
      const request = { code: RequestCode.UPDATE_AND_CREATE_TOPIC, fields };
      const { code, remark } = await client.request(this.#site.address, request, REQUEST_TIMEOUT_MS);
      assert.equal(code, ResponseCode.SUCCESS, remark ?? "");
      this.#topics.push(topic);
      await delay(5);
    });
  }

  /** A group that is always at the end of what was acknowledged. */
  async #commit(): Promise<void> {
    await this.#untilGone(async (client) => {
      await delay(5);
      const last = this.#ledger.acknowledged.at(-1);
      if (last === undefined) return;
      const { queueId } = last;
      const offset = Math.max(this.#committed.get(queueId) ?? 0, last.queueOffset + 1);
      this.#committed.set(queueId, offset);
      const fields = {
        consumerGroup: GROUP,
        topic: this.#ledger.topic,
        queueId: String(queueId),
        commitOffset: String(offset),
      };
      const request = { code: RequestCode.UPDATE_CONSUMER_OFFSET, fields };
      const { code, remark } = await client.request(this.#site.address, request, REQUEST_TIMEOUT_MS);
      // the group is made by the heartbeat of a consumer, or by an administrator
      assert.equal(code, ResponseCode.SUCCESS, remark ?? "");
    });
  }

  async #makeGroup(): Promise<void> {
    await this.#untilGone(async (client) => {
      const body = new TextEncoder().encode(JSON.stringify({ groupName: GROUP }));
      const code = RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP;
      await client.request(this.#site.address, { code, body }, REQUEST_TIMEOUT_MS);
      return "done";
    });
  }

  /** Makes all but the newest log files look as if nothing had been written to them for hours. */
  async #expire(): Promise<void> {
    const directory = join(this.#site.storePath, "commitlog");
    while (this.#broker.isRunning) {
      for (const name of readdirSync(directory).sort().slice(0, -KEPT_FILES)) {
        try {
          utimesSync(join(directory, name), 1, 1);
        } catch {
          // gone meanwhile
        }
      }
      await delay(20);
    }
  }

  /** Repeats until the broker is killed, or the step says "done". */
  async #untilGone(step: (client: RemotingClient) => Promise<unknown>): Promise<void> {
    const client = new RemotingClient();
    try {
      while (await step(client) !== "done") { /* again */ }
    } catch (error) {
      if (!(error instanceof RemotingIoError)) throw error;
    } finally {
      client.close();
    }
  }

  /** What the last life made to expire goes first: a reader would be in its way. */
  async #expired(): Promise<void> {
    const directory = join(this.#site.storePath, "commitlog");
    const hasExpired = () => {
      const oldest = join(directory, readdirSync(directory).sort()[0]);
      // The broker may delete it between the two looks.
      const stat = statSync(oldest, { throwIfNoEntry: false });
      return stat === undefined || stat.mtimeMs < HOUR_MS;
    };
    while (hasExpired()) {
      assert.ok(this.#broker.isRunning, `the broker ended by itself\n${this.#broker.tail()}`);
      await delay(10);
    }
    const { topic } = this.#ledger;
    // queues follow the log's start a moment later
    for (let queueId = 0, before = -1; queueId < QUEUES;) {
      const first = await this.#minOffset(topic, queueId);
      if (first === before) queueId++;
      before = first === before ? -1 : first;
      await delay(100);
    }
  }

  async #minOffset(topic: string, queueId: number): Promise<number> {
    const client = new RemotingClient();
    try {
      const request = { code: RequestCode.GET_MIN_OFFSET, fields: { topic, queueId: String(queueId) } };
      const { fields } = await client.request(this.#site.address, request, REQUEST_TIMEOUT_MS);
      return offsetResponse.decode(fields).offset;
    } finally {
      client.close();
    }
  }

  async #check(when: string): Promise<void> {
    await this.#expired();
    const { address } = this.#site;
    const { topic } = this.#ledger;
    const client = new RemotingClient();
    const ask = (code: number, fields: Record<string, string>) =>
      client.request(address, { code, fields }, REQUEST_TIMEOUT_MS);
    try {
      const firsts: number[] = [];
      const queues = [];
      for (let queueId = 0; queueId < QUEUES; queueId++) {
        const fields = { topic, queueId: String(queueId) };
        firsts.push(await this.#minOffset(topic, queueId));
        queues.push(await readQueue(address, topic, queueId, firsts[queueId]));
        const end = offsetResponse.decode((await ask(RequestCode.GET_MAX_OFFSET, fields)).fields).offset;
        const code = RequestCode.QUERY_CONSUMER_OFFSET;
        const committed = await ask(code, { ...fields, consumerGroup: GROUP, setZeroIfNotFound: "false" });
        if (committed.code !== ResponseCode.SUCCESS) continue;
        const { offset } = offsetResponse.decode(committed.fields);
        assert.ok(offset <= end && offset <= this.#committed.get(queueId)!, `${when}: ${offset} of ${end}`);
      }
      const found = faults(this.#ledger, queues, firsts);
      assert.deepEqual(found.slice(0, 10), [], `${when}: ${found.length} faults\n${this.#broker.tail()}`);
      for (const made of this.#topics) {
        const { code } = await ask(RequestCode.GET_TOPIC_CONFIG, { topic: made });
        assert.equal(code, ResponseCode.SUCCESS, `${when}: the topic ${made} is gone`);
      }
    } finally {
      client.close();
    }
    this.counts.topicsMade = this.#topics.length;
    const [first] = readdirSync(join(this.#site.storePath, "commitlog")).sort();
    this.counts.filesDeleted = Number(first) / PROPERTIES.mappedFileSizeCommitLog;
  }

  async prepare(): Promise<void> {
    await this.#start();
    await this.#makeGroup();
    await this.#broker.stop();
  }

  async #verify(): Promise<void> {
    const child = spawnRmq(["store", "verify", this.#site.storePath], "verify");
    const end = await child.ended;
    assert.equal(end, "exit code 0", child.tail());
  }
}

for (const flushDiskType of ["ASYNC_FLUSH", "SYNC_FLUSH"]) {
  const name = `under ${flushDiskType} ${KILLS} kills lose nothing while files roll, expire and are replaced`;
  test(name, { timeout: 120_000 + KILLS * 30_000 }, async () => {
    const seed = Number(process.env.KILL_SEED ?? Math.floor(Math.random() * 2 ** 32));
    console.log(`${flushDiskType}: KILL_SEED=${seed}`);
    const workspace = await Workspace.create();
    try {
      const properties = { ...PROPERTIES, flushDiskType };
      const site = await newBrokerSite(workspace, {
        name: "ledger",
        cluster: "fault",
        namesrv: "",
        properties,
      });
      const life = new Life(site, await writeBrokerConfig(site, workspace), new SeededRandom(seed));
      await life.prepare();
      await life.live();
      report(`tests/fault/kill_9_life_test.ts ${flushDiskType}`, life.counts);
      console.log(JSON.stringify(life.counts));
    } finally {
      await workspace.remove();
    }
  });
}
