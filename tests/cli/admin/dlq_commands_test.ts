// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Consumer, type ReceivedMessage } from "../../../src/client/consumer.ts";
import { Producer } from "../../../src/client/producer.ts";
import { startTestCluster, type TestCluster } from "../../harness/cluster.ts";
import { until } from "../../harness/until.ts";
import { Rmq } from "./rmq.ts";

describe("rmq dlq", () => {
  let cluster: TestCluster;
  let rmq: Rmq;

  before(async () => {
    cluster = await startTestCluster();
    rmq = new Rmq(cluster.nameServer.address);
  });

  after(() => cluster.stop());

  function consumerOf(group: string, onMessages: (messages: ReceivedMessage[]) => void) {
    const nameServers = cluster.nameServer.address;
    return new Consumer({ nameServers, group, subscriptions: { orders: "*" }, from: "first", onMessages });
  }

  /** Dead letters as a broker makes them of messages that were tried too often. */
  async function bury(group: string, ...bodies: string[]): Promise<void> {
    await rmq.ok("topic", "create", `%DLQ%${group}`, "--queues", "1");
    const producer = new Producer({ nameServers: cluster.nameServer.address, group: "burying" });
    for (const body of bodies) {
      await producer.send({
        topic: `%DLQ%${group}`,
        body,
        tags: "tag",
        keys: "key",
        properties: { RETRY_TOPIC: "orders", ORIGIN_MESSAGE_ID: `original-${body}`, colour: "red" },
      });
    }
    producer.stop();
  }

  test("no group has dead letters at first; then list counts them", async () => {
    assert.equal(await rmq.ok("dlq", "list", "unheard-*"), "No group has dead letters.\n");
    await bury("counted", "a", "b");
    const { groups } = await rmq.json("dlq", "list", "counted");
    assert.deepEqual([groups[0].group, groups[0].topic, groups[0].messages], ["counted", "%DLQ%counted", 2]);
    assert.match(await rmq.ok("dlq", "list"), /^counted +2 +\d+s +%DLQ%counted$/m);
  });

  test("resend gives the group what is meant, once more, as it was", async () => {
    await rmq.ok("topic", "create", "orders");
    const received: ReceivedMessage[] = [];
    const consumer = consumerOf("resent", (messages) => void received.push(...messages));
    await consumer.start();
    await bury("resent", "one", "two");
    assert.match(await rmq.fails("dlq", "resend", "resent"), /say which ones: IDs, --from, --to or --all/);
    assert.match(
      await rmq.fails("dlq", "resend", "resent", "--all"),
      /Send 2 dead letters .*Nobody can be asked/,
    );
    assert.match(
      await rmq.fails("dlq", "resend", "resent", "nothing"),
      /no dead letter of resent is meant by that/,
    );
    assert.match(await rmq.fails("dlq", "resend", "alive", "--all"), /alive has no dead letters/);
    const { resent, failed } = await rmq.json("dlq", "resend", "resent", "original-two", "--yes");
    assert.deepEqual([resent.length, resent[0].topic, failed], [1, "%RETRY%resent", []]);
    await until(() => received.length === 1);
    await consumer.stop();
    const [message] = received;
    assert.equal(new TextDecoder().decode(message.body), "two");
    assert.deepEqual(["RETRY_TOPIC", "colour", "KEYS", "TAGS"].map((name) => message.properties.get(name)), [
      "orders",
      "red",
      "key",
      "tag",
    ]);
  });

  test("resend --to-topic goes to the topic where messages first were", async () => {
    await bury("elsewhere", "three");
    assert.match(
      await rmq.fails("dlq", "resend", "elsewhere", "--all", "--yes"),
      /elsewhere has no retry topic/,
    );
    const { resent } = await rmq.json("dlq", "resend", "elsewhere", "--from", "1h", "--to-topic", "--yes");
    assert.equal(resent[0].topic, "orders");
    const [message] = await rmq.jsonLines("message", "tail", "orders", "--count", "1");
    assert.deepEqual([message.body, message.properties.RETRY_TOPIC, message.properties.colour], [
      "three",
      undefined,
      "red",
    ]);
  });
});
