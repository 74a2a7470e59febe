// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConsumerFilters } from "../../src/broker/consumer_filters.ts";
import { Subscription } from "../../src/broker/subscription.ts";
import { encodeProperties } from "../../src/protocol/properties.ts";
import type { QueueExtension } from "../../src/store/types.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { until } from "../harness/until.ts";

const DAY_MS = 86_400_000;

function setUp(given: { files?: MemoryFiles; wasStoppedCleanly?: boolean; bloomGroupCount?: number } = {}) {
  const clock = new ManualClock();
  const files = given.files ?? new MemoryFiles({ nowMs: () => clock.nowMs() });
  files.makeDirectory("/config");
  const online = new Set<string>();
  const settings = { filterExpiryMs: DAY_MS, filterRetries: false };
  const store = { lastMs: 0 };
  const open = () =>
    ConsumerFilters.open({
      ...{ files, clock, directory: "/config", bloomErrorPercent: 20 },
      bloomGroupCount: given.bloomGroupCount ?? 32,
      wasStoppedCleanly: given.wasStoppedCleanly ?? true,
      isOnline: (group, topic) => online.has(`${group}@${topic}`),
      lastStoreTimestampMs: () => store.lastMs,
      settings: () => settings,
    });
  const stored = async () => {
    await until(() => files.stat("/config/consumerFilter.json") !== undefined);
    return JSON.parse(new TextDecoder().decode(files.read("/config/consumerFilter.json")));
  };
  return { clock, files, online, store, settings, filters: open(), open, stored };
}

const sql = (subString: string, subVersion = 1, topic = "T") =>
  new Subscription({
    ...{ topic, subString, subVersion, expressionType: "SQL92" },
    ...{ tagsSet: [], codeSet: [], classFilterMode: false },
  });

/** Whether a group would read the message of an entry with this bit map. */
function wouldRead(
  filters: ConsumerFilters,
  subscription: Subscription,
  extension: Partial<QueueExtension>,
  group = "g",
): boolean {
  const filter = filters.filterOf(group, subscription.topic, subscription)!;
  return filter.matchesEntry(0, { tagsCode: 0, storeTimestampMs: 0, bitMap: undefined, ...extension });
}

