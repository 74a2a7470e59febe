// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import process from "node:process";
import { test } from "node:test";
import fc from "fast-check";
import { BLANK_BYTES, MAGIC_BLANK, MAGIC_V1, type RecordFields } from "../../src/protocol/record.ts";
import { recordAt, type ScanEnd, scanLog, wholeRecordBehind } from "../../src/store/log_scan.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { bodyOf, fields, OVERHEAD_BYTES, recordBytes, segmentFiles, V6_HOSTS } from "./parts.ts";

const KIB = 1024;

/** Log files of these bytes each, and the walk through them. */
function logOf(fileBytes: number, ...contents: Uint8Array[]) {
  const files = new MemoryFiles();
  const segments = segmentFiles(files, fileBytes);
  contents.forEach((content, index) => {
    segments.add(index * fileBytes);
    segments.write(content, index * fileBytes);
  });
  const scan = (given: Partial<Parameters<typeof scanLog>[1]> = {}): ScanEnd & { found: number[] } => {
    const found: number[] = [];
    const options = { startOffset: 0, checkBodyCrc: true, ...given };
    const end = scanLog(segments, options, (frame) => found.push(frame.physicalOffset));
    return { ...end, found };
  };
  return { files, segments, scan };
}

/** Records one behind the other. */
function records(...all: (RecordFields | number)[]): Buffer {
  const parts: Buffer[] = [];
  let physicalOffset = 0;
  for (const record of all) {
    const made = typeof record === "number" ? fields(bodyOf(record)) : record;
    parts.push(recordBytes(made, { physicalOffset }));
    physicalOffset += parts.at(-1)!.length;
  }
  return Buffer.concat(parts);
}

function blank(bytes: number): Buffer {
  const blank = Buffer.alloc(BLANK_BYTES);
  blank.writeInt32BE(bytes, 0);
  blank.writeInt32BE(MAGIC_BLANK, 4);
  return blank;
}

test("the walk goes through all records, blanks and files, to the first zeros", () => {
  const first = records(100, 200);
  const second = recordBytes(fields(bodyOf(50)), { physicalOffset: KIB, storeTimestampMs: 7000 });
  const { scan } = logOf(KIB, Buffer.concat([first, blank(KIB - first.length)]), second);
  assert.deepEqual(scan(), {
    endOffset: KIB + second.length,
    storeTimestampMs: 7000,
    lastRecordOffset: KIB,
    reason: "ZEROS",
    found: [0, 100 + OVERHEAD_BYTES, KIB],
  });
});

test("the walk ends with the files where the last one is full", () => {
  const bytes = Buffer.concat([records(100), blank(KIB - 100 - OVERHEAD_BYTES)]);
  const { scan } = logOf(KIB, bytes);
  assert.deepEqual([scan().endOffset, scan().reason], [KIB, "END"]);
});

test("an empty log ends at its start", () => {
  const { scan } = logOf(KIB, Buffer.alloc(0));
  assert.deepEqual([scan().endOffset, scan().reason, scan().lastRecordOffset], [0, "ZEROS", -1]);
});

test("records that other writers put close to the file's end are walked over", () => {
  for (const rest of [0, 1, 7, 8]) {
    const first = records(KIB - OVERHEAD_BYTES - rest);
    const second = recordBytes(fields("b"), { physicalOffset: KIB });
    const { scan } = logOf(KIB, rest === 8 ? Buffer.concat([first, blank(8)]) : first, second);
    assert.deepEqual(scan().found, [0, KIB], `${rest} bytes are left`);
  }
});

test("records longer than what is read at a time are walked over", () => {
  const long = 5 * KIB * KIB;
  const { scan } = logOf(16 * KIB * KIB, records(10, long, 10, long));
  assert.equal(scan().found.length, 4);
});

