// SPDX-License-Identifier: Apache-2.0
/**
 * A broker on real sockets among peers that send anything: every request gets an answer or its connection is
 * closed, memory stays bounded, and nobody else notices.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import { AdminApi } from "../../src/client/admin_api.ts";
import { encodeProperties } from "../../src/protocol/properties.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import type { Command } from "../../src/remoting/command.ts";
import { type Sending, sendRequest } from "../harness/broker_parts.ts";
import { startTestCluster, type TestCluster } from "../harness/cluster.ts";
import { RawPeer, type RawRequest, requestFrame } from "../remoting/raw_peer.ts";
import { settled, until } from "../harness/until.ts";

/** Every field of any request that a broker knows. */
const FIELD_NAMES = [
  ..."_UNIQUE_KEY_QUERY acceptStandardJsonOnly attributes batch beginTimestamp bornTimestamp boundaryType"
    .split(" "),
  ..."brokerAddr brokerId brokerName clientAddr clientID clientId clusterName commitOffset compressed".split(
    " ",
  ),
  ..."consumerGroup count dataVersion defaultTopic defaultTopicQueueNums delayLevel destGroup endTimestamp"
    .split(" "),
  ..."expressionType flag group groupSeq index isForce key maxGroupNum maxMsgNums maxNum maxReconsumeTimes"
    .split(" "),
  ..."maxTopicNum msgId offline offset order originMsgId originTopic perm producerGroup properties queueId"
    .split(" "),
  ..."queueOffset readQueueNums readable reconsumeTimes setZeroIfNotFound srcGroup statsKey statsName".split(
    " ",
  ),
  ..."subVersion subscription sysFlag timestamp topic topicFilterType topicList topicSeq topicSysFlag".split(
    " ",
  ),
  ..."tranStateTableOffset commitLogOffset commitOrRollback fromTransactionCheck".split(" "),
  ..."transactionId unitMode writeQueueNums cleanGroupConfig removeOffset a b c d e f g h i j k l m n".split(
    " ",
  ),
];

const CODES: readonly number[] = [...Object.values(RequestCode), 0, -1, 1, 9999, 0x7fffffff, -0x80000000];

/** What a pull without messages would wait for is no hang. */
const NO_WAIT = { suspendTimeoutMillis: "0" };

let cluster: TestCluster;
let peer: RawPeer;
let lastOpaque = 0;

before(async () => {
  cluster = await startTestCluster("flushIntervalConsumeQueue=100000");
  const admin = new AdminApi(cluster.broker.address);
  for (const topic of ["T", "Victim"]) await admin.createTopic(topic, 2);
  admin.close();
});

after(() => cluster.stop());

beforeEach(async () => {
  peer = await RawPeer.connect(cluster.broker.port);
});

/** Whatever was sent before, a message goes in and comes out. */
afterEach(async () => {
  const one = await RawPeer.connect(cluster.broker.port);
  const body = `normal ${++lastOpaque}`;
  const sent = await ask(sending({ topic: "T", body }), one);
  assert.equal(sent.code, 0, sent.remark ?? "");
  const pulled = await ask(pulling("T", Number(sent.fields!.queueOffset)), one);
  assert.equal(pulled.code, 0);
  assert.ok(Buffer.from(pulled.body!).includes(body));
  one.socket.destroy();
  peer.socket.destroy();
});

/** All answers, in the order of the requests; fails when one does not come. */
async function askAll(requests: RawRequest[], by = peer): Promise<Command[]> {
  const first = lastOpaque + 1;
  by.received.length = 0;
  by.send(...requests.map((request) => ({ ...request, opaque: ++lastOpaque })));
  await until(() => by.received.length === requests.length || by.closed, 60_000).catch(() => {});
  const answers = new Map(by.received.map((answer) => [answer.opaque, answer]));
  return requests.map((request, index) => {
    const answer = answers.get(first + index);
    if (answer === undefined) {
      const fields = JSON.stringify(request.fields)?.slice(0, 500);
      assert.fail(`no answer to ${request.code} with ${fields}, closed: ${by.closed}`);
    }
    return answer;
  });
}

