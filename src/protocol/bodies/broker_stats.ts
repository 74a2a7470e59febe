// SPDX-License-Identifier: Apache-2.0
import { encodeJson } from "../java_json.ts";

/** Sum, growth per second and average of a window. [RMQ BrokerStatsItem] */
export interface BrokerStatsItem {
  readonly avgpt: number;
  readonly sum: number;
  readonly tps: number;
}

/** The answer to VIEW_BROKER_STATS_DATA. */
export function encodeBrokerStats(
  windows: { day: BrokerStatsItem; hour: BrokerStatsItem; minute: BrokerStatsItem },
): Uint8Array {
  return encodeJson({
    statsDay: itemToJson(windows.day),
    statsHour: itemToJson(windows.hour),
    statsMinute: itemToJson(windows.minute),
  });
}

function itemToJson(item: BrokerStatsItem): Record<string, number> {
  return { avgpt: item.avgpt, sum: item.sum, tps: item.tps };
}
