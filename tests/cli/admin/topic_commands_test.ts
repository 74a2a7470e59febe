// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startTestCluster, type TestCluster } from "../../harness/cluster.ts";
import { Rmq, terminal } from "./rmq.ts";

describe("rmq topic", () => {
  let cluster: TestCluster;
  let rmq: Rmq;

  before(async () => {
    cluster = await startTestCluster();
    rmq = new Rmq(cluster.nameServer.address);
  });

  after(() => cluster.stop());

  test("an empty cluster says that it has no topics of users", async () => {
    const other = await startTestCluster();
    try {
      const out = await new Rmq(other.nameServer.address).ok("topic", "list");
      assert.equal(out, "There is no such topic. --all shows those that are not of users.\n");
    } finally {
      await other.stop();
    }
  });

  test("create makes a topic that clients find at once, and refuses to make it twice", async () => {
    assert.equal(
      await rmq.ok("topic", "create", "orders", "--queues", "4"),
      "Created orders with 4 queues on broker-a.\n",
    );
    assert.deepEqual(await rmq.rows("topic", "route", "orders"), [
      ["DefaultCluster", "broker-a", "4", "4", "RW", `0=${cluster.broker.address}`],
    ]);
    assert.match(
      await rmq.fails("topic", "create", "orders"),
      /^rmq topic create: orders exists on broker-a\. Change it with `rmq topic update`, or say --replace\.\n$/,
    );
    await rmq.ok("topic", "create", "orders", "--replace", "--queues", "6");
    const { brokers } = await rmq.json("topic", "route", "orders");
    assert.equal(brokers[0].writeQueues, 6);
  });

  test("create takes permissions, order and the type of messages", async () => {
    const made = await rmq.json("topic", "create", "fifo", "--type", "fifo", "--perm", "r", "--order");
    assert.deepEqual(made.brokers, [{
      cluster: "DefaultCluster",
      broker: "broker-a",
      readQueues: 8,
      writeQueues: 8,
      perm: 4,
      order: true,
      attributes: { "message.type": "FIFO" },
    }]);
    const { brokers, messageType } = await rmq.json("topic", "show", "fifo");
    assert.deepEqual([brokers, messageType], [made.brokers, "FIFO"]);
  });

  test("update changes what is said and nothing else", async () => {
    await rmq.ok("topic", "create", "changed", "--queues", "4", "--type", "FIFO", "--order");
    await rmq.ok("topic", "update", "changed", "--write-queues", "2");
    const { brokers: [config] } = await rmq.json("topic", "show", "changed");
    assert.deepEqual(
      [config.readQueues, config.writeQueues, config.order, config.attributes["message.type"]],
      [
        4,
        2,
        true,
        "FIFO",
      ],
    );
    await rmq.ok("topic", "update", "changed", "--unordered", "--delete-attribute", "message.type");
    const { brokers: [after] } = await rmq.json("topic", "show", "changed");
    assert.deepEqual([after.order, after.attributes], [false, {}]);
  });

  test("list shows topics of users by pattern, all with --all, names with --quiet", async () => {
    await rmq.ok("topic", "create", "list-one");
    await rmq.ok("topic", "create", "list-ten");
    assert.deepEqual((await rmq.rows("topic", "list", "list-*")).map(([topic]) => topic), [
      "list-one",
      "list-ten",
    ]);
    assert.equal(await rmq.ok("topic", "list", "ST-T", "-q"), "list-ten\n");
    const { topics } = await rmq.json("topic", "list", "--all");
    const kinds = new Map(topics.map((one: { topic: string; kind: string }) => [one.topic, one.kind]));
    assert.equal(kinds.get("TBW102"), "system");
    assert.equal(kinds.get("broker-a"), "system");
    assert.equal(kinds.get("list-one"), "user");
  });

  test("list --long and stats count messages", async () => {
    await rmq.ok("topic", "create", "counted", "--queues", "2");
    for (let i = 0; i < 3; i++) await rmq.ok("message", "send", "counted", "x", "--queue", "1");
    const { topics: [{ messages, lastMessageMs }] } = await rmq.json("topic", "list", "counted", "--long");
    assert.equal(messages, 3);
    assert.ok(Date.now() - lastMessageMs < 60_000);
    const stats = await rmq.json("topic", "stats", "counted");
    assert.deepEqual(
      stats.queues.map((queue: Record<string, number>) => [queue.queueId, queue.minOffset, queue.maxOffset]),
      [[0, 0, 0], [1, 0, 3]],
    );
    assert.match(
      await rmq.ok("topic", "stats", "counted"),
      /\n3 messages, .* per second, the last \d+s ago\n$/,
    );
  });

  test("delete asks, and only yes deletes", async () => {
    await rmq.ok("topic", "create", "doomed");
    await rmq.ok("message", "send", "doomed", "x");
    const questions: string[] = [];
    const answer = (text: string) => ({
      ask: (question: string) => {
        questions.push(question);
        return Promise.resolve(text);
      },
    });
    const no = await rmq.run(["topic", "delete", "doomed"], answer("n"));
    assert.deepEqual([no.status, no.out, no.err], [1, "", "rmq topic delete: nothing was changed.\n"]);
    assert.deepEqual(questions, ["Delete doomed with 1 message on broker-a? [y/N] "]);
    assert.match(await rmq.fails("topic", "delete", "doomed"), /Nobody can be asked here: say --yes/);
    const yes = await rmq.run(["topic", "delete", "doomed"], answer("yes"));
    assert.deepEqual([yes.status, yes.out], [0, "Deleted doomed on broker-a.\n"]);
    assert.match(await rmq.fails("topic", "route", "doomed"), /name servers know no route of doomed/);
    await rmq.ok("topic", "create", "doomed");
    assert.deepEqual((await rmq.json("topic", "delete", "doomed", "--yes")).deleted, [
      { topic: "doomed", brokers: ["broker-a"] },
    ]);
  });

  test("what is wrong is told in a sentence", async () => {
    assert.match(
      await rmq.fails("topic", "show", "nothing"),
      /there is no topic nothing\. `rmq topic list` shows/,
    );
    assert.match(await rmq.fails("topic", "create"), /TOPIC is missing\.\nTry `rmq topic create --help`\./);
    assert.match(
      await rmq.fails("topic", "create", "x", "--queues", "0"),
      /whole number from 1 to 65536, not 0/,
    );
    assert.match(
      await rmq.fails("topic", "create", "x", "--perm", "all"),
      /--perm takes rw, r, w or none, not all/,
    );
    assert.match(await rmq.fails("topic", "create", "a b"), /\(INVALID_PARAMETER, code 29\)/);
    assert.match(
      await rmq.fails("topic", "list", "-c", "Other"),
      /no cluster Other; there is DefaultCluster/,
    );
    assert.match(await rmq.fails("topic", "list", "-b", "broker-z"), /no broker broker-z; there is broker-a/);
    assert.match(
      await rmq.fails("topic", "lst"),
      /lst is nothing that it does\. Is `rmq topic list` meant\?/,
    );
  });

  test("long names are cut on a narrow terminal only", async () => {
    const name = `long-${"x".repeat(100)}`;
    await rmq.ok("topic", "create", name);
    assert.ok((await rmq.ok("topic", "list", "long-*")).includes(name));
    const { out } = await rmq.run(["topic", "list", "long-*"], terminal(80));
    assert.ok(out.split("\n").every((line) => line.length <= 80), out);
    assert.match(out, /^long-x+…x+ +NORMAL +8 +RW/m);
  });
});
