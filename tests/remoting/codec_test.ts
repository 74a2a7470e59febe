// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { Fields } from "../../src/protocol/header.ts";
import { LANGUAGES } from "../../src/protocol/language.ts";
import { CURRENT_VERSION } from "../../src/protocol/version.ts";
import { ByteWriter } from "../../src/remoting/byte_writer.ts";
import { readFrame, writeRequest, writeResponse } from "../../src/remoting/codec.ts";
import type { Command, Response, SerializeType } from "../../src/remoting/command.ts";
import { MAX_FRAME_BYTES } from "../../src/remoting/frame.ts";

/** Frames as Java encodes them; RemotingFrames.java beside the file makes them. */
const golden: Record<string, string> = JSON.parse(
  readFileSync(new URL("../golden/remoting_frames.json", import.meta.url), "utf8"),
);

const JAVA = LANGUAGES.indexOf("JAVA");
const CPP = LANGUAGES.indexOf("CPP");
const utf8 = (text: string) => new TextEncoder().encode(text);

function read(frame: Uint8Array): Command {
  const bytes = Buffer.from(frame);
  const command = readFrame(bytes, 0, bytes.length);
  return {
    ...command,
    fields: command.fields && { ...command.fields },
    body: command.body && Uint8Array.from(command.body),
  };
}

function written(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter();
  write(writer);
  return Buffer.concat([...writer.take().pieces]);
}

function makeFrame(type: number, header: string | Uint8Array, body = new Uint8Array(0)): Buffer {
  const bytes = Buffer.from(header);
  const frame = Buffer.concat([Buffer.alloc(8), bytes, body]);
  frame.writeInt32BE(frame.length - 4, 0);
  frame.writeInt32BE(type << 24 | bytes.length, 4);
  return frame;
}

const json = (header: string) => read(makeFrame(0, header));

const PROPERTIES = 'KEYS\u0001key1\u0002u\u00fcser\u0001\u4f60\u597d "quoted" \\\u0002' +
  "UNIQ_KEY\u00017F00000100002A9F0000000000000001\u0002WAIT\u0001true\u0002TAGS\u0001TagA\u0002";
const ERROR_REMARK = 'topic[Thema_\u00fc\u4e3b\u9898] not exist,\n"apply" first';

const sendFields: Fields = {
  producerGroup: "group_p",
  topic: "TopicTest",
  defaultTopic: "TBW102",
  defaultTopicQueueNums: "4",
  queueId: "2",
  sysFlag: "0",
  bornTimestamp: "1700000000123",
  flag: "0",
  properties: PROPERTIES,
  reconsumeTimes: "0",
  unitMode: "false",
  batch: "false",
  bname: "broker-a",
};
const sendV2Fields: Fields = {
  a: "group_p",
  b: "TopicTest",
  c: "TBW102",
  d: "4",
  e: "2",
  f: "0",
  g: "1700000000123",
  h: "0",
  i: PROPERTIES,
  j: "0",
  k: "false",
  m: "false",
  n: "broker-a",
};
const pullFields: Fields = {
  consumerGroup: "group_c",
  topic: "TopicTest",
  queueId: "3",
  queueOffset: "9223372036854775807",
  maxMsgNums: "32",
  sysFlag: "2",
  commitOffset: "0",
  suspendTimeoutMillis: "15000",
  subscription: "TagA || TagB",
  subVersion: "1700000000999",
  maxMsgBytes: "2147483647",
  expressionType: "TAG",
  bname: "broker-a",
};
const sendResponseFields: Fields = {
  queueId: "2",
  transactionId: "",
  msgId: "7F00000100002A9F00000000000003E8",
  TRACE_ON: "true",
  MSG_REGION: "DefaultRegion",
  queueOffset: "1234567890123",
};
const pullResponseFields: Fields = {
  suggestWhichBrokerId: "0",
  nextBeginOffset: "33",
  maxOffset: "9223372036854775807",
  minOffset: "0",
};

