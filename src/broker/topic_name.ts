// SPDX-License-Identifier: Apache-2.0
/** Which names topics and groups may have, and which of them have a meaning of their own. [RMQ TopicValidator, MixAll] */
import { ResponseCode } from "../protocol/response_code.ts";
import { RemotingError } from "../remoting/remoting_error.ts";

export const RETRY_PREFIX = "%RETRY%";
export const DLQ_PREFIX = "%DLQ%";

/** The topics that the broker itself fills. */
export const SystemTopic = {
  /** The template of topics made by a send. */
  AUTO_CREATE: "TBW102",
  SCHEDULE: "SCHEDULE_TOPIC_XXXX",
  BENCHMARK: "BenchmarkTest",
  TRANS_HALF: "RMQ_SYS_TRANS_HALF_TOPIC",
  TRANS_OP_HALF: "RMQ_SYS_TRANS_OP_HALF_TOPIC",
  TRANS_CHECK_MAX_TIME: "TRANS_CHECK_MAX_TIME_TOPIC",
  TRACE: "RMQ_SYS_TRACE_TOPIC",
  SELF_TEST: "SELF_TEST_TOPIC",
  OFFSET_MOVED_EVENT: "OFFSET_MOVED_EVENT",
  CHECKPOINT: "CHECKPOINT_TOPIC",
  ROCKSDB_TRANS_HALF: "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC",
  ROCKSDB_TRANS_OP_HALF: "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC",
  WHEEL_TIMER: "rmq_sys_wheel_timer",
} as const;

/** Any topic whose name begins so is a system topic. */
export const SYSTEM_TOPIC_PREFIX = "rmq_sys_";

/** Groups that may be made by looking them up even where others may not. */
export const SYSTEM_GROUP_PREFIX = "CID_RMQ_SYS_";

/** System topics of every broker; `Topics` knows the ones that depend on names. */
export const SYSTEM_TOPICS: ReadonlySet<string> = new Set(Object.values(SystemTopic));

const MAX_TOPIC_LENGTH = 127;
const MAX_RETRY_TOPIC_LENGTH = 255;
const MAX_GROUP_LENGTH = 120;

const LEGAL_NAME = /^[%|a-zA-Z0-9_-]+$/;

const NOT_FOR_CLIENTS: ReadonlySet<string> = new Set([
  SystemTopic.SCHEDULE,
  SystemTopic.TRANS_HALF,
  SystemTopic.TRANS_OP_HALF,
  SystemTopic.TRANS_CHECK_MAX_TIME,
  SystemTopic.SELF_TEST,
  SystemTopic.OFFSET_MOVED_EVENT,
]);

/** The topic to which messages of `group` go that could not be consumed. */
export function retryTopicOf(group: string): string {
  return RETRY_PREFIX + group;
}

/** The topic to which messages of `group` go that could not be consumed however often. */
export function dlqTopicOf(group: string): string {
  return DLQ_PREFIX + group;
}

export function isRetryTopic(topic: string): boolean {
  return topic.startsWith(RETRY_PREFIX);
}

/** Whether clients must not send to a topic because the broker keeps its own messages there. */
export function isForbiddenToSend(topic: string): boolean {
  return NOT_FOR_CLIENTS.has(topic);
}

/** What is wrong with a topic's name, in Apache's words; undefined if nothing is. */
export function topicNameProblem(topic: string): string | undefined {
  if (isBlank(topic)) return "The specified topic is blank.";
  if (!LEGAL_NAME.test(topic)) return illegalCharacters("topic", topic);
  if (topic.startsWith(RETRY_PREFIX) || topic.startsWith(DLQ_PREFIX)) {
    return topic.length > MAX_RETRY_TOPIC_LENGTH
      ? `The specified topic is DLQ or Retry topic: ${
        shown(topic)
      }, and it's longer than topic max length: ${MAX_RETRY_TOPIC_LENGTH}`
      : undefined;
  }
  return topic.length > MAX_TOPIC_LENGTH ? tooLong("topic", topic, MAX_TOPIC_LENGTH) : undefined;
}

/** What is wrong with a group's name, in Apache's words; undefined if nothing is. */
export function groupNameProblem(group: string): string | undefined {
  if (isBlank(group)) return "The specified group is blank.";
  if (!LEGAL_NAME.test(group)) return illegalCharacters("group", group);
  return group.length > MAX_GROUP_LENGTH ? tooLong("group", group, MAX_GROUP_LENGTH) : undefined;
}

/** @throws RemotingError INVALID_PARAMETER */
export function requireTopicName(topic: string): void {
  refuse(topicNameProblem(topic));
}

/** @throws RemotingError INVALID_PARAMETER */
export function requireGroupName(group: string): void {
  refuse(groupNameProblem(group));
}

function refuse(problem: string | undefined): void {
  if (problem !== undefined) throw new RemotingError(ResponseCode.INVALID_PARAMETER, problem);
}

function isBlank(name: string): boolean {
  return name.trim() === "";
}

function illegalCharacters(kind: string, name: string): string {
  return `The specified ${kind}: ${
    shown(name)
  }, contains illegal characters, allowing only ${LEGAL_NAME.source}`;
}

function tooLong(kind: string, name: string, max: number): string {
  return `The specified ${kind}: ${shown(name)}, is longer than ${kind} max length: ${max}`;
}

/** As much of a stranger's name as an answer should carry. */
function shown(name: string): string {
  return name.slice(0, 512);
}

/** Whether a topic or a group is a light one (`enableLmq`): it needs no configuration. [RMQ MixAll.isLmq] */
export function isLightName(name: string): boolean {
  return name.startsWith("%LMQ%") && name.length > "%LMQ%".length;
}
