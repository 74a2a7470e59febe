// SPDX-License-Identifier: Apache-2.0
/** The revive topic, read on while check points come and are settled. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { REVIVE_GROUP, reviveTopicOf } from "../../../src/broker/pop/revive_log.ts";
import { encodeProperties } from "../../../src/protocol/properties.ts";
import { MessageIllegalError } from "../../../src/store/types.ts";
import { MemoryFiles } from "../../harness/memory_files.ts";
import { bodiesOf, PopParts } from "./parts.ts";

const SECOND = 1000;
const REVIVE_TOPIC = reviveTopicOf("DefaultCluster");

async function broker(options: { files?: MemoryFiles; pairs?: string[] } = {}): Promise<PopParts> {
  const pairs = ["reviveQueueNum=1", ...options.pairs ?? []];
  const parts = await PopParts.open({ files: options.files, pairs });
  parts.parts.createTopic("T");
  return parts;
}

/** Where the reading of the revive topic would go on after a restart. */
async function settledUpTo({ parts }: PopParts): Promise<number> {
  await parts.store.flush();
  return parts.offsets.query(REVIVE_GROUP, REVIVE_TOPIC, 0);
}

/** Puts an entry into the revive topic as if its time had come. */
async function put(
  parts: PopParts,
  body: string | Uint8Array,
  tag: string,
  deliveryMs = parts.parts.clock.nowMs(),
): Promise<void> {
  const propertyMap = new Map([["TAGS", tag], ["TIMER_DELIVER_MS", String(deliveryMs)]]);
  const host = { ip: Uint8Array.of(10, 1, 2, 3), port: 10911 };
  parts.parts.store.append({
    ...{ topic: REVIVE_TOPIC, queueId: 0, flag: 0, sysFlag: 0, bornTimestampMs: 0, bornHost: host },
    ...{ storeHost: host, reconsumeTimes: 0, preparedTransactionOffset: 0 },
    body: typeof body === "string" ? new TextEncoder().encode(body) : body,
    ...{ propertyMap, properties: encodeProperties(propertyMap) },
  });
  await parts.settled();
}

test("a check point is settled two seconds after the end of its invisible time, and then committed", async () => {
  const parts = await broker();
  await parts.send("T", ["a"]);
  await parts.popNow({ header: { invisibleTime: "5000" } });
  await parts.pass(7 * SECOND);
  assert.equal(await settledUpTo(parts), -1);
  await parts.pass(2 * SECOND);
  assert.equal(await settledUpTo(parts), 0);
  assert.equal(parts.parts.store.maxOffset("%RETRY%G_T", 0), 1);
  await parts.close();
});

test("a check point is committed when it is on the disk, also where nothing had to be given out again", async () => {
  const parts = await broker();
  await parts.send("T", ["a"]);
  const [message] = await parts.popNow({ header: { invisibleTime: "5000" } });
  await parts.ack(message);
  const syncs = parts.parts.files.holdSyncs();
  await parts.pass(9 * SECOND);
  assert.equal(parts.parts.store.maxOffset(REVIVE_TOPIC, 0), 2);
  const { offsets } = parts.parts;
  assert.equal(offsets.query(REVIVE_GROUP, REVIVE_TOPIC, 0), -1);
  syncs.release();
  assert.equal(await settledUpTo(parts), 0);
  await parts.close();
});

test("a check point that comes twice does not take those between with it", async () => {
  const parts = await broker();
  await parts.send("T", ["a", "b"]);
  const one = { maxMsgNums: "1" };
  await parts.popNow({ header: { ...one, invisibleTime: "5000" } });
  await parts.popNow({ header: { ...one, invisibleTime: "6900" } });
  await parts.pass(6750);
  const { store } = parts.parts;
  assert.equal(store.maxOffset(REVIVE_TOPIC, 0), 2);
  const entry = store.queueEntry(REVIVE_TOPIC, 0, 0)!;
  await put(parts, store.readMessage(entry.physicalOffset)!.body, "ck");
  await parts.pass(2500);
  assert.equal(store.maxOffset("%RETRY%G_T", 0), 1);
  assert.equal(await settledUpTo(parts), 0);
  await parts.pass(2 * SECOND);
  assert.deepEqual(bodiesOf(await parts.popNow()), ["a", "b"]);
  await parts.close();
});

test("what is not settled is read again after a restart", async () => {
  const files = new MemoryFiles();
  const parts = await broker({ files });
  await parts.send("T", ["a", "b"]);
  const [message] = await parts.popNow({ header: { invisibleTime: "5000" } });
  await parts.ack(message);
  await parts.pass(6 * SECOND);
  await parts.close();
  const clock = parts.parts.clock;
  const next = await PopParts.open({ files, clock, pairs: ["reviveQueueNum=1"] });
  await next.pass(4 * SECOND);
  assert.deepEqual(bodiesOf(await next.popNow()), ["b"]);
  await next.close();
});

test("entries that can't be read, or name nothing, are passed over", async () => {
  const parts = await broker();
  await parts.send("T", ["a"]);
  await parts.popNow({ header: { invisibleTime: "5000" } });
  await put(parts, "{", "ck");
  await put(parts, '{"t":"T"}', "ck");
  await put(parts, '{"t":"T","c":"G","q":9,"so":77,"n":1,"d":[5],"pt":1,"it":1,"bn":"broker-a"}', "ck");
  await put(parts, '{"t":"T","c":"G","q":0,"so":0,"ao":0,"pt":1,"bn":"broker-a"}', "ack");
  await put(parts, "nonsense", "bAck");
  await put(parts, "of another kind", "other");
  await parts.pass(9 * SECOND);
  assert.deepEqual(bodiesOf(await parts.popNow()), ["a"]);
  await parts.close();
});

