// SPDX-License-Identifier: Apache-2.0
/** What is changed in a route for the one who asks; the tables stay as they are. */
import { isWritable } from "../protocol/bodies/topic_config.ts";
import { type BrokerData, MASTER_ID, type TopicRouteData } from "../protocol/bodies/topic_route.ts";

/** Under this topic a broker asks who its fellows are, so it must see them as they are. */
const MEMBER_TOPIC_PREFIX = "rmq_sys_SYNC_BROKER_MEMBER_";

/**
 * Shows the slave with the smallest id as master where a group that allows it has lost its master and its
 * topic can't be written to any more: then clients can still commit offsets and pull from it.
 */
export function withActingMasters(topic: string, route: TopicRouteData): TopicRouteData {
  if (topic.startsWith(MEMBER_TOPIC_PREFIX)) return route;
  const readOnly = new Set(
    route.queueDatas.filter(({ perm }) => !isWritable(perm)).map((data) => data.brokerName),
  );
  return {
    ...route,
    brokerDatas: route.brokerDatas.map((group) => {
      const lacksMaster = group.enableActingMaster && !group.brokerAddrs.has(MASTER_ID);
      return lacksMaster && readOnly.has(group.brokerName) ? withActingMaster(group) : group;
    }),
  };
}

function withActingMaster(group: BrokerData): BrokerData {
  const brokerAddrs = new Map(group.brokerAddrs);
  const actingId = [...brokerAddrs.keys()].reduce((a, b) => Math.min(a, b));
  const address = brokerAddrs.get(actingId)!;
  brokerAddrs.delete(actingId);
  return { ...group, brokerAddrs: new Map([[MASTER_ID, address], ...brokerAddrs]) };
}

/** Leaves out groups of other zones, but not those without a master: their messages are readable nowhere else. */
export function withinZone(route: TopicRouteData, zoneName: string): TopicRouteData {
  const isNear = (group: BrokerData) =>
    !group.brokerAddrs.has(MASTER_ID) || group.zoneName?.toLowerCase() === zoneName.toLowerCase();
  const brokerDatas = route.brokerDatas.filter(isNear);
  const names = new Set(brokerDatas.map((group) => group.brokerName));
  const addresses = new Set(brokerDatas.flatMap((group) => [...group.brokerAddrs.values()]));
  return {
    ...route,
    brokerDatas,
    queueDatas: route.queueDatas.filter((queueData) => names.has(queueData.brokerName)),
    filterServerTable: new Map([...route.filterServerTable].filter(([address]) => addresses.has(address))),
  };
}
