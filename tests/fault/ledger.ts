// SPDX-License-Identifier: Apache-2.0
/**
 * A ledger of acknowledged messages, a sender that keeps it, and the comparison with what a broker holds.
 *
 * Every message has a number; its body follows from the number alone, so that a reader knows each byte that it must
 * find. No number is sent twice, so none may be stored twice.
 */
import type { Fields } from "../../src/protocol/header.ts";
import { pullRequest, pullResponse } from "../../src/protocol/headers/pull.ts";
import { encodeSendV2, sendResponse } from "../../src/protocol/headers/send.ts";
import { parseOffsetMessageId } from "../../src/protocol/message_id.ts";
import { decodeRecord, type MessageRecord } from "../../src/protocol/record.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import { ResponseCode } from "../../src/protocol/response_code.ts";
import { RemotingClient } from "../../src/remoting/client.ts";
import { RemotingIoError } from "../../src/remoting/remoting_error.ts";
import { SeededRandom } from "../harness/seeded_random.ts";

export interface Acknowledged {
  readonly number: number;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly physicalOffset: number;
}

/** What was sent and acknowledged so far, over all lives of the broker. */
export class Ledger {
  readonly topic: string;
  readonly queueCount: number;
  readonly acknowledged: Acknowledged[] = [];
  sentCount = 0;

  constructor(topic: string, queueCount: number) {
    this.topic = topic;
    this.queueCount = queueCount;
  }
}

const MIN_BODY_BYTES = 4;
const MAX_BODY_BYTES = 3000;

/** The number, then bytes and a length that follow from it. */
export function bodyOf(number: number): Uint8Array {
  const random = new SeededRandom(number);
  const body = new Uint8Array(random.between(MIN_BODY_BYTES, MAX_BODY_BYTES));
  new DataView(body.buffer).setUint32(0, number);
  for (let i = MIN_BODY_BYTES; i < body.length; i++) body[i] = random.between(0, 255);
  return body;
}

const REQUEST_TIMEOUT_MS = 10_000;

/**
 * Sends from several loops at once, each waiting for its acknowledgement, until the broker is gone.
 * Throws when an answer is anything but a success.
 */
export async function sendUntilGone(address: string, ledger: Ledger, loops: number): Promise<void> {
  const client = new RemotingClient();
  const send = async () => {
    for (;;) {
      const number = ledger.sentCount++;
      const queueId = number % ledger.queueCount;
      const fields = sendFields(ledger, queueId);
      const request = { code: RequestCode.SEND_MESSAGE_V2, fields, body: bodyOf(number) };
      const answer = await client.request(address, request, REQUEST_TIMEOUT_MS);
      if (answer.code !== ResponseCode.SUCCESS) throw new Error(`code ${answer.code}: ${answer.remark}`);
      const stored = sendResponse.decode(answer.fields);
      const id = parseOffsetMessageId(stored.msgId);
      if (!id) throw new Error(`no message id: ${stored.msgId}`);
      const { queueOffset } = stored;
      ledger.acknowledged.push({
        number,
        queueId: stored.queueId,
        queueOffset,
        physicalOffset: id.physicalOffset,
      });
    }
  };
  try {
    await Promise.all(Array.from({ length: loops }, send));
  } catch (error) {
    if (!(error instanceof RemotingIoError)) throw error;
  } finally {
    client.close();
  }
}

function sendFields(ledger: Ledger, queueId: number): Fields {
  return encodeSendV2({
    producerGroup: "ledger",
    topic: ledger.topic,
    defaultTopic: "TBW102",
    defaultTopicQueueNums: ledger.queueCount,
    queueId,
    sysFlag: 0,
    bornTimestamp: Date.now(),
    flag: 0,
    properties: "",
    reconsumeTimes: 0,
    unitMode: false,
    maxReconsumeTimes: undefined,
    batch: false,
  });
}

