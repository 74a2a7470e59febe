// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { LANGUAGES } from "../../src/protocol/language.ts";
import { CURRENT_VERSION } from "../../src/protocol/version.ts";
import { ByteWriter } from "../../src/remoting/byte_writer.ts";
import { readFrame, writeResponse } from "../../src/remoting/codec.ts";
import type { Command, SerializeType } from "../../src/remoting/command.ts";
import { FrameError } from "../../src/remoting/remoting_error.ts";

const golden: string[] = Object.values(
  JSON.parse(readFileSync(new URL("../golden/remoting_frames.json", import.meta.url), "utf8")),
);

function makeFrame(type: number, header: Uint8Array, body: Uint8Array): Buffer {
  const frame = Buffer.concat([Buffer.alloc(8), header, body]);
  frame.writeInt32BE(frame.length - 4, 0);
  frame.writeInt32BE(type << 24 | header.length, 4);
  return frame;
}

/** Reads a frame that may be broken: either a command whose parts are what they should be, or a FrameError. */
function readAny(frame: Buffer): Command | undefined {
  let command: Command;
  try {
    command = readFrame(frame, 0, frame.length);
  } catch (error) {
    if (error instanceof FrameError) return undefined;
    throw error;
  }
  for (const number of [command.code, command.version, command.opaque, command.flag]) {
    assert.equal(number, number | 0);
  }
  assert.ok(
    command.language >= -1 && command.language < LANGUAGES.length && Number.isInteger(command.language),
  );
  assert.ok(command.remark === null || typeof command.remark === "string");
  for (const value of Object.values(command.fields ?? {})) assert.equal(typeof value, "string");
  assert.ok(command.body === null || command.body.length > 0);
  return command;
}

const int32 = fc.integer({ min: -0x80000000, max: 0x7fffffff });
const text = fc.oneof(
  fc.string({ unit: "grapheme-ascii", maxLength: 30 }),
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.constantFrom("", "\u0001", "TAGS\u0001A\u0002", '"', "\\", "\\u0041", "\u2028", "日本"),
);
const name = fc.oneof(
  fc.constantFrom("a", "topic", "queueId", "properties", "constructor", "__proto__"),
  text,
);
const fields = fc.dictionary(name, text, { maxKeys: 8, noNullPrototype: true });

const anyHeader = fc.record({
  code: int32,
  language: fc.constantFrom(...LANGUAGES),
  version: int32,
  opaque: int32,
  flag: int32,
  remark: fc.option(text),
  extFields: fc.option(fields),
  serializeTypeCurrentRPC: fc.constantFrom("JSON", "ROCKETMQ"),
}, { requiredKeys: [] });

/** Headers that a version of the code got wrong, or could easily. */
const seeds: Record<string, string> = {
  "value nested beyond the stack": `{"extFields":{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}}`,
  "remark nested beyond the stack": `{"remark":${'{"a":'.repeat(200_000)}1${"}".repeat(200_000)}}`,
  "header nested beyond the stack, not closed": '{"a":'.repeat(200_000),
  "prototype as a field of its own": '{"extFields":{"__proto__":{"a":1},"b":2}}',
  "number beyond 64 bits": '{"code":123456789012345678901234567890,"opaque":"99999999999999999999"}',
  "lone surrogate": '{"remark":"\\ud800","extFields":{"\\udfff":"\\ud800"}}',
};

