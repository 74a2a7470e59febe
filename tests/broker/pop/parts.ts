// SPDX-License-Identifier: Apache-2.0
/** A broker's parts with POP consumption, on memory files and a clock moved by hand. */
import { setImmediate } from "node:timers/promises";
import { PopConsumption } from "../../../src/broker/pop/consumption.ts";
import { popConsumptionHandlers } from "../../../src/broker/pop/requests.ts";
import { type BatchAck, encodeBatchAckRequest } from "../../../src/protocol/bodies/batch_ack.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import type { Response } from "../../../src/remoting/command.ts";
import { Dispatch } from "../../../src/remoting/dispatch.ts";
import { hostAddress } from "../../../src/remoting/host_address.ts";
import {
  bodyOf,
  BrokerParts,
  type BrokerPartsOptions,
  propertiesOf,
  recordsIn,
} from "../../harness/broker_parts.ts";
import { MemoryConnection } from "../../harness/memory_connection.ts";
import { until } from "../../harness/until.ts";

const STEP_MS = 250;

/** What a test says of a pop. */
export interface Popping {
  topic?: string;
  group?: string;
  header?: Record<string, string | undefined>;
}

/** A message as a client sees it, with the receipt that it would make. */
export interface PoppedMessage {
  body: string;
  topic: string;
  queueId: number;
  queueOffset: number;
  reconsumeTimes: number;
  properties: Record<string, string>;
  receipt: string;
}

export class PopParts {
  readonly parts: BrokerParts;
  readonly pop: PopConsumption;
  readonly dispatch: Dispatch;

  static async open(options: BrokerPartsOptions = {}): Promise<PopParts> {
    const parts = await BrokerParts.open(options);
    // as a broker does before it serves anybody
    const { offsets, store } = parts;
    if (offsets.cutAbove((topic, queueId) => store.maxOffset(topic, queueId)) > 0) await offsets.flush();
    return new PopParts(parts);
  }

  private constructor(parts: BrokerParts) {
    this.parts = parts;
    const { files, clock, store, topics, groups, offsets, durability, statistics } = parts;
    this.pop = new PopConsumption({
      ...{ files, clock, store, topics, groups, offsets, durability, statistics, timers: parts.timers },
      directory: "/store/config",
      storeHost: hostAddress("10.1.2.3", 10911),
      settings: () => parts.settings,
    });
    this.dispatch = new Dispatch(
      new Map(popConsumptionHandlers({
        ...{ pop: this.pop, clock, store, topics, groups, offsets, durability, filters: parts.filters },
        settings: () => parts.settings,
      })),
    );
    parts.timers.start();
    this.pop.start();
  }

  /** Stores messages in turn, visible when it resolves. */
  async send(
    topic: string,
    bodies: readonly string[],
    properties: Record<string, string> = {},
  ): Promise<void> {
    for (const body of bodies) await this.parts.send({ topic, body, properties });
    await this.settled();
  }

  popping({ topic = "T", group = "G", header = {} }: Popping = {}): Record<string, string> {
    const given: Record<string, string | undefined> = {
      consumerGroup: group,
      topic,
      queueId: "-1",
      maxMsgNums: "32",
      invisibleTime: "60000",
      pollTime: "0",
      bornTime: String(this.parts.clock.nowMs()),
      initMode: "0",
      expType: "TAG",
      exp: "*",
      order: "false",
      ...header,
    };
    return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Record<
      string,
      string
    >;
  }

  async ask(
    code: number,
    fields: Record<string, string>,
    body: Uint8Array | null = null,
    connection: MemoryConnection = this.parts.connection,
  ): Promise<Response> {
    return await connection.ask(this.dispatch, { code, fields, body });
  }

  /** The answer to a pop. */
  async popRaw(popping: Popping = {}, connection = this.parts.connection): Promise<Response> {
    return await this.ask(RequestCode.POP_MESSAGE, this.popping(popping), null, connection);
  }

  /** The messages of a pop; none where it found nothing. */
  async popNow(popping: Popping = {}): Promise<PoppedMessage[]> {
    return messagesOf(await this.popRaw(popping));
  }

  /** A pop that may be held: its answer, once there is one. */
  popLater(popping: Popping = {}, connection = new MemoryConnection()) {
    const later: { response: Response | undefined; connection: MemoryConnection } = {
      response: undefined,
      connection,
    };
    const header = { pollTime: "15000", ...popping.header };
    void this.popRaw({ ...popping, header }, connection).then((response) => later.response = response);
    return later;
  }

  async ack(message: PoppedMessage, group = "G"): Promise<Response> {
    const { queueOffset, receipt } = message;
    const place = placeOf(message, group);
    return await this.ask(RequestCode.ACK_MESSAGE, {
      ...{ consumerGroup: group, extraInfo: receipt, offset: String(queueOffset) },
      ...{ topic: place.topic, queueId: String(place.queueId) },
    });
  }

  async changeInvisibleTime(message: PoppedMessage, invisibleMs: number, group = "G"): Promise<Response> {
    const { queueOffset, receipt } = message;
    const place = placeOf(message, group);
    return await this.ask(RequestCode.CHANGE_MESSAGE_INVISIBLETIME, {
      ...{ consumerGroup: group, extraInfo: receipt, offset: String(queueOffset) },
      ...{ topic: place.topic, queueId: String(place.queueId), invisibleTime: String(invisibleMs) },
    });
  }

  async batchAck(acks: readonly BatchAck[]): Promise<Response> {
    const body = encodeBatchAckRequest({ brokerName: "broker-a", acks });
    return await this.ask(RequestCode.BATCH_ACK_MESSAGE, {}, body);
  }

  /** Moves the clock on in small steps, and lets what is due come to its place. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      this.parts.clock.advance(Math.min(STEP_MS, ms - passed));
      await this.settled();
    }
  }

  /** Everything appended so far is visible, and who is to be told of it has been. */
  async settled(): Promise<void> {
    const { store } = this.parts;
    for (let turn = 0; turn < 3; turn++) {
      await until(() => store.dispatchedOffset === store.maxPhysicalOffset);
      await setImmediate();
    }
  }

  async close(): Promise<void> {
    await this.pop.stop();
    await this.parts.close();
  }
}

/** Where a message is acknowledged: the topic that holds it, and its queue there. */
function placeOf(message: PoppedMessage, group: string): { topic: string; queueId: number } {
  const words = message.receipt.split(" ");
  const separator = words[4] === "2" ? "+" : "_";
  const topic = words[4] === "0" ? message.topic : `%RETRY%${group}${separator}${message.topic}`;
  return { topic, queueId: Number(words[6]) };
}

export function messagesOf(response: Response): PoppedMessage[] {
  const { fields = {} } = response;
  const starts = new Map(
    (fields.startOffsetInfo ?? "").split(";").filter((item) => item).map((item) => {
      const [retry, queueId, offset] = item.split(" ");
      return [`${retry} ${queueId}`, offset];
    }),
  );
  return recordsIn(response).map((record) => {
    const properties = propertiesOf(record);
    const key = `0 ${record.queueId}`;
    const receipt = properties.POP_CK ??
      `${
        starts.get(key)
      } ${fields.popTime} ${fields.invisibleTime} ${fields.reviveQid} 0 broker-a ${record.queueId} ${record.queueOffset}`;
    const { topic, queueId, queueOffset, reconsumeTimes } = record;
    return { body: bodyOf(record), topic, queueId, queueOffset, reconsumeTimes, properties, receipt };
  });
}

export function bodiesOf(messages: readonly PoppedMessage[]): string[] {
  return messages.map(({ body }) => body);
}
