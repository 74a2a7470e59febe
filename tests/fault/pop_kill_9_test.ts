// SPDX-License-Identifier: Apache-2.0
/**
 * The broker's process is killed with SIGKILL, again and again, while messages are sent, popped and acknowledged, and
 * some are popped by consumers that forget them. Every one that was ever acknowledged to its sender must be
 * acknowledged by a consumer in the end.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { RemotingIoError } from "../../src/remoting/remoting_error.ts";
import { SeededRandom } from "../harness/seeded_random.ts";
import { PopRequests } from "../interop/pop_requests.ts";
import { newBrokerSite, startBroker, underTest, Workspace } from "../interop/servers.ts";

const KILLS = 2;
const TOPIC = "Popped";
const GROUP = "poppers";
const PROPERTIES = {
  mappedFileSizeCommitLog: 1 << 20,
  mappedFileSizeConsumeQueue: 20 * 500,
  timerFlushIntervalMs: 300,
  flushConsumerOffsetInterval: 300,
  reviveQueueNum: 3,
};

class Load {
  readonly sent = new Set<string>();
  readonly consumed = new Set<string>();
  poppedCount = 0;
  #random: SeededRandom;
  #next = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Sends and consumes from several loops until the broker is gone. */
  async untilGone(address: string): Promise<void> {
    const requests = new PopRequests(address, "pops");
    try {
      await Promise.all([
        ...Array.from({ length: 4 }, () => this.#send(requests)),
        ...Array.from({ length: 4 }, () => this.#consume(requests)),
      ]);
    } catch (error) {
      if (!(error instanceof RemotingIoError)) throw error;
    } finally {
      requests.close();
    }
  }

  /** Consumes until everything has been. */
  async drain(address: string, endMs: number): Promise<void> {
    const requests = new PopRequests(address, "pops");
    const isDone = () => this.missing.length === 0;
    try {
      while (!isDone() && Date.now() < endMs) {
        const { messages } = await requests.pop(TOPIC, GROUP, { pollTime: "500" });
        for (const message of messages) {
          const { code, remark } = await requests.ack(message, GROUP);
          assert.equal(code, 0, remark ?? "");
          this.consumed.add(message.body);
        }
      }
    } finally {
      requests.close();
    }
  }

  get missing(): string[] {
    return [...this.sent].filter((body) => !this.consumed.has(body));
  }

  async #send(requests: PopRequests): Promise<void> {
    for (;;) {
      const body = `m${this.#next++}`;
      await requests.send(TOPIC, [body]);
      this.sent.add(body);
      await delay(this.#random.between(0, 4));
    }
  }

  async #consume(requests: PopRequests): Promise<void> {
    const random = this.#random;
    for (;;) {
      const invisibleTime = String(random.between(1500, 4000));
      const { messages } = await requests.pop(TOPIC, GROUP, {
        pollTime: "1000",
        invisibleTime,
        maxMsgNums: "8",
      });
      this.poppedCount += messages.length;
      for (const message of messages) {
        const dice = random.next();
        if (dice < 0.6) {
          // it may have been taken for acknowledged even if no answer comes
          this.consumed.add(message.body);
          await requests.ack(message, GROUP);
        } else if (dice < 0.7) {
          await requests.changeInvisibleTime(message, GROUP, random.between(500, 3000));
        }
      }
    }
  }
}

for (const flushDiskType of ["ASYNC_FLUSH", "SYNC_FLUSH"]) {
  const name =
    `every message acknowledged under ${flushDiskType} is popped until it is consumed, through ${KILLS} kills`;
  test(name, { timeout: 120_000 }, async () => {
    const seed = Number(process.env.KILL_SEED ?? Math.floor(Math.random() * 2 ** 32));
    console.log(`${flushDiskType}: KILL_SEED=${seed}`);
    const random = new SeededRandom(seed);
    const load = new Load(random);
    const workspace = await Workspace.create();
    const properties = { ...PROPERTIES, flushDiskType };
    const site = await newBrokerSite(workspace, { name: "pops", cluster: "fault", namesrv: "", properties });
    let broker = await startBroker(underTest, site, workspace);
    try {
      for (let kill = 1; kill <= KILLS; kill++) {
        const loading = load.untilGone(site.address);
        await Promise.race([loading, delay(random.between(500, 3500))]);
        assert.ok(broker.isRunning, `the broker ended by itself\n${broker.tail()}`);
        await broker.kill();
        await loading;
        broker = await startBroker(underTest, site, workspace);
      }
      assert.ok(load.sent.size > 0 && load.poppedCount > 0);
      await load.drain(site.address, Date.now() + 30_000);
      const { missing } = load;
      assert.deepEqual(
        missing.slice(0, 5),
        [],
        `${missing.length} of ${load.sent.size} are lost\n${broker.tail()}`,
      );
      console.log(`${KILLS} kills, ${load.sent.size} messages, ${load.poppedCount} popped, none lost`);
    } finally {
      await broker.stop();
      await workspace.remove();
    }
  });
}
