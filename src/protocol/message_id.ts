// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";

/**
 * Identifiers of messages, in upper-case hex.
 *
 * offset message id = store IP (4 or 16) · port (4) · physical offset (8): 32 or 56 digits. Clients connect
 * to that address to view the message. [RMQ MessageDecoder.createMessageId]
 */
export function offsetMessageId(host: { ip: Uint8Array; port: number }, physicalOffset: number): string {
  return hostPrefix(host) + hex32(Math.floor(physicalOffset / 0x100000000)) + hex32(physicalOffset >>> 0);
}

/** Address and physical offset of an offset message id; undefined where the text is none. */
export function parseOffsetMessageId(
  id: string,
): { ip: Uint8Array; port: number; physicalOffset: number } | undefined {
  if ((id.length !== 32 && id.length !== 56) || !/^[0-9A-Fa-f]+$/.test(id)) return undefined;
  const ipLength = id.length === 32 ? 4 : 16;
  const bytes = Uint8Array.from(id.match(/../g)!, (pair) => parseInt(pair, 16));
  const view = new DataView(bytes.buffer);
  const physicalOffset = view.getInt32(ipLength + 4) * 0x100000000 + view.getUint32(ipLength + 8);
  if (!Number.isSafeInteger(physicalOffset) || physicalOffset < 0) return undefined;
  return { ip: bytes.subarray(0, ipLength), port: view.getInt32(ipLength), physicalOffset };
}

/** The part of an offset message id that is the same for all messages of a host; kept per host object. */
function hostPrefix(host: { ip: Uint8Array; port: number }): string {
  let prefix = prefixes.get(host);
  if (prefix === undefined) {
    prefix = Array.from(host.ip, (byte) => byte.toString(16).padStart(2, "0")).join("").toUpperCase() +
      hex32(host.port);
    prefixes.set(host, prefix);
  }
  return prefix;
}

const prefixes = new WeakMap<object, string>();

/** Two digits for each byte. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).toUpperCase().padStart(2, "0"));

function hex32(value: number): string {
  return HEX[value >>> 24 & 0xff] + HEX[value >>> 16 & 0xff] + HEX[value >>> 8 & 0xff] + HEX[value & 0xff];
}

let uniqueCounter = 0;
const processPart = randomBytes(6).toString("hex").toUpperCase();

/**
 * A unique key as clients make them: IP (4) · process (2) · loader hash (4) · milliseconds since the start of
 * the month (4) · counter (2), 32 digits. Tools read the time of sending from it. [RMQ MessageClientIDSetter]
 */
export function createUniqueKey(ip: Uint8Array, nowMs: number): string {
  if (nowMs >= nextMonthMs || nowMs < monthStartMs) startMonth(nowMs);
  uniqueCounter = (uniqueCounter + 1) & 0xffff;
  const ipPart = hex32((ip[0] << 24) | (ip[1] << 16) | (ip[2] << 8) | ip[3]);
  return ipPart + processPart + hex32(nowMs - monthStartMs) + hex32(uniqueCounter).slice(4);
}

let monthStartMs = 0;
let nextMonthMs = 0;

function startMonth(nowMs: number): void {
  const now = new Date(nowMs);
  monthStartMs = new Date(now.getFullYear(), now.getMonth(), 1).getTime();
  nextMonthMs = new Date(now.getFullYear(), now.getMonth() + 1, 1).getTime();
}
