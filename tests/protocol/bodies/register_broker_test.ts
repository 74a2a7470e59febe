// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { deflateSync } from "node:zlib";
import { DataVersion } from "../../../src/protocol/bodies/data_version.ts";
import {
  decodeRegisterBroker,
  EMPTY_REGISTRATION,
  encodeRegisterBroker,
  registrationCrc32,
} from "../../../src/protocol/bodies/register_broker.ts";
import { topicConfig } from "../../../src/protocol/bodies/topic_config.ts";
import { MalformedError } from "../../../src/protocol/header.ts";
import { registerBrokerRequest } from "../../../src/protocol/headers/register_broker.ts";
import { readFrame } from "../../../src/remoting/codec.ts";

/** A registration as a real broker sent it. */
function golden(name: string) {
  const bytes = readFileSync(new URL(`../../golden/namesrv/${name}.frame`, import.meta.url));
  const { body, fields, version } = readFrame(bytes, 0, bytes.length);
  const header = registerBrokerRequest.decode(fields);
  return { header, version, body: body!, decoded: decodeRegisterBroker(body, header.compressed, version) };
}

const bytes = (text: string) => new TextEncoder().encode(text);

for (const name of ["register_4_9_7", "register_4_9_7_compressed", "register_5_4_0"]) {
  test(`${name}: topics, version and checksum of a real broker are read`, () => {
    const { header, body, decoded } = golden(name);
    assert.equal(registrationCrc32(body), header.bodyCrc32);
    assert.equal(header.compressed, name.endsWith("compressed"));
    assert.equal(header.haServerAddr?.startsWith("127.0.0.1:"), true);
    assert.deepEqual(decoded.filterServerList, []);
    assert.deepEqual(
      decoded.topicConfigTable.get("TBW102"),
      topicConfig("TBW102", { perm: 7, readQueueNums: 8, writeQueueNums: 8 }),
    );
    assert.deepEqual(
      decoded.topicConfigTable.get("BenchmarkTest"),
      topicConfig("BenchmarkTest", { readQueueNums: 1024, writeQueueNums: 1024 }),
    );
    assert.ok(decoded.topicConfigTable.has("GoldenCluster"));
    assert.ok(decoded.dataVersion!.timestampMs > 1_700_000_000_000);
    assert.equal(decoded.topicQueueMappingInfoMap.size, 0);
  });
}

test("only brokers of 5.x say whether a slave may act as master", () => {
  assert.equal(golden("register_4_9_7").header.enableActingMaster, undefined);
  assert.equal(golden("register_5_4_0").header.enableActingMaster, false);
});

test("the plain and the compressed form of one 4.9.7 broker name the same topics", () => {
  const { topicConfigTable } = golden("register_4_9_7_compressed").decoded;
  assert.deepEqual(topicConfigTable, golden("register_4_9_7").decoded.topicConfigTable);
});

test("register_5_4_0_static_topic: the mapping is read, its numeric keys unquoted", () => {
  const { decoded } = golden("register_5_4_0_static_topic");
  assert.deepEqual(decoded.topicQueueMappingInfoMap.get("stat"), {
    bname: "real-54",
    currIdMap: new Map([[0, 0], [1, 1], [2, 2], [3, 3]]),
    dirty: false,
    epoch: 1795263261518,
    scope: "__global__",
    topic: "stat",
    totalQueues: 4,
  });
});

test("what encodeRegisterBroker() writes has the members of a real 5.4.0 body and reads the same again", () => {
  const { body, decoded, version } = golden("register_5_4_0");
  const ours = encodeRegisterBroker(decoded);
  assert.deepEqual(decodeRegisterBroker(ours, false, version), decoded);
  const theirs = JSON.parse(Buffer.from(body).toString());
  const { dataVersion } = theirs.topicConfigSerializeWrapper;
  theirs.topicConfigSerializeWrapper.mappingDataVersion = dataVersion;
  assert.deepEqual(JSON.parse(Buffer.from(ours).toString()), theirs);
});

test("no body means no topics under the version 0", () => {
  assert.equal(decodeRegisterBroker(null, false, 493), EMPTY_REGISTRATION);
  assert.ok(EMPTY_REGISTRATION.dataVersion!.equals(new DataVersion(0, 0, 0)));
});

test("before 3.0.11 the body is the topics alone, and filter servers stay as they were", () => {
  const body = bytes('{"dataVersion":{"counter":2,"timestamp":9},"topicConfigTable":{"T":{"perm":4}}}');
  const decoded = decodeRegisterBroker(body, false, 36);
  assert.deepEqual([...decoded.topicConfigTable], [["T", topicConfig("T", { perm: 4 })]]);
  assert.ok(decoded.dataVersion!.equals(new DataVersion(0, 9, 2)));
  assert.equal(decoded.filterServerList, undefined);
});

