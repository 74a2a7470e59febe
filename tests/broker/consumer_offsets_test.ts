// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { ConsumerOffsets, NO_OFFSET } from "../../src/broker/consumer_offsets.ts";
import { ConfigFileError } from "../../src/broker/json_file.ts";
import { parseJsonObject, stringifyJson } from "../../src/protocol/java_json.ts";
import type { StoreFile } from "../../src/store/files.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { SeededRandom } from "../harness/seeded_random.ts";

const DIRECTORY = "/store/config";
const PATH = `${DIRECTORY}/consumerOffset.json`;

/** Counts how often the table is written. */
class CountingFiles extends MemoryFiles {
  writeCount = 0;

  override create(path: string, sizeBytes: number): StoreFile {
    this.writeCount++;
    return super.create(path, sizeBytes);
  }
}

function setUp(content?: string | Uint8Array) {
  const files = new CountingFiles();
  files.makeDirectory(DIRECTORY);
  if (content !== undefined) {
    files.replace(PATH, typeof content === "string" ? new TextEncoder().encode(content) : content);
    files.writeCount = 0;
  }
  const clock = new ManualClock();
  const opened: ConsumerOffsets[] = [];
  const open = () => {
    const offsets = ConsumerOffsets.open({ files, directory: DIRECTORY, clock, flushIntervalMs: 5000 });
    opened.push(offsets);
    return offsets;
  };
  return { files, clock, offsets: open(), reopen: open };
}

const open = (files: MemoryFiles) =>
  ConsumerOffsets.open({ files, directory: DIRECTORY, clock: new ManualClock(), flushIntervalMs: 5000 });

const golden = (version: string) =>
  readFileSync(new URL(`../golden/config/${version}/consumerOffset.json`, import.meta.url));

/** Resolves when what timers have begun to write is written. */
const settled = (offsets: ConsumerOffsets) => offsets.flush();

describe("ConsumerOffsets", () => {
  test("answer what was committed, backwards too", () => {
    const { offsets } = setUp();
    assert.equal(offsets.query("g", "t", 0), NO_OFFSET);
    offsets.commit("g", "t", 0, 5);
    offsets.commit("g", "t", 1, 7);
    assert.equal(offsets.query("g", "t", 0), 5);
    assert.equal(offsets.query("g", "t", 2), NO_OFFSET);
    assert.equal(offsets.query("h", "t", 0), NO_OFFSET);
    offsets.commit("g", "t", 0, 3);
    assert.equal(offsets.query("g", "t", 0), 3);
    assert.deepEqual(offsets.queuesOf("g", "t"), new Map([[0, 3], [1, 7]]));
    assert.equal(offsets.queuesOf("g", "u"), undefined);
  });

  test("are found by group and by topic", () => {
    const { offsets } = setUp();
    offsets.commit("g1", "t1", 0, 1);
    offsets.commit("g1", "t2", 0, 1);
    offsets.commit("g2", "t2", 0, 1);
    assert.deepEqual(offsets.topicsOf("g1"), ["t1", "t2"]);
    assert.deepEqual(offsets.groupsOf("t2"), ["g1", "g2"]);
    assert.deepEqual(offsets.groups(), ["g1", "g2"]);
    assert.deepEqual(offsets.topicsOf("nobody"), []);
    assert.deepEqual(offsets.groupsOf("nothing"), []);
  });

  test("are forgotten by topic, by group and by both", () => {
    const { offsets } = setUp();
    for (const group of ["g1", "g2"]) {
      for (const topic of ["t1", "t2"]) {
        offsets.commit(group, topic, 0, 1);
        offsets.notePulled(group, topic, 0, 2);
        offsets.reset(group, topic, 0, 1);
      }
    }
    offsets.removeTopicOf("g1", "t1");
    assert.deepEqual(offsets.topicsOf("g1"), ["t2"]);
    assert.equal(offsets.pulled("g1", "t1", 0), NO_OFFSET);
    assert.equal(offsets.pendingReset("g1", "t1", 0), undefined);
    offsets.removeTopic("t2");
    assert.deepEqual(offsets.groups(), ["g2"]);
    assert.equal(offsets.pulled("g2", "t2", 0), NO_OFFSET);
    offsets.removeGroup("g2");
    assert.deepEqual(offsets.groups(), []);
    assert.equal(offsets.pendingReset("g2", "t1", 0), undefined);
  });

  test("are cloned in place of what the other group had", () => {
    const { offsets } = setUp();
    offsets.commit("from", "t", 0, 5);
    offsets.commit("from", "t", 1, 6);
    offsets.commit("to", "t", 7, 7);
    offsets.clone("from", "to", "t");
    assert.deepEqual(offsets.queuesOf("to", "t"), new Map([[0, 5], [1, 6]]));
    offsets.commit("to", "t", 0, 9);
    assert.equal(offsets.query("from", "t", 0), 5);
    offsets.clone("from", "from", "t");
    assert.deepEqual(offsets.queuesOf("from", "t"), new Map([[0, 5], [1, 6]]));
    offsets.clone("nobody", "to", "t");
    assert.equal(offsets.query("to", "t", 0), 9);
  });

  test("remember what was pulled apart from what was committed", () => {
    const { offsets } = setUp();
    offsets.notePulled("g", "t", 0, 9);
    assert.equal(offsets.pulled("g", "t", 0), 9);
    assert.equal(offsets.query("g", "t", 0), NO_OFFSET);
    assert.deepEqual(offsets.groups(), []);
  });

  test("take a reset at once, and give it to one client", () => {
    const { offsets } = setUp();
    offsets.commit("g", "t", 0, 9);
    offsets.reset("g", "t", 0, 4);
    assert.equal(offsets.query("g", "t", 0), 4);
    assert.equal(offsets.pendingReset("g", "t", 0), 4);
    assert.equal(offsets.pendingReset("g", "t", 1), undefined);
    assert.equal(offsets.takeReset("g", "t", 0), 4);
    assert.equal(offsets.takeReset("g", "t", 0), undefined);
    assert.equal(offsets.query("g", "t", 0), 4);
    offsets.reset("g", "t", 0, 0);
    assert.equal(offsets.takeReset("g", "t", 0), 0);
  });
});

