// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeTopicRoute,
  encodeTopicRoute,
  type TopicRouteData,
} from "../../../src/protocol/bodies/topic_route.ts";
import { MalformedError } from "../../../src/protocol/header.ts";

const QUEUES = { brokerName: "broker-a", perm: 6, readQueueNums: 4, topicSysFlag: 0, writeQueueNums: 4 };

const bytes = (text: string) => new TextEncoder().encode(text);

test("a route is written without white space and without what is absent, ids quoted", () => {
  const route: TopicRouteData = {
    brokerDatas: [{
      brokerAddrs: new Map([[0, "10.0.0.1:10911"], [1, "10.0.0.2:10911"]]),
      brokerName: "broker-a",
      cluster: "C",
      enableActingMaster: false,
    }],
    filterServerTable: new Map(),
    queueDatas: [QUEUES],
  };
  assert.equal(
    new TextDecoder().decode(encodeTopicRoute(route)),
    '{"brokerDatas":[{"brokerAddrs":{"0":"10.0.0.1:10911","1":"10.0.0.2:10911"},"brokerName":"broker-a",' +
      '"cluster":"C","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"broker-a",' +
      '"perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}',
  );
});

test("a route with everything is the same after encoding and decoding", () => {
  const route: TopicRouteData = {
    orderTopicConf: "broker-a:4",
    brokerDatas: [{
      brokerAddrs: new Map([[0, "[::1]:10911"]]),
      brokerName: "broker-a",
      cluster: "Ü",
      zoneName: "z1",
      enableActingMaster: true,
    }],
    filterServerTable: new Map([["[::1]:10911", ["h:1", "h:2"]]]),
    queueDatas: [QUEUES],
    topicQueueMappingByBroker: new Map([["broker-a", {
      bname: "broker-a",
      currIdMap: new Map([[0, 0], [3, 1]]),
      dirty: false,
      epoch: 5,
      scope: "__global__",
      topic: "T",
      totalQueues: 8,
    }]]),
  };
  assert.deepEqual(decodeTopicRoute(encodeTopicRoute(route)), route);
});

test("decodeTopicRoute() reads unquoted ids, and the flag as releases before 4.9 spell it", () => {
  const route = decodeTopicRoute(bytes(
    '{"brokerDatas":[{"brokerAddrs":{0:"a:1",2:"b:1"},"brokerName":"n","cluster":"C"}],"filterServerTable":{},' +
      '"queueDatas":[{"brokerName":"n","perm":6,"readQueueNums":4,"topicSynFlag":2,"writeQueueNums":4}]}',
  ));
  assert.deepEqual(route.brokerDatas[0].brokerAddrs, new Map([[0, "a:1"], [2, "b:1"]]));
  assert.equal(route.queueDatas[0].topicSysFlag, 2);
  assert.equal(route.orderTopicConf, undefined);
});

test("decodeTopicRoute() takes absent and null members for empty, and leaves out what is no object", () => {
  const route = decodeTopicRoute(bytes('{"queueDatas":[null,3],"brokerDatas":null}'));
  assert.deepEqual([route.queueDatas, route.brokerDatas, route.filterServerTable], [[], [], new Map()]);
  assert.equal(route.topicQueueMappingByBroker, undefined);
});

test("decodeTopicRoute() refuses what is no JSON object", () => {
  assert.throws(() => decodeTopicRoute(null), MalformedError);
  assert.throws(() => decodeTopicRoute(bytes("[]")), MalformedError);
  assert.throws(() => decodeTopicRoute(bytes("{")), MalformedError);
});