/** Reads one queue from its start, or from a later offset, to its end. */
export async function readQueue(
  address: string,
  topic: string,
  queueId: number,
  from = 0,
): Promise<MessageRecord[]> {
  const client = new RemotingClient();
  const records: MessageRecord[] = [];
  try {
    for (let queueOffset = from;;) {
      const fields = pullRequest.encode({
        consumerGroup: "ledger-reader",
        topic,
        queueId,
        queueOffset,
        maxMsgNums: 32,
        sysFlag: SUBSCRIPTION_GIVEN,
        commitOffset: 0,
        suspendTimeoutMillis: 0,
        subscription: "*",
        subVersion: 0,
        expressionType: "TAG",
      });
      const answer = await client.request(
        address,
        { code: RequestCode.PULL_MESSAGE, fields },
        REQUEST_TIMEOUT_MS,
      );
      const { maxOffset, nextBeginOffset } = pullResponse.decode(answer.fields);
      if (answer.code === ResponseCode.PULL_NOT_FOUND) {
        if (queueOffset !== maxOffset) {
          throw new Error(`queue ${queueId}: nothing at ${queueOffset} of ${maxOffset}`);
        }
        return records;
      }
      if (answer.code !== ResponseCode.SUCCESS) {
        throw new Error(`queue ${queueId}, offset ${queueOffset}: code ${answer.code} (${answer.remark})`);
      }
      records.push(...decodeRecords(answer.body!));
      queueOffset = nextBeginOffset;
    }
  } finally {
    client.close();
  }
}

/** PullSysFlag: the request says itself what it subscribes to. */
const SUBSCRIPTION_GIVEN = 4;

function decodeRecords(body: Uint8Array): MessageRecord[] {
  const records: MessageRecord[] = [];
  for (let at = 0; at < body.length;) {
    const record = decodeRecord(body, at);
    if (typeof record === "string") throw new Error(`no record at byte ${at} of a pulled body: ${record}`);
    records.push(record);
    at += record.totalBytes;
  }
  return records;
}

/**
 * What is wrong with the queues of a broker, given all their records from their first offsets on (0 unless told;
 * what was before has expired): nothing if every acknowledged
 * message is at its place with the right bytes, offsets have no holes, and no message is stored twice or altered.
 * Messages that were sent but never acknowledged may be there or not.
 */
export function faults(
  ledger: Ledger,
  queues: readonly (readonly MessageRecord[])[],
  firstOffsets: readonly number[] = [],
): string[] {
  const found: string[] = [];
  const places = new Map<number, string>();
  queues.forEach((records, queueId) => {
    records.forEach((record, index) => {
      const offset = index + (firstOffsets[queueId] ?? 0);
      const place = `queue ${queueId}, offset ${offset}`;
      if (record.queueOffset !== offset) found.push(`${place}: a record of offset ${record.queueOffset}`);
      if (record.queueId !== queueId) found.push(`${place}: a record of queue ${record.queueId}`);
      const number = numberOf(record.body);
      if (number === undefined || number >= ledger.sentCount) {
        found.push(`${place}: bytes that were never sent`);
      } else if (places.has(number)) {
        found.push(`${place}: message ${number} again, first at ${places.get(number)}`);
      } else {
        places.set(number, place);
      }
    });
  });
  for (const { number, queueId, queueOffset, physicalOffset } of ledger.acknowledged) {
    const place = `queue ${queueId}, offset ${queueOffset}`;
    const first = firstOffsets[queueId] ?? 0;
    if (queueOffset < first) continue;
    const record = queues[queueId]?.[queueOffset - first];
    if (places.get(number) !== place || record === undefined) {
      found.push(`message ${number}, acknowledged at ${place}: ${places.get(number) ?? "lost"}`);
    } else if (record.physicalOffset !== physicalOffset) {
      found.push(
        `message ${number}: physical offset ${record.physicalOffset}, acknowledged ${physicalOffset}`,
      );
    }
  }
  return found;
}

/** The number whose body these bytes are, if they are one's. */
function numberOf(body: Uint8Array): number | undefined {
  if (body.length < MIN_BODY_BYTES) return undefined;
  const number = new DataView(body.buffer, body.byteOffset).getUint32(0);
  const expected = bodyOf(number);
  const equal = expected.length === body.length && expected.every((byte, i) => byte === body[i]);
  return equal ? number : undefined;
}
