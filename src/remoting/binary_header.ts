// SPDX-License-Identifier: Apache-2.0
/**
 * The binary ("ROCKETMQ") form of a frame's header, all numbers big-endian. [RMQ RocketMQSerializable]
 *
 * ```
 * 0   int16  code: what does not fit loses its upper bits, as in Java
 * 2   int8   language
 * 3   int16  version
 * 5   int32  opaque
 * 9   int32  flag
 * 13  int32  length of the remark in bytes, then the remark in UTF-8; 0: none
 * …   int32  length of all fields in bytes; 0: none. Each field:
 *            int16 length, name in UTF-8, int32 length, value in UTF-8
 * ```
 */
import type { Buffer } from "node:buffer";
import type { Fields } from "../protocol/header.ts";
import { LANGUAGES } from "../protocol/language.ts";
import { CURRENT_VERSION } from "../protocol/version.ts";
import type { ByteWriter } from "./byte_writer.ts";
import { type Command, SerializeType } from "./command.ts";
import { FrameError } from "./remoting_error.ts";

const REMARK_AT = 13;
const SHORTEST = 21;
const MAX_NAME_BYTES = 0x7fff;

/**
 * Reads the header in `bytes[start..end)`. Bytes behind the fields are ignored, as Java does.
 * @throws FrameError when a length points outside
 */
export function readBinaryHeader(
  bytes: Buffer,
  start: number,
  end: number,
  body: Uint8Array | null,
): Command {
  if (end - start < SHORTEST) throw new FrameError(`a binary header of ${end - start} bytes`);
  const language = bytes[start + 2];
  const remarkAt = start + REMARK_AT + 4;
  const fieldsAt = remarkAt + lengthAt(bytes, start + REMARK_AT, end - 4);
  const fieldsEnd = fieldsAt + 4 + lengthAt(bytes, fieldsAt, end);
  return {
    code: bytes.readInt16BE(start),
    language: language < LANGUAGES.length ? language : -1,
    version: bytes.readInt16BE(start + 3),
    opaque: bytes.readInt32BE(start + 5),
    flag: bytes.readInt32BE(start + 9),
    remark: fieldsAt > remarkAt ? bytes.toString("utf8", remarkAt, fieldsAt) : null,
    fields: fieldsEnd > fieldsAt + 4 ? readFields(bytes, fieldsAt + 4, fieldsEnd) : null,
    body,
    serializeType: SerializeType.ROCKETMQ,
  };
}

/** Writes a header; a field whose name is too long for the format is left out. */
export function writeBinaryHeader(
  writer: ByteWriter,
  code: number,
  flag: number,
  opaque: number,
  remark: string | null | undefined,
  fields: Fields | null | undefined,
): void {
  writer.reserve(SHORTEST);
  writer.int16(code << 16 >> 16);
  writer.bytes[writer.at++] = 0;
  writer.int16(CURRENT_VERSION);
  writer.int32(opaque);
  writer.int32(flag);
  writeText(writer, remark ?? "", 4);
  writer.int32(0);
  const from = writer.at - writer.frameStart;
  for (const name in fields) {
    const value: unknown = fields[name];
    if (value === undefined || value === null || name === "") continue;
    if (name.length * 3 > MAX_NAME_BYTES) continue;
    writeText(writer, name, 2);
    writeText(writer, typeof value === "string" ? value : String(value), 4);
  }
  const at = writer.frameStart + from;
  writer.bytes.writeInt32BE(writer.at - at, at - 4);
}

/** A length in `lengthBytes` bytes and the text. The buffer may move meanwhile, the frame's start tells where. */
function writeText(writer: ByteWriter, text: string, lengthBytes: 2 | 4): void {
  writer.reserve(lengthBytes);
  writer.at += lengthBytes;
  const from = writer.at - writer.frameStart;
  writer.utf8(text);
  const at = writer.frameStart + from;
  if (lengthBytes === 2) writer.bytes.writeInt16BE(writer.at - at, at - 2);
  else writer.bytes.writeInt32BE(writer.at - at, at - 4);
}

/** A name or value of no length counts as absent. */
function readFields(bytes: Buffer, start: number, end: number): Fields {
  const fields: Fields = {};
  // One call for all, of which the parts are taken: a call per part costs three times as much.
  const latin1 = bytes.toString("latin1", start, end);
  let at = start;
  while (at < end) {
    if (at + 2 > end) throw new FrameError("a field's name ends outside the header");
    const nameAt = at + 2;
    const nameEnd = nameAt + bytes.readInt16BE(at);
    if (nameEnd < nameAt) throw new FrameError("a field's name has a negative length");
    const valueAt = nameEnd + 4;
    const valueEnd = valueAt + lengthAt(bytes, nameEnd, end);
    at = valueEnd;
    if (nameEnd === nameAt || valueEnd === valueAt) continue;
    const name = isAscii(bytes, nameAt, nameEnd)
      ? latin1.substring(nameAt - start, nameEnd - start)
      : bytes.toString("utf8", nameAt, nameEnd);
    const value = isAscii(bytes, valueAt, valueEnd)
      ? latin1.substring(valueAt - start, valueEnd - start)
      : bytes.toString("utf8", valueAt, valueEnd);
    addField(fields, name, value);
  }
  return fields;
}

function isAscii(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] >= 128) return false;
  return true;
}

function addField(fields: Fields, name: string, value: string): void {
  if (name === "__proto__") Object.defineProperty(fields, name, { value, enumerable: true });
  else fields[name] = value;
}

/** The length at `at`, whose text must end within `end`. */
function lengthAt(bytes: Buffer, at: number, end: number): number {
  if (at + 4 > end) throw new FrameError("a length lies outside the header");
  const length = bytes.readInt32BE(at);
  if (length < 0 || at + 4 + length > end) {
    throw new FrameError(`a text of ${length} bytes ends outside the header`);
  }
  return length;
}
