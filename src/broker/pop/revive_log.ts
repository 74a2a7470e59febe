// SPDX-License-Identifier: Apache-2.0
/**
 * Writes check points and acknowledgements. They are timed messages to the revive topic: a check point comes
 * there a second before its messages may be given to others, acknowledgements when they may. So the revive
 * topic is in the order of time, however long the messages of each stay invisible, and whoever reads it finds
 * all acknowledgements right behind their check point. [RMQ PopMessageProcessor.buildCkMsg, AckMessageProcessor]
 */
import type { Clock } from "../../base/clock.ts";
import {
  type CheckPoint,
  encodeAck,
  encodeBatchAck,
  encodeCheckPoint,
  type PoppedBatch,
  ReviveTag,
  reviveTimeMs,
} from "../../protocol/bodies/check_point.ts";
import { encodeProperties, Property } from "../../protocol/properties.ts";
import type { Appended, MessageDraft, StoredHost } from "../../store/types.ts";

export const REVIVE_GROUP = "CID_RMQ_SYS_REVIVE_GROUP";
/** So long before its messages may be given to others a check point comes. [RMQ PopAckConstants.ackTimeInterval] */
const CHECK_POINT_LEAD_MS = 1000;

export interface ReviveLogOptions {
  store: { append(draft: MessageDraft): Appended };
  clock: Clock;
  storeHost: StoredHost;
  reviveTopic: string;
  /**
   * The draft as it is stored to come to its queue at the time that its property TIMER_DELIVER_MS names.
   * @throws RemotingError when that is too far away
   */
  timed: (draft: MessageDraft) => MessageDraft;
}

export function reviveTopicOf(clusterName: string): string {
  return `rmq_sys_REVIVE_LOG_${clusterName}`;
}

export class ReviveLog {
  #options: ReviveLogOptions;

  constructor(options: ReviveLogOptions) {
    this.#options = options;
  }

  /** @throws StoreRefusedError, MessageIllegalError */
  appendCheckPoint(checkPoint: CheckPoint, reviveQueueId: number): Appended {
    const dueMs = reviveTimeMs(checkPoint) - CHECK_POINT_LEAD_MS;
    const uniqueKey = keyOf(checkPoint, checkPoint.startOffset, ReviveTag.CHECK_POINT);
    return this.#append(ReviveTag.CHECK_POINT, encodeCheckPoint(checkPoint), reviveQueueId, dueMs, uniqueKey);
  }

  /** Acknowledges one message. @throws StoreRefusedError, MessageIllegalError */
  appendAck(batch: PoppedBatch, invisibleMs: number, offset: number, reviveQueueId: number): Appended {
    const uniqueKey = keyOf(batch, offset, ReviveTag.ACK);
    const dueMs = batch.popTimeMs + invisibleMs;
    return this.#append(ReviveTag.ACK, encodeAck(batch, offset), reviveQueueId, dueMs, uniqueKey);
  }

  /** Acknowledges messages of one check point. @throws StoreRefusedError, MessageIllegalError */
  appendBatchAck(
    batch: PoppedBatch,
    invisibleMs: number,
    offsets: readonly number[],
    reviveQueueId: number,
  ): Appended {
    const uniqueKey = keyOf(batch, -1, ReviveTag.ACK);
    const dueMs = batch.popTimeMs + invisibleMs;
    return this.#append(ReviveTag.BATCH_ACK, encodeBatchAck(batch, offsets), reviveQueueId, dueMs, uniqueKey);
  }

  #append(
    tag: string,
    body: Uint8Array,
    queueId: number,
    dueMs: number,
    uniqueKey: string,
  ): Appended {
    const { store, clock, storeHost, reviveTopic, timed } = this.#options;
    const propertyMap = new Map([
      [Property.TIMER_DELIVER_MS as string, String(dueMs)],
      [Property.TAGS, tag],
      [Property.UNIQ_KEY, uniqueKey],
    ]);
    return store.append(timed({
      topic: reviveTopic,
      queueId,
      flag: 0,
      sysFlag: 0,
      bornTimestampMs: clock.nowMs(),
      bornHost: storeHost,
      storeHost,
      reconsumeTimes: 0,
      preparedTransactionOffset: 0,
      body,
      properties: encodeProperties(propertyMap),
      propertyMap,
    }));
  }
}

function keyOf(batch: PoppedBatch, offset: number, tag: string): string {
  const { topic, queueId, group, popTimeMs, brokerName } = batch;
  return [topic, queueId, offset, group, popTimeMs, brokerName, tag].join("@");
}
