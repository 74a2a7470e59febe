// SPDX-License-Identifier: Apache-2.0
/** What a consumer says of itself: its answer to GET_CONSUMER_RUNNING_INFO. [RMQ ConsumerRunningInfo] */
import { parseJsonObject } from "../java_json.ts";
import { asBoolean, asInteger, asNumber, asObject, asText, asTextMap } from "./json_fields.ts";
import { type MessageQueue, queueKeyedEntries } from "./message_queue.ts";

export interface ConsumerRunningInfo {
  /** Settings and facts by the client's own names, such as `PROP_CLIENT_VERSION`. */
  readonly properties: ReadonlyMap<string, string>;
  /** The queues that it has now, and how far it is in them. */
  readonly queues: readonly (readonly [MessageQueue, ProcessQueueInfo])[];
  /** By topic. */
  readonly statuses: ReadonlyMap<string, ConsumeStatus>;
  /** Stacks of its threads, where they were asked for. */
  readonly jstack: string | undefined;
}

export interface ProcessQueueInfo {
  readonly commitOffset: number;
  /** Messages that it has fetched and not yet consumed. */
  readonly cachedMessages: number;
  readonly isLocked: boolean;
  readonly isDropped: boolean;
  readonly lastPullMs: number;
  readonly lastConsumeMs: number;
}

export interface ConsumeStatus {
  /** Milliseconds that a pull and a consumption take. */
  readonly pullMs: number;
  readonly consumeMs: number;
  /** Per second. */
  readonly pulledPerSecond: number;
  readonly consumedPerSecond: number;
  readonly failedPerSecond: number;
  /** Within the last hour. */
  readonly failed: number;
}

/** @throws MalformedError when it is no JSON object */
export function decodeConsumerRunningInfo(body: Uint8Array | null): ConsumerRunningInfo {
  const object = parseJsonObject(body);
  const queues = queueKeyedEntries(object.mqTable).map(([queue, value]) => {
    const info = asObject(value);
    return [queue, {
      commitOffset: asInteger(info.commitOffset, 0),
      cachedMessages: asInteger(info.cachedMsgCount, 0),
      isLocked: asBoolean(info.locked, false),
      isDropped: asBoolean(info.droped, false),
      lastPullMs: asInteger(info.lastPullTimestamp, 0),
      lastConsumeMs: asInteger(info.lastConsumeTimestamp, 0),
    }] as const;
  });
  const statuses = Object.entries(asObject(object.statusTable)).map(([topic, value]) => {
    const status = asObject(value);
    return [topic, {
      pullMs: asNumber(status.pullRT, 0),
      consumeMs: asNumber(status.consumeRT, 0),
      pulledPerSecond: asNumber(status.pullTPS, 0),
      consumedPerSecond: asNumber(status.consumeOKTPS, 0),
      failedPerSecond: asNumber(status.consumeFailedTPS, 0),
      failed: asInteger(status.consumeFailedMsgs, 0),
    }] as const;
  });
  return {
    properties: asTextMap(object.properties),
    queues,
    statuses: new Map(statuses),
    jstack: asText(object.jstack) || undefined,
  };
}