describe("ConsumerOffsets.open()", () => {
  test("reads the files of 5.4.0 and 4.9.7", () => {
    for (const version of ["5.4.0", "4.9.7"]) {
      const { offsets } = setUp(golden(version));
      assert.deepEqual(offsets.groups().sort(), ["GroupA", "GroupExp"]);
      assert.deepEqual(
        offsets.queuesOf("GroupA", "TopicA"),
        new Map([0, 1, 2, 3, 4, 5, 6, 7].map((queueId) => [queueId, queueId * 1000])),
      );
      assert.equal(offsets.query("GroupA", "%RETRY%GroupA", 0), 7);
      assert.equal(offsets.query("GroupExp", "TopicB", 3), 3);
      assert.equal(offsets.query("GroupExp", "TopicB", 2), Number.MAX_SAFE_INTEGER, "2^53 + 1 in the file");
    }
  });

  test("takes the version of 5.4.0, and begins at 0 after 4.9", () => {
    assert.deepEqual(setUp(golden("5.4.0")).offsets.dataVersion.toJson(), {
      counter: 0,
      stateVersion: 0,
      timestamp: 1795261611800,
    });
    assert.equal(setUp(golden("4.9.7")).offsets.dataVersion.counter, 0);
  });

  test("reads what it wrote, in pieces or at once", async () => {
    for (const stop of ["flush", "close"] as const) {
      const { offsets, reopen } = setUp(golden("5.4.0"));
      offsets.commit("g", `t"\\`, 65535, Number.MAX_SAFE_INTEGER);
      offsets.commit("g@broadcast", "t", 0, -1);
      await offsets[stop]();
      assert.equal(stringifyJson(reopen().toJson()), stringifyJson(offsets.toJson()));
      assert.equal(reopen().query("g", `t"\\`, 65535), Number.MAX_SAFE_INTEGER);
      assert.equal(reopen().query("g@broadcast", "t", 0), -1);
    }
  });

  test("reads maps that fastjson wrote only once", () => {
    const { offsets } = setUp(
      String
        .raw`{"offsetTable":{"TopicA@GroupA":{0:5},"%RETRY%x|y_z-1@GroupB":{"$ref":"$.offsetTable.TopicA\\@GroupA"}}}`,
    );
    assert.equal(offsets.query("GroupB", "%RETRY%x|y_z-1", 0), 5);
  });

  test("reads offsets beyond what a number can hold as the largest that it can", () => {
    const { offsets } = setUp(`{"offsetTable":{"t@g":{"0":9223372036854775807}}}`);
    assert.equal(offsets.query("g", "t", 0), Number.MAX_SAFE_INTEGER);
  });

  test("fails rather than forget an offset", () => {
    for (
      const table of [
        `7`,
        `{"t@g":7}`,
        `{"t@g":{"0":"x"}}`,
        `{"t@g":{"0":null}}`,
        `{"t@g":{"x":1}}`,
        `{"t@g":{"$ref":"$.offsetTable.other\\\\@g"}}`,
        `{"tg":{"0":1}}`,
      ]
    ) {
      assert.throws(() => setUp(`{"offsetTable":${table}}`), ConfigFileError, table);
    }
  });

  test("leaves no timer when it fails", () => {
    const clock = new ManualClock();
    const files = new MemoryFiles();
    files.makeDirectory(DIRECTORY);
    files.replace(PATH, new TextEncoder().encode("{"));
    assert.throws(() => ConsumerOffsets.open({ files, directory: DIRECTORY, clock, flushIntervalMs: 5000 }));
    assert.equal(clock.timerCount, 0);
  });
});