async function ask(request: RawRequest, by = peer): Promise<Command> {
  return (await askAll([request], by))[0];
}

function sending(given: Sending): RawRequest {
  const { code, fields, body } = sendRequest(given);
  return { code, fields, body: body ?? undefined };
}

function pulling(topic: string, queueOffset: number): RawRequest {
  const numbers = { queueId: 0, queueOffset, maxMsgNums: 32, sysFlag: 4, commitOffset: 0, subVersion: 0 };
  const texts = Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, String(value)]));
  return { code: RequestCode.PULL_MESSAGE, fields: { consumerGroup: "g", topic, ...texts, ...NO_WAIT } };
}

/** On a machine that is busy with something else. */
const PATIENT = { timeout: 120_000 };

const bytes = (text: string) => new TextEncoder().encode(text);

describe("every request code", () => {
  const answersAll = async (given: (code: number) => Partial<RawRequest>) => {
    const requests = CODES.map((code) => ({ code, ...given(code) }));
    const answers = await askAll(requests);
    for (const [index, { code, remark }] of answers.entries()) {
      assert.ok(Number.isInteger(code));
      const text = remark ?? "";
      assert.doesNotMatch(
        text,
        /TypeError|ReferenceError|undefined|RangeError/,
        `code ${requests[index].code}`,
      );
      assert.ok(text.length < 70_000);
    }
    return answers;
  };

  test("is answered without fields", PATIENT, async () => {
    await answersAll(() => ({}));
    await answersAll(() => ({ fields: {} }));
  });

  const values = {
    "empty": "",
    "0": "0",
    "-1": "-1",
    "the largest int": "2147483647",
    "the smallest int": "-2147483648",
    "the largest long": "9223372036854775807",
    "the smallest long": "-9223372036854775808",
    "beyond all numbers": "9".repeat(400),
    "no number": "x",
    "a path": "../../../etc/passwd",
    "true": "true",
    "a control character": "\u0000\u0001\u0002",
    "half a character": "\ud800",
    "a name of JavaScript's": "__proto__",
    "60,000 characters": "y".repeat(60_000),
  };
  for (const [what, value] of Object.entries(values)) {
    test(`is answered when every field is ${what}`, PATIENT, async () => {
      // the long ones as often as a frame can hold them
      const names = value.length > 1000 ? ["topic", "consumerGroup", "group", "b", "i"] : FIELD_NAMES;
      const fields = Object.fromEntries(names.map((name) => [name, value]));
      await answersAll(() => ({ fields: { ...fields, ...NO_WAIT } }));
      await answersAll(() => ({
        fields: { ...fields, topic: "Victim", b: "Victim", group: "v", ...NO_WAIT },
      }));
    });
  }

  test("is answered with a body that is none of its own", PATIENT, async () => {
    const bodies = [
      "",
      "{",
      "[]",
      "null",
      "{}",
      '"text"',
      "-0",
      '{"a":'.repeat(2000),
      "[".repeat(100_000),
      "\ufeff{}",
      "a=b\n\\u12",
      "\0".repeat(1000),
      '{"clientID":{},"consumerDataSet":{},"producerDataSet":7}',
      '{"consumerGroup":"g","clientId":"c","mqSet":[null,7,{"topic":null,"queueId":"x"}]}',
      '{"topicConfigTable":{"a b":{}},"dataVersion":[]}',
      '{"topicConfigList":[null,{"topicName":7}],"groupConfigList":[{}]}',
    ];
    for (const body of bodies) await answersAll(() => ({ body: bytes(body), fields: { ...NO_WAIT } }));
    await answersAll(() => ({ body: Uint8Array.from({ length: 3000 }, (_, i) => i * 7) }));
  });

  test("is not answered where it is one-way, known or not", PATIENT, async () => {
    const fields = Object.fromEntries(FIELD_NAMES.map((name) => [name, "-1"]));
    peer.received.length = 0;
    peer.send(
      ...CODES.map((code): RawRequest => ({
        code,
        oneway: true,
        opaque: 1,
        fields: { ...fields, ...NO_WAIT },
      })),
    );
    peer.send(...CODES.map((code): RawRequest => ({ code, oneway: true, opaque: 1, body: bytes("x") })));
    const answer = await ask({ code: RequestCode.GET_BROKER_RUNTIME_INFO });
    assert.equal(answer.code, 0);
    await settled(() => peer.received.length, 50);
    assert.equal(peer.received.length, 1);
  });

  test("is answered whatever comes in its fields and its body", PATIENT, async () => {
    const name = fc.constantFrom(...FIELD_NAMES);
    const value = fc.oneof(
      fc.constantFrom("T", "Victim", "v", "*", "TAG", "%RETRY%v", "%DLQ%v", "TBW102", "SCHEDULE_TOPIC_XXXX"),
      fc.constantFrom(
        "-1",
        "0",
        "1",
        "4",
        "2147483647",
        "1700000000000",
        "true",
        "k\u0001v\u0002",
        "DELAY\u00011\u0002",
      ),
      fc.integer().map(String),
      fc.string({ maxLength: 20 }),
    );
    const request = fc.record({
      // what would keep the next normal message from going in stays out, and so does what asks for it by name
      code: fc.constantFrom(...CODES.filter((code) => code !== RequestCode.DELETE_TOPIC_IN_BROKER)),
      fields: fc.dictionary(name, value, { maxKeys: 40, noNullPrototype: true }),
      body: fc.oneof(
        fc.constant(undefined),
        fc.uint8Array({ maxLength: 60 }),
        fc.json({ maxDepth: 3 }).map(bytes),
      ),
    });
    const seed = Date.now() & 0x7fffffff;
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 20, maxLength: 40 }), async (requests) => {
        const harmless = requests.map(({ fields, ...more }) => {
          const others = Object.entries(fields).filter(([name, value]) => name !== "topic" || value !== "T");
          return { ...more, fields: { ...Object.fromEntries(others), ...NO_WAIT } };
        });
        await askAll(harmless);
      }),
      { numRuns: 60, seed, endOnFailure: true },
    );
  });
});

