// SPDX-License-Identifier: Apache-2.0
/**
 * The broker's process is killed with SIGKILL, again and again, while timed messages are sent, wait and are delivered.
 * Every one that was ever acknowledged must come, and none before its time.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { encodeSendV2 } from "../../src/protocol/headers/send.ts";
import { createUniqueKey } from "../../src/protocol/message_id.ts";
import { encodeProperties } from "../../src/protocol/properties.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import { RemotingClient } from "../../src/remoting/client.ts";
import { RemotingIoError } from "../../src/remoting/remoting_error.ts";
import { SeededRandom } from "../harness/seeded_random.ts";
import { newBrokerSite, startBroker, underTest, Workspace } from "../interop/servers.ts";
import { readQueue } from "./ledger.ts";

const KILLS = 3;
const TOPIC = "Later";
const PROPERTIES = {
  mappedFileSizeCommitLog: 1 << 20,
  mappedFileSizeConsumeQueue: 20 * 500,
  mappedFileSizeTimerLog: 52 * 100 + 16,
  timerPrecisionMs: 100,
  timerRollWindowSlot: 15,
  timerFlushIntervalMs: 300,
};

/** Sends from several loops until the broker is gone. */
async function sendUntilGone(address: string, random: SeededRandom, due: Map<string, number>): Promise<void> {
  const client = new RemotingClient();
  const send = async () => {
    for (;;) {
      const key = createUniqueKey(Uint8Array.of(127, 0, 0, 1), Date.now());
      const dueMs = Date.now() + random.between(-50, 3000);
      const properties = encodeProperties([["UNIQ_KEY", key], ["TIMER_DELIVER_MS", String(dueMs)]]);
      const fields = encodeSendV2({
        producerGroup: "pg",
        topic: TOPIC,
        defaultTopic: "TBW102",
        defaultTopicQueueNums: 1,
        queueId: 0,
        sysFlag: 0,
        bornTimestamp: Date.now(),
        flag: 0,
        properties,
        reconsumeTimes: 0,
        unitMode: false,
        maxReconsumeTimes: undefined,
        batch: false,
      });
      const body = new TextEncoder().encode(`${key} ${dueMs}`);
      const request = { code: RequestCode.SEND_MESSAGE_V2, fields, body };
      const answer = await client.request(address, request, 10_000);
      assert.equal(answer.code, 0, String(answer.remark));
      due.set(key, dueMs);
    }
  };
  try {
    await Promise.all(Array.from({ length: 8 }, send));
  } catch (error) {
    if (!(error instanceof RemotingIoError)) throw error;
  } finally {
    client.close();
  }
}

/** Keys of what has come, each with the time at which it was stored. */
async function arrivals(address: string): Promise<Map<string, number>> {
  const came = new Map<string, number>();
  for (const { body, storeTimestampMs } of await readQueue(address, TOPIC, 0)) {
    const [key] = new TextDecoder().decode(body).split(" ");
    came.set(key, Math.min(storeTimestampMs, came.get(key) ?? Infinity));
  }
  return came;
}

for (const flushDiskType of ["ASYNC_FLUSH", "SYNC_FLUSH"]) {
  test(`every timed message acknowledged under ${flushDiskType} comes, through ${KILLS} kills`, {
    timeout: 120_000,
  }, async () => {
    const seed = Number(process.env.KILL_SEED ?? Math.floor(Math.random() * 2 ** 32));
    console.log(`${flushDiskType}: KILL_SEED=${seed}`);
    const random = new SeededRandom(seed);
    const workspace = await Workspace.create();
    const properties = { ...PROPERTIES, flushDiskType };
    const site = await newBrokerSite(workspace, {
      name: "timers",
      cluster: "fault",
      namesrv: "",
      properties,
    });
    const due = new Map<string, number>();
    let broker = await startBroker(underTest, site, workspace);
    try {
      for (let kill = 1; kill <= KILLS; kill++) {
        const sending = sendUntilGone(site.address, random, due);
        await Promise.race([sending, delay(random.between(300, 2000))]);
        assert.ok(broker.isRunning, `the broker ended by itself\n${broker.tail()}`);
        await broker.kill();
        await sending;
        broker = await startBroker(underTest, site, workspace);
      }
      assert.ok(due.size > 0);
      let missing = [...due.keys()];
      for (const endMs = Date.now() + 20_000; missing.length > 0 && Date.now() < endMs;) {
        await delay(200);
        const came = await arrivals(site.address);
        missing = missing.filter((key) => !came.has(key));
        for (const [key, storeMs] of came) {
          const dueMs = due.get(key);
          assert.ok(dueMs === undefined || storeMs >= dueMs, `${key} came ${dueMs! - storeMs} ms early`);
        }
      }
      assert.deepEqual(
        missing.slice(0, 5),
        [],
        `${missing.length} of ${due.size} never came\n${broker.tail()}`,
      );
      console.log(`${KILLS} kills, ${due.size} timed messages, none lost`);
    } finally {
      await broker.stop();
      await workspace.remove();
    }
  });
}
