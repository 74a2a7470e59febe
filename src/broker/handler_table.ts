// SPDX-License-Identifier: Apache-2.0
/** Which request code is served by whom: every handler family with the parts that it uses. */
import type { Clock } from "../base/clock.ts";
import type { BrokerSettings } from "../config/broker_settings.ts";
import { RequestCode } from "../protocol/request_code.ts";
import type { HostAddress } from "../remoting/connection.ts";
import { type Handler, type HandlerTable, LATER } from "../remoting/request.ts";
import type { MessageStore } from "../store/message_store.ts";
import type { MessageDraft } from "../store/types.ts";
import type { Clients } from "./clients.ts";
import type { ClusterQueues } from "./cluster_queues.ts";
import type { ConsumerFilters } from "./consumer_filters.ts";
import type { ConsumerOffsets } from "./consumer_offsets.ts";
import type { DelayDelivery } from "./delay_delivery.ts";
import type { Durability, Outcome } from "./durability.ts";
import type { Groups } from "./groups.ts";
import { adminBrokerHandlers } from "./handlers/admin_broker.ts";
import { adminClientsHandlers } from "./handlers/admin_clients.ts";
import { adminConfigHandlers, type LiveConfig } from "./handlers/admin_config.ts";
import { adminGroupHandlers } from "./handlers/admin_group.ts";
import { adminOffsetHandlers } from "./handlers/admin_offset.ts";
import { adminResetHandlers } from "./handlers/admin_reset.ts";
import { adminTimerHandlers } from "./handlers/admin_timer.ts";
import { adminTopicHandlers } from "./handlers/admin_topic.ts";
import { consumerOffsetHandlers } from "./handlers/consumer_offset.ts";
import { groupMembersHandlers } from "./handlers/group_members.ts";
import { heartbeatHandlers } from "./handlers/heartbeat.ts";
import { minBrokerIdHandlers } from "./handlers/min_broker_id.ts";
import { notBuiltHandlers } from "./handlers/not_built.ts";
import { pullHandlers } from "./handlers/pull.ts";
import { queryAssignmentHandlers } from "./handlers/query_assignment.ts";
import { queryMessageHandlers } from "./handlers/query_message.ts";
import { queueLockHandlers } from "./handlers/queue_lock.ts";
import { queueOffsetHandlers } from "./handlers/queue_offset.ts";
import { recallHandlers } from "./handlers/recall.ts";
import { replyHandlers } from "./handlers/reply.ts";
import { sendHandlers, type SendOptions } from "./handlers/send.ts";
import { sendBackHandlers, type SendBackOptions } from "./handlers/send_back.ts";
import type { PullHold } from "./hold.ts";
import type { PopConsumption } from "./pop/consumption.ts";
import { popConsumptionHandlers } from "./pop/requests.ts";
import type { PutTimes } from "./put_times.ts";
import type { QueueLocks } from "./queue_locks.ts";
import type { RateSampler } from "./rates.ts";
import type { ReadRules } from "./read_rules.ts";
import type { ReplicaSet } from "./replica_set.ts";
import { runtimeInfo } from "./runtime_info.ts";
import { onSlave } from "./slave/slave_requests.ts";
import type { Statistics } from "./statistics.ts";
import { Subscription } from "./subscription.ts";
import type { Timers } from "./timers/timers.ts";
import type { Topics } from "./topics.ts";
import type { TransactionService } from "./transactions/wiring.ts";

/** The parts of one broker, for this page only. */
export interface BrokerParts {
  clock: Clock;
  store: MessageStore;
  topics: Topics;
  groups: Groups;
  offsets: ConsumerOffsets;
  clients: Clients;
  filters: ConsumerFilters;
  locks: QueueLocks;
  durability: Durability;
  hold: PullHold;
  rules: ReadRules;
  delay: DelayDelivery;
  transactions: TransactionService;
  timers: Timers;
  pop: PopConsumption;
  statistics: Statistics;
  rates: RateSampler;
  putTimes: PutTimes;
  /** Throws where nothing may be stored for lack of slaves; undefined: never. */
  requireMembers: (() => void) | undefined;
  replicaSet: Pick<ReplicaSet, "status" | "isActive" | "minBrokerIdChanged">;
  storeHost: HostAddress;
  /** `host:port` that clients are given. */
  address: () => string;
  settings: () => BrokerSettings;
  config: LiveConfig;
  configBlackList: readonly string[];
  space: (path: string) => { totalBytes: number; usableBytes: number };
  onPermissionChanged: () => void;
  /** Resolves when name servers know the topics as they are. */
  published: () => Promise<void>;
  clusterQueues: ClusterQueues;
}

