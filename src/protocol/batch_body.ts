// SPDX-License-Identifier: Apache-2.0
/**
 * The body of a batch: messages of one topic and queue, one after the other. [RMQ MessageDecoder.encodeMessages]
 *
 * ```
 * totalSize 4 · magic 4 (0) · bodyCRC 4 (0) · flag 4 · bodyLength 4 + body · propertiesLength 2 + properties
 * ```
 */
import { Buffer } from "node:buffer";
import { MalformedError } from "./header.ts";
import { asBuffer } from "./record.ts";

export interface BatchPart {
  flag: number;
  /** A view into the batch. */
  body: Uint8Array;
  properties: string;
}

const FIXED_BYTES = 22;
/** What two signed bytes can tell. */
const MAX_PROPERTIES_BYTES = 32767;

/** @throws MalformedError where a length does not fit */
export function decodeBatch(bytes: Uint8Array): BatchPart[] {
  const source = asBuffer(bytes);
  const parts: BatchPart[] = [];
  for (let at = 0; at < source.length;) {
    const rest = source.length - at;
    const totalBytes = rest < FIXED_BYTES ? 0 : source.readInt32BE(at);
    if (totalBytes < FIXED_BYTES || totalBytes > rest) throw malformed(parts.length);
    const bodyBytes = source.readInt32BE(at + 16);
    if (bodyBytes < 0 || bodyBytes > totalBytes - FIXED_BYTES) throw malformed(parts.length);
    const propertiesAt = at + 20 + bodyBytes;
    const propertiesBytes = source.readInt16BE(propertiesAt);
    if (propertiesBytes < 0 || FIXED_BYTES + bodyBytes + propertiesBytes !== totalBytes) {
      throw malformed(parts.length);
    }
    parts.push({
      flag: source.readInt32BE(at + 12),
      body: source.subarray(at + 20, at + 20 + bodyBytes),
      properties: source.toString("utf8", propertiesAt + 2, propertiesAt + 2 + propertiesBytes),
    });
    at += totalBytes;
  }
  return parts;
}

/** @throws RangeError where the properties of a message are longer than the format can tell */
export function encodeBatch(parts: readonly BatchPart[]): Buffer {
  return Buffer.concat(parts.map((part, index) => {
    const propertiesBytes = Buffer.byteLength(part.properties);
    if (propertiesBytes > MAX_PROPERTIES_BYTES) {
      throw new RangeError(
        `message ${index} of the batch has ${propertiesBytes} bytes of properties, at most ${MAX_PROPERTIES_BYTES} fit`,
      );
    }
    const bytes = Buffer.alloc(FIXED_BYTES + part.body.length + propertiesBytes);
    bytes.writeInt32BE(bytes.length, 0);
    bytes.writeInt32BE(part.flag, 12);
    bytes.writeInt32BE(part.body.length, 16);
    bytes.set(part.body, 20);
    bytes.writeInt16BE(propertiesBytes, 20 + part.body.length);
    bytes.write(part.properties, 22 + part.body.length, "utf8");
    return bytes;
  }));
}

function malformed(index: number): MalformedError {
  return new MalformedError(`the batch can't be decoded from its message ${index} on`);
}
