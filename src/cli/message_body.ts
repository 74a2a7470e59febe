// SPDX-License-Identifier: Apache-2.0
/** The body of a message as people and programs can read it. */
import { Buffer } from "node:buffer";
import { inflateSync } from "node:zlib";
import { SysFlag } from "../protocol/sys_flag.ts";

/** A body that grows beyond that is shown as it is stored. */
const MAX_BODY_BYTES = 32 << 20;
/** How a compressed body is compressed; 0 is what clients before 5.0 write. [RMQ CompressionType] */
const COMPRESSION_MASK = 0x700;
const ZLIB = 0x300;

/** As text, or in Base64 where it is none, or where its compression is one that we don't know. */
export type ReadableBody = { body: string } | { bodyBase64: string; isCompressed?: true };

/** A stored body; a compressed one as its sender wrote it, if we can. */
export function readBody(message: { body: Uint8Array; sysFlag: number }): ReadableBody {
  const plain = plainBody(message);
  if (plain === undefined) {
    return { bodyBase64: Buffer.from(message.body).toString("base64"), isCompressed: true };
  }
  try {
    return { body: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(plain) };
  } catch {
    return { bodyBase64: Buffer.from(plain).toString("base64") };
  }
}

/** The body as its sender wrote it; undefined where it is compressed in a way that we don't know. */
export function plainBody({ body, sysFlag }: { body: Uint8Array; sysFlag: number }): Uint8Array | undefined {
  if ((sysFlag & SysFlag.COMPRESSED) === 0) return body;
  const type = sysFlag & COMPRESSION_MASK;
  if (type !== 0 && type !== ZLIB) return undefined;
  try {
    return inflateSync(body, { maxOutputLength: MAX_BODY_BYTES });
  } catch {
    return undefined;
  }
}

/** `ip:port`; IPv6 addresses in brackets. */
export function formatHost({ ip, port }: { ip: Uint8Array; port: number }): string {
  if (ip.length === 4) return `${ip.join(".")}:${port}`;
  const groups = Array.from(
    { length: 8 },
    (_, index) => (ip[index * 2] << 8 | ip[index * 2 + 1]).toString(16),
  );
  return `[${groups.join(":")}]:${port}`;
}