export function handlerTable(parts: BrokerParts): HandlerTable {
  const handlers = new Map<number, Handler>([
    ...messageHandlers(parts),
    ...consumerHandlers(parts),
    ...popConsumptionHandlers(parts),
    ...adminHandlers(parts),
    ...parts.transactions.handlers,
    ...minBrokerIdHandlers((minBrokerId) => parts.replicaSet.minBrokerIdChanged(minBrokerId)),
    ...notBuiltHandlers(),
  ]);
  return parts.settings().brokerRole === "SLAVE" ? onSlave(handlers) : handlers;
}

/** Messages in and out. */
function messageHandlers(parts: BrokerParts): [number, Handler][] {
  const { clock, store, topics, groups, offsets, clients, locks, hold, statistics, storeHost } = parts;
  const { clusterName, brokerName, delayLevelsMs, queryMaxCount, indexQueryMaxCount } = parts.settings();
  const delayLevelCount = delayLevelsMs.length;
  const { settings } = parts;
  const durability = timedPuts(parts);
  const hasLocks = (group: string) => locks.hasLiveLock(group);
  const sends = {
    ...{ store: intakeOf(parts), durability, topics, groups },
    ...{ statistics, storeHost, delayLevelCount, settings },
  };
  const timed = (draft: MessageDraft) => parts.timers.draftFor(draft);
  const more = { clock, clusterName, brokerName, timed };
  return [
    ...sendHandlers({ ...sends, ...more, hasLocks, published: parts.published }),
    ...recallHandlers({ ...sends, ...more }),
    ...sendBackHandlers(sends),
    ...replyHandlers({ ...sends, clock, connectionOf: (clientId) => clients.connectionOf(clientId) }),
    ...timedReads(
      parts,
      pullHandlers({
        ...{ store, topics, groups, offsets, hold, rules: parts.rules, statistics, clock, settings },
        online: (group) => clients.consumerGroup(group),
        parseSubscription: Subscription.parse,
        filterOf: (group, topic, subscription) => parts.filters.filterOf(group, topic, subscription),
      }),
    ),
    ...queryMessageHandlers({ store, queryMaxCount, indexQueryMaxCount }),
  ];
}

/** What senders append to: the store, which takes nothing while members are missing that it can't do without. */
function intakeOf({ store, requireMembers }: BrokerParts): SendOptions["store"] & SendBackOptions["store"] {
  if (requireMembers === undefined) return store;
  return {
    append: (draft) => (requireMembers(), store.append(draft)),
    appendBatch: (drafts) => (requireMembers(), store.appendBatch(drafts)),
    lightQueueProblem: (names, propertiesLength) => store.lightQueueProblem(names, propertiesLength),
    readMessage: (offset) => store.readMessage(offset),
  };
}

/** What clients say of themselves and of how far they have come. */
function consumerHandlers(parts: BrokerParts): [number, Handler][] {
  const { clock, store, topics, groups, offsets, clients, locks, settings } = parts;
  return [
    ...heartbeatHandlers({ clock, clients, groups, topics, filters: parts.filters, settings }),
    ...groupMembersHandlers({ clients }),
    ...queryAssignmentHandlers({
      ...{ clients, settings },
      queuesOf: (topic) => parts.clusterQueues.of(topic),
      modeOf: (topic, group) => parts.pop.modes.get(topic, group),
    }),
    ...consumerOffsetHandlers({
      ...{ offsets, groups, topics, settings },
      minOffset: (topic, queueId) => store.minOffset(topic, queueId),
      isOffsetZeroHot: (topic, queueId) => store.isHot(topic, queueId, 0),
    }),
    ...queueOffsetHandlers(store),
    ...queueLockHandlers({ locks }),
  ];
}