test("entries that lie about their time neither hold up others nor settle them early", async () => {
  const parts = await broker();
  await parts.send("T", ["a", "b"]);
  const nowMs = parts.parts.clock.nowMs();
  const names = `"t":"T","c":"G","q":0,"so":0,"n":1,"d":[0],"bn":"broker-a"`;
  await put(parts, `{${names},"pt":${nowMs},"it":${365 * 86_400_000}}`, "ck");
  await put(parts, `{${names},"pt":1,"it":1,"ao":9}`, "ack", nowMs + 365 * 86_400_000);
  const popped = await parts.popNow({ header: { invisibleTime: "5000" } });
  await parts.pass(4 * SECOND);
  await parts.ack(popped[0]);
  await parts.pass(5 * SECOND);
  assert.deepEqual(bodiesOf(await parts.popNow()), ["b"]);
  await parts.close();
});

test("while timed messages are off nothing is settled, for no acknowledgement comes", async () => {
  const parts = await broker();
  await parts.send("T", ["a"]);
  await parts.popNow({ header: { invisibleTime: "5000" } });
  await parts.pass(6 * SECOND);
  const { settings } = parts.parts;
  parts.parts.settings = { ...settings, timersEnabled: false };
  await parts.pass(60 * SECOND);
  assert.equal(parts.parts.topics.has("%RETRY%G_T"), false);
  parts.parts.settings = settings;
  await parts.pass(2 * SECOND);
  assert.deepEqual(bodiesOf(await parts.popNow()), ["a"]);
  await parts.close();
});

test("a message that can't be given out again is tried later", async () => {
  const parts = await broker();
  await parts.send("T", ["a"]);
  await parts.popNow({ header: { invisibleTime: "5000" } });
  const { topics } = parts.parts;
  const create = topics.createForSendBack.bind(topics);
  topics.createForSendBack = () => undefined;
  await parts.pass(9 * SECOND);
  topics.createForSendBack = create;
  assert.deepEqual(await parts.popNow(), []);
  await parts.pass(12 * SECOND);
  assert.deepEqual(bodiesOf(await parts.popNow()), ["a"]);
  await parts.close();
});

/** Has messages with this body refused by the store. @returns what takes them again */
function refuse(parts: PopParts, body: string, error: Error): () => void {
  const { store } = parts.parts;
  const append = store.append.bind(store);
  store.append = (draft) => {
    if (new TextDecoder().decode(draft.body) === body) throw error;
    return append(draft);
  };
  return () => store.append = append;
}

test("a message that can't be stored again holds up no others, and has none come over and over", async () => {
  const parts = await broker();
  await parts.send("T", ["a", "b", "c"]);
  await parts.popNow({ header: { invisibleTime: "5000" } });
  const take = refuse(parts, "b", new MessageIllegalError("less is allowed now"));
  await parts.pass(15 * SECOND);
  assert.deepEqual(await parts.parts.bodies("%RETRY%G_T"), ["a", "c"]);
  take();
  await parts.pass(15 * SECOND);
  assert.deepEqual(await parts.parts.bodies("%RETRY%G_T"), ["a", "c", "b"]);
  await parts.close();
});

test("what was given out before something unforeseen is not given out with each try", async () => {
  const parts = await broker();
  await parts.send("T", ["a", "b"]);
  await parts.popNow({ header: { invisibleTime: "5000" } });
  const take = refuse(parts, "b", new RangeError("unforeseen"));
  await parts.pass(15 * SECOND);
  assert.deepEqual(await parts.parts.bodies("%RETRY%G_T"), ["a"]);
  assert.equal(await settledUpTo(parts), -1);
  take();
  await parts.pass(2 * SECOND);
  assert.deepEqual(await parts.parts.bodies("%RETRY%G_T"), ["a", "b"]);
  assert.equal(await settledUpTo(parts), 0);
  await parts.close();
});

test("a message whose properties have no room for more comes again as it was", async () => {
  const parts = await broker();
  const filler = "x".repeat(32_000);
  await parts.send("T", ["a"], { filler });
  const { properties } = (await parts.popNow({ header: { invisibleTime: "5000" } }))[0];
  const room = 32_767 -
    Object.entries(properties).reduce((sum, [key, value]) => sum + key.length + value.length + 2, 0);
  await parts.send("T", ["b"], { filler: filler + "x".repeat(room) });
  await parts.popNow({ header: { invisibleTime: "5000" } });
  await parts.pass(9 * SECOND);
  const again = await parts.popNow();
  assert.deepEqual(bodiesOf(again), ["a", "b"]);
  assert.deepEqual(again.map((message) => message.properties.ORIGIN_GROUP), ["G", undefined]);
  // nor for its receipt, which the client makes then
  assert.deepEqual(again.map(({ topic }) => topic), ["T", "%RETRY%G_T"]);
  assert.deepEqual(again.map(({ reconsumeTimes }) => reconsumeTimes), [1, 1]);
  await parts.close();
});
