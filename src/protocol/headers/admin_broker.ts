// SPDX-License-Identifier: Apache-2.0
/** What administrators ask about a broker itself. */
import { header, int, long, text, withDefault } from "../header.ts";

/** VIEW_BROKER_STATS_DATA. */
export const brokerStatsRequest = header({
  statsName: withDefault(text, ""),
  statsKey: withDefault(text, ""),
});

/** The answer to GET_BROKER_CONFIG: the version of the configuration as JSON. */
export const brokerConfigResponse = header({ version: text });

/** QUERY_CONSUME_QUEUE. */
export const queryConsumeQueueRequest = header({
  topic: withDefault(text, ""),
  queueId: withDefault(int, 0),
  index: withDefault(long, 0),
  count: withDefault(int, 0),
  consumerGroup: withDefault(text, ""),
});