describe("messages that are not taken", () => {
  const refused = async (given: Sending, code: number, remark: RegExp) => {
    const answer = await ask(sending(given));
    assert.equal(answer.code, code, answer.remark ?? "");
    assert.match(answer.remark!, remark);
    assert.equal(answer.fields!.MSG_REGION, "DefaultRegion");
  };

  test("a body of 5 MiB, or one byte too many", PATIENT, async () => {
    await refused({ topic: "T", body: new Uint8Array(5 << 20) }, 13, /4194304/);
    await refused({ topic: "T", body: new Uint8Array((4 << 20) + 1) }, 13, /4194304/);
    assert.equal(
      (await ask(sending({ topic: "T", body: new Uint8Array(4 << 20) }))).code,
      13,
      "log files are 4 MiB",
    );
  });

  test("40,000 characters of properties, or fewer of them that take more bytes", PATIENT, async () => {
    await refused({ topic: "T", properties: { k: "x".repeat(40_000) } }, 13, /32767/);
    await refused({ topic: "T", properties: { k: "日".repeat(12_000) } }, 13, /32767/);
    const room = 32_767 - 300;
    assert.equal((await ask(sending({ topic: "T", properties: { k: "x".repeat(room) } }))).code, 0);
  });

  test("names that no topic can have", PATIENT, async () => {
    for (
      const topic of ["a b", "a/b", "..", "a\u0000", "日本", "x".repeat(128), "", "%RETRY%" + "g".repeat(300)]
    ) {
      await refused({ topic }, 29, /^The specified topic/);
    }
  });

  test("leave no file outside of the store's queues", PATIENT, async () => {
    for (const topic of ["../escaped", "..%2fescaped", "a/../../escaped"]) await ask(sending({ topic }));
    assert.ok(!existsSync(join(cluster.directory, "store", "escaped")));
    assert.ok(!existsSync(join(cluster.directory, "escaped")));
  });

  test("requests of kinds that are not built", PATIENT, async () => {
    const fields = {
      topic: "Victim",
      consumerGroup: "v",
      queueId: "0",
      offset: "0",
      extraInfo: "x",
      msgId: "x",
    };
    const codes = Object.entries(RequestCode).filter(([name]) => /STATIC_TOPIC|AUTH_/.test(name));
    assert.ok(codes.length >= 8);
    const endBefore = await maxOffset("Victim");
    for (const [name, code] of codes) {
      const answer = await ask({ code, fields, body: bytes("hello") });
      assert.ok([3, 16].includes(answer.code), `${name}: ${answer.code} ${answer.remark}`);
      assert.match(answer.remark!, /not (supported|enabled)/);
    }
    assert.equal(await maxOffset("Victim"), endBefore);
  });

  test("pops and acknowledgements that can't be", PATIENT, async () => {
    await ask(sending({ topic: "Victim" }));
    const pop = {
      ...{ topic: "Victim", consumerGroup: "v", queueId: "0", maxMsgNums: "1", invisibleTime: "60000" },
      ...{ pollTime: "0", bornTime: "0", initMode: "0", exp: "*", expType: "TAG", order: "false" },
    };
    const ack = { ...pop, offset: "0", extraInfo: "0 1 60000 0 0 broker-a 0 0" };
    const bad: [code: number, fields: Record<string, string>][] = [
      [RequestCode.POP_MESSAGE, { ...pop, maxMsgNums: "-" }],
      [RequestCode.POP_MESSAGE, { ...pop, queueId: "99999" }],
      [RequestCode.POP_MESSAGE, { ...pop, invisibleTime: "9223372036854775807" }],
      [RequestCode.POP_MESSAGE, { ...pop, bornTime: "-9223372036854775808" }],
      [RequestCode.POP_MESSAGE, { ...pop, topic: "../escaped" }],
      [RequestCode.ACK_MESSAGE, { ...ack, extraInfo: "x" }],
      [RequestCode.ACK_MESSAGE, { ...ack, extraInfo: "0 1 60000 998 0 broker-a" }],
      [RequestCode.ACK_MESSAGE, { ...ack, extraInfo: "0 9007199254740991 9007199254740991 0 0 broker-a" }],
      [RequestCode.ACK_MESSAGE, { ...ack, offset: "-1" }],
      [RequestCode.CHANGE_MESSAGE_INVISIBLETIME, { ...ack, invisibleTime: "9007199254740991" }],
      [RequestCode.CHANGE_MESSAGE_INVISIBLETIME, { ...ack, offset: "9007199254740991" }],
      [RequestCode.NOTIFICATION, { ...pop, topic: "None" }],
      [RequestCode.PEEK_MESSAGE, { ...pop, queueId: "99999" }],
    ];
    for (const [code, fields] of bad) {
      const answer = await ask({ code, fields });
      assert.notEqual(answer.code, 0, `${code} ${JSON.stringify(fields)}`);
    }
    for (const body of ["", "{", "[]", '{"acks":{}}', '{"acks":[{}]}', '{"acks":[{"b":"/w==","r":"7"}]}']) {
      await ask({ code: RequestCode.BATCH_ACK_MESSAGE, body: bytes(body) });
    }
    const good = await ask({ code: RequestCode.POP_MESSAGE, fields: { ...pop, consumerGroup: "good" } });
    assert.ok([0, 210].includes(good.code), good.remark!);
  });

  test("properties of any shape are stored as they are, and come back", PATIENT, async () => {
    const seed = Date.now() & 0x7fffffff;
    const text = fc.string({
      unit: fc.constantFrom("a", "\u0001", "\u0002", "KEYS", "DELA", "日", " ", "\u0000"),
      maxLength: 60,
    });
    await fc.assert(
      fc.asyncProperty(text, async (properties) => {
        const sent = await ask(sending({ topic: "T", header: { properties } }));
        assert.equal(sent.code, 0, sent.remark ?? "");
        const pulled = await ask(pulling("T", Number(sent.fields!.queueOffset)));
        assert.equal(pulled.code, 0);
      }),
      { numRuns: 60, seed },
    );
  });
});