test("each defect ends the walk, and says what it is", () => {
  const good = records(100);
  const at = good.length;
  const bad = (change: (record: Buffer) => void, given: Partial<RecordFields> = {}) => {
    const record = recordBytes(fields(bodyOf(100), given), { physicalOffset: at });
    change(record);
    return logOf(KIB, Buffer.concat([good, record, recordBytes(fields("c"), { physicalOffset: 0 })])).scan();
  };
  const properties = { properties: "k\u0001v\u0002" };
  const defects: [ScanEnd["reason"], (record: Buffer) => void][] = [
    ["NO_MAGIC", (record) => record.writeInt32BE(1, 4)],
    ["BODY_CRC", (record) => record[100] ^= 1],
    ["BODY_CRC", (record) => record.writeInt32BE(1, 8)],
    ["LENGTHS", (record) => record.writeInt32BE(record.length - 1, 0)],
    ["LENGTHS", (record) => record.writeInt32BE(20, 0)],
    ["LENGTHS", (record) => record.writeInt32BE(-1, 0)],
    ["LENGTHS", (record) => record.writeInt32BE(99, 84)],
    ["LENGTHS", (record) => record.writeInt32BE(-1, 84)],
    ["LENGTHS", (record) => record.writeInt32BE(0x7fffffff, 84)],
    ["TRUNCATED", (record) => record.writeInt32BE(0x7fffffff, 0)],
    ["MISPLACED", (record) => record.writeInt32BE(at + 1, 32)],
    ["MISPLACED", (record) => record.writeInt32BE(1, 28)],
    ["ZEROS", (record) => record.fill(0)],
    ["NO_MAGIC", (record) => record.fill(0, 0, 8).fill(1, 7, 8)],
  ];
  for (const [reason, change] of defects) {
    const end = bad(change, properties);
    assert.deepEqual([end.reason, end.endOffset, end.found], [reason, at, [0]]);
  }
});

test("a wrong body passes where its checksum is not wanted", () => {
  const bytes = records(100);
  bytes[90] ^= 1;
  assert.equal(logOf(KIB, bytes).scan({ checkBodyCrc: false }).endOffset, bytes.length);
});

test("a record left over from an earlier life of the log is none", () => {
  const first = records(100);
  const stale = recordBytes(fields(bodyOf(100)), { physicalOffset: first.length + 5000 });
  const end = logOf(KIB, Buffer.concat([first, stale])).scan();
  assert.deepEqual([end.reason, end.endOffset], ["MISPLACED", first.length]);
});

test("a length that no record has is not believed, so that nobody makes room for it", () => {
  const fileBytes = 64 * KIB * KIB;
  const record = records(100);
  record.writeInt32BE(60 * KIB * KIB, 0);
  const before = process.memoryUsage().arrayBuffers;
  const { scan, segments } = logOf(fileBytes, record);
  assert.equal(scan().reason, "LENGTHS");
  assert.equal(recordAt(segments, 0), undefined);
  assert.ok(process.memoryUsage().arrayBuffers - before < 16 * KIB * KIB);
});

test("a record that lost any of its sectors is not whole, if it was written shortly before the crash", () => {
  const properties = `KEYS\u0001${"k".repeat(1500)}\u0002user\u0001${"v".repeat(1400)}\u0002`;
  for (const given of [{}, V6_HOSTS, { topic: "t".repeat(120) }]) {
    for (const position of [0, 1, 300, 511, 512, 700]) {
      const before = records(fields(bodyOf(position + 512 - OVERHEAD_BYTES)));
      const record = recordBytes(fields(bodyOf(600), { properties, ...given }), {
        physicalOffset: before.length,
        storeTimestampMs: 2000,
      });
      const whole = Buffer.concat([before, record]);
      const fileBytes = 8 * KIB;
      assert.equal(logOf(fileBytes, whole).scan({ mayBeTornAfterMs: 1999 }).endOffset, whole.length);
      const last = Math.floor((whole.length - 1) / 512);
      for (let sector = Math.floor(before.length / 512); sector <= last; sector++) {
        const torn = Buffer.concat([whole, Buffer.alloc(fileBytes - whole.length)]);
        torn.fill(0, Math.max(sector * 512, before.length), (sector + 1) * 512);
        if (torn.subarray(0, whole.length).equals(whole)) continue;
        const end = logOf(fileBytes, torn).scan({ mayBeTornAfterMs: 1999 });
        assert.equal(end.endOffset, before.length, `sector ${sector} of the record at ${before.length}`);
      }
    }
  }
});

