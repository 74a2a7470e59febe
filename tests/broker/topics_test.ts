// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { ConfigFileError } from "../../src/broker/json_file.ts";
import { Topics, type TopicsOptions } from "../../src/broker/topics.ts";
import { Perm, type TopicConfig, topicConfig } from "../../src/protocol/bodies/topic_config.ts";
import { parseJsonObject } from "../../src/protocol/java_json.ts";
import { RemotingError } from "../../src/remoting/remoting_error.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";

const DIRECTORY = "/store/config";
const PATH = `${DIRECTORY}/topics.json`;

/** Counts how often the table is written. */
class CountingFiles extends MemoryFiles {
  writeCount = 0;

  override replace(path: string, content: Uint8Array, backup?: string): void {
    if (path === PATH) this.writeCount++;
    super.replace(path, content, backup);
  }
}

function setUp(given: Partial<TopicsOptions> = {}, golden?: string) {
  const files = new CountingFiles();
  files.makeDirectory(DIRECTORY);
  if (golden !== undefined) {
    files.replace(PATH, readFileSync(new URL(`../golden/config/${golden}/topics.json`, import.meta.url)));
  }
  const clock = new ManualClock();
  const settings = { autoCreateTopic: given.autoCreateTopic ?? true };
  const options: TopicsOptions = {
    files,
    directory: DIRECTORY,
    clock,
    settings: () => settings,
    clusterName: "DefaultCluster",
    brokerName: "broker-a",
    autoCreateTopic: true,
    autoCreatedTopicQueueCount: 8,
    clusterTopic: true,
    brokerTopic: true,
    traceTopic: false,
    reviveQueueCount: 8,
    traceTopicName: "RMQ_SYS_TRACE_TOPIC",
    ...given,
  };
  const reopen = () => Topics.open(options);
  return { files, clock, settings, reopen, topics: reopen() };
}

const queuesAndPerm = ({ readQueueNums, writeQueueNums, perm }: TopicConfig) => {
  assert.equal(readQueueNums, writeQueueNums);
  return [readQueueNums, perm];
};

describe("Topics at the start", () => {
  test("have what a 5.4.0 broker has, but for the half messages in RocksDB", () => {
    const { topics } = setUp();
    const golden = setUp({}, "5.4.0").topics;
    for (const [name, config] of topics.table) assert.deepEqual(config, golden.get(name), name);
    const missing = [...golden.table.keys()].filter((name) => !topics.has(name)).sort();
    assert.deepEqual(missing, [
      "%RETRY%GroupA",
      "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC",
      "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC",
      "TopicA",
      "TopicB",
    ]);
  });

  test("follow the configuration", () => {
    const { topics } = setUp({
      autoCreateTopic: false,
      clusterTopic: false,
      brokerTopic: false,
      traceTopic: true,
      traceTopicName: "MyTrace",
    });
    assert.equal(topics.has("TBW102"), false);
    assert.deepEqual(queuesAndPerm(topics.get("DefaultCluster")!), [16, Perm.INHERIT]);
    assert.deepEqual(queuesAndPerm(topics.get("broker-a")!), [1, Perm.INHERIT]);
    assert.deepEqual(queuesAndPerm(topics.get("MyTrace")!), [1, 6]);
  });

  test("are not written before something changes", () => {
    const { files } = setUp();
    assert.equal(files.stat(PATH), undefined);
  });

  test("know which topics administrators must leave alone", () => {
    const { topics } = setUp();
    const system = [
      "TBW102",
      "DefaultCluster",
      "broker-a",
      "DefaultCluster_REPLY_TOPIC",
      "rmq_sys_x",
      "CHECKPOINT_TOPIC",
    ];
    for (const topic of system) assert.equal(topics.isSystemTopic(topic), true, topic);
    for (const topic of ["TopicA", "RMQ_SYS_X", "%RETRY%g"]) {
      assert.equal(topics.isSystemTopic(topic), false, topic);
    }
    assert.deepEqual(topics.systemTopicNames().sort(), [
      // as a 5.4.0 broker answers
      "BenchmarkTest",
      "CHECKPOINT_TOPIC",
      "DefaultCluster",
      "DefaultCluster_REPLY_TOPIC",
      "OFFSET_MOVED_EVENT",
      "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC",
      "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC",
      "RMQ_SYS_TRACE_TOPIC",
      "RMQ_SYS_TRANS_HALF_TOPIC",
      "RMQ_SYS_TRANS_OP_HALF_TOPIC",
      "SCHEDULE_TOPIC_XXXX",
      "SELF_TEST_TOPIC",
      "TBW102",
      "TRANS_CHECK_MAX_TIME_TOPIC",
      "broker-a",
      "rmq_sys_REVIVE_LOG_DefaultCluster",
      "rmq_sys_SYNC_BROKER_MEMBER_broker-a",
      "rmq_sys_wheel_timer",
    ]);
  });
});

