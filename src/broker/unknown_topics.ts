// SPDX-License-Identifier: Apache-2.0
import { getLogger } from "@logtape/logtape";

const logger = getLogger(["rmq", "broker"]);

const MAX_NAMED = 10;

/**
 * Says which topics have messages, but do not exist: their table was lost or is of another store, or a crash came
 * right after they were deleted. Nobody consumes them until they are made again.
 * @param path of the table
 */
export function warnOfUnknownTopics(
  stored: readonly string[],
  topics: { has(topic: string): boolean },
  path: string,
): void {
  const unknown = stored.filter((topic) => !topics.has(topic)).sort();
  if (unknown.length === 0) return;
  logger.warn(
    "{path}: topics that have messages in the store are not in it ({count}), and can't be consumed until they are " +
      "made again: {names}",
    { path, count: unknown.length, names: unknown.slice(0, MAX_NAMED).join(", ") },
  );
}
