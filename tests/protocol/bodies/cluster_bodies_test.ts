// SPDX-License-Identifier: Apache-2.0
/** The small bodies of a name server. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeBrokerMemberGroup,
  encodeBrokerMemberGroup,
} from "../../../src/protocol/bodies/broker_member_group.ts";
import { decodeClusterInfo, encodeClusterInfo } from "../../../src/protocol/bodies/cluster_info.ts";
import { decodeKvTable, encodeKvTable } from "../../../src/protocol/bodies/kv_table.ts";
import { decodeTopicList, encodeTopicList } from "../../../src/protocol/bodies/topic_list.ts";
import { topicQueueMappingInfoFromJson } from "../../../src/protocol/bodies/topic_queue_mapping.ts";
import { MalformedError } from "../../../src/protocol/header.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (body: Uint8Array) => new TextDecoder().decode(body);

test("cluster information has both tables even when nobody is there", () => {
  const empty = encodeClusterInfo({ brokerAddrTable: new Map(), clusterAddrTable: new Map() });
  assert.equal(text(empty), '{"brokerAddrTable":{},"clusterAddrTable":{}}');
});

test("cluster information is the same after encoding and decoding", () => {
  const info = {
    brokerAddrTable: new Map([["a", {
      brokerAddrs: new Map([[0, "h:1"], [2, "h:2"]]),
      brokerName: "a",
      cluster: "C",
      zoneName: undefined,
      enableActingMaster: true,
    }]]),
    clusterAddrTable: new Map([["C", ["a"]]]),
  };
  assert.deepEqual(decodeClusterInfo(encodeClusterInfo(info)), info);
});

test("decodeClusterInfo() reads ids as Java writes them, and leaves out what is no address", () => {
  const info = decodeClusterInfo(
    bytes('{"brokerAddrTable":{"a":{"brokerAddrs":{0:"h:1",x:"h:2",3:null}},"b":null}}'),
  );
  assert.deepEqual(info.brokerAddrTable.get("a")!.brokerAddrs, new Map([[0, "h:1"]]));
  assert.deepEqual([...info.brokerAddrTable.keys()], ["a"]);
  assert.equal(info.clusterAddrTable.size, 0);
});

test("a topic list names a broker only if there is one", () => {
  assert.equal(text(encodeTopicList({ topicList: new Set(["A", "B"]) })), '{"topicList":["A","B"]}');
  const list = { topicList: ["A"], brokerAddr: "h:1" };
  assert.equal(text(encodeTopicList(list)), '{"brokerAddr":"h:1","topicList":["A"]}');
  assert.deepEqual(decodeTopicList(encodeTopicList(list)), list);
  assert.deepEqual(decodeTopicList(bytes("{}")), { topicList: [], brokerAddr: undefined });
});

test("a key-value table is the same after encoding and decoding", () => {
  const table = new Map([["topicA", "broker-a:4;broker-b:4"], ["__proto__", "x"]]);
  assert.deepEqual(decodeKvTable(encodeKvTable(table)), table);
  assert.equal(text(encodeKvTable(new Map())), '{"table":{}}');
  assert.throws(() => decodeKvTable(bytes("3")), MalformedError);
});

test("a member group is the same after encoding and decoding", () => {
  const group = { brokerAddrs: new Map([[0, "a:1"], [2, "b:1"]]), brokerName: "broker-a", cluster: "C" };
  const body = encodeBrokerMemberGroup(group);
  assert.equal(
    text(body),
    '{"brokerMemberGroup":{"brokerAddrs":{"0":"a:1","2":"b:1"},"brokerName":"broker-a","cluster":"C"}}',
  );
  assert.deepEqual(decodeBrokerMemberGroup(body), group);
});

test("a queue mapping without members belongs to the global scope", () => {
  assert.deepEqual(topicQueueMappingInfoFromJson({ topic: "T" }), {
    bname: "",
    currIdMap: new Map(),
    dirty: false,
    epoch: 0,
    scope: "__global__",
    topic: "T",
    totalQueues: 0,
  });
});