describe("Topics.open()", () => {
  test("reads the file of 5.4.0", () => {
    const { topics } = setUp({}, "5.4.0");
    assert.deepEqual(topics.dataVersion.toJson(), { counter: 3, stateVersion: 0, timestamp: 1795261623666 });
    assert.deepEqual(topics.get("TopicA"), {
      ...topicConfig("TopicA", { readQueueNums: 8, writeQueueNums: 8 }),
      attributes: new Map([["message.type", "FIFO"]]),
    });
    assert.deepEqual(
      topics.get("TopicB"),
      topicConfig("TopicB", {
        readQueueNums: 4,
        writeQueueNums: 4,
        perm: 4,
        order: true,
        topicFilterType: "MULTI_TAG",
        topicSysFlag: 1,
      }),
    );
    assert.equal(topics.isOrderTopic("TopicB"), true);
    assert.equal(topics.isOrderTopic("TopicA"), false);
    assert.equal(topics.isOrderTopic("nothing"), false);
  });

  test("reads the file of 4.9.7, and adds the system topics that it lacks", () => {
    const { topics } = setUp({}, "4.9.7");
    assert.deepEqual(topics.dataVersion.toJson(), { counter: 4, stateVersion: 0, timestamp: 1795261615144 });
    assert.equal(topics.get("TopicB")!.perm, 4);
    assert.equal(topics.has("rmq_sys_wheel_timer"), true);
  });

  test("lets the file say what a system topic is like", () => {
    const { topics, files, reopen } = setUp();
    topics.update(topicConfig("TBW102", { readQueueNums: 2, writeQueueNums: 2, perm: 7 }));
    assert.ok(files.stat(PATH));
    assert.deepEqual(queuesAndPerm(reopen().get("TBW102")!), [2, 7]);
  });

  test("reads what it wrote, unknown attributes included", () => {
    const { topics, files, reopen } = setUp({}, "5.4.0");
    topics.update(topicConfig("New", { attributes: new Map([["+message.type", "DELAY"]]) }));
    const object = parseJsonObject(files.read(PATH)) as {
      topicConfigTable: Record<string, Record<string, unknown>>;
    };
    object.topicConfigTable.TopicA.attributes = { colour: "red" };
    files.replace(PATH, new TextEncoder().encode(JSON.stringify(object)));
    const again = reopen();
    assert.deepEqual(again.get("TopicA")!.attributes, new Map([["colour", "red"]]));
    again.update(topicConfig("Another"));
    assert.deepEqual(reopen().table, again.table);
    assert.deepEqual(reopen().dataVersion, again.dataVersion);
    assert.deepEqual(reopen().get("New")!.attributes, new Map([["message.type", "DELAY"]]));
  });

  test("fails where the table can't be read", () => {
    const { files, reopen } = setUp();
    for (const text of ["{", `{"topicConfigTable":[]}`]) {
      files.replace(PATH, new TextEncoder().encode(text));
      assert.throws(reopen, ConfigFileError);
    }
  });
});

