// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { withActingMasters, withinZone } from "../../src/namesrv/route_answer.ts";
import type { BrokerData, QueueData, TopicRouteData } from "../../src/protocol/bodies/topic_route.ts";

function group(brokerName: string, ids: number[], given: Partial<BrokerData> = {}): BrokerData {
  return {
    cluster: "C",
    brokerName,
    brokerAddrs: new Map(ids.map((id) => [id, `${brokerName}${id}:1`])),
    enableActingMaster: true,
    ...given,
  };
}

function route(...groups: [BrokerData, perm: number][]): TopicRouteData {
  return {
    brokerDatas: groups.map(([data]) => data),
    queueDatas: groups.map(([{ brokerName }, perm]): QueueData => ({
      brokerName,
      perm,
      readQueueNums: 4,
      writeQueueNums: 4,
      topicSysFlag: 0,
    })),
    filterServerTable: new Map(groups.map(([data]) => [`${data.brokerName}0:1`, ["f:1"]])),
  };
}

test("the smallest id stands in for a master that is away, in the answer only", () => {
  const asked = route([group("a", [2, 1, 3]), 4]);
  const [answer] = withActingMasters("T", asked).brokerDatas;
  assert.deepEqual([...answer.brokerAddrs], [[0, "a1:1"], [2, "a2:1"], [3, "a3:1"]]);
  assert.deepEqual([...asked.brokerDatas[0].brokerAddrs.keys()], [2, 1, 3]);
});

test("nobody stands in where there is a master, where it is not allowed, or where writing is", () => {
  const asked = route(
    [group("a", [0, 1]), 4],
    [group("b", [1], { enableActingMaster: false }), 4],
    [group("c", [1]), 6],
  );
  assert.deepEqual(withActingMasters("T", asked), asked);
});

test("brokers that ask for their fellows see who is there", () => {
  const asked = route([group("a", [1]), 4]);
  assert.equal(withActingMasters("rmq_sys_SYNC_BROKER_MEMBER_a", asked), asked);
});

test("a zone shows its own groups and those without a master", () => {
  const near = group("near", [0, 1], { zoneName: "Z1" });
  const far = group("far", [0], { zoneName: "z2" });
  const none = group("none", [0]);
  const orphan = group("orphan", [1], { zoneName: "z2" });
  const answer = withinZone(route([near, 6], [far, 6], [none, 6], [orphan, 4]), "z1");
  assert.deepEqual(answer.brokerDatas, [near, orphan]);
  assert.deepEqual(answer.queueDatas.map(({ brokerName }) => brokerName), ["near", "orphan"]);
  assert.deepEqual([...answer.filterServerTable.keys()], ["near0:1"]);
});
