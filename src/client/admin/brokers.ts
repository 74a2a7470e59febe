// SPDX-License-Identifier: Apache-2.0
/** What administrators ask a broker about itself. */
import { decodeHaRuntimeInfo, type HaRuntimeInfo } from "../../protocol/bodies/ha_runtime_info.ts";
import { decodeKvTable } from "../../protocol/bodies/kv_table.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { type AdminPeer, ask } from "./ask.ts";

/** Names and values as Apache's tools show them, all texts. */
export async function runtimeInfo(broker: AdminPeer): Promise<Map<string, string>> {
  return decodeKvTable((await ask(broker, RequestCode.GET_BROKER_RUNTIME_INFO)).body);
}

/** `key=value` lines, nothing escaped. */
export async function brokerConfig(broker: AdminPeer): Promise<string> {
  return new TextDecoder().decode((await ask(broker, RequestCode.GET_BROKER_CONFIG)).body ?? undefined);
}

/**
 * Changes the configuration.
 * @param text Java properties
 * @returns what the broker says to it, such as that a key waits for the next start
 */
export async function updateBrokerConfig(broker: AdminPeer, text: string): Promise<string | undefined> {
  const body = new TextEncoder().encode(text);
  const answer = await ask(broker, RequestCode.UPDATE_BROKER_CONFIG, undefined, body);
  return answer.remark ?? undefined;
}

/** Deletes files of the log whose time is over now instead of at `deleteWhen`. */
export async function deleteExpiredLog(broker: AdminPeer): Promise<void> {
  await ask(broker, RequestCode.DELETE_EXPIRED_COMMITLOG);
}

/** Deletes queues of topics that are gone. */
export async function cleanUnusedTopics(broker: AdminPeer): Promise<void> {
  await ask(broker, RequestCode.CLEAN_UNUSED_TOPIC);
}

/** Deletes files of queues that point only to messages which are gone. */
export async function cleanExpiredQueues(broker: AdminPeer): Promise<void> {
  await ask(broker, RequestCode.CLEAN_EXPIRED_CONSUMEQUEUE);
}

/** How it replicates: a master's slaves, or what a slave knows of its master. Brokers of 4.9 don't tell. */
export async function haRuntimeInfo(broker: AdminPeer): Promise<HaRuntimeInfo> {
  return decodeHaRuntimeInfo((await ask(broker, RequestCode.GET_BROKER_HA_STATUS)).body);
}