const expected: Record<string, Partial<Command>> = {
  send: { code: 10, flag: 0, fields: sendFields, body: utf8("hello") },
  sendV2: { code: 310, flag: 0, fields: sendV2Fields, body: utf8("hello") },
  sendOneway: { code: 310, flag: 2, fields: sendV2Fields, body: utf8("hello") },
  pull: { code: 11, flag: 0, fields: pullFields, body: null },
  sendResponse: { code: 0, flag: 1, fields: sendResponseFields, body: null },
  pullResponse: {
    code: 0,
    flag: 1,
    remark: "FOUND",
    fields: pullResponseFields,
    body: Uint8Array.of(0, 1, 2, 255),
  },
  errorResponse: { code: 17, flag: 1, remark: ERROR_REMARK, fields: null, body: null, opaque: -7 },
  bareResponse: { code: 0, flag: 1, fields: null, body: null, opaque: 0x7fffffff },
};

const types: [string, SerializeType][] = [["JSON", 0], ["ROCKETMQ", 1]];
for (const [typeName, serializeType] of types) {
  describe(`frames of the Java client in ${typeName}`, () => {
    for (const [name, command] of Object.entries(expected)) {
      test(`readFrame() reads ${name}`, () => {
        const fields = command.fields && { ...command.fields };
        // The binary form has no empty values: they count as absent.
        if (fields && serializeType === 1) delete fields.transactionId;
        assert.deepEqual(read(Buffer.from(golden[`${name} ${typeName}`], "hex")), {
          language: JAVA,
          version: 493,
          opaque: 42,
          remark: null,
          ...command,
          fields,
          serializeType,
        });
      });
    }

    test("readFrame() reads heartbeat", () => {
      const command = read(Buffer.from(golden[`heartbeat ${typeName}`], "hex"));
      assert.deepEqual([command.code, command.fields], [34, null]);
      assert.equal(JSON.parse(new TextDecoder().decode(command.body!)).clientID, "10.0.0.1@4711#123456789");
    });

    const responses: Record<string, [Response, number]> = {
      sendResponse: [{ code: 0, fields: sendResponseFields }, 42],
      pullResponse: [{
        code: 0,
        remark: "FOUND",
        fields: pullResponseFields,
        body: [Uint8Array.of(0, 1), Uint8Array.of(2, 255)],
      }, 42],
    };
    for (const [name, [response, opaque]] of Object.entries(responses)) {
      test(`writeResponse() gives the bytes of ${name}`, () => {
        const request = { ...json("{}"), serializeType, opaque };
        const frame = written((writer) => writeResponse(writer, request, response));
        assert.equal(frame.toString("hex"), golden[`${name} ${typeName}`]);
      });
    }

    test("writeResponse() escapes what has to be escaped", () => {
      const response: Response = {
        code: 17,
        remark: ERROR_REMARK,
        fields: { 'na"me': PROPERTIES, "日": "\ud800" },
      };
      const frame = written((writer) => writeResponse(writer, { ...json("{}"), serializeType }, response));
      const back = read(frame);
      assert.equal(back.remark, ERROR_REMARK);
      assert.equal(back.fields!['na"me'], PROPERTIES);
      assert.match(back.fields!["日"], /^[\ud800\ufffd]$/);
    });
  });
}

