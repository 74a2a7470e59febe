// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";

const C1 = 0x87c37b91114253d5n;
const C2 = 0x4cf5ad432745937fn;

/** The first 64 bits of MurmurHash3 (x64, 128 bits, seed 0). For names that are hashed once, not for messages. */
export function murmur3(bytes: Uint8Array): bigint {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = bytes.length - bytes.length % 16;
  let h1 = 0n;
  let h2 = 0n;
  for (let at = 0; at < whole; at += 16) {
    h1 ^= mix1(source.readBigUInt64LE(at));
    h1 = long(long(rotate(h1, 27n) + h2) * 5n + 0x52dce729n);
    h2 ^= mix2(source.readBigUInt64LE(at + 8));
    h2 = long(long(rotate(h2, 31n) + h1) * 5n + 0x38495ab5n);
  }
  const tail = Buffer.alloc(16);
  source.copy(tail, 0, whole);
  // A tail of zeros changes nothing.
  h2 ^= mix2(tail.readBigUInt64LE(8));
  h1 ^= mix1(tail.readBigUInt64LE(0));
  const length = BigInt(bytes.length);
  h1 ^= length;
  h2 ^= length;
  h1 = long(h1 + h2);
  h2 = long(h2 + h1);
  return long(finish(h1) + finish(h2));
}

function mix1(k1: bigint): bigint {
  return long(rotate(long(k1 * C1), 31n) * C2);
}

function mix2(k2: bigint): bigint {
  return long(rotate(long(k2 * C2), 33n) * C1);
}

function finish(value: bigint): bigint {
  value = long((value ^ (value >> 33n)) * 0xff51afd7ed558ccdn);
  value = long((value ^ (value >> 33n)) * 0xc4ceb9fe1a85ec53n);
  return value ^ (value >> 33n);
}

function rotate(value: bigint, bits: bigint): bigint {
  return long(value << bits) | (value >> (64n - bits));
}

function long(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}
