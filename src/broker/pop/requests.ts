// SPDX-License-Identifier: Apache-2.0
/** The requests of POP consumption, each with the parts that it uses. */
import type { Clock } from "../../base/clock.ts";
import type { BrokerSettings } from "../../config/broker_settings.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Handler } from "../../remoting/request.ts";
import type { MessageStore } from "../../store/message_store.ts";
import type { ConsumerFilters } from "../consumer_filters.ts";
import type { ConsumerOffsets } from "../consumer_offsets.ts";
import type { Durability } from "../durability.ts";
import type { Groups } from "../groups.ts";
import { popHandlers } from "../handlers/pop.ts";
import { popAckHandlers } from "../handlers/pop_ack.ts";
import { popInvisibleTimeHandlers } from "../handlers/pop_invisible_time.ts";
import { popLookHandlers } from "../handlers/pop_look.ts";
import { requestModeHandlers } from "../handlers/request_mode.ts";
import { Subscription } from "../subscription.ts";
import type { Topics } from "../topics.ts";
import type { PopConsumption } from "./consumption.ts";

export interface PopParts {
  pop: PopConsumption;
  clock: Clock;
  store: MessageStore;
  topics: Topics;
  groups: Groups;
  offsets: ConsumerOffsets;
  filters: Pick<ConsumerFilters, "filterOf">;
  durability: Durability;
  settings: () => BrokerSettings;
}

/** Not served at the port for sends and administration, like pulls. */
export const POPS_NOT_ON_VIP_PORT: readonly number[] = [
  RequestCode.POP_MESSAGE,
  RequestCode.PEEK_MESSAGE,
  RequestCode.NOTIFICATION,
  RequestCode.POLLING_INFO,
];

export function popConsumptionHandlers(parts: PopParts): [number, Handler][] {
  const { pop, clock, store, topics, groups, offsets, durability, settings } = parts;
  const { positions, order, reviveLog, inFlight, modes } = pop;
  const requireReviveQueue = (queueId: number) => pop.requireReviveQueue(queueId);
  return [
    ...popHandlers({
      ...{ topics, groups, reader: pop.reader, hold: pop.hold, durability, clock, settings },
      parseSubscription: Subscription.parse,
      filterOf: (group, topic, subscription) => parts.filters.filterOf(group, topic, subscription),
    }),
    ...popAckHandlers({
      ...{ topics, store, offsets, order, reviveLog, inFlight, durability, requireReviveQueue },
      onQueueFree: (topic, group, queueId) => pop.wakeAt(topic, group, queueId),
    }),
    ...popInvisibleTimeHandlers({
      ...{ topics, store, offsets, order, reviveLog, durability, requireReviveQueue, clock },
    }),
    ...popLookHandlers({
      ...{ topics, groups, store, positions, order, clock, settings },
      pops: pop.hold,
      notifications: pop.notifications,
    }),
    ...requestModeHandlers({ modes, topics, groups }),
    // Moves what RocksDB keeps into the store; there is nothing to move.
    [RequestCode.POP_ROLLBACK, () => ({ code: ResponseCode.SUCCESS })],
  ];
}