describe("readFrame() with a JSON header", () => {
  test("takes numbers and booleans in extFields, as C++ sends them, and leaves out nulls", () => {
    const command = json(
      '{"code":310,"extFields":{"d":4,"e":-1,"k":false,"i":null,"b":"T","x":{"y":[1]}},"flag":0,"language":"CPP"}\n',
    );
    assert.deepEqual(command.fields, { d: "4", e: "-1", k: "false", b: "T", x: '{"y":[1]}' });
    assert.equal(command.language, CPP);
  });

  test("takes what fastjson takes: unquoted and single-quoted names, numbers as text, unknown keys", () => {
    const command = json("{code:'310',\"opaque\":\"-5\",extFields:{a:'b'},strange:[{1:2}],}");
    assert.deepEqual([command.code, command.opaque, command.fields], [310, -5, { a: "b" }]);
  });

  test("has defaults for everything", () => {
    assert.deepEqual(json('{"extFields":null,"remark":null,"code":null}'), {
      code: 0,
      language: JAVA,
      version: 0,
      opaque: 0,
      flag: 0,
      remark: null,
      fields: null,
      body: null,
      serializeType: 0,
    });
  });

  const languages: [string, number][] = [
    ['"GO"', LANGUAGES.indexOf("GO")],
    ['"go"', LANGUAGES.indexOf("GO")],
    ["9", LANGUAGES.indexOf("GO")],
    ['"9"', -1],
    ['"KLINGON"', -1],
    ["99", -1],
    ["1.5", -1],
    ["-1", -1],
    ["true", -1],
    ["null", JAVA],
  ];
  for (const [text, index] of languages) {
    test(`reads the language ${text} as ${index}`, () =>
      assert.equal(json(`{"language":${text}}`).language, index));
  }

  test("cuts numbers to 32 bits as Java does", () => {
    const command = json('{"code":4294967301,"opaque":1e99,"flag":true,"version":1.9}');
    assert.deepEqual([command.code, command.opaque, command.flag, command.version], [5, 0, 1, 1]);
  });

  test("keeps a field named __proto__ a field", () => {
    for (const header of ['{"extFields":{"__proto__":"x"}}', '{"extFields":{"__proto__":"x","n":1}}']) {
      const { fields } = readFrame(makeFrame(0, header), 0, header.length + 8);
      assert.equal(Object.getPrototypeOf(fields), Object.prototype);
      assert.equal(Object.getOwnPropertyDescriptor(fields, "__proto__")?.value, "x");
    }
  });

  const wrong: [string, string][] = [
    ["an empty header", ""],
    ["a header that is no object", "[1]"],
    ["null", "null"],
    ["a header cut short", '{"code":1'],
    ["rubbish", "\u0000\u0001"],
    ["a code that is no number", '{"code":"ten"}'],
    ["a code that is an object", '{"code":{}}'],
    ["extFields that are an array", '{"extFields":["a"]}'],
    ["extFields that are text", '{"extFields":"a"}'],
    ["a header nested beyond reason", "[".repeat(100_000)],
    ["a value nested beyond reason", `{"extFields":{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}}`],
  ];
  for (const [name, header] of wrong) {
    test(`refuses ${name}`, () => assert.throws(() => json(header), { name: "FrameError" }));
  }
});

describe("readFrame() with a binary header", () => {
  const bare = "000a0001ed0000002a00000000" + "00000000" + "00000000";
  const binary = (hex: string) => read(makeFrame(1, Buffer.from(hex, "hex")));

  test("ignores bytes behind the fields", () => assert.equal(binary(bare + "ffff").code, 10));

  test("takes a name or value without length as absent", () => {
    const fields = "0000" + "00000001" + "78" + "0001" + "61" + "00000000" + "0001" + "62" + "00000001" +
      "63";
    const length = (fields.length / 2).toString(16).padStart(8, "0");
    assert.deepEqual(binary(bare.slice(0, -8) + length + fields).fields, { b: "c" });
  });

  test("reads negative codes and unknown languages", () => {
    const command = binary("fffe" + "7f" + bare.slice(6));
    assert.deepEqual([command.code, command.language], [-2, -1]);
  });

  const wrong: [string, string][] = [
    ["a header that is too short", bare.slice(2)],
    ["a remark that is longer than the header", bare.slice(0, 26) + "00000005" + "00000000"],
    ["a remark of negative length", bare.slice(0, 26) + "ffffffff" + "00000000"],
    ["fields that are longer than the header", bare.slice(0, 34) + "00000001"],
    ["fields of negative length", bare.slice(0, 34) + "80000000"],
    ["a name that ends outside", bare.slice(0, 34) + "00000003" + "000561"],
    ["a name of negative length", bare.slice(0, 34) + "00000007" + "ffff" + "0000000000"],
    ["a value that ends outside", bare.slice(0, 34) + "00000007" + "0001" + "61" + "00000001"],
    ["half a name's length", bare.slice(0, 34) + "00000001" + "00"],
  ];
  for (const [name, hex] of wrong) {
    test(`refuses ${name}`, () => assert.throws(() => binary(hex), { name: "FrameError" }));
  }
});