test("zeros in properties are nobody's fault where the disk can't have lost anything, or not just there", () => {
  const zeros = (count: number) => `user\u0001a${"\0".repeat(count)}b\u0002`;
  const at = OVERHEAD_BYTES + "user1a".length;
  const torn = records(fields(bodyOf(512 - at), { properties: zeros(512) }));
  assert.equal(logOf(4 * KIB, torn).scan({ mayBeTornAfterMs: 1999 }).reason, "TORN");
  assert.equal(logOf(4 * KIB, torn).scan({ mayBeTornAfterMs: 2000 }).endOffset, torn.length);
  assert.equal(logOf(4 * KIB, torn).scan().endOffset, torn.length);
  for (const [bodyBytes, count] of [[512 - at + 1, 512], [512 - at, 511], [100, 1000], [100, 1]]) {
    const odd = records(fields(bodyOf(bodyBytes), { properties: zeros(count) }));
    assert.equal(logOf(4 * KIB, odd).scan({ mayBeTornAfterMs: 1999 }).endOffset, odd.length);
  }
});

test("a whole record behind damage is found, wherever it lies", () => {
  const first = records(100);
  for (const gap of [1, 7, 100, 3 * KIB, 5 * KIB * KIB]) {
    const fileBytes = 8 * KIB * KIB;
    const offset = first.length + gap;
    const damage = Buffer.alloc(gap, Uint8Array.of(0xda, 0xa3, 0x20, 0xa7));
    const record = recordBytes(fields("found"), { physicalOffset: offset });
    const { segments } = logOf(fileBytes, Buffer.concat([first, damage, record]));
    assert.equal(wholeRecordBehind(segments, first.length)?.physicalOffset, offset, `after ${gap} bytes`);
    assert.equal(wholeRecordBehind(segments, offset), undefined);
  }
});

test("a whole record is found in a later file, and where a read of the file ends", () => {
  const later = recordBytes(fields("later"), { physicalOffset: KIB });
  const { segments } = logOf(KIB, Buffer.alloc(KIB, 1), later);
  assert.equal(wholeRecordBehind(segments, 0)?.physicalOffset, KIB);
  const block = 4 * KIB * KIB;
  for (let shift = -10; shift <= 10; shift++) {
    const offset = 1 + block + shift;
    const record = recordBytes(fields("split"), { physicalOffset: offset });
    const { segments } = logOf(2 * block, Buffer.concat([Buffer.alloc(offset), record]));
    assert.equal(wholeRecordBehind(segments, 0)?.physicalOffset, offset, `${shift} from the end of a read`);
  }
});

test("any bytes are walked through without an error, and every record found is one", () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.record({ body: fc.nat(300), offset: fc.nat(2 * KIB), cut: fc.nat(400) }).map(({ body, offset, cut }) =>
      recordBytes(fields(bodyOf(body)), { physicalOffset: offset }).subarray(0, cut)
    ),
    fc.nat(2 * KIB).map(blank),
    fc.tuple(fc.integer(), fc.uint8Array({ minLength: 120, maxLength: 120 })).map(([size, rest]) => {
      const bytes = Buffer.concat([Buffer.alloc(8), rest]);
      bytes.writeInt32BE(size, 0);
      bytes.writeInt32BE(MAGIC_V1, 4);
      return bytes;
    }),
    fc.constant(Buffer.alloc(100)),
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 8 }),
      fc.boolean(),
      fc.boolean(),
      (pieces, checkBodyCrc, mayTear) => {
        const start = records(10);
        const bytes = Buffer.concat([start, ...pieces]).subarray(0, 2 * KIB);
        const { scan, segments } = logOf(KIB, bytes.subarray(0, KIB), bytes.subarray(KIB));
        const end = scan({ checkBodyCrc, mayBeTornAfterMs: mayTear ? 0 : undefined });
        assert.equal(end.found[0], 0);
        assert.ok(end.endOffset >= start.length && end.endOffset <= 2 * KIB);
        for (const offset of end.found) assert.ok(offset < end.endOffset);
        const behind = wholeRecordBehind(segments, end.endOffset)?.physicalOffset ?? Infinity;
        assert.ok(behind > end.endOffset);
      },
    ),
    { numRuns: 500 },
  );
});

test("a log of whole records with one changed bit ends at the record that changed, or changes one message only", () => {
  const bytes = records(50, 60, fields(bodyOf(70), { properties: "k\u0001v\u0002" }), 80);
  const { found } = logOf(2 * KIB, bytes).scan();
  fc.assert(
    fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] ^= 1 << (bit & 7);
      const end = logOf(2 * KIB, changed).scan();
      const struck = found.findLast((offset) => offset <= bit >> 3)!;
      if (end.reason !== "ZEROS" || end.endOffset !== bytes.length) assert.equal(end.endOffset, struck);
    }),
    { numRuns: 1000 },
  );
});
