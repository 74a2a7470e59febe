// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { offsetMessageId, parseOffsetMessageId } from "../../../src/protocol/message_id.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import type { Response } from "../../../src/remoting/command.ts";
import { MAX_FRAME_BYTES } from "../../../src/remoting/frame.ts";
import { bodyOf, BrokerParts, recordsIn } from "../../harness/broker_parts.ts";
import { bodyBytes } from "../../harness/memory_connection.ts";

let broker: BrokerParts;

async function start(...pairs: string[]): Promise<void> {
  await broker?.close();
  broker = await BrokerParts.open({ pairs });
  broker.createTopic("T", 2);
}

beforeEach(() => start());
afterEach(() => broker.close());

function query(given: Record<string, string | undefined>): Promise<Response> {
  const fields = {
    topic: "T",
    maxNum: "32",
    beginTimestamp: "0",
    endTimestamp: "9223372036854775807",
    ...given,
  };
  return broker.connection.ask(broker.dispatch, {
    code: RequestCode.QUERY_MESSAGE,
    fields: JSON.parse(JSON.stringify(fields)),
  });
}

function view(offset: string): Promise<Response> {
  return broker.connection.ask(broker.dispatch, { code: RequestCode.VIEW_MESSAGE_BY_ID, fields: { offset } });
}

async function send(body: string, properties: Record<string, string> = {}): Promise<Response> {
  const sent = await broker.send({ topic: "T", body, properties });
  await broker.bodies("T");
  return sent;
}

const bodiesIn = (response: Response) => recordsIn(response).map(bodyOf);

describe("QUERY_MESSAGE", () => {
  test("finds messages by each of their keys", async () => {
    await send("a", { KEYS: "k1 k2" });
    await send("b", { KEYS: "k2" });
    const found = await query({ key: "k2" });
    assert.equal(found.code, 0);
    assert.deepEqual(bodiesIn(found).sort(), ["a", "b"]);
    const last = await broker.last("T");
    assert.deepEqual(found.fields, {
      indexLastUpdateTimestamp: String(last.storeTimestampMs),
      indexLastUpdatePhyoffset: String(last.physicalOffset),
    });
    assert.deepEqual(bodiesIn(await query({ key: "k1" })), ["a"]);
  });

  test("finds a message by its unique key", async () => {
    const { transactionId } = (await send("a")).fields!;
    assert.deepEqual(bodiesIn(await query({ key: transactionId, _UNIQUE_KEY_QUERY: "true" })), ["a"]);
  });

  test("finds nothing: QUERY_NOT_FOUND, with the index's state", async () => {
    await send("a", { KEYS: "k" });
    for (
      const given of [{ key: "other" }, { key: "k", topic: "U" }, {
        key: "k",
        beginTimestamp: "9999999999999",
      }]
    ) {
      const response = await query(given);
      assert.equal(response.code, 22);
      assert.equal(response.remark, "can not find message, maybe time range not correct");
      assert.equal(response.body, undefined);
      assert.equal("indexLastUpdateTimestamp" in response.fields!, true);
    }
  });

  test("gives at most as many as are asked for, or as the broker allows", async () => {
    await start("maxMsgsNumBatch=4", "defaultQueryMaxNum=3");
    for (let i = 0; i < 6; i++) await send(`${i}`, { KEYS: "k" });
    assert.equal(bodiesIn(await query({ key: "k", maxNum: "2" })).length, 2);
    for (const maxNum of ["32", "2147483647"]) {
      assert.equal(bodiesIn(await query({ key: "k", maxNum })).length, 4);
    }
    for (const maxNum of ["0", "-1"]) assert.equal((await query({ key: "k", maxNum })).code, 22);
    assert.equal(bodiesIn(await query({ key: "k", maxNum: "1", _UNIQUE_KEY_QUERY: "true" })).length, 3);
  });

  test("gives no more bytes than a client takes in one answer", async () => {
    await start("mappedFileSizeCommitLog=16777216", "maxMessageSize=4194304");
    for (let i = 0; i < 6; i++) await send(String(i).repeat(4_000_000), { KEYS: "k" });
    const response = await query({ key: "k" });
    assert.equal(response.code, 0);
    assert.equal(recordsIn(response).length, 4);
    assert.ok(bodyBytes(response).length < MAX_FRAME_BYTES - 1024);
  });

  test("needs its fields", async () => {
    for (const name of ["topic", "key", "maxNum", "beginTimestamp", "endTimestamp"]) {
      const response = await query({ key: "k", [name]: undefined });
      assert.equal(response.code, 1);
      assert.match(response.remark!, new RegExp(`<${name}>`));
    }
    assert.equal((await query({ key: "k", maxNum: "many" })).code, 1);
    assert.equal((await query({ key: "", topic: "" })).code, 22);
  });

  test("finds nothing without an index", async () => {
    await start("messageIndexEnable=false");
    await send("a", { KEYS: "k" });
    assert.equal((await query({ key: "k" })).code, 22);
  });
});

describe("VIEW_MESSAGE_BY_ID", () => {
  test("gives the message whose offset is in the id", async () => {
    await send("a");
    const { msgId } = (await send("b")).fields!;
    const { ip, port, physicalOffset } = parseOffsetMessageId(msgId)!;
    assert.equal(offsetMessageId({ ip, port }, physicalOffset), msgId);
    const response = await view(String(physicalOffset));
    assert.equal(response.code, 0);
    assert.deepEqual(bodiesIn(response), ["b"]);
  });

  test("gives nothing where no message begins", async () => {
    await send("a");
    const end = broker.store.maxPhysicalOffset;
    const offsets = ["1", "-1", String(end), String(end - 1), "9223372036854775807", "-9223372036854775808"];
    for (const offset of offsets) {
      const response = await view(offset);
      assert.equal(response.code, 1);
      assert.match(response.remark!, /^can not find message by the offset, /);
    }
  });

  test("needs an offset", async () => {
    for (const offset of ["", "x", "1.0"]) assert.equal((await view(offset)).code, 1);
  });
});
