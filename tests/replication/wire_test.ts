// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import fc from "fast-check";
import {
  FRAME_HEAD_BYTES,
  FrameReader,
  readOffset,
  REPORT_BYTES,
  ReportReader,
  writeFrameHead,
  writeOffset,
} from "../../src/replication/wire.ts";

/** `bytes`, cut at places that the numbers choose. */
function cut(bytes: Buffer, sizes: number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (let index = 0; at < bytes.length; index++) {
    const size = sizes.length === 0 ? bytes.length : sizes[index % sizes.length];
    pieces.push(Buffer.from(bytes.subarray(at, at + size)));
    at += size;
  }
  return pieces;
}

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 5 });

test("offsets beyond 32 bits are 8 bytes, big-endian", () => {
  const bytes = Buffer.alloc(8);
  writeOffset(bytes, 0x1_2345_6789_abcd, 0);
  assert.equal(bytes.toString("hex"), "000123456789abcd");
  assert.equal(readOffset(bytes, 0), 0x1_2345_6789_abcd);
  assert.ok(readOffset(Buffer.alloc(8, 0xff), 0) < 0);
});

test("of reports the newest whole one counts, however they are cut", () => {
  fc.assert(fc.property(fc.array(fc.maxSafeNat(), { maxLength: 8 }), sizes, (reports, sizes) => {
    const bytes = Buffer.alloc(reports.length * REPORT_BYTES);
    reports.forEach((report, index) => writeOffset(bytes, report, index * REPORT_BYTES));
    const reader = new ReportReader();
    let seen = 0;
    for (const piece of cut(bytes, sizes)) {
      const whole = Math.floor((seen + piece.length) / REPORT_BYTES);
      const isNew = whole > Math.floor(seen / REPORT_BYTES);
      assert.equal(reader.read(piece), isNew ? reports[whole - 1] : undefined);
      seen += piece.length;
    }
  }));
});

test("frames come out as they went in, however they are cut; a head alone is a sign of life", () => {
  const frame = fc.record({ offset: fc.nat(), body: fc.uint8Array({ maxLength: 50 }) });
  fc.assert(fc.property(fc.array(frame, { maxLength: 6 }), sizes, (frames, sizes) => {
    const bytes = Buffer.concat(frames.map(({ offset, body }) => {
      const head = Buffer.alloc(FRAME_HEAD_BYTES);
      writeFrameHead(head, offset, body.length, 0);
      return Buffer.concat([head, body]);
    }));
    const heads: [number, number][] = [];
    const bodies: Buffer[] = [];
    const reader = new FrameReader({
      onHead: (offset, bodyBytes) => {
        heads.push([offset, bodyBytes]);
        bodies.push(Buffer.alloc(0));
      },
      onBody: (offset, part) => {
        const body = bodies.length - 1;
        assert.equal(offset, heads[body][0] + bodies[body].length);
        bodies[body] = Buffer.concat([bodies[body], part]);
      },
    });
    for (const piece of cut(bytes, sizes)) reader.read(piece);
    assert.deepEqual(heads, frames.map(({ offset, body }) => [offset, body.length]));
    assert.deepEqual(bodies, frames.map(({ body }) => Buffer.from(body)));
  }));
});
