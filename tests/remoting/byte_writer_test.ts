// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import { ByteWriter } from "../../src/remoting/byte_writer.ts";

const text = (writer: ByteWriter) => Buffer.concat([...writer.take().pieces]).toString("utf8");

describe("ByteWriter", () => {
  test("writes integers as JavaScript would print them", () => {
    const numbers = [0, 1, 9, 10, 99, 100, 12345, 0x7fffffff, -1, -0x80000000, Number.MAX_SAFE_INTEGER];
    for (const number of numbers) {
      const writer = new ByteWriter();
      writer.decimal(number);
      assert.equal(text(writer), String(number));
    }
  });

  test("writes JSON strings as JSON.stringify() does", () => {
    const strings = [
      "",
      "plain",
      'a"b',
      "a\\b",
      "\u0000\u0001\u001f",
      "\u007f",
      "ü日😀",
      "\ud800",
      "x".repeat(100_000),
    ];
    for (const string of strings) {
      const writer = new ByteWriter();
      writer.json(string);
      assert.equal(text(writer), JSON.stringify(string));
    }
  });

  test("moves the frame being written when a buffer is full, and keeps the frames before", () => {
    const writer = new ByteWriter();
    const frames: string[] = [];
    for (let i = 0; i < 300; i++) {
      const frame = `${i}:` + String.fromCharCode(97 + i % 26).repeat(i * 7);
      frames.push(frame);
      writer.beginFrame();
      for (const char of frame.match(/.{1,100}/g)!) writer.utf8(char);
      assert.equal(writer.bytes.subarray(writer.frameStart, writer.at).toString(), frame);
    }
    assert.equal(writer.byteCount, frames.join("").length);
    assert.equal(text(writer), frames.join(""));
    assert.equal(writer.byteCount, 0);
  });

  test("does not touch taken bytes while it goes on writing", () => {
    const writer = new ByteWriter();
    writer.utf8("first");
    const first = writer.take();
    writer.utf8("second");
    const second = writer.take();
    assert.equal(Buffer.concat([...first.pieces]).toString(), "first");
    assert.equal(Buffer.concat([...second.pieces]).toString(), "second");
  });

  test("writes into recycled buffers again", () => {
    const writer = new ByteWriter();
    writer.utf8("first");
    const first = writer.take();
    const [buffer] = first.buffers;
    first.recycle();
    writer.utf8("second");
    assert.equal(writer.bytes, buffer);
  });

  test("dropFrame() forgets only the frame begun last", () => {
    const writer = new ByteWriter();
    writer.beginFrame();
    writer.utf8("kept");
    writer.beginFrame();
    writer.utf8("x".repeat(200_000));
    writer.dropFrame();
    assert.equal(writer.byteCount, 4);
    assert.equal(text(writer), "kept");
  });
});
