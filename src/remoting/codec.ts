// SPDX-License-Identifier: Apache-2.0
/** Frames to commands and back, whichever way their header is encoded. */
import { Buffer } from "node:buffer";
import { LANGUAGES } from "../protocol/language.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import { readBinaryHeader, writeBinaryHeader } from "./binary_header.ts";
import { ByteWriter } from "./byte_writer.ts";
import {
  type Command,
  FLAG_ONEWAY,
  FLAG_RESPONSE,
  type OutgoingRequest,
  type Response,
  SerializeType,
} from "./command.ts";
import { FRAME_PREFIX_BYTES, MAX_FRAME_BYTES } from "./frame.ts";
import { readJsonHeader, writeJsonHeader } from "./json_header.ts";
import { FrameError } from "./remoting_error.ts";

/**
 * Bodies up to this length are copied behind their header: that costs less than one more system call, as
 * long as the piece is not much larger than this.
 */
const COPIED_BODY_BYTES = 32_768;
const CPP = LANGUAGES.indexOf("CPP");

/** Reads the frame `bytes[start..end)`, from its length field on. @throws FrameError */
export function readFrame(bytes: Buffer, start: number, end: number): Command {
  const word = bytes.readInt32BE(start + 4);
  const headerStart = start + FRAME_PREFIX_BYTES;
  const headerEnd = headerStart + (word & 0xffffff);
  if (headerEnd > end) throw new FrameError(`a header of ${word & 0xffffff} bytes is longer than its frame`);
  const body = headerEnd < end
    ? new Uint8Array(bytes.buffer, bytes.byteOffset + headerEnd, end - headerEnd)
    : null;
  switch (word >>> 24) {
    case SerializeType.JSON:
      return readJsonHeader(bytes, headerStart, headerEnd, body);
    case SerializeType.ROCKETMQ:
      return readBinaryHeader(bytes, headerStart, headerEnd, body);
    default:
      throw new FrameError(`no header encoding has the number ${word >>> 24}`);
  }
}

/**
 * Writes the answer to `request`, in the encoding of the request: a peer can read what it writes. C++
 * clients read only JSON, whatever they send. An answer that is longer than peers take becomes an error.
 */
export function writeResponse(writer: ByteWriter, request: Command, response: Response): void {
  const { code, remark, fields, body } = response;
  const isBinary = request.serializeType === SerializeType.ROCKETMQ && request.language !== CPP;
  const bytes = writeFrame(writer, isBinary, code, FLAG_RESPONSE, request.opaque, remark, fields, body);
  if (bytes <= MAX_FRAME_BYTES) return;
  const error = `the answer has ${bytes} bytes, more than a frame can hold`;
  writeFrame(writer, isBinary, ResponseCode.SYSTEM_ERROR, FLAG_RESPONSE, request.opaque, error);
}

/** Writes a request of our own. @throws FrameError when it is longer than peers take */
export function writeRequest(
  writer: ByteWriter,
  request: OutgoingRequest,
  opaque: number,
  oneway: boolean,
): void {
  const { code, fields, body } = request;
  const bytes = writeFrame(writer, false, code, oneway ? FLAG_ONEWAY : 0, opaque, null, fields, body);
  if (bytes > MAX_FRAME_BYTES) {
    throw new FrameError(`a request of ${bytes} bytes is more than a frame can hold`);
  }
}

/** Returns the frame's length; when it is more than `MAX_FRAME_BYTES`, nothing was written. */
function writeFrame(
  writer: ByteWriter,
  isBinary: boolean,
  code: number,
  flag: number,
  opaque: number,
  remark?: string | null,
  fields?: Record<string, string> | null,
  body?: Uint8Array | readonly Uint8Array[],
): number {
  writer.beginFrame();
  writer.reserve(FRAME_PREFIX_BYTES);
  writer.at += FRAME_PREFIX_BYTES;
  if (isBinary) writeBinaryHeader(writer, code, flag, opaque, remark, fields);
  else writeJsonHeader(writer, code, flag, opaque, remark, fields);
  const start = writer.frameStart;
  const headBytes = writer.at - start;
  const frameBytes = headBytes + bodyLength(body);
  if (frameBytes > MAX_FRAME_BYTES) {
    writer.dropFrame();
    return frameBytes;
  }
  writer.bytes.writeInt32BE(frameBytes - 4, start);
  const type = isBinary ? SerializeType.ROCKETMQ : SerializeType.JSON;
  writer.bytes.writeInt32BE(type << 24 | headBytes - FRAME_PREFIX_BYTES, start + 4);
  if (body instanceof Uint8Array) writeBody(writer, body);
  else if (body !== undefined) { for (const piece of body) writeBody(writer, piece); }
  return frameBytes;
}

function bodyLength(body: Uint8Array | readonly Uint8Array[] | undefined): number {
  if (body === undefined) return 0;
  if (body instanceof Uint8Array) return body.length;
  let length = 0;
  for (const piece of body) length += piece.length;
  return length;
}

function writeBody(writer: ByteWriter, piece: Uint8Array): void {
  if (piece.length <= COPIED_BODY_BYTES) writer.raw(piece);
  else writer.appendPiece(piece);
}
