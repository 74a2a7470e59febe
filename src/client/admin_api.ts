// SPDX-License-Identifier: Apache-2.0
import { decodeKvTable } from "../protocol/bodies/kv_table.ts";
import { topicRequest, updateTopicRequest } from "../protocol/headers/admin_topic.ts";
import { offsetResponse, queueRequest, searchOffsetRequest } from "../protocol/headers/offset.ts";
import { queryMessageRequest, viewMessageRequest } from "../protocol/headers/query.ts";
import type { Fields } from "../protocol/header.ts";
import { parseOffsetMessageId } from "../protocol/message_id.ts";
import { RequestCode } from "../protocol/request_code.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import { RemotingClient } from "../remoting/client.ts";
import type { Command } from "../remoting/command.ts";
import { RemotingError } from "../remoting/remoting_error.ts";
import { messagesOf, type ReceivedMessage } from "./consumer.ts";

const TIMEOUT_MS = 5000;

/**
 * What an administrator asks of one broker. Every call rejects with RemotingError (the broker's code and
 * remark) or RemotingIoError.
 */
export class AdminApi {
  #client: RemotingClient;
  #ownsClient: boolean;
  readonly address: string;

  /** @param address `host:port` of the broker; `client` is shared, or one of its own is made */
  constructor(address: string, client?: RemotingClient) {
    this.address = address;
    this.#ownsClient = client === undefined;
    this.#client = client ?? new RemotingClient();
  }

  /** Creates a topic, or changes it. */
  async createTopic(topic: string, queueCount = 8, perm = 6): Promise<void> {
    await this.#call(
      RequestCode.UPDATE_AND_CREATE_TOPIC,
      updateTopicRequest.encode({
        topic,
        defaultTopic: "TBW102",
        readQueueNums: queueCount,
        writeQueueNums: queueCount,
        perm,
        topicFilterType: "SINGLE_TAG",
        topicSysFlag: 0,
        order: false,
        attributes: "",
      }),
    );
  }

  /** Deletes a topic here; name servers still have to be told (`NameServerApi.deleteTopic`). */
  async deleteTopic(topic: string): Promise<void> {
    await this.#call(RequestCode.DELETE_TOPIC_IN_BROKER, topicRequest.encode({ topic }));
  }

  async minOffset(topic: string, queueId: number): Promise<number> {
    return offsetOf(await this.#call(RequestCode.GET_MIN_OFFSET, queueRequest.encode({ topic, queueId })));
  }

  /** Offset of the next message. */
  async maxOffset(topic: string, queueId: number): Promise<number> {
    return offsetOf(await this.#call(RequestCode.GET_MAX_OFFSET, queueRequest.encode({ topic, queueId })));
  }

  /** Offset of the first message stored at or after a time. */
  async offsetByTime(topic: string, queueId: number, timestamp: number): Promise<number> {
    const fields = searchOffsetRequest.encode({ topic, queueId, timestamp, boundaryType: undefined });
    return offsetOf(await this.#call(RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, fields));
  }

  /** A message by its offset message id (which names its broker; this one is asked). */
  async viewMessage(offsetMessageId: string): Promise<ReceivedMessage> {
    const offset = parseOffsetMessageId(offsetMessageId)?.physicalOffset;
    if (offset === undefined) throw new Error(`no offset message id: ${offsetMessageId}`);
    const fields = viewMessageRequest.encode({ offset, topic: undefined });
    return messagesOf((await this.#call(RequestCode.VIEW_MESSAGE_BY_ID, fields)).body!)[0];
  }

  /** Messages by key, or by unique key; empty where there are none. */
  async queryByKey(
    topic: string,
    key: string,
    options: { isUniqueKey?: boolean } = {},
  ): Promise<ReceivedMessage[]> {
    const fields = queryMessageRequest.encode({
      topic,
      key,
      maxNum: 64,
      beginTimestamp: 0,
      endTimestamp: Number.MAX_SAFE_INTEGER,
      _UNIQUE_KEY_QUERY: options.isUniqueKey ? "true" : undefined,
    });
    const answer = await this.#client.request(
      this.address,
      { code: RequestCode.QUERY_MESSAGE, fields },
      TIMEOUT_MS,
    );
    if (answer.code === ResponseCode.QUERY_NOT_FOUND) return [];
    return messagesOf(successful(answer).body!);
  }

  /** The broker's configuration as `key=value` lines. */
  async config(): Promise<string> {
    return new TextDecoder().decode(
      (await this.#call(RequestCode.GET_BROKER_CONFIG)).body ?? new Uint8Array(),
    );
  }

  /** Changes the configuration; `text` holds `key=value` lines. */
  async updateConfig(text: string): Promise<void> {
    await this.#call(RequestCode.UPDATE_BROKER_CONFIG, undefined, new TextEncoder().encode(text));
  }

  async runtimeInfo(): Promise<ReadonlyMap<string, string>> {
    return decodeKvTable((await this.#call(RequestCode.GET_BROKER_RUNTIME_INFO)).body);
  }

  close(): void {
    if (this.#ownsClient) this.#client.close();
  }

  async #call(code: number, fields?: Fields, body?: Uint8Array): Promise<Command> {
    return successful(await this.#client.request(this.address, { code, fields, body }, TIMEOUT_MS));
  }
}

function successful(answer: Command): Command {
  if (answer.code !== ResponseCode.SUCCESS) throw new RemotingError(answer.code, answer.remark ?? "");
  return answer;
}

function offsetOf(answer: Command): number {
  return offsetResponse.decode(answer.fields).offset;
}
