// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FrameCutter } from "../../src/remoting/frame.ts";
import { FrameError } from "../../src/remoting/remoting_error.ts";

/** The frames of a stream and where it broke, by the plainest reading. */
function cutSimply(stream: Buffer): { frames: string[]; isBroken: boolean } {
  const frames: string[] = [];
  for (let at = 0; at + 4 <= stream.length;) {
    const length = stream.readInt32BE(at);
    if (length < 4 || length > 16_777_212) return { frames, isBroken: true };
    if (at + 4 + length > stream.length) break;
    frames.push(stream.toString("hex", at, at + 4 + length));
    at += 4 + length;
  }
  return { frames, isBroken: false };
}

function cut(stream: Buffer, sizes: readonly number[]): { frames: string[]; isBroken: boolean } {
  const cutter = new FrameCutter();
  const frames: string[] = [];
  let size = 0;
  let received = 0;
  while (received < stream.length) {
    const chunk = stream.subarray(received, received + sizes[size++ % sizes.length]);
    received += chunk.length;
    try {
      cutter.push(chunk);
      while (cutter.next()) frames.push(cutter.bytes.toString("hex", cutter.start, cutter.end));
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      return { frames, isBroken: true };
    }
    assert.ok(
      cutter.reservedBytes <= Math.max(4096, 4 * received),
      `${cutter.reservedBytes} bytes for ${received}`,
    );
  }
  return { frames, isBroken: false };
}

const frame = fc.uint8Array({ minLength: 4, maxLength: 300 }).map((content) => {
  const bytes = Buffer.concat([Buffer.alloc(4), content]);
  bytes.writeInt32BE(content.length, 0);
  return bytes;
});
const largeFrame = fc.integer({ min: 4, max: 40_000 }).map((length) => {
  const bytes = Buffer.alloc(4 + length, length);
  bytes.writeInt32BE(length, 0);
  return bytes;
});
const rubbish = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes));
const stream = fc.array(fc.oneof({ weight: 8, arbitrary: frame }, largeFrame, rubbish), { maxLength: 12 })
  .map((pieces) => Buffer.concat(pieces));
const chunkSizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 5000 })), {
  minLength: 1,
  maxLength: 8,
});

/** Streams that a version of the code got wrong, or could easily. */
const seeds: Record<string, [Buffer, number[]]> = {
  "length field split over four chunks": [Buffer.from("0000000401020304", "hex"), [1]],
  "frame that ends with its chunk, then a split length": [
    Buffer.from("00000004aaaaaaaa" + "00000005bbbbbbbbbb", "hex"),
    [8, 2, 3, 4],
  ],
  "bad length split over two chunks": [Buffer.from("00000004aaaaaaaa" + "ffffffff", "hex"), [9, 1]],
  "two frames in the chunk that ends a gathered one": [
    Buffer.from("00000006aaaaaaaaaaaa" + "00000004bbbbbbbb" + "00000004cccccccc", "hex"),
    [7, 100],
  ],
};

describe("FrameCutter", () => {
  for (const [name, [bytes, sizes]] of Object.entries(seeds)) {
    test(`seed: ${name}`, () => assert.deepEqual(cut(bytes, sizes), cutSimply(bytes)));
  }

  test("cuts any stream in any chunks as it would be cut in one piece", () => {
    fc.assert(
      fc.property(
        stream,
        chunkSizes,
        (bytes, sizes) => assert.deepEqual(cut(bytes, sizes), cutSimply(bytes)),
      ),
      { numRuns: 500 },
    );
  });
});
