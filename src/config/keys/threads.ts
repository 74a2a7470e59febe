// SPDX-License-Identifier: Apache-2.0
import { type Area, type ComputedDefault, type KeyTable, notYet } from "../key.ts";
import { count, flag, long } from "../kinds.ts";

/** A default that follows the number of processors, as Apache computes it. */
function perProcessors(words: string, compute: (processors: number) => number): ComputedDefault {
  return { words, of: (machine) => String(compute(machine.processors)) };
}

const UP_TO_4 = perProcessors("processors, at most 4", (processors) => Math.min(processors, 4));
const TWICE_AND_16 = perProcessors("16 + 2 × processors", (processors) => 16 + 2 * processors);

export const threadKeys = {
  sendMessageThreadPoolNums: notYet(count(), UP_TO_4, "Threads that take messages."),
  putMessageFutureThreadPoolNums: notYet(count(), UP_TO_4, "Threads that answer sends once stored."),
  pullMessageThreadPoolNums: notYet(count(), TWICE_AND_16, "Threads that serve pulls."),
  litePullMessageThreadPoolNums: notYet(count(), TWICE_AND_16, "Threads that serve LITE_PULL_MESSAGE."),
  ackMessageThreadPoolNums: notYet(count(), 16, "Threads that take POP acknowledgements."),
  processReplyMessageThreadPoolNums: notYet(count(), TWICE_AND_16, "Threads that pass replies on."),
  queryMessageThreadPoolNums: notYet(
    count(),
    perProcessors("8 + processors", (processors) => 8 + processors),
    "Threads that search by key.",
  ),
  adminBrokerThreadPoolNums: notYet(count(), 16, "Threads for administrators' requests."),
  clientManageThreadPoolNums: notYet(count(), 32, "Threads for joining and leaving clients."),
  consumerManageThreadPoolNums: notYet(count(), 32, "Threads for positions and member lists of groups."),
  loadBalanceProcessorThreadPoolNums: notYet(count(), 32, "Threads that share out queues."),
  heartbeatThreadPoolNums: notYet(
    count(),
    perProcessors("processors, at most 32", (processors) => Math.min(processors, 32)),
    "Threads for heartbeats.",
  ),
  endTransactionThreadPoolNums: notYet(
    count(),
    perProcessors(
      "8 + 2 × processors",
      (processors) => Math.max(8 + 2 * processors, 4 * Math.min(processors, 4)),
    ),
    "Threads that commit and roll back transactions.",
  ),
  recoverThreadPoolNums: notYet(count(), 32, "Threads that load queues at the start."),
  recoverConcurrently: notYet(flag(), false, "Load queues with several threads.", { important: true }),
} satisfies KeyTable;

export const waitingKeys = {
  sendThreadPoolQueueCapacity: notYet(count(), 10000, "Sends that may wait for a thread."),
  putThreadPoolQueueCapacity: notYet(count(), 10000, "Answers to sends that may wait."),
  pullThreadPoolQueueCapacity: notYet(count(), 100000, "Pulls that may wait."),
  litePullThreadPoolQueueCapacity: notYet(count(), 100000, "LITE_PULL_MESSAGE requests that may wait."),
  ackThreadPoolQueueCapacity: notYet(count(), 100000, "POP acknowledgements that may wait."),
  replyThreadPoolQueueCapacity: notYet(count(), 10000, "Replies that may wait."),
  queryThreadPoolQueueCapacity: notYet(count(), 20000, "Searches that may wait."),
  clientManagerThreadPoolQueueCapacity: notYet(
    count(),
    1000000,
    "Requests of joining and leaving clients that may wait.",
  ),
  consumerManagerThreadPoolQueueCapacity: notYet(count(), 1000000, "Requests about groups that may wait."),
  heartbeatThreadPoolQueueCapacity: notYet(count(), 50000, "Heartbeats that may wait."),
  endTransactionPoolQueueCapacity: notYet(count(), 100000, "Ends of transactions that may wait."),
  adminBrokerThreadPoolQueueCapacity: notYet(count(), 10000, "Administrators' requests that may wait."),
  loadBalanceThreadPoolQueueCapacity: notYet(count(), 100000, "Requests to share out queues that may wait."),
  brokerFastFailureEnable: notYet(flag(), true, 'Answer "busy" to requests that have waited too long.'),
  waitTimeMillsInSendQueue: notYet(long("ms"), 200, "Too long, for a send."),
  waitTimeMillsInPullQueue: notYet(long("ms"), 5000, "Too long, for a pull."),
  waitTimeMillsInLitePullQueue: notYet(long("ms"), 5000, "Too long, for LITE_PULL_MESSAGE."),
  waitTimeMillsInHeartbeatQueue: notYet(long("ms"), 31000, "Too long, for a heartbeat."),
  waitTimeMillsInTransactionQueue: notYet(long("ms"), 3000, "Too long, for the end of a transaction."),
  waitTimeMillsInAckQueue: notYet(long("ms"), 3000, "Too long, for a POP acknowledgement."),
  waitTimeMillsInAdminBrokerQueue: notYet(long("ms"), 5000, "Too long, for an administrator's request."),
} satisfies KeyTable;

export const threadArea: Area = {
  title: "Threads",
  about: "One event loop owns a broker here: these keys have no effect and need none.",
  keys: threadKeys,
};

export const waitingArea: Area = {
  title: "Waiting requests",
  about: "Requests don't wait for threads here. Too many of them are held back on their connections.",
  keys: waitingKeys,
};
