// SPDX-License-Identifier: Apache-2.0
import { acts, type Area, type KeyTable, notYet } from "../key.ts";
import { count, flag, int, name } from "../kinds.ts";

export const topicKeys = {
  autoCreateTopicEnable: acts(
    flag(),
    true,
    "A send to an unknown topic creates it. Many turn this off in production. If off at a start, turning it on takes another.",
    {
      important: true,
      live: true,
    },
  ),
  defaultTopicQueueNums: acts(
    count(1),
    8,
    "Queues of a topic created by a send, at most; the client asks for fewer.",
  ),
  autoCreateSubscriptionGroup: acts(flag(), true, "A consumer of an unknown group creates it.", {
    important: true,
    live: true,
  }),
  clusterTopicEnable: acts(
    flag(),
    true,
    "New topics may take the topic named like the cluster as their template.",
  ),
  brokerTopicEnable: acts(
    flag(),
    true,
    "New topics may take the topic named like the broker as their template.",
  ),
  brokerPermission: acts(
    int("bits", 0, 7),
    6,
    "What clients may do here: 4 read, 2 write, 6 both. Taking away 2 drains the broker.",
    { live: true },
  ),
  traceTopicEnable: acts(flag(), false, "Create the topic that clients write message traces to.", {
    important: true,
  }),
  msgTraceTopicName: acts(name(), "RMQ_SYS_TRACE_TOPIC", "Name of that topic.", { important: true }),
  validateSystemTopicWhenUpdateTopic: acts(flag(), true, "Refuse to change topics of the system.", {
    live: true,
  }),
  enableCreateSysGroup: acts(flag(), true, "Create the groups that tools and tests of the system use.", {
    live: true,
  }),
  enableMixedMessageType: acts(
    flag(),
    false,
    "Let topics of the type MIXED hold normal, ordered, delayed and transactional messages together.",
    { live: true },
  ),
  clearRetryTopicWhenDeleteTopic: notYet(flag(), true, "Deleting a topic deletes its POP retry topics."),
  useStaticSubscription: notYet(flag(), false, "Take subscriptions from the group's configuration only."),
} satisfies KeyTable;

export const topicArea: Area = {
  title: "Topics and groups",
  about: "What comes into being by itself, and what may be changed.",
  keys: topicKeys,
};
