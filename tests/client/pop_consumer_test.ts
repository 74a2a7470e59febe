// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { AdminApi } from "../../src/client/admin_api.ts";
import { Consumer, type ReceivedMessage } from "../../src/client/consumer.ts";
import { PopConsumer, type PopConsumerOptions } from "../../src/client/pop_consumer.ts";
import { Producer } from "../../src/client/producer.ts";
import { startTestCluster, type TestCluster } from "../harness/cluster.ts";
import { until } from "../harness/until.ts";

const text = (message: ReceivedMessage) => new TextDecoder().decode(message.body);

describe("consumers that pop", () => {
  let cluster: TestCluster;
  let producer: Producer;
  let admin: AdminApi;

  before(async () => {
    cluster = await startTestCluster("timerPrecisionMs=100", "reviveInterval=100");
    producer = new Producer({ nameServers: cluster.nameServer.address, group: "pg" });
    admin = new AdminApi(cluster.broker.address);
  });

  after(async () => {
    producer.stop();
    admin.close();
    await cluster.stop();
  });

  function member(
    topic: string,
    given: Partial<PopConsumerOptions> & Pick<PopConsumerOptions, "onMessages">,
  ) {
    const nameServers = cluster.nameServer.address;
    return new PopConsumer({ nameServers, group: `g_${topic}`, topic, from: "first", ...given });
  }

  /** A topic of one queue. */
  async function topicWith(topic: string, bodies: readonly string[], tags?: string): Promise<void> {
    await admin.createTopic(topic, 1);
    for (const body of bodies) await producer.send({ topic, body, tags });
  }

  test("two members share one queue, and each message is one's", async () => {
    const bodies = Array.from({ length: 20 }, (_, i) => `m${i}`);
    await topicWith("Shared", bodies);
    const seen: string[][] = [[], []];
    const all = Promise.withResolvers<void>();
    const members = seen.map((mine) =>
      member("Shared", {
        batchCount: 2,
        onMessages: async (messages) => {
          mine.push(...messages.map(text));
          if (seen[0].length + seen[1].length === 20) all.resolve();
          // until the other one has had its turn
          await until(() => seen.every(({ length }) => length > 0));
        },
      })
    );
    for (const one of members) await one.start();
    await all.promise;
    for (const one of members) await one.stop();
    assert.deepEqual(seen.flat().sort(), [...bodies].sort());
    const left: string[] = [];
    const next = member("Shared", { onMessages: (messages) => void left.push(...messages.map(text)) });
    await next.start();
    await producer.send({ topic: "Shared", body: "later" });
    await until(() => left.length > 0);
    await next.stop();
    assert.deepEqual(left, ["later"]);
  });

  test(
    "what a handler throws at comes again, and then among the dead letters",
    { timeout: 30_000 },
    async () => {
      await topicWith("Failing", ["bad", "worse"]);
      const tries: string[] = [];
      const one = member("Failing", {
        batchCount: 1,
        maxTries: 2,
        retryDelaysMs: [200],
        onMessages: ([message]) => {
          tries.push(`${text(message)} ${message.reconsumeTimes} ${message.topic}`);
          if (text(message) === "worse" || message.reconsumeTimes === 0) throw new Error("not now");
        },
      });
      await one.start();
      const dead: string[] = [];
      const mourner = new Consumer({
        nameServers: cluster.nameServer.address,
        group: "mourners",
        subscriptions: { "%DLQ%g_Failing": "*" },
        from: "first",
        onMessages: (messages) => void dead.push(...messages.map(text)),
      });
      await until(() => tries.length === 4);
      await mourner.start();
      await until(() => dead.length > 0);
      await mourner.stop();
      await one.stop();
      assert.deepEqual(tries.sort(), [
        "bad 0 Failing",
        "bad 1 Failing",
        "worse 0 Failing",
        "worse 1 Failing",
      ]);
      assert.deepEqual(dead, ["worse"]);
    },
  );

  test("only messages with a wanted tag are handed on", async () => {
    await topicWith("Tagged", ["x1"], "x");
    await topicWith("Tagged", ["y1"], "y");
    await topicWith("Tagged", ["x2"], "x");
    const seen: string[] = [];
    const one = member("Tagged", {
      expression: "x",
      onMessages: (messages) => void seen.push(...messages.map(text)),
    });
    await one.start();
    await until(() => seen.length >= 2);
    await one.stop();
    assert.deepEqual(seen, ["x1", "x2"]);
  });

  test("a member waits for the topic to come", async () => {
    const seen: string[] = [];
    const one = member("Coming", { onMessages: (messages) => void seen.push(...messages.map(text)) });
    await one.start();
    await topicWith("Coming", ["a"]);
    await until(() => seen.length > 0);
    await one.stop();
    assert.deepEqual(seen, ["a"]);
  });
});