describe("consumer offsets on disk", () => {
  test("follow within the interval, only when something was committed", async () => {
    const { offsets, files, clock, reopen } = setUp();
    clock.advance(20_000);
    await settled(offsets);
    assert.equal(files.writeCount, 0);
    offsets.commit("g", "t", 0, 5);
    clock.advance(4_999);
    assert.equal(files.writeCount, 0);
    clock.advance(1);
    assert.equal(files.writeCount, 1);
    await settled(offsets);
    assert.equal(reopen().query("g", "t", 0), 5);
    clock.advance(20_000);
    await settled(offsets);
    assert.equal(files.writeCount, 1);
  });

  test("are what JSON readers take, one line for each group and topic", async () => {
    const { offsets, files, clock } = setUp();
    offsets.commit("g", "t", 0, 5);
    offsets.commit("g", "t", 1, 6);
    offsets.commit("g", "u", 0, 7);
    await offsets.flush();
    assert.equal(
      new TextDecoder().decode(files.read(PATH)),
      `{\n\t"dataVersion":{"counter":0,"stateVersion":0,"timestamp":${clock.nowMs()}},\n\t"offsetTable":{\n` +
        `\t\t"t@g":{"0":5,"1":6},\n\t\t"u@g":{"0":7}\n\t}\n}\n`,
    );
  });

  test("are complete for tables of many pieces, while commits go on", async () => {
    const { offsets, files, reopen } = setUp();
    for (let i = 0; i < 10_000; i++) offsets.commit(`g${i}`, "t", 0, i);
    const written = offsets.flush();
    offsets.commit("g9999", "t", 0, 1_000_000);
    offsets.commit("late", "t", 0, 1);
    await written;
    parseJsonObject(files.read(PATH));
    const again = reopen();
    for (let i = 0; i < 9_999; i++) assert.equal(again.query(`g${i}`, "t", 0), i);
    await offsets.close();
    assert.equal(reopen().query("late", "t", 0), 1);
    assert.equal(reopen().query("g9999", "t", 0), 1_000_000);
  });

  test("are tried again at the next interval after a failure", async () => {
    const { offsets, files, clock, reopen } = setUp();
    const full = files.fail({ operation: "write", code: "ENOSPC", times: Infinity });
    offsets.commit("g", "t", 0, 5);
    await assert.rejects(offsets.flush(), /ENOSPC/);
    clock.advance(5_000);
    await assert.rejects(offsets.flush(), /ENOSPC/);
    assert.deepEqual(files.openPaths, []);
    full.remove();
    clock.advance(5_000);
    await settled(offsets);
    assert.equal(reopen().query("g", "t", 0), 5);
    assert.deepEqual(files.openPaths, []);
  });

  test("are written by close(), after which nothing is", async () => {
    const { offsets, files, clock, reopen } = setUp();
    offsets.commit("g", "t", 0, 5);
    const flushing = offsets.flush();
    offsets.commit("g", "t", 0, 6);
    await offsets.close();
    await flushing;
    assert.equal(reopen().query("g", "t", 0), 6);
    offsets.commit("g", "t", 0, 7);
    const before = files.writeCount;
    clock.advance(60_000);
    assert.equal(files.writeCount, before);
  });

  test("keep the content before as backup", async () => {
    const { offsets, files } = setUp();
    offsets.commit("g", "t", 0, 5);
    await offsets.flush();
    offsets.commit("g", "t", 0, 6);
    await offsets.flush();
    assert.match(new TextDecoder().decode(files.read(`${PATH}.bak`)), /"0":5/);
    assert.match(new TextDecoder().decode(files.read(PATH)), /"0":6/);
  });

  for (const end of ["flush", "close"] as const) {
    test(`lag at most by what ${end}() was about to write, wherever the power is cut`, async () => {
      let change = 0;
      for (let survived = false; !survived; change++) {
        for (let seed = 0; seed < 8; seed++) {
          const files = new MemoryFiles();
          files.makeDirectory(DIRECTORY);
          files.syncDirectory("/store");
          files.syncDirectory("/");
          const offsets = open(files);
          offsets.commit("g", "t", 0, 5);
          await offsets.flush();
          offsets.commit("g", "t", 0, 6);
          files.dieAt(files.changeCount + change);
          survived = await offsets[end]().then(() => true, () => false);
          const found = open(files.crash(new SeededRandom(seed))).query("g", "t", 0);
          assert.ok(
            survived ? found === 6 : found === 5 || found === 6,
            `cut at ${change}, seed ${seed}: ${found}`,
          );
        }
      }
      assert.ok(change > 5, `only ${change} cuts`);
    });
  }
});

