// SPDX-License-Identifier: Apache-2.0
/** Single requests of POP consumption to a broker of either make, and what it answers. */
import { encodeBatchAckRequest } from "../../src/protocol/bodies/batch_ack.ts";
import type { Fields } from "../../src/protocol/header.ts";
import { encodeProperties, parseProperties } from "../../src/protocol/properties.ts";
import { decodeRecord } from "../../src/protocol/record.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import { RemotingClient } from "../../src/remoting/client.ts";
import type { Command } from "../../src/remoting/command.ts";

/** A message as it was popped, with the receipt that a client makes for it. */
export interface PoppedMessage {
  readonly body: string;
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly reconsumeTimes: number;
  readonly properties: ReadonlyMap<string, string>;
  readonly receipt: string;
}

export interface PopAnswer {
  readonly code: number;
  readonly remark: string | null;
  readonly fields: Fields;
  readonly messages: readonly PoppedMessage[];
}

const TIMEOUT_MS = 20_000;

export class PopRequests {
  readonly #client = new RemotingClient({});
  readonly #address: string;
  readonly #brokerName: string;

  constructor(address: string, brokerName: string) {
    this.#address = address;
    this.#brokerName = brokerName;
  }

  close(): void {
    this.#client.close();
  }

  ask(code: number, fields: Fields, body?: Uint8Array): Promise<Command> {
    return this.#client.request(this.#address, { code, fields, body }, TIMEOUT_MS);
  }

  async send(
    topic: string,
    bodies: readonly string[],
    properties: Record<string, string> = {},
  ): Promise<void> {
    for (const body of bodies) {
      const answer = await this.ask(RequestCode.SEND_MESSAGE_V2, {
        ...{ a: "p", b: topic, c: "TBW102", d: "1", e: "0", f: "0", g: String(Date.now()), h: "0" },
        ...{ i: encodeProperties(Object.entries(properties)), j: "0", k: "false", m: "false" },
      }, new TextEncoder().encode(body));
      if (answer.code !== 0) throw new Error(`${topic}: ${answer.code} ${answer.remark}`);
    }
  }

  async pop(topic: string, group: string, given: Record<string, string> = {}): Promise<PopAnswer> {
    const { code, remark, fields, body } = await this.ask(RequestCode.POP_MESSAGE, {
      ...{ consumerGroup: group, topic, queueId: "-1", maxMsgNums: "32", invisibleTime: "60000" },
      ...{
        pollTime: "0",
        bornTime: String(Date.now()),
        initMode: "0",
        expType: "TAG",
        exp: "*",
        order: "false",
      },
      ...given,
    });
    const messages = body === null ? [] : this.#messages(body, fields ?? {});
    return { code, remark, fields: fields ?? {}, messages };
  }

  /** Pops until there were `count` messages, or none for so long. */
  async popAll(
    topic: string,
    group: string,
    count: number,
    given: Record<string, string> = {},
    limitMs = 25_000,
  ): Promise<PoppedMessage[]> {
    const found: PoppedMessage[] = [];
    const untilMs = Date.now() + limitMs;
    while (found.length < count && Date.now() < untilMs) {
      found.push(...(await this.pop(topic, group, { pollTime: "1000", ...given })).messages);
    }
    return found;
  }

  ack(message: PoppedMessage, group: string): Promise<Command> {
    const { queueOffset, queueId, receipt } = message;
    return this.ask(RequestCode.ACK_MESSAGE, {
      ...{ consumerGroup: group, topic: topicOf(message, group), queueId: String(queueId) },
      ...{ extraInfo: receipt, offset: String(queueOffset) },
    });
  }

  changeInvisibleTime(message: PoppedMessage, group: string, invisibleMs: number): Promise<Command> {
    const { queueOffset, queueId, receipt } = message;
    return this.ask(RequestCode.CHANGE_MESSAGE_INVISIBLETIME, {
      ...{ consumerGroup: group, topic: topicOf(message, group), queueId: String(queueId) },
      ...{ extraInfo: receipt, offset: String(queueOffset), invisibleTime: String(invisibleMs) },
    });
  }

  /** Acknowledges messages of one queue and pop. */
  batchAck(messages: readonly PoppedMessage[], group: string): Promise<Command> {
    const [startOffset, popTimeMs, invisibleMs, reviveQueueId, retry] = messages[0].receipt.split(" ");
    const { topic, queueId } = messages[0];
    const body = encodeBatchAckRequest({
      brokerName: this.#brokerName,
      acks: [{
        ...{ group, topic, retry, queueId, startOffset: Number(startOffset), popTimeMs: Number(popTimeMs) },
        ...{ invisibleMs: Number(invisibleMs), reviveQueueId: Number(reviveQueueId) },
        offsets: messages.map((message) => message.queueOffset),
      }],
    });
    return this.ask(RequestCode.BATCH_ACK_MESSAGE, {}, body);
  }

  #messages(body: Uint8Array, fields: Fields): PoppedMessage[] {
    const starts = new Map(
      (fields.startOffsetInfo ?? "").split(";").filter((item) => item !== "").map((item) => {
        const [retry, queueId, offset] = item.split(" ");
        return [`${retry} ${queueId}`, offset];
      }),
    );
    const messages: PoppedMessage[] = [];
    for (let at = 0; at < body.length;) {
      const record = decodeRecord(body, at);
      if (typeof record === "string") throw new Error(`no message at ${at}: ${record}`);
      at += record.totalBytes;
      const { topic, queueId, queueOffset, reconsumeTimes } = record;
      const properties = parseProperties(record.properties);
      const { popTime, invisibleTime, reviveQid } = fields;
      const receipt = properties.get("POP_CK") ??
        [
          starts.get(`0 ${queueId}`),
          popTime,
          invisibleTime,
          reviveQid,
          0,
          this.#brokerName,
          queueId,
          queueOffset,
        ]
          .join(" ");
      const text = new TextDecoder().decode(record.body);
      messages.push({ body: text, topic, queueId, queueOffset, reconsumeTimes, properties, receipt });
    }
    return messages;
  }
}

/** The topic that holds a message. */
function topicOf({ topic, receipt }: PoppedMessage, group: string): string {
  const retry = receipt.split(" ")[4];
  return retry === "0" ? topic : `%RETRY%${group}${retry === "2" ? "+" : "_"}${topic}`;
}
