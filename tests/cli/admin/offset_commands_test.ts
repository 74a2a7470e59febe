// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Consumer } from "../../../src/client/consumer.ts";
import { startTestCluster, type TestCluster } from "../../harness/cluster.ts";
import { until } from "../../harness/until.ts";
import { Rmq } from "./rmq.ts";

describe("rmq offset", () => {
  let cluster: TestCluster;
  let rmq: Rmq;

  before(async () => {
    cluster = await startTestCluster();
    rmq = new Rmq(cluster.nameServer.address);
  });

  after(() => cluster.stop());

  function consumerOf(topic: string, group: string, onMessages: (messages: unknown[]) => void) {
    const nameServers = cluster.nameServer.address;
    return new Consumer({ nameServers, group, subscriptions: { [topic]: "*" }, from: "first", onMessages });
  }

  /** One queue with `count` messages, all consumed by the group. */
  async function consumed(topic: string, group: string, count: number): Promise<void> {
    await rmq.ok("topic", "create", topic, "--queues", "1");
    await rmq.ok("message", "send", topic, "x", "--repeat", String(count));
    let received = 0;
    const consumer = consumerOf(topic, group, (messages) => void (received += messages.length));
    await consumer.start();
    await until(() => received === count);
    await consumer.stop();
  }

  async function received(topic: string, group: string, atLeast: number): Promise<number> {
    let count = 0;
    const consumer = consumerOf(topic, group, (messages) => void (count += messages.length));
    await consumer.start();
    await until(() => count >= atLeast);
    await consumer.stop();
    return count;
  }

  test("show tells where a group stands in each queue", async () => {
    await consumed("shown", "standing", 3);
    const { queues } = await rmq.json("offset", "show", "standing", "shown");
    assert.deepEqual(
      queues.map((queue: Record<string, unknown>) => [queue.queueId, queue.consumerOffset, queue.lag]),
      [
        [0, 3, 0],
      ],
    );
    assert.match(await rmq.ok("offset", "show", "standing"), /^shown +broker-a +0 +3 +3 +0 +\d+s$/m);
    assert.equal(
      await rmq.ok("offset", "show", "standing", "other"),
      "standing has not consumed anything of other yet.\n",
    );
  });

  test("reset shows what would be, and --dry-run changes nothing", async () => {
    await consumed("planned", "planners", 3);
    const out = await rmq.ok("offset", "reset", "planners", "planned", "--to", "earliest", "--dry-run");
    assert.match(out, /^broker-a +0 +3 +0 +-3\n3 messages consumed again, 0 skipped\n$/m);
    assert.equal((await rmq.json("offset", "show", "planners", "planned")).queues[0].consumerOffset, 3);
    assert.match(
      await (async () =>
        (await rmq.run(["offset", "reset", "planners", "planned", "--to", "earliest"])).err)(),
      /Move planners in planned\? Nobody can be asked here: say --yes/,
    );
  });

  test("a group that was reset to the earliest message consumes everything again", async () => {
    await consumed("again", "repeaters", 5);
    const plan = await rmq.json("offset", "reset", "repeaters", "again", "--to", "earliest", "--yes");
    assert.deepEqual(plan.queues, [{ broker: "broker-a", queueId: 0, from: 5, to: 0 }]);
    assert.equal(await received("again", "repeaters", 5), 5);
  });

  test("a group goes to an offset, to a time, and to the end", async () => {
    await consumed("moved", "movers", 4);
    const to = async (place: string, ...more: string[]) =>
      (await rmq.json("offset", "reset", "movers", "moved", "--to", place, "--yes", ...more)).queues[0].to;
    assert.equal(await to("1", "--queue", "0"), 1);
    assert.equal(await received("moved", "movers", 3), 3);
    assert.equal(await to("1h"), 0);
    assert.equal(await to(`@${Date.now() + 60_000}`), 4);
    assert.equal(await to("latest"), 4);
    assert.equal(await to("now"), 4);
  });

  test("brokers that know only whole topics are told positions of groups without consumers", async () => {
    await consumed("older", "elders", 4);
    await rmq.ok("broker", "config", "set", "-b", "broker-a", "useServerSideResetOffset=false");
    try {
      await rmq.ok("offset", "reset", "elders", "older", "--to", "2", "--yes");
      assert.equal((await rmq.json("offset", "show", "elders", "older")).queues[0].consumerOffset, 2);
      const consumer = consumerOf("older", "elders", () => {});
      await consumer.start();
      await until(() => consumer.queues.includes("older/broker-a/0"));
      const { status, err } = await rmq.run(["offset", "reset", "elders", "older", "--to", "1", "--yes"]);
      await consumer.stop();
      assert.equal(status, 1);
      assert.match(err, /broker-a \(.*\): consumers are connected, .* stop them first/);
    } finally {
      await rmq.ok("broker", "config", "set", "-b", "broker-a", "useServerSideResetOffset=true");
    }
  });

  test("clone gives a group the positions of another", async () => {
    await consumed("cloned", "original", 3);
    await rmq.ok("group", "create", "copy");
    const { brokers } = await rmq.json("offset", "clone", "original", "copy", "cloned", "--yes");
    assert.deepEqual(brokers, ["broker-a"]);
    assert.equal((await rmq.json("offset", "show", "copy", "cloned")).queues[0].consumerOffset, 3);
  });

  test("what is wrong is told in a sentence", async () => {
    await consumed("wrong", "mistaken", 1);
    const reset = (...args: string[]) => rmq.fails("offset", "reset", "mistaken", "wrong", ...args);
    assert.match(await reset(), /say where to with --to/);
    assert.match(await reset("--to", "tomorrow"), /--to takes earliest, latest, a time, .* not tomorrow/);
    assert.match(await reset("--to", "1", "--queue", "7"), /wrong has no queue 7 to read/);
    const { err } = await rmq.run(["offset", "reset", "mistaken", "wrong", "--to", "99", "--yes"]);
    assert.match(err, /queue 0 of wrong has the offsets 0 to 1, not 99/);
  });
});
