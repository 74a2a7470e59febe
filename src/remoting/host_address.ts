// SPDX-License-Identifier: Apache-2.0
import { isIPv4, isIPv6 } from "node:net";
import type { HostAddress } from "./connection.ts";

/** `host` must be an IP address; an IPv4 address mapped into IPv6 becomes plain IPv4. @throws Error otherwise */
export function hostAddress(host: string, port: number): HostAddress {
  const ip = parseIp(host);
  if (ip === undefined) throw new Error(`not an IP address: ${host.slice(0, 64)}`);
  return { host: ip.length === 4 ? ip.join(".") : host, port, ip };
}

/**
 * The 4 or 16 bytes of an IP address. Mapped IPv4 (`::ffff:10.0.0.1`) gives 4 bytes as the JVM does:
 * messages born at a 16-byte address can't be read by clients that know only IPv4.
 */
export function parseIp(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split("."), Number);
  const zone = text.indexOf("%");
  const address = zone < 0 ? text : text.slice(0, zone);
  if (!isIPv6(address)) return undefined;
  const bytes = ipv6Bytes(address);
  return isMappedIpv4(bytes) ? bytes.slice(12) : bytes;
}

/**
 * `host:port` taken apart at the last colon, brackets around an IPv6 host removed.
 * @throws Error when there is no host or no valid port
 */
export function parseAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, Math.max(colon, 0)).trim().replace(/^\[(.*)\]$/, "$1");
  const digits = address.slice(colon + 1).trim();
  const port = /^[0-9]{1,5}$/.test(digits) ? Number(digits) : NaN;
  if (host === "" || !(port >= 1 && port <= 65535)) {
    throw new Error(`not an address of the form host:port: ${address.slice(0, 128)}`);
  }
  return { host, port };
}

function ipv6Bytes(address: string): Uint8Array {
  const [head, tail] = address.split("::");
  const front = groups(head);
  const back = groups(tail ?? "");
  const bytes = new Uint8Array(16);
  bytes.set(front, 0);
  bytes.set(back, 16 - back.length);
  return bytes;
}

function groups(part: string): number[] {
  if (part === "") return [];
  return part.split(":").flatMap((group) => {
    if (group.includes(".")) return group.split(".").map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

function isMappedIpv4(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}
