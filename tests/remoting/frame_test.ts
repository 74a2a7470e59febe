// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import { FrameCutter, MAX_FRAME_BYTES } from "../../src/remoting/frame.ts";
import { FrameError } from "../../src/remoting/remoting_error.ts";

/** A frame whose `size` bytes after the length field are filled with `fill`. */
function frame(size: number, fill: number): Buffer {
  const bytes = Buffer.alloc(4 + size, fill);
  bytes.writeInt32BE(size, 0);
  return bytes;
}

function cut(chunks: Iterable<Uint8Array>): Buffer[] {
  const cutter = new FrameCutter();
  const frames: Buffer[] = [];
  for (const chunk of chunks) {
    cutter.push(chunk);
    while (cutter.next()) frames.push(Buffer.from(cutter.bytes.subarray(cutter.start, cutter.end)));
  }
  return frames;
}

describe("FrameCutter", () => {
  test("does not copy frames that lie inside one chunk", () => {
    const chunk = Buffer.concat([frame(4, 1), frame(100, 2)]);
    const cutter = new FrameCutter();
    cutter.push(chunk);
    assert.equal(cutter.next(), true);
    assert.deepEqual([cutter.bytes === chunk, cutter.start, cutter.end], [true, 0, 8]);
    assert.equal(cutter.next(), true);
    assert.deepEqual([cutter.bytes === chunk, cutter.start, cutter.end], [true, 8, 112]);
    assert.equal(cutter.next(), false);
    assert.equal(cutter.next(), false);
  });

  test("gathers frames from chunks of any size", () => {
    const frames = [frame(4, 1), frame(50, 2), frame(5, 3), frame(20_000, 4), frame(9, 5)];
    const stream = Buffer.concat(frames);
    for (const size of [1, 2, 3, 4, 5, 7, 54, 1000, stream.length - 1, stream.length]) {
      const chunks: Buffer[] = [];
      for (let at = 0; at < stream.length; at += size) chunks.push(stream.subarray(at, at + size));
      assert.deepEqual(cut(chunks), frames, `chunks of ${size}`);
    }
  });

  test("takes chunks that are plain byte arrays, and empty ones", () => {
    const bytes = new Uint8Array([9, 9, 0, 0, 0, 4, 1, 2, 3, 4, 9]).subarray(2, 10);
    assert.equal(cut([bytes.subarray(0, 6), new Uint8Array(0), bytes.subarray(6)]).length, 1);
  });

  test("takes a frame of 16 MiB, length field included, and not one byte more", () => {
    const largest = frame(MAX_FRAME_BYTES - 4, 7);
    const chunks: Buffer[] = [];
    for (let at = 0; at < largest.length; at += 65536) chunks.push(largest.subarray(at, at + 65536));
    assert.equal(cut(chunks)[0].equals(largest), true);
    assert.throws(() => cut([frame(MAX_FRAME_BYTES - 3, 7).subarray(0, 4)]), FrameError);
  });

  test("allots memory for what came, not for what was announced", () => {
    const cutter = new FrameCutter();
    cutter.push(frame(MAX_FRAME_BYTES - 4, 0).subarray(0, 12));
    assert.equal(cutter.next(), false);
    assert.ok(cutter.reservedBytes <= 4096, `${cutter.reservedBytes}`);
    cutter.push(Buffer.alloc(100_000));
    assert.equal(cutter.next(), false);
    assert.ok(cutter.reservedBytes <= 400_100, `${cutter.reservedBytes}`);
  });

  const impossible: [string, number, RegExp][] = [
    ["a negative length", -1, /length -1/],
    ["the smallest negative length", -0x80000000, /length -2147483648/],
    ["the largest length", 0x7fffffff, /length 2147483647/],
    ["a length without room for the header's length", 3, /length 3/],
    ["the PROXY protocol", 0x50524f58, /PROXY/],
    ["the PROXY protocol 2", 0x0d0a0d0a, /PROXY/],
    ["a TLS handshake", 0x16030100, /TLS/],
    ["HTTP", 0x47455420, /HTTP/],
  ];
  for (const [name, length, message] of impossible) {
    test(`refuses ${name}, also when it comes byte by byte`, () => {
      const bytes = Buffer.alloc(8);
      bytes.writeInt32BE(length, 0);
      assert.throws(() => cut([bytes]), { name: "FrameError", message });
      assert.throws(() => cut([...bytes].map((byte) => Buffer.from([byte]))), {
        name: "FrameError",
        message,
      });
    });
  }

  test("calls it a bad length when it is not the first frame", () => {
    const tls = Buffer.alloc(4);
    tls.writeInt32BE(0x16030100, 0);
    assert.throws(() => cut([frame(4, 0), tls]), /length 369295616/);
  });
});
