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
