// SPDX-License-Identifier: Apache-2.0
/**
 * How the members of a group share out queues: each computes its own part of the same sorted lists, so all
 * that know the same members agree. [RMQ AllocateMessageQueueAveragely, AllocateMessageQueueAveragelyByCircle]
 */

/** The part of a client; undefined where it is not among the members. */
export type Strategy = <Q>(queues: readonly Q[], clientIds: readonly string[], clientId: string) =>
  | readonly Q[]
  | undefined;

/** By the names that clients give them. */
export const STRATEGIES: ReadonlyMap<string, Strategy> = new Map<string, Strategy>([
  ["AVG", averagely],
  ["AVG_BY_CIRCLE", averagelyByCircle],
]);

/** Neighbouring queues; the first members get one more where the division leaves a rest. */
function averagely<Q>(
  queues: readonly Q[],
  clientIds: readonly string[],
  clientId: string,
): readonly Q[] | undefined {
  const index = clientIds.indexOf(clientId);
  if (index < 0) return undefined;
  const rest = queues.length % clientIds.length;
  const share = Math.floor(queues.length / clientIds.length);
  const from = index * share + Math.min(index, rest);
  return queues.slice(from, from + share + (index < rest ? 1 : 0));
}

/** One queue after the other, member by member. */
function averagelyByCircle<Q>(
  queues: readonly Q[],
  clientIds: readonly string[],
  clientId: string,
): readonly Q[] | undefined {
  const index = clientIds.indexOf(clientId);
  return index < 0 ? undefined : queues.filter((_, at) => at % clientIds.length === index);
}

/**
 * The queues that a client pops. With `shareCount` further members a member shares its part with theirs; with
 * none named, or with (almost) all, everybody pops every broker, whose queue -1 stands for all of its queues.
 * [RMQ QueryAssignmentProcessor.allocate4Pop]
 */
export function popShare<Q extends { readonly brokerName: string; readonly queueId: number }>(
  strategy: Strategy,
  queues: readonly Q[],
  clientIds: readonly string[],
  clientId: string,
  shareCount: number,
): readonly Q[] | undefined {
  if (shareCount <= 0 || shareCount >= clientIds.length - 1) {
    const brokers = new Map(queues.map((queue) => [queue.brokerName, { ...queue, queueId: ALL_QUEUES }]));
    return [...brokers.values()];
  }
  const index = clientIds.indexOf(clientId);
  if (index < 0 || queues.length === 0) return undefined;
  if (clientIds.length > queues.length) return [queues[index % queues.length]];
  return Array.from({ length: shareCount + 1 }, (_, next) => clientIds[(index + next) % clientIds.length])
    .flatMap((member) => strategy(queues, clientIds, member) ?? []);
}

const ALL_QUEUES = -1;