describe("Topics.update()", () => {
  test("is durable, moves the version and tells listeners", () => {
    const { topics, clock, reopen } = setUp();
    const told: string[][] = [];
    topics.onChange((changed) => told.push(changed.map((config) => config.topicName)));
    const before = topics.dataVersion;
    clock.advance(5);
    topics.update(topicConfig("A"), topicConfig("B", { perm: 2 }));
    assert.deepEqual(told, [["A", "B"]]);
    assert.equal(topics.dataVersion.counter, before.counter + 1);
    assert.equal(topics.dataVersion.timestampMs, clock.nowMs());
    assert.equal(reopen().get("B")!.perm, 2);
    assert.deepEqual(reopen().dataVersion, topics.dataVersion);
  });

  test("leaves alone what is already so", () => {
    const { topics, files } = setUp();
    topics.update(topicConfig("A", { attributes: new Map([["+message.type", "FIFO"]]) }));
    const before = topics.dataVersion;
    topics.onChange(() => assert.fail("nothing has changed"));
    topics.update(topicConfig("A"), topicConfig("A", { attributes: new Map([["+message.type", "FIFO"]]) }));
    assert.equal(topics.dataVersion, before);
    assert.equal(files.writeCount, 1);
  });

  test("keeps attributes that are not named", () => {
    const { topics } = setUp();
    topics.update(topicConfig("A", { attributes: new Map([["+message.type", "FIFO"]]) }));
    topics.update(topicConfig("A", { perm: 4 }));
    assert.deepEqual(topics.get("A")!.attributes, new Map([["message.type", "FIFO"]]));
    assert.equal(topics.get("A")!.perm, 4);
  });

  test("does nothing at all where one attribute can't be", () => {
    const { topics } = setUp();
    const wrong = topicConfig("B", { attributes: new Map([["+colour", "red"]]) });
    assert.throws(() => topics.update(topicConfig("A"), wrong), RemotingError);
    assert.equal(topics.has("A"), false);
  });

  test("changes nothing when it can't be written", () => {
    const { topics, files } = setUp();
    topics.update(topicConfig("A", { perm: 6 }));
    const before = topics.dataVersion;
    topics.onChange(() => assert.fail("nothing has changed"));
    files.fail({ operation: "create", code: "ENOSPC", times: Infinity });
    assert.throws(() => topics.update(topicConfig("A", { perm: 4 }), topicConfig("B")), RemotingError);
    assert.throws(() => topics.delete("A"), RemotingError);
    assert.throws(() => topics.createForSend("C", "TBW102", 4, 0), RemotingError);
    assert.equal(topics.get("A")!.perm, 6);
    assert.equal(topics.has("B"), false);
    assert.equal(topics.has("C"), false);
    assert.equal(topics.dataVersion, before);
  });
});

describe("Topics.delete()", () => {
  test("is durable and tells listeners that something has gone", () => {
    const { topics, reopen } = setUp();
    topics.update(topicConfig("A"));
    const told: number[] = [];
    topics.onChange((changed) => told.push(changed.length));
    assert.equal(topics.delete("A"), true);
    assert.equal(topics.delete("A"), false);
    assert.deepEqual(told, [0]);
    assert.equal(topics.has("A"), false);
    assert.equal(reopen().has("A"), false);
    assert.equal(topics.dataVersion.counter, 2);
  });
});

// Numbers as a 5.4.0 broker answered them.
describe("Topics.createForSend()", () => {
  test("takes the smaller number of queues of client and template, and the template's permission", () => {
    const { topics, reopen } = setUp();
    assert.deepEqual(queuesAndPerm(topics.createForSend("A", "TBW102", 4, 0)!), [4, 6]);
    assert.deepEqual(queuesAndPerm(topics.createForSend("B", "TBW102", 100, 0)!), [8, 6]);
    assert.deepEqual(queuesAndPerm(topics.createForSend("C", "DefaultCluster", 100, 0)!), [16, 6]);
    assert.deepEqual(queuesAndPerm(topics.createForSend("D", "broker-a", 4, 0)!), [1, 6]);
    assert.equal(topics.createForSend("E", "TBW102", 4, 1)!.topicSysFlag, 1);
    assert.deepEqual(reopen().get("A"), topics.get("A"), "durable on return");
  });

  test("gives the topic that exists as it is", () => {
    const { topics, files } = setUp();
    const config = topics.createForSend("A", "TBW102", 4, 0);
    assert.equal(topics.createForSend("A", "TBW102", 8, 1), config);
    assert.equal(topics.createForSend("A", "nothing", 8, 1), config);
    assert.equal(files.writeCount, 1);
  });

  test("makes nothing without a template that may be inherited from, or without queues", () => {
    const { topics } = setUp();
    topics.update(topicConfig("Plain"));
    for (const template of ["nothing", "Plain", "BenchmarkTest"]) {
      assert.equal(topics.createForSend("A", template, 4, 0), undefined);
    }
    for (const count of [0, -3]) assert.equal(topics.createForSend("A", "TBW102", count, 0), undefined);
    assert.equal(topics.has("A"), false);
  });

  test("makes nothing after TBW102 once that is forbidden, though the table holds it", () => {
    const { topics, settings } = setUp();
    settings.autoCreateTopic = false;
    assert.equal(topics.has("TBW102"), true);
    assert.equal(topics.createForSend("A", "TBW102", 4, 0), undefined);
    assert.notEqual(topics.createForSend("A", "DefaultCluster", 4, 0), undefined);
  });

  test("tells listeners of the topic", () => {
    const { topics } = setUp();
    const told: (readonly TopicConfig[])[] = [];
    topics.onChange((changed) => told.push(changed));
    const config = topics.createForSend("A", "TBW102", 4, 0)!;
    topics.createForSend("A", "TBW102", 4, 0);
    assert.deepEqual(told, [[config]]);
  });

  test("stops at a number that no one reaches but by malice, which administrators may pass", () => {
    const { topics } = setUp({ maxAutoCreated: 16 });
    const made = Array.from({ length: 10 }, (_, i) => topics.createForSend(`T${i}`, "TBW102", 4, 0));
    assert.equal(topics.table.size, 16);
    assert.equal(made.at(-1), undefined);
    assert.equal(topics.createForSendBack("%RETRY%g", { queueCount: 1, perm: 6 }), undefined);
    topics.update(topicConfig("Wanted"));
    assert.equal(topics.table.size, 17);
  });
});

