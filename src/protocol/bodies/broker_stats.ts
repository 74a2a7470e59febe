// SPDX-License-Identifier: Apache-2.0
import { encodeJson, type Json, parseJsonObject } from "../java_json.ts";
import { asNumber, asObject } from "./json_fields.ts";

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

/** @throws MalformedError when it is no JSON object */
export function decodeBrokerStats(
  body: Uint8Array | null,
): { day: BrokerStatsItem; hour: BrokerStatsItem; minute: BrokerStatsItem } {
  const { statsDay, statsHour, statsMinute } = parseJsonObject(body);
  return {
    day: itemFromJson(statsDay),
    hour: itemFromJson(statsHour),
    minute: itemFromJson(statsMinute),
  };
}

function itemFromJson(value: Json | undefined): BrokerStatsItem {
  const { avgpt, sum, tps } = asObject(value);
  return { avgpt: asNumber(avgpt, 0), sum: asNumber(sum, 0), tps: asNumber(tps, 0) };
}
