// SPDX-License-Identifier: Apache-2.0
import { DataVersion } from "../protocol/bodies/data_version.ts";
import { asInteger, asObject, isObject, type JsonObject } from "../protocol/bodies/json_fields.ts";
import { decodeKvTable } from "../protocol/bodies/kv_table.ts";
import { decodeGroupTable, type GroupTable } from "../protocol/bodies/subscription_group.ts";
import { type TopicConfig, topicConfigTableFromJson } from "../protocol/bodies/topic_config.ts";
import { MalformedError } from "../protocol/header.ts";
import { updateOffsetRequest } from "../protocol/headers/offset.ts";
import { viewMessageRequest } from "../protocol/headers/query.ts";
import { parseJsonObject } from "../protocol/java_json.ts";
import { RequestCode } from "../protocol/request_code.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import type { RemotingClient } from "../remoting/client.ts";
import type { Command } from "../remoting/command.ts";
import { RemotingError } from "../remoting/remoting_error.ts";
import type { Peer } from "./name_server_api.ts";

/** A broker's table of topics. */
export interface TopicTable {
  readonly dataVersion: DataVersion;
  readonly topics: ReadonlyMap<string, TopicConfig>;
}

/** How far the log of a broker reaches. */
export interface LogExtent {
  readonly minOffset: number;
  readonly maxOffset: number;
}

/** Tables may be long. */
const TIMEOUT_MS = 10_000;

/**
 * What members of one brokerName ask each other, rmq's and Apache's 4.9 and 5.x alike. All calls reject with
 * RemotingError (the other broker's code and remark), MalformedError, or RemotingIoError when no answer came.
 */
export class MasterApi {
  readonly #peer: Peer;
  readonly #timeoutMs: number;

  constructor(peer: Peer, timeoutMs = TIMEOUT_MS) {
    this.#peer = peer;
    this.#timeoutMs = timeoutMs;
  }

  /** Over a client's connection to `address`, opened when it is needed. */
  static at(client: Pick<RemotingClient, "request">, address: string, timeoutMs?: number): MasterApi {
    const peer: Peer = { request: (request, limitMs) => client.request(address, request, limitMs) };
    return new MasterApi(peer, timeoutMs);
  }

  async topics(): Promise<TopicTable> {
    const object = await this.#object(RequestCode.GET_ALL_TOPIC_CONFIG);
    return {
      dataVersion: DataVersion.fromJson(object.dataVersion),
      topics: topicConfigTableFromJson(members(object, "topicConfigTable")),
    };
  }

  async groups(): Promise<GroupTable> {
    return decodeGroupTable((await this.#call(RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG)).body);
  }

  /** As `consumerOffset.json`; 4.9 tells no version. */
  async consumerOffsets(): Promise<JsonObject> {
    return await this.#object(RequestCode.GET_ALL_CONSUMER_OFFSET);
  }

  /** As `delayOffset.json`; 4.9 tells no version. */
  async delayOffsets(): Promise<JsonObject> {
    return await this.#object(RequestCode.GET_ALL_DELAY_OFFSET);
  }

  /** As `messageRequestMode.json`, within `messageRequestModeMap`. */
  async messageRequestModes(): Promise<JsonObject> {
    return await this.#object(RequestCode.GET_ALL_MESSAGE_REQUEST_MODE);
  }

  /** As the file `timermetrics`. */
  async timerMetrics(): Promise<JsonObject> {
    return await this.#object(RequestCode.GET_TIMER_METRICS);
  }

  /** 56 bytes, or 32 without version. */
  async timerCheckpoint(): Promise<Uint8Array> {
    return (await this.#call(RequestCode.GET_TIMER_CHECK_POINT)).body ?? new Uint8Array();
  }

  async log(): Promise<LogExtent> {
    let info: ReadonlyMap<string, string>;
    try {
      info = await this.runtimeInfo();
    } catch (error) {
      if (isOfEmptyLog(error)) return { minOffset: 0, maxOffset: 0 };
      throw error;
    }
    return {
      minOffset: numberIn(info, "commitLogMinOffset"),
      maxOffset: numberIn(info, "commitLogMaxOffset"),
    };
  }

  async runtimeInfo(): Promise<ReadonlyMap<string, string>> {
    return decodeKvTable((await this.#call(RequestCode.GET_BROKER_RUNTIME_INFO)).body);
  }

  /** The bytes of the message at a place of the log; undefined where the broker finds none. */
  async record(offset: number): Promise<Uint8Array | undefined> {
    const fields = viewMessageRequest.encode({ offset, topic: undefined });
    const request = { code: RequestCode.VIEW_MESSAGE_BY_ID, fields };
    const answer = await this.#peer.request(request, this.#timeoutMs);
    return answer.code === ResponseCode.SYSTEM_ERROR ? undefined : successful(answer).body ?? undefined;
  }

  /** Where a broker serves slaves (`host:port`), as its configuration tells. */
  async haAddress(): Promise<string> {
    const body = (await this.#call(RequestCode.GET_BROKER_CONFIG)).body ?? new Uint8Array();
    const lines = new TextDecoder().decode(body).split("\n").map((line) => line.trim());
    const valueOf = (key: string) =>
      lines.find((line) => line.startsWith(`${key}=`))?.slice(key.length + 1).replaceAll("\\", "");
    const host = valueOf("brokerIP2") ?? valueOf("brokerIP1");
    const haPort = Number(valueOf("haListenPort") ?? 0);
    const port = haPort > 0 ? haPort : Number(valueOf("listenPort") ?? NaN) + 1;
    if (!host || !Number.isInteger(port)) {
      throw new MalformedError("the broker does not tell its haListenPort");
    }
    return `${host}:${port}`;
  }

  /** Commits a group's position, as the group itself would. */
  async commitOffset(
    consumerGroup: string,
    topic: string,
    queueId: number,
    commitOffset: number,
  ): Promise<void> {
    const fields = updateOffsetRequest.encode({ consumerGroup, topic, queueId, commitOffset });
    successful(
      await this.#peer.request({ code: RequestCode.UPDATE_CONSUMER_OFFSET, fields }, this.#timeoutMs),
    );
  }

  async #object(code: number): Promise<JsonObject> {
    return parseJsonObject((await this.#call(code)).body);
  }

  async #call(code: number): Promise<Command> {
    return successful(await this.#peer.request({ code }, this.#timeoutMs));
  }
}

function successful(answer: Command): Command {
  if (answer.code !== ResponseCode.SUCCESS) throw new RemotingError(answer.code, answer.remark ?? "");
  return answer;
}

/** Apache's brokers fail to tell of themselves while their log has no file yet. [RMQ DefaultMessageStore] */
function isOfEmptyLog(error: unknown): boolean {
  return error instanceof RemotingError && error.message.includes("NoSuchElementException");
}

/** A member that must be an object; absent, it is an empty one. */
function members(object: JsonObject, name: string): JsonObject {
  const value = object[name];
  if (value !== undefined && value !== null && !isObject(value)) {
    throw new MalformedError(`${name} is no JSON object`);
  }
  return asObject(value);
}

function numberIn(info: ReadonlyMap<string, string>, key: string): number {
  const number = asInteger(info.get(key), -1);
  if (number < 0) throw new MalformedError(`the broker does not tell its ${key}`);
  return number;
}