describe("Topics.createForSendBack()", () => {
  test("makes the topic as asked, at once or at the end of the turn", () => {
    const { topics, files, clock, reopen } = setUp();
    const config = topics.createForSendBack("%RETRY%a", {
      queueCount: 2,
      perm: 6,
      order: true,
      topicSysFlag: 2,
    })!;
    assert.deepEqual(
      config,
      topicConfig("%RETRY%a", { readQueueNums: 2, writeQueueNums: 2, order: true, topicSysFlag: 2 }),
    );
    assert.deepEqual(reopen().get("%RETRY%a"), config);
    topics.createForSendBack("%RETRY%b", { queueCount: 1, perm: 6, soon: true });
    topics.createForSendBack("%RETRY%c", { queueCount: 1, perm: 6, soon: true });
    assert.equal(topics.has("%RETRY%c"), true);
    assert.equal(files.writeCount, 1);
    clock.advance(0);
    assert.equal(files.writeCount, 2);
    assert.equal(reopen().has("%RETRY%b"), true);
    assert.equal(reopen().has("%RETRY%c"), true);
  });

  test("changes only the order of a topic that exists, and only if asked", () => {
    const { topics } = setUp();
    topics.createForSendBack("%RETRY%a", { queueCount: 2, perm: 6 });
    const before = topics.dataVersion;
    assert.equal(
      topics.createForSendBack("%RETRY%a", { queueCount: 9, perm: 4, order: false })!.readQueueNums,
      2,
    );
    assert.equal(topics.createForSendBack("%RETRY%a", { queueCount: 9, perm: 4 })!.perm, 6);
    assert.equal(topics.dataVersion, before);
    assert.equal(topics.createForSendBack("%RETRY%a", { queueCount: 9, perm: 4, order: true })!.order, true);
    assert.equal(topics.get("%RETRY%a")!.perm, 6);
    assert.equal(topics.createForSendBack("%RETRY%a", { queueCount: 9, perm: 4 })!.order, true);
  });

  test("is written by flush() when the broker stops", () => {
    const { topics, clock, reopen } = setUp();
    topics.createForSendBack("%RETRY%a", { queueCount: 1, perm: 6, soon: true });
    topics.flush();
    assert.equal(reopen().has("%RETRY%a"), true);
    assert.equal(clock.timerCount, 0);
  });
});

describe("Topics.markOrdered()", () => {
  test("marks the topics named, and unmarks none", () => {
    const { topics } = setUp();
    topics.update(topicConfig("A"), topicConfig("B", { order: true }), topicConfig("C"));
    const told: string[] = [];
    topics.onChange((changed) => told.push(...changed.map((config) => config.topicName)));
    topics.markOrdered(["A", "nothing"]);
    topics.markOrdered(["A"]);
    assert.deepEqual(told, ["A"]);
    assert.deepEqual(["A", "B", "C"].map((topic) => topics.isOrderTopic(topic)), [true, true, false]);
  });
});

test("Topics.touch() moves the version of an unchanged table", () => {
  const { topics, reopen } = setUp();
  let toldCount = 0;
  topics.onChange((changed) => toldCount += changed.length === 0 ? 1 : 100);
  topics.touch();
  assert.equal(topics.dataVersion.counter, 1);
  assert.equal(toldCount, 1);
  assert.deepEqual(reopen().dataVersion, topics.dataVersion);
});

test("a table that is another file's is not taken for an empty one", () => {
  const { files, reopen } = setUp();
  files.replace(PATH, new TextEncoder().encode('{"offsetTable":{"1":2}}'));
  assert.throws(() => reopen(), /topics\.json: it can't be read.*it has no topicConfigTable/);
  files.replace(PATH, new TextEncoder().encode("{}"));
  assert.ok(reopen().has("TBW102"));
});
