// SPDX-License-Identifier: Apache-2.0
/**
 * Messages that ask for a moment of delivery wait in the topic `rmq_sys_wheel_timer`; where they belong, and when
 * they are due, is kept in their properties. [RMQ HookUtils.transformTimerMessage]
 */
import { encodeProperties, Property } from "../../protocol/properties.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { MessageDraft } from "../../store/types.ts";
import { delayLevelOf } from "../delay_levels.ts";
import { SystemTopic } from "../topic_name.ts";

export const TIMER_TOPIC = SystemTopic.WHEEL_TIMER;

/** What a broker allows. */
export interface TimerRules {
  readonly timersEnabled: boolean;
  readonly timerPrecisionMs: number;
  readonly timerMaxDelayMs: number;
  /** Messages that one moment takes before it begins to refuse. */
  readonly timerSlotMaxMessages: number;
}

/**
 * A draft that asks for a moment, as it is stored: for a moment to come it goes to the timer topic; one that is over
 * means at once.
 * @param countAt messages that wait for a moment
 * @throws RemotingError with Apache's code and remark, where the broker does not take it
 */
export function withTimer(
  draft: MessageDraft,
  nowMs: number,
  rules: TimerRules,
  countAt: (timeMs: number) => number,
): MessageDraft {
  if (!rules.timersEnabled) {
    throw new RemotingError(
      ResponseCode.SYSTEM_ERROR,
      "accurate timer message is not enabled, timerWheelEnable is false",
    );
  }
  const deliverMs = deliveryTimeOf(draft.propertyMap, nowMs);
  if (Number.isNaN(deliverMs)) throw illegal(rules);
  if (deliverMs <= nowMs) {
    if (draft.propertyMap.has(Property.TIMER_DEL_UNIQKEY)) throw illegal(rules);
    return draft;
  }
  if (deliverMs - nowMs > rules.timerMaxDelayMs) throw illegal(rules);
  const slotTimeMs = slotTimeOf(deliverMs, rules.timerPrecisionMs);
  if (isCongested(countAt(slotTimeMs), rules.timerSlotMaxMessages)) throw congested(rules);
  return timerDraft(draft, slotTimeMs);
}

/** The draft as it waits for a moment, which has to be one of the wheel's. */
export function timerDraft(draft: MessageDraft, slotTimeMs: number): MessageDraft {
  const propertyMap = new Map(draft.propertyMap);
  propertyMap.set(Property.TIMER_OUT_MS, String(slotTimeMs));
  propertyMap.set(Property.REAL_TOPIC, draft.topic);
  propertyMap.set(Property.REAL_QUEUE_ID, String(draft.queueId));
  return {
    ...draft,
    topic: TIMER_TOPIC,
    queueId: 0,
    propertyMap,
    properties: encodeProperties(propertyMap),
  };
}

/** The last moment of the wheel before a time: a slot is delivered when its moment is over, so never too early. */
export function slotTimeOf(deliverMs: number, precisionMs: number): number {
  const rest = deliverMs % precisionMs;
  return deliverMs - (rest === 0 ? precisionMs : rest);
}

/** Whether a message asks for a moment. A delay level counts more; who has waited before does not wait again. */
export function isTimed({ topic, propertyMap }: MessageDraft): boolean {
  const asks = propertyMap.has(Property.TIMER_DELIVER_MS) || propertyMap.has(Property.TIMER_DELAY_MS) ||
    propertyMap.has(Property.TIMER_DELAY_SEC);
  return asks && topic !== TIMER_TOPIC && !propertyMap.has(Property.TIMER_OUT_MS) &&
    !(delayLevelOf(propertyMap) > 0);
}

/** NaN where it can't be read. */
function deliveryTimeOf(properties: ReadonlyMap<string, string>, nowMs: number): number {
  const seconds = properties.get(Property.TIMER_DELAY_SEC);
  if (seconds !== undefined) return nowMs + javaLong(seconds) * 1000;
  const delay = properties.get(Property.TIMER_DELAY_MS);
  if (delay !== undefined) return nowMs + javaLong(delay);
  return javaLong(properties.get(Property.TIMER_DELIVER_MS)!);
}

const LONG_LIMIT = 2n ** 63n;

function javaLong(text: string): number {
  if (!/^[+-]?[0-9]{1,30}$/.test(text)) return NaN;
  const value = BigInt(text.replace("+", ""));
  return value >= -LONG_LIMIT && value < LONG_LIMIT ? Number(value) : NaN;
}

/** Beyond the limit the more are refused the more there are, and from twice the limit on all. [RMQ isReject] */
function isCongested(count: number, limit: number): boolean {
  if (count <= limit) return false;
  return count >= 2 * limit || Math.random() > (count - limit) / limit;
}

function illegal({ timerMaxDelayMs }: TimerRules): RemotingError {
  return new RemotingError(
    ResponseCode.MESSAGE_ILLEGAL,
    `timer message illegal, the delay time should not be bigger than the max delay ${timerMaxDelayMs}ms; ` +
      "or if set del msg, the delay time should be bigger than the current time",
  );
}

function congested({ timerSlotMaxMessages: limit }: TimerRules): RemotingError {
  return new RemotingError(
    ResponseCode.SYSTEM_ERROR,
    `timer message is under flow control, max num limit is ${
      2 * limit
    } or the current value is greater than ` +
      `${limit} and less than ${2 * limit}, trigger random flow control`,
  );
}