describe("readFrame()", () => {
  for (const [defect, header] of Object.entries(seeds)) {
    test(`seed: ${defect}`, () => void readAny(makeFrame(0, Buffer.from(header), new Uint8Array(0))));
  }

  test("reads any plain JSON header as JSON.parse() does", () => {
    fc.assert(
      fc.property(
        anyHeader,
        fc.constantFrom("", " ", "\n"),
        fc.uint8Array({ maxLength: 20 }),
        (header, end, body) => {
          const command = readAny(makeFrame(0, Buffer.from(JSON.stringify(header) + end), body));
          const parsed = JSON.parse(JSON.stringify(header));
          assert.deepEqual(command && { ...command, body: command.body && Uint8Array.from(command.body) }, {
            code: parsed.code ?? 0,
            language: parsed.language === undefined ? 0 : LANGUAGES.indexOf(parsed.language),
            version: parsed.version ?? 0,
            opaque: parsed.opaque ?? 0,
            flag: parsed.flag ?? 0,
            remark: parsed.remark ?? null,
            fields: parsed.extFields ?? null,
            body: body.length > 0 ? body : null,
            serializeType: 0,
          });
        },
      ),
    );
  });

  test("refuses any JSON with a FrameError or makes the best of it", () => {
    fc.assert(
      fc.property(
        fc.json({ maxDepth: 4 }),
        (json) => void readAny(makeFrame(0, Buffer.from(json), new Uint8Array(0))),
      ),
    );
    const record = fc.record({
      code: fc.jsonValue(),
      language: fc.jsonValue(),
      opaque: fc.jsonValue(),
      remark: fc.jsonValue(),
      extFields: fc.oneof(fc.jsonValue(), fc.dictionary(name, fc.jsonValue())),
    }, { requiredKeys: [] });
    fc.assert(fc.property(record, (header) => {
      readAny(makeFrame(0, Buffer.from(JSON.stringify(header)), new Uint8Array(0)));
    }));
  });

  test("refuses any bytes with a FrameError or makes the best of them", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 }), fc.uint8Array({ maxLength: 200 }), (type, header) => {
        readAny(makeFrame(type, header, new Uint8Array(0)));
      }),
      { numRuns: 1000 },
    );
  });

  test("survives changed bytes in real frames", () => {
    const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(
        fc.constantFrom(...golden),
        fc.array(change, { minLength: 1, maxLength: 5 }),
        (hex, changes) => {
          const frame = Buffer.from(hex, "hex");
          for (const [at, byte] of changes) frame[4 + at % (frame.length - 4)] = byte;
          readAny(frame);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe("writeResponse()", () => {
  test("writes what readFrame() reads, in both encodings", () => {
    const piece = fc.oneof(fc.uint8Array({ maxLength: 50 }), fc.constant(new Uint8Array(40_000).fill(9)));
    fc.assert(fc.property(
      fc.record({
        type: fc.constantFrom<SerializeType>(0, 1),
        opaque: int32,
        code: fc.integer({ min: -0x8000, max: 0x7fff }),
        remark: fc.option(text, { nil: undefined }),
        fields: fc.option(fields, { nil: undefined }),
        body: fc.option(fc.array(piece, { maxLength: 4 }), { nil: undefined }),
      }),
      ({ type, opaque, code, remark, fields, body }) => {
        const request = readAny(makeFrame(0, Buffer.from("{}"), new Uint8Array(0)))!;
        const writer = new ByteWriter();
        writeResponse(writer, { ...request, serializeType: type, opaque }, { code, remark, fields, body });
        const back = readAny(Buffer.concat([...writer.take().pieces]))!;
        assert.deepEqual([back.code, back.opaque, back.flag, back.version], [
          code,
          opaque,
          1,
          CURRENT_VERSION,
        ]);
        const isBinary = type === 1;
        assert.equal(back.remark ?? "", wellFormed(remark ?? "", isBinary));
        const expected = Object.entries(fields ?? {})
          .filter(([name, value]) => !isBinary || (name !== "" && value !== ""))
          .map(([name, value]) => [wellFormed(name, isBinary), wellFormed(value, isBinary)]);
        assert.deepEqual(back.fields ?? {}, Object.fromEntries(expected));
        assert.equal(Buffer.concat(body ?? []).equals(back.body ?? new Uint8Array(0)), true);
      },
    ));
  });
});

/** UTF-8 has no lone surrogates; JSON escapes them. */
function wellFormed(text: string, isBinary: boolean): string {
  return isBinary
    ? text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd")
    : text;
}