describe("readFrame()", () => {
  test("refuses a header longer than its frame and unknown encodings", () => {
    const long = makeFrame(0, "{}");
    long.writeInt32BE(3, 4);
    assert.throws(() => read(long), /longer than its frame/);
    assert.throws(() => read(makeFrame(2, "{}")), /encoding/);
    assert.throws(() => read(makeFrame(255, "{}")), /encoding/);
  });

  test("gives the body as a view, and null when there is none", () => {
    const frame = makeFrame(0, "{}", utf8("xyz"));
    const { body } = readFrame(frame, 0, frame.length);
    assert.equal(body!.buffer, frame.buffer);
    assert.equal(json("{}").body, null);
  });
});

describe("writeResponse()", () => {
  const request = json('{"opaque":-2147483648}');

  test("always has extFields, version, the response flag and the request's opaque", () => {
    const frame = written((writer) => writeResponse(writer, request, { code: 0 }));
    assert.deepEqual(JSON.parse(frame.subarray(8).toString()), {
      code: 0,
      extFields: {},
      flag: 1,
      language: "JAVA",
      opaque: -2147483648,
      serializeTypeCurrentRPC: "JSON",
      version: CURRENT_VERSION,
    });
  });

  test("answers C++ in JSON, whatever it wrote", () => {
    const frame = written((writer) =>
      writeResponse(writer, { ...request, serializeType: 1, language: CPP }, { code: 0 })
    );
    assert.equal(frame[4], 0);
  });

  test("leaves out fields that are undefined and makes strings of others", () => {
    const fields = { a: undefined, b: 7, c: null, d: true } as unknown as Fields;
    for (const serializeType of [0, 1] as const) {
      const frame = written((writer) =>
        writeResponse(writer, { ...request, serializeType }, { code: 0, fields })
      );
      assert.deepEqual(read(frame).fields, { b: "7", d: "true" });
    }
  });

  test("puts large bodies between the frames without copying them", () => {
    const large = new Uint8Array(100_000).fill(7);
    const writer = new ByteWriter();
    writeResponse(writer, request, { code: 0, body: [utf8("ab"), large, utf8("cd")] });
    writeResponse(writer, request, { code: 5 });
    const { pieces, byteCount } = writer.take();
    assert.ok(pieces.includes(large));
    const stream = Buffer.concat([...pieces]);
    assert.equal(stream.length, byteCount);
    const first = stream.subarray(0, stream.readInt32BE(0) + 4);
    assert.equal(Buffer.from(read(first).body!).equals(Buffer.concat([utf8("ab"), large, utf8("cd")])), true);
    assert.equal(read(stream.subarray(first.length)).code, 5);
  });

  test("turns an answer that no frame can hold into an error", () => {
    const body = new Uint8Array(MAX_FRAME_BYTES);
    for (const serializeType of [0, 1] as const) {
      const frame = written((writer) =>
        writeResponse(writer, { ...request, serializeType }, { code: 0, body })
      );
      assert.deepEqual([read(frame).code, read(frame).opaque, read(frame).body], [1, -2147483648, null]);
    }
  });
});

describe("writeRequest()", () => {
  test("writes what readFrame() reads", () => {
    const outgoing = { code: 40, fields: { consumerGroup: "g" }, body: utf8("x") };
    const command = read(written((writer) => writeRequest(writer, outgoing, 7, true)));
    assert.deepEqual(command, {
      code: 40,
      language: JAVA,
      version: CURRENT_VERSION,
      opaque: 7,
      flag: 2,
      remark: null,
      fields: outgoing.fields,
      body: outgoing.body,
      serializeType: 0,
    });
  });

  test("refuses what no frame can hold and writes nothing", () => {
    const writer = new ByteWriter();
    writeRequest(writer, { code: 1 }, 1, false);
    const before = writer.byteCount;
    const body = new Uint8Array(MAX_FRAME_BYTES);
    assert.throws(() => writeRequest(writer, { code: 40, body }, 7, false), { name: "FrameError" });
    assert.equal(writer.byteCount, before);
  });
});
