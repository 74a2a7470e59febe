// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { type FollowingLog, Slave } from "../../../src/broker/slave/slave.ts";
import type { SlavePhase } from "../../../src/replication/mod.ts";
import { RemotingClient } from "../../../src/remoting/client.ts";
import { ManualClock } from "../../harness/manual_clock.ts";

const MASTER = { masterAddr: "10.0.0.1:10911", haServerAddr: "10.0.0.1:10912" };

/** A slave without network: what its log follows, what it copies and makes. */
function newSlave(tables: ReadonlySet<string> = new Set()) {
  const clock = new ManualClock();
  const known = new Set<string>();
  const made: string[] = [];
  const followed: (string | undefined)[] = [];
  const phase = { now: "SEEKING" as SlavePhase, listener: () => {} };
  let copyCount = 0;
  let askCount = 0;
  const log: FollowingLog = {
    get state() {
      return {
        phase: phase.now,
        masterAddress: undefined,
        problem: undefined,
        lastReadMs: 0,
        lastReportMs: 0,
        receivedBytesPerSecond: 0,
      };
    },
    follow: (master) => void followed.push(master?.haAddress),
    onPhase: (listener) => void (phase.listener = listener),
    close() {},
  };
  const slave = new Slave({
    ...{ clock, log, ownAddress: () => "10.0.0.2:10911", haMasterAddress: undefined },
    client: new RemotingClient(),
    steps: [{
      what: "topics",
      copy() {
        copyCount++;
        for (const topic of tables) known.add(topic);
        return Promise.resolve();
      },
    }],
    topics: { has: (topic) => known.has(topic) },
    makeTopic: (topic) => void made.push(topic),
    askNameServers: () => askCount++,
  });
  const become = async (now: SlavePhase) => {
    phase.now = now;
    phase.listener();
    await setImmediate();
  };
  const advance = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 50) {
      clock.advance(50);
      await setImmediate();
    }
  };
  return {
    slave,
    followed,
    made,
    become,
    advance,
    copies: () => copyCount,
    asked: () => askCount,
  };
}

test("a slave follows the master that name servers tell, and asks again while it does not", async () => {
  const { slave, followed, become, advance, asked } = newSlave();
  slave.start();
  assert.deepEqual(followed, [undefined]);
  await advance(5000);
  assert.equal(asked(), 1);
  slave.answered("n1", MASTER);
  assert.equal(followed.at(-1), "10.0.0.1:10912");
  await become("FOLLOWING");
  await advance(20_000);
  assert.equal(asked(), 1);
  slave.answered("n1", {});
  assert.equal(followed.at(-1), "10.0.0.1:10912", "where it will come back");
  await slave.stop();
});

test("tables are copied when the log begins to follow, and not before", async () => {
  const { slave, become, advance, copies } = newSlave();
  slave.start();
  slave.answered("n1", MASTER);
  await advance(10_000);
  assert.equal(copies(), 0);
  await become("FOLLOWING");
  assert.equal(copies(), 1);
  await become("SEEKING");
  await advance(20_000);
  assert.equal(copies(), 1);
  await slave.stop();
});

test("the master serves consumers while it is followed, and while its log is another one", async () => {
  const { slave, become } = newSlave();
  assert.equal(slave.masterServes, false);
  await become("FOLLOWING");
  assert.equal(slave.masterServes, true);
  await become("REFUSING");
  assert.equal(slave.masterServes, true);
  await become("SEEKING");
  assert.equal(slave.masterServes, false);
});

test("a message of a new topic has the tables copied at once", async () => {
  const { slave, become, advance, copies } = newSlave(new Set(["T"]));
  slave.start();
  slave.answered("n1", MASTER);
  slave.unknownTopicCame("T");
  await become("FOLLOWING");
  const before = copies();
  slave.unknownTopicCame("U");
  await advance(100);
  assert.ok(copies() > before);
  await slave.stop();
});

test("topics that the master has deleted are not asked for again and again", async () => {
  const { slave, become, advance, copies, made } = newSlave();
  slave.start();
  slave.answered("n1", MASTER);
  await become("FOLLOWING");
  for (let message = 0; message < 50; message++) {
    slave.unknownTopicCame("deleted");
    await advance(50);
  }
  assert.ok(copies() <= 1 + 2, `${copies()} copies`);
  await become("SEEKING");
  assert.deepEqual(made, []);
  await slave.stop();
});

test("a topic of which the master had no time to tell is made when it goes", async () => {
  const { slave, become, made } = newSlave();
  slave.start();
  slave.answered("n1", MASTER);
  await become("FOLLOWING");
  slave.unknownTopicCame("T");
  assert.deepEqual(made, []);
  await become("SEEKING");
  assert.deepEqual(made, ["T"]);
  slave.unknownTopicCame("U");
  assert.deepEqual(made, ["T", "U"]);
  await slave.stop();
});