describe("bytes that are no frames", () => {
  const closes = async (sent: Uint8Array) => {
    const bad = await RawPeer.connect(cluster.broker.port);
    bad.write(sent);
    await until(() => bad.closed);
    assert.equal(bad.received.length, 0);
  };
  const frameOf = (length: number, headerWord: number, rest: Uint8Array) => {
    const head = Buffer.alloc(8);
    head.writeInt32BE(length, 0);
    head.writeInt32BE(headerWord | 0, 4);
    return Buffer.concat([head, rest]);
  };

  test("lengths that can't be close the connection", PATIENT, async () => {
    for (const length of [-1, 0, 3, 16_777_217, 0x7fffffff, -0x80000000]) {
      await closes(frameOf(length, 0, new Uint8Array(64)));
    }
  });

  test(
    "headers that are none, longer than their frame, or of no known encoding close the connection",
    PATIENT,
    async () => {
      for (const header of ["", "x", "{", "[]", "null", "7", '{"code":"x"}']) {
        const text = bytes(header);
        await closes(frameOf(4 + text.length, text.length, text));
      }
      await closes(frameOf(20, 0xffffff, new Uint8Array(16)));
      for (const encoding of [2, 9, 255]) await closes(frameOf(20, encoding << 24 | 16, new Uint8Array(16)));
      await closes(frameOf(20, 1 << 24 | 16, new Uint8Array(16).fill(0xff)));
    },
  );

  test("other protocols close the connection", PATIENT, async () => {
    for (
      const text of [
        "GET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\n\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "SSH-2.0-x\r\n",
      ]
    ) {
      await closes(bytes(text));
    }
    await closes(Buffer.from("160301020001000001fc0303", "hex"));
  });

  test("good requests before bad bytes are answered", PATIENT, async () => {
    const one = await RawPeer.connect(cluster.broker.port);
    const good = requestFrame({
      code: RequestCode.GET_MAX_OFFSET,
      opaque: 5,
      fields: { topic: "T", queueId: "0" },
    });
    one.write(Buffer.concat([good, Buffer.alloc(12, 0xff)]));
    await until(() => one.closed);
    assert.deepEqual(one.received.map((answer) => [answer.opaque, answer.code]), [[5, 0]]);
  });

  test("a frame that never ends is waited for, and its peer may leave at any byte", PATIENT, async () => {
    const { code, fields, body } = sendRequest({ topic: "Victim" });
    const frame = requestFrame({ code, fields, body: body! });
    const maxBefore = await maxOffset("Victim");
    const peers: RawPeer[] = [];
    for (let length = 0; length < frame.length; length += 7) {
      const one = await RawPeer.connect(cluster.broker.port);
      one.write(frame.subarray(0, length));
      peers.push(one);
    }
    await settled(() => peers.filter((one) => one.closed).length, 50);
    assert.equal(peers.filter((one) => one.closed).length, 0);
    for (const [index, one] of peers.entries()) index % 2 ? one.socket.destroy() : one.socket.end();
    await until(() => peers.every((one) => one.closed));
    assert.equal(await maxOffset("Victim"), maxBefore);
  });
});