describe("ConsumerOffsets.cutAbove()", () => {
  test("cuts what is above the end of its queue, and nothing else", async () => {
    const { offsets, reopen } = setUp();
    offsets.commit("g", "t", 0, 100);
    offsets.commit("g", "t", 1, 50);
    offsets.commit("h", "t", 0, 10);
    offsets.commit("h", "gone", 3, 7);
    const asked: string[] = [];
    const count = offsets.cutAbove((topic, queueId) => {
      asked.push(`${topic} ${queueId}`);
      return topic === "t" ? 50 : 0;
    });
    assert.equal(count, 2);
    assert.deepEqual(asked, ["t 0", "t 1", "t 0", "gone 3"]);
    assert.deepEqual(offsets.queuesOf("g", "t"), new Map([[0, 50], [1, 50]]));
    assert.equal(offsets.query("h", "t", 0), 10);
    assert.equal(offsets.query("h", "gone", 3), 0);
    await offsets.flush();
    assert.equal(reopen().query("g", "t", 0), 50);
  });

  test("changes nothing where all is well", async () => {
    const { offsets, files } = setUp(golden("5.4.0"));
    assert.equal(offsets.cutAbove(() => Number.MAX_SAFE_INTEGER), 0);
    await offsets.flush();
    assert.equal(files.writeCount, 0);
  });
});

describe("ConsumerOffsets.dataVersion", () => {
  test("moves every 500 commits, and when something is removed or reset", () => {
    const { offsets } = setUp();
    for (let i = 0; i < 499; i++) offsets.commit("g", "t", 0, i);
    assert.equal(offsets.dataVersion.counter, 0);
    offsets.commit("g", "t", 0, 499);
    assert.equal(offsets.dataVersion.counter, 1);
    offsets.reset("g", "t", 0, 0);
    offsets.removeTopic("t");
    assert.equal(offsets.dataVersion.counter, 3);
  });
});

test("ConsumerOffsets.toJson() is what slaves are given", () => {
  const { offsets } = setUp();
  offsets.commit("g", "t", 0, 5);
  offsets.commit("g", "t", 1, 6);
  const { dataVersion, offsetTable } = parseJsonObject(stringifyJson(offsets.toJson()));
  assert.deepEqual(offsetTable, { "t@g": { 0: 5, 1: 6 } });
  assert.deepEqual(dataVersion, offsets.dataVersion.toJson());
});
