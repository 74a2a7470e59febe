// SPDX-License-Identifier: Apache-2.0
/**
 * The JSON form of a frame's header. [RMQ RemotingSerializable]
 *
 * ```
 * {"code":0,"extFields":{"name":"value"},"flag":1,"language":"JAVA","opaque":7,"remark":"…",
 *  "serializeTypeCurrentRPC":"JSON","version":493}
 * ```
 *
 * Reading is lenient, because C++ clients put numbers into `extFields` and fastjson takes much that is not
 * JSON. Writing is strict, because Go and C++ clients drop values that are not strings. The built-in
 * parser is used for reading: on Bun it takes less time than any scanner written in the language itself.
 */
import { Buffer } from "node:buffer";
import { type Fields, MalformedError } from "../protocol/header.ts";
import { type Json, parseJson, stringifyJson } from "../protocol/java_json.ts";
import { LANGUAGES } from "../protocol/language.ts";
import { CURRENT_VERSION } from "../protocol/version.ts";
import type { ByteWriter } from "./byte_writer.ts";
import { type Command, SerializeType } from "./command.ts";
import { FrameError } from "./remoting_error.ts";

/**
 * Reads the header in `bytes[start..end)`.
 * @throws FrameError when it is no object or a field can't be what it should be
 */
export function readJsonHeader(bytes: Buffer, start: number, end: number, body: Uint8Array | null): Command {
  const header = parseObject(bytes.toString("utf8", start, end));
  return {
    code: intOf(header.code),
    language: header.language === "JAVA" ? 0 : languageOf(header.language),
    version: intOf(header.version),
    opaque: intOf(header.opaque),
    flag: intOf(header.flag),
    remark: textOf(header.remark),
    fields: fieldsOf(header.extFields),
    body,
    serializeType: SerializeType.JSON,
  };
}

const START = Buffer.from('{"code":');
const FIELDS = Buffer.from(',"extFields":{');
const COMMA = 0x2c;
const COLON = 0x3a;
const FLAG = Buffer.from('},"flag":');
// We answer as the Java broker does, whose language every client knows.
const OPAQUE = Buffer.from(',"language":"JAVA","opaque":');
const REMARK = Buffer.from(',"remark":');
const END = Buffer.from(`,"serializeTypeCurrentRPC":"JSON","version":${CURRENT_VERSION}}`);

/**
 * Writes a header. `extFields` is always there, even when empty, because Java clients use that of an
 * answered send without looking.
 */
export function writeJsonHeader(
  writer: ByteWriter,
  code: number,
  flag: number,
  opaque: number,
  remark: string | null | undefined,
  fields: Fields | null | undefined,
): void {
  writer.raw(START);
  writer.decimal(code);
  writer.raw(FIELDS);
  if (fields) writeFields(writer, fields);
  writer.raw(FLAG);
  writer.decimal(flag);
  writer.raw(OPAQUE);
  writer.decimal(opaque);
  if (typeof remark === "string") {
    writer.raw(REMARK);
    writer.json(remark);
  }
  writer.raw(END);
}

function writeFields(writer: ByteWriter, fields: Fields): void {
  let isFirst = true;
  for (const name in fields) {
    const value: unknown = fields[name];
    if (value === undefined || value === null) continue;
    if (!isFirst) writeByte(writer, COMMA);
    isFirst = false;
    writer.json(name);
    writeByte(writer, COLON);
    writer.json(typeof value === "string" ? value : String(value));
  }
}

function writeByte(writer: ByteWriter, byte: number): void {
  writer.reserve(1);
  writer.bytes[writer.at++] = byte;
}

function parseObject(text: string): { [key: string]: Json | undefined } {
  let value: Json;
  try {
    value = parseJson(text);
  } catch (error) {
    if (error instanceof MalformedError) throw new FrameError(`the header is ${error.message}`);
    throw error;
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new FrameError("the header is not a JSON object");
  }
  return value;
}

/** Absent and null count as 0, numeric strings as their number; longer numbers lose their upper bits as in Java. */
function intOf(value: Json | undefined): number {
  if (typeof value === "number") return value | 0;
  if (value === undefined || value === null || value === "") return 0;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "string" && /^\s*[+-]?[0-9]{1,19}\s*$/.test(value)) return Number(value) | 0;
  throw new FrameError("a number in the header can't be read");
}

function textOf(value: Json | undefined): string | null {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) return null;
  if (typeof value !== "object") return String(value);
  try {
    return stringifyJson(value);
  } catch (error) {
    throw new FrameError("a value in the header is nested too deeply", { cause: error });
  }
}

const LANGUAGE_INDEX = new Map<string, number>(LANGUAGES.map((name, index) => [name, index]));

/** Java writes the name in capitals; others may write it otherwise, or the number. Who says nothing is Java. */
function languageOf(value: Json | undefined): number {
  if (value === undefined || value === null) return 0;
  if (typeof value === "string") return LANGUAGE_INDEX.get(value.toUpperCase()) ?? -1;
  return typeof value === "number" && LANGUAGES[value] !== undefined ? value : -1;
}

function fieldsOf(value: Json | undefined): Fields | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== "object" || Array.isArray(value)) throw new FrameError("extFields is not an object");
  for (const name in value) if (typeof value[name] !== "string") return stringFields(value);
  return value as Fields;
}

/** The same with every value a string; those that are null are left out. */
function stringFields(values: { [name: string]: Json }): Fields {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== null).map((
      [name, value],
    ) => [name, textOf(value)!]),
  );
}