test("absent members are empty, but for null filter servers, which are left as they were", () => {
  const absent = decodeRegisterBroker(bytes("{}"), false, 493);
  assert.deepEqual(absent, {
    dataVersion: undefined,
    topicConfigTable: new Map(),
    filterServerList: [],
    topicQueueMappingInfoMap: new Map(),
  });
  const nulls = decodeRegisterBroker(
    bytes(
      '{"filterServerList":null,"topicConfigSerializeWrapper":{"dataVersion":null,"topicConfigTable":null,' +
        '"topicQueueMappingInfoMap":null}}',
    ),
    false,
    493,
  );
  assert.deepEqual(nulls, { ...absent, filterServerList: undefined });
});

/** A compressed body out of its pieces: numbers are counts, texts get their length in front. */
function compressed(...pieces: (number | string)[]): Uint8Array {
  const parts = pieces.flatMap((piece) => {
    const text = typeof piece === "string" ? Buffer.from(piece) : undefined;
    const number = Buffer.alloc(4);
    number.writeInt32BE(text?.length ?? piece as number);
    return text === undefined ? [number] : [number, text];
  });
  return deflateSync(Buffer.concat(parts));
}

const VERSION = '{"counter":1,"stateVersion":2,"timestamp":3}';

test("the compressed form of 5.x has attributes in its lines and mappings at its end", () => {
  const lines = [
    'x 16 8 6 SINGLE_TAG {"message.type":"FIFO"}',
    "y 1 1 4 MULTI_TAG {}",
    "z 1 1 4 SINGLE_TAG {",
  ];
  const mapping =
    '{"bname":"a","currIdMap":{0:0},"dirty":false,"epoch":1,"scope":"s","topic":"x","totalQueues":1}';
  const body = compressed(VERSION, 3, ...lines, '["f:1"]', 1, mapping);
  const decoded = decodeRegisterBroker(body, true, 413);
  assert.ok(decoded.dataVersion!.equals(new DataVersion(2, 3, 1)));
  assert.deepEqual(decoded.topicConfigTable.get("x")!.attributes, new Map([["message.type", "FIFO"]]));
  assert.equal(decoded.topicConfigTable.get("x")!.writeQueueNums, 8);
  assert.equal(decoded.topicConfigTable.get("y")!.topicFilterType, "MULTI_TAG");
  assert.deepEqual(decoded.topicConfigTable.get("z")!.attributes, new Map());
  assert.deepEqual(decoded.filterServerList, ["f:1"]);
  assert.equal(decoded.topicQueueMappingInfoMap.get("x")!.bname, "a");
});

test("before 5.0 the compressed form ends with the filter servers", () => {
  const decoded = decodeRegisterBroker(compressed(VERSION, 1, "x 16 16 6 SINGLE_TAG", "[]"), true, 407);
  assert.deepEqual([...decoded.topicConfigTable], [["x", topicConfig("x")]]);
  assert.equal(decoded.topicQueueMappingInfoMap.size, 0);
});

test("a compressed body of which the header says otherwise is read all the same", () => {
  const decoded = decodeRegisterBroker(compressed(VERSION, 0, "[]", 0), false, 493);
  assert.equal(decoded.dataVersion!.counter, 1);
});

test("broken compressed bodies are refused", () => {
  const refused = (body: Uint8Array, version = 493) =>
    assert.throws(() => decodeRegisterBroker(body, true, version), MalformedError);
  refused(bytes("no zlib"));
  refused(compressed(VERSION).subarray(0, 10));
  refused(compressed(VERSION));
  refused(compressed(VERSION, 5, "x 16 16 6 SINGLE_TAG {}", "[]", 0));
  refused(compressed(VERSION, 1, "x 16 16 6", "[]", 0));
  refused(compressed(VERSION, -1, "[]", 0));
  refused(compressed(VERSION, 0, "[]"));
  refused(compressed(0x7fffffff));
  refused(compressed("{", 0, "[]", 0));
});

test("a body that would fill the memory is refused", () => {
  const bomb = deflateSync(Buffer.alloc(65 * 1024 * 1024));
  assert.throws(() => decodeRegisterBroker(bomb, true, 493), MalformedError);
});

test("the checksum is CRC-32 without its sign", () => {
  assert.equal(registrationCrc32(bytes("123456789")), 1274296614);
});