async function maxOffset(topic: string): Promise<number> {
  const answer = await ask({ code: RequestCode.GET_MAX_OFFSET, fields: { topic, queueId: "0" } });
  assert.equal(answer.code, 0);
  return Number(answer.fields!.offset);
}

function residentBytes(): number {
  return process.memoryUsage().rss;
}

describe("peers that cost memory", () => {
  test("2,000 connections that send half a frame of 16 MiB", PATIENT, async () => {
    const residentBefore = residentBytes();
    const head = Buffer.alloc(8 + 100);
    head.writeInt32BE(16_000_000, 0);
    const peers: RawPeer[] = [];
    for (let i = 0; i < 2000; i += 100) {
      peers.push(
        ...await Promise.all(Array.from({ length: 100 }, () => RawPeer.connect(cluster.broker.port))),
      );
    }
    for (const one of peers) one.write(head);
    await settled(() => residentBytes() >> 20, 200);
    assert.equal((await ask(sending({ topic: "T" }))).code, 0);
    const grownBytes = residentBytes() - residentBefore;
    assert.ok(
      grownBytes < 300 << 20,
      `${grownBytes >> 20} MiB more for 2,000 connections, both of their ends`,
    );
    for (const one of peers) one.socket.destroy();
    await until(() => peers.every((one) => one.closed));
  });

  test("one that pulls large messages and never reads them", PATIENT, async () => {
    const large = new Uint8Array(1 << 20);
    for (let i = 0; i < 4; i++) {
      assert.equal((await ask(sending({ topic: "Victim", body: large, header: { queueId: "1" } }))).code, 0);
    }
    const residentBefore = residentBytes();
    const deaf = await RawPeer.connect(cluster.broker.port);
    deaf.socket.pause();
    const one = pulling("Victim", 0);
    const pull = { ...one, fields: { ...one.fields, queueId: "1", maxMsgNums: "4" } };
    // 2 GiB, if it were answered
    for (let i = 0; i < 2000; i++) deaf.send({ ...pull, opaque: i });
    for (let i = 0; i < 20; i++) assert.equal((await ask(sending({ topic: "T" }))).code, 0);
    const grownBytes = residentBytes() - residentBefore;
    assert.ok(grownBytes < 200 << 20, `${grownBytes >> 20} MiB more`);
    deaf.socket.destroy();
    await until(() => deaf.closed);
  });

  test("one that has a hundred thousand pulls wait", PATIENT, async () => {
    const residentBefore = residentBytes();
    const greedy = await RawPeer.connect(cluster.broker.port);
    const end = await maxOffset("T");
    const one = pulling("T", end);
    const waiting = { ...one, fields: { ...one.fields, sysFlag: "6", suspendTimeoutMillis: "60000" } };
    const frames = Buffer.concat(
      Array.from({ length: 1000 }, (_, opaque) => requestFrame({ ...waiting, opaque })),
    );
    for (let i = 0; i < 100; i++) greedy.write(frames);
    // answered behind them all
    greedy.send({ code: RequestCode.GET_MAX_OFFSET, opaque: 7777, fields: { topic: "T", queueId: "0" } });
    await until(() => greedy.received.length > 0 || greedy.closed, 30_000);
    assert.deepEqual(greedy.received.map((answer) => answer.opaque), [7777]);
    assert.equal((await ask(sending({ topic: "Victim" }))).code, 0);
    const grownBytes = residentBytes() - residentBefore;
    assert.ok(grownBytes < 300 << 20, `${grownBytes >> 20} MiB more`);
    greedy.socket.destroy();
    await until(() => greedy.closed);
  });
});

test("after all that, the store is left clean, and opens again with what it had", PATIENT, async () => {
  const ends = [await maxOffset("T"), await maxOffset("Victim")];
  await cluster.broker.stop();
  assert.ok(!existsSync(join(cluster.directory, "store", "abort")));
  await cluster.restartBroker();
  peer = await RawPeer.connect(cluster.broker.port);
  assert.deepEqual([await maxOffset("T"), await maxOffset("Victim")], ends);
  const bodies = await ask(pulling("T", 0));
  assert.equal(bodies.code, 0);
});

test("properties that are their own header are taken as text", PATIENT, async () => {
  const header = { properties: encodeProperties([["k", '{"code":10}']]) };
  assert.equal((await ask(sending({ topic: "T", header }))).code, 0);
});