/** Administrators' requests. */
function adminHandlers(parts: BrokerParts): [number, Handler][] {
  const { clock, store, topics, groups, offsets, clients, hold, delay, pop, statistics, settings } = parts;
  const { brokerName } = settings();
  const metadataPageCount = () => settings().metadataPageCount;
  const forgetTopic = (topic: string) => {
    offsets.removeTopic(topic);
    store.deleteTopic(topic);
    statistics.removeTopic(topic);
    hold.wakeTopic(topic);
    pop.forgetTopic(topic);
  };
  const queues = store;
  return [
    ...answeredWhenPublished(
      parts.published,
      adminTopicHandlers({
        ...{ brokerName, topics, queues, metadataPageCount },
        belongings: { groupsOf: (topic) => offsets.groupsOf(topic), forget: forgetTopic },
        putTps: (topic) => statistics.topicPutTps(topic),
        protectSystemTopics: () => settings().protectSystemTopics,
        mixedMessageType: () => settings().mixedMessageType,
      }),
    ),
    ...adminGroupHandlers({
      ...{ groups, metadataPageCount },
      removeOffsets: (group) => {
        offsets.removeGroup(group);
        pop.forgetGroup(group);
      },
      removeStatistics: (group) => statistics.removeGroup(group),
    }),
    ...adminClientsHandlers({ brokerName, clients, topics, groups, store }),
    ...adminOffsetHandlers({
      ...{ clock, brokerName, brokerAddress: parts.address, topics, offsets, clients, queues },
      groupNames: () => groups.table.groups.keys(),
      getTps: (topic, group) => statistics.groupGetTps(topic, group),
    }),
    ...adminResetHandlers({
      ...{ brokerName, topics, groups, offsets, clients, queues },
      serverSide: () => settings().serverSideResetOffset,
      wakePulls: (topic) => {
        hold.wakeTopic(topic);
        pop.hold.wakeTopic(topic);
      },
    }),
    ...adminBrokerHandlers({
      ...{ store, topics, clients, statistics },
      runtimeInfo: () => runtimeInfoOf(parts),
      haStatus: () => parts.replicaSet.status(),
      consumerOffsets: () => offsets.toJson(),
      delayOffsets: () => delay.toJson(),
    }),
    ...adminTimerHandlers({ timers: parts.timers }),
    ...adminConfigHandlers({
      config: parts.config,
      blackList: parts.configBlackList,
      onPermissionChanged: parts.onPermissionChanged,
    }),
  ];
}

/** Who makes a topic finds its route as soon as the answer is there. */
function answeredWhenPublished(
  published: () => Promise<void>,
  handlers: [number, Handler][],
): [number, Handler][] {
  const codes: readonly number[] = [
    RequestCode.UPDATE_AND_CREATE_TOPIC,
    RequestCode.UPDATE_AND_CREATE_TOPIC_LIST,
  ];
  return handlers.map(([code, handler]) => {
    if (!codes.includes(code)) return [code, handler];
    return [code, (request) => {
      const outcome = handler(request);
      return outcome === LATER ? LATER : published().then(() => outcome);
    }];
  });
}

function runtimeInfoOf(parts: BrokerParts): ReadonlyMap<string, string> {
  const { storeDirectory, commitLogDirectory } = parts.settings();
  return runtimeInfo({
    ...parts,
    storeDirectory,
    commitLogDirectory,
    isActive: parts.replicaSet.isActive,
    acceptSendsFromMs: () => parts.settings().acceptSendsFromMs,
    delayProgress: () => parts.delay.progress(),
    timerStatus: () => parts.timers.status(),
  });
}

/** Counts how long senders wait for their acknowledgement. */
function timedPuts({ durability, putTimes, clock }: BrokerParts) {
  return {
    when(endOffset: number, mayWait: boolean, settle: (outcome: Outcome) => void): void {
      const startMs = clock.monotonicMs();
      durability.when(endOffset, mayWait, (outcome) => {
        putTimes.record(clock.monotonicMs() - startMs);
        settle(outcome);
      });
    },
  };
}

/** Counts how long reads keep the event loop. */
function timedReads({ statistics, clock }: BrokerParts, handlers: [number, Handler][]): [number, Handler][] {
  return handlers.map(([code, handler]) => [code, (request) => {
    const startMs = clock.monotonicMs();
    try {
      return handler(request);
    } finally {
      statistics.onGetTime(clock.monotonicMs() - startMs);
    }
  }]);
}