describe("the filters of groups", () => {
  test("tell which of them a message fulfils, and each group whether it need look at it", () => {
    const { filters, clock } = setUp();
    const blue = sql("color = 'blue'");
    const heavy = sql("weight > 3");
    filters.register("g", [blue]);
    filters.register("h", [heavy]);
    const storeTimestampMs = clock.nowMs() + 1;
    const bitMap = filters.bitMapOf("T", new Map([["color", "blue"], ["weight", "1"]]))!;
    assert.equal(bitMap.length, 14);
    assert.equal(wouldRead(filters, blue, { storeTimestampMs, bitMap }), true);
    assert.equal(wouldRead(filters, heavy, { storeTimestampMs, bitMap }, "h"), false);
    assert.equal(filters.bitMapOf("Other", new Map()), undefined);
  });

  test("decide by an entry only if it was made for them", () => {
    const { filters, clock, store } = setUp();
    store.lastMs = clock.nowMs() + 5000; // the clock was set back
    const none = filters.bitMapOf("T", new Map()) ?? new Uint8Array(14);
    const blue = sql("color = 'blue'");
    filters.register("g", [blue]);
    const later = clock.nowMs() + 5001;
    assert.equal(wouldRead(filters, blue, { storeTimestampMs: later, bitMap: none }), false);
    assert.equal(wouldRead(filters, blue, { storeTimestampMs: later - 1, bitMap: none }), true);
    assert.equal(wouldRead(filters, blue, { storeTimestampMs: later, bitMap: undefined }), true);
    assert.equal(wouldRead(filters, blue, { storeTimestampMs: later, bitMap: new Uint8Array(13) }), true);
    assert.equal(
      wouldRead(filters, sql("color = 'red'"), { storeTimestampMs: later, bitMap: none }),
      true,
    );
  });

  test("are replaced by newer expressions, which are born then", () => {
    const { filters, clock } = setUp();
    filters.register("g", [sql("a = 1", 5)]);
    const firstMs = clock.nowMs();
    clock.advance(1000);
    const bitMap = new Uint8Array(14);
    filters.register("g", [sql("a = 2", 4)]);
    assert.equal(wouldRead(filters, sql("a = 1"), { storeTimestampMs: firstMs + 1, bitMap }), false);
    filters.register("g", [sql("a = 1", 6)]);
    assert.equal(wouldRead(filters, sql("a = 1"), { storeTimestampMs: firstMs + 1, bitMap }), false);
    filters.register("g", [sql("a = 2", 7)]);
    assert.equal(wouldRead(filters, sql("a = 2"), { storeTimestampMs: firstMs + 1, bitMap }), true);
    assert.equal(wouldRead(filters, sql("a = 2"), { storeTimestampMs: clock.nowMs() + 1, bitMap }), false);
  });

  test("are kept a day for groups that have gone, and alive again when those come back", async () => {
    const { filters, clock, online, stored } = setUp();
    const one = sql("a = 1");
    filters.register("g", [one]);
    filters.register("h", [one]);
    online.add("g@T");
    filters.removeExpired();
    const goneMs = clock.nowMs();
    filters.flush();
    const { g, h } = (await stored()).filterDataByTopic.T.groupFilterData;
    assert.deepEqual([g.deadTime, g.dead, h.deadTime, h.dead], [0, false, goneMs, true]);
    clock.advance(DAY_MS - 1);
    filters.removeExpired();
    assert.notEqual(filters.bitMapOf("T", new Map()), undefined);
    filters.register("h", [one]);
    online.add("h@T");
    clock.advance(DAY_MS);
    filters.removeExpired();
    online.clear();
    filters.removeExpired();
    clock.advance(DAY_MS);
    filters.removeExpired();
    assert.equal(filters.bitMapOf("T", new Map()), undefined);
  });

  test("go when an expression that can't be read takes their place", () => {
    const { filters } = setUp();
    filters.register("g", [sql("a = 1")]);
    filters.register("g", [sql("a = ", 2)]);
    assert.equal(filters.bitMapOf("T", new Map()), undefined);
  });

  test("are written as Apache writes them, and read back", async () => {
    const { filters, files, clock, stored } = setUp();
    filters.register("group", [sql("a > 1", 9, "topic")]);
    filters.flush();
    assert.deepEqual(await stored(), {
      filterDataByTopic: {
        topic: {
          groupFilterData: {
            group: {
              bloomFilterData: { bitNum: 112, bitPos: [79, 21, 21] },
              ...{ bornTime: clock.nowMs(), clientVersion: 9, consumerGroup: "group", dead: false },
              ...{ deadTime: 0, expression: "a > 1", expressionType: "SQL92", topic: "topic" },
            },
          },
          topic: "topic",
        },
      },
    });
    const bitMap = new Uint8Array(14);
    const storeTimestampMs = clock.nowMs() + 1;
    const again = setUp({ files });
    const subscription = sql("a > 1", 9, "topic");
    assert.equal(wouldRead(again.filters, subscription, { storeTimestampMs, bitMap }, "group"), false);
    assert.notEqual(again.filters.bitMapOf("topic", new Map()), undefined);
    // What was written before a crash may be older than the bit maps.
    again.clock.advance(10);
    const afterCrash = setUp({ files, wasStoppedCleanly: false });
    assert.equal(
      wouldRead(
        afterCrash.filters,
        subscription,
        { storeTimestampMs: afterCrash.clock.nowMs(), bitMap },
        "group",
      ),
      true,
    );
    // Other bit maps: nothing is believed.
    assert.equal(setUp({ files, bloomGroupCount: 64 }).filters.bitMapOf("topic", new Map()), undefined);
  });

  test("hold messages that come again against the expression of their first topic, where that is wanted", () => {
    const { filters, settings } = setUp();
    filters.register("g", [sql("color = 'blue'")]);
    const all = Subscription.parse("%RETRY%g", "*", "TAG");
    const of = (group: string, properties: Record<string, string>) => {
      const filter = filters.filterOf(group, "%RETRY%g", all);
      const stored = new TextEncoder().encode(encodeProperties(Object.entries(properties)));
      const verdict = filter?.properties?.matches(new Map(Object.entries(properties)));
      assert.equal(filter?.properties?.matchesBytes(stored, 0, stored.length), verdict);
      return verdict;
    };
    assert.equal(of("g", { RETRY_TOPIC: "T", color: "red" }), undefined);
    settings.filterRetries = true;
    assert.equal(of("g", { RETRY_TOPIC: "T", color: "red" }), false);
    assert.equal(of("g", { RETRY_TOPIC: "T", color: "blue" }), true);
    assert.equal(of("g", { RETRY_TOPIC: "U", color: "red" }), true);
    assert.equal(of("h", { RETRY_TOPIC: "T", color: "red" }), true);
    assert.equal(of("g", { color: "red" }), true);
  });

  test("are no more than a message can be held against; others are decided when they are pulled", () => {
    const { filters, clock } = setUp();
    const one = sql("a = 1");
    for (let i = 0; i < 300; i++) filters.register(`g${i}`, [one]);
    const empty = { storeTimestampMs: clock.nowMs() + 1, bitMap: new Uint8Array(14) };
    assert.equal(wouldRead(filters, one, empty, "g255"), false);
    assert.equal(wouldRead(filters, one, empty, "g256"), true);
    filters.register("g0", []);
    filters.register("g0", [sql("b = 1", 1, "U")]);
    clock.advance(DAY_MS);
    filters.removeExpired();
    filters.register("g256", [one]);
    assert.equal(wouldRead(filters, one, { ...empty, storeTimestampMs: clock.nowMs() + 1 }, "g256"), false);
  });

  test("takes any file that is JSON for what it is worth", () => {
    for (
      const text of [
        "{}",
        '{"filterDataByTopic":{"T":null}}',
        '{"filterDataByTopic":{"T":{"groupFilterData":{"g":{"expression":"a = ","expressionType":"SQL92",' +
        '"bloomFilterData":{"bitNum":112,"bitPos":[1,2,3]}}}}}}',
        '{"filterDataByTopic":{"T":{"groupFilterData":{"g":{"expression":5,"bloomFilterData":7}}}}}',
      ]
    ) {
      const files = new MemoryFiles();
      files.makeDirectory("/config");
      files.replace("/config/consumerFilter.json", new TextEncoder().encode(text));
      assert.equal(setUp({ files }).filters.bitMapOf("T", new Map()), undefined);
    }
  });
});
