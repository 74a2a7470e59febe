// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { findCommand } from "../../../src/cli/admin/mqadmin.ts";
import { ALIASES } from "../../../src/cli/admin/mqadmin_aliases.ts";
import { Consumer } from "../../../src/client/consumer.ts";
import { startTestCluster, type TestCluster } from "../../harness/cluster.ts";
import { until } from "../../harness/until.ts";
import { Rmq } from "./rmq.ts";

test("every alias leads to a command, and no name occurs twice", async () => {
  for (const { name, command } of ALIASES) assert.ok(await findCommand(command), `${name}: ${command}`);
  const names = ALIASES.map(({ name }) => name.toLowerCase());
  assert.equal(new Set(names).size, names.length);
});

describe("rmq admin", () => {
  let cluster: TestCluster;
  let rmq: Rmq;
  let address: string;

  before(async () => {
    cluster = await startTestCluster();
    rmq = new Rmq("127.0.0.1:9");
    address = cluster.nameServer.address;
  });

  after(() => cluster.stop());

  const admin = (line: string, ...more: string[]) =>
    rmq.ok("admin", ...line.split(" "), "-n", address, ...more);

  test("topics are made, changed, listed and deleted with mqadmin's options", async () => {
    await admin("updateTopic -c DefaultCluster -t Made -r 4 -w 2 -p 4 -o true -a +message.type=FIFO");
    const shown = JSON.parse(await admin("topicRoute -t Made --json"));
    assert.deepEqual([shown.brokers[0].readQueues, shown.brokers[0].writeQueues, shown.brokers[0].perm], [
      4,
      2,
      4,
    ]);
    await admin(`updateTopic -b ${cluster.broker.address} -t Made`);
    assert.equal(JSON.parse(await admin("topicRoute -t Made --json")).brokers[0].writeQueues, 8);
    await admin("updateTopicPerm -t Made -p 2 -c DefaultCluster");
    assert.equal(JSON.parse(await admin("topicClusterList -t Made --json")).brokers[0].perm, 2);
    assert.ok((await admin("topicList")).split("\n").includes("Made"));
    assert.match(await admin("topicStatus -t Made"), /^broker-a +0 +0 +0 /m);
    await admin("deleteTopic -t Made -c DefaultCluster");
    assert.ok(!(await admin("topiclist")).includes("Made"));
  });

  test("groups, positions and messages are served with mqadmin's options", async () => {
    await admin("updateTopic -c DefaultCluster -t T -r 1 -w 1");
    await admin("updateSubGroup -c DefaultCluster -g G -r 3 -s true -o false");
    assert.match(await admin("getConsumerConfig -g G"), /^broker-a +yes +yes +no +3 +1$/m);
    await admin("setConsumeMode -c DefaultCluster -t T -g G -m PULL -q 2");
    await admin("sendMessage -t T -k K -c Tag", "-p", "the body");
    const found = JSON.parse(await admin("queryMsgByKey -t T -k K --json")).messages;
    assert.equal(found[0].body, "the body");
    const { messageId, offsetMessageId } = found[0];
    for (
      const line of [
        `queryMsgById -t T -i ${messageId}`,
        `queryMsgById -i ${offsetMessageId}`,
        `queryMsgByUniqueKey -t T -i ${messageId}`,
        "queryMsgByOffset -t T -b broker-a -i 0 -o 0",
      ]
    ) assert.ok((await admin(line)).endsWith("\n\nthe body\n"), line);
    assert.match(await admin("printMsg -t T -s Tag"), /the body$/m);

    let received = 0;
    const consumer = new Consumer({
      nameServers: address,
      group: "G",
      subscriptions: { T: "*" },
      from: "first",
      onMessages: (messages) => void (received += messages.length),
    });
    await consumer.start();
    await until(() => received === 1);
    assert.match(await admin("consumerConnection -g G"), /^Consumes +push$/m);
    await consumer.stop();
    assert.match(await admin("consumerProgress -g G"), /^T +broker-a +0 +1 +1 +0 /m);
    assert.match(await admin("consumerProgress"), /^G +0 +0 /m);
    await admin("resetOffsetByTime -g G -t T -s 2020-01-01#00:00:00:000");
    await admin("skipAccumulatedMessage -g G -t T");
    await admin("cloneGroupOffset -s G -d H -t T");
    await admin("deleteSubGroup -c DefaultCluster -g G -r true");
    assert.match((await rmq.run(["admin", "getConsumerConfig", "-g", "G", "-n", address])).err, /no group G/);
  });

  test("brokers and name servers are served with mqadmin's options", async () => {
    assert.match(await admin("clusterList"), /^DefaultCluster +broker-a +0 /m);
    assert.match(await admin("brokerStatus -c DefaultCluster"), /^brokerActive +true$/m);
    await admin("updateBrokerConfig -b broker-a -k maxMessageSize -v 5000");
    assert.match(await admin(`getBrokerConfig -b ${cluster.broker.address}`), /^maxMessageSize=5000$/m);
    assert.match(await admin("haStatus -c DefaultCluster"), /^broker-a +0 +master +no slave/m);
    await admin("wipeWritePerm -b broker-a");
    await admin("addWritePerm -b broker-a");
    for (const what of ["deleteExpiredCommitLog", "cleanExpiredCQ", "cleanUnusedTopic"]) await admin(what);
    await admin("updateKvConfig -s space -k key -v value");
    await admin("deleteKvConfig -s space -k key");
    await admin("updateOrderConf -t T -m put -v broker-a:4");
    assert.equal(await admin("updateOrderConf -t T -m get"), "broker-a:4\n");
    await admin("updateOrderConf -t T -m delete");
    assert.match(
      await rmq.fails("admin", "updateOrderConf", "-t", "T", "-m", "x"),
      /takes get, put or delete, not x/,
    );
    assert.match(await admin("getNamesrvConfig"), /^listenPort=/m);
    assert.match(await admin("producer -b broker-a"), /RMQ_CLI_PRODUCER|No such producer/);
  });

  test("what is missing, unknown or not to be had is told in a sentence", async () => {
    assert.match(
      await rmq.fails("admin", "updateTopic", "-t", "X"),
      /--brokerAddr or --clusterName is missing/,
    );
    assert.match(
      await rmq.fails("admin", "deleteTopic", "-t", "X"),
      /--clusterName is missing\.\nTry `rmq admin/,
    );
    assert.match(await rmq.fails("admin", "topicStatus", "-x"), /-x is no option of this command/);
    assert.match(
      await rmq.fails("admin", "electMaster"),
      /it has no electMaster\..* use Apache's mqadmin for the rest/,
    );
    assert.match(await rmq.ok("admin", "--help"), /^ {2}updateTopic +does `rmq topic create`$/m);
    assert.match(await rmq.ok("admin", "help", "updateTopic"), /^ {2}-r, --readQueueNums VALUE$/m);
  });
});
