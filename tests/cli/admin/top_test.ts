// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { TopScreen } from "../../../src/cli/admin/top_screen.ts";
import { type Snapshot, topRates } from "../../../src/cli/admin/top_snapshot.ts";
import { startTestCluster, type TestCluster } from "../../harness/cluster.ts";
import { until } from "../../harness/until.ts";
import { Rmq, terminal } from "./rmq.ts";

const plain = { colour: (text: string) => text };

function snapshot(takenMs: number, written: number, consumed: number): Snapshot {
  const topic = { written, messages: written, lastMessageMs: 1000 };
  const group = {
    members: 1,
    consumed,
    handedOutPerSecond: 77,
    lag: written - consumed,
    inFlight: 0,
    lastConsumedMs: 500,
  };
  return {
    takenMs,
    wallMs: 10_000,
    topics: new Map([["orders", topic], ["quiet", { ...topic, written: 7 }]]),
    groups: new Map([["billing", group]]),
  };
}

test("rates are what has changed between two looks", () => {
  const rates = topRates(snapshot(8000, 100, 40), snapshot(10_000, 300, 140), snapshot(0, 60, 40));
  assert.deepEqual(
    [rates.inPerSecond, rates.outPerSecond, rates.lag, rates.measuredMs],
    [100, 10, 160, 2000],
  );
  assert.deepEqual(
    rates.topics.map(({ topic, inPerSecond }) => [topic, inPerSecond]),
    [["orders", 100], ["quiet", 0]],
  );
  const [billing] = rates.groups;
  assert.deepEqual([billing.outPerSecond, billing.lagPerSecond, billing.behindMs], [10, 14, 9500]);
});

test("in less time than consumers take to commit, the broker's own count is the rate of a group", () => {
  const rates = topRates(snapshot(0, 100, 40), snapshot(2000, 300, 40));
  assert.equal(rates.groups[0].outPerSecond, 77);
});

test("a topic that was deleted or a group that was reset has no negative rate", () => {
  const rates = topRates(snapshot(0, 100, 40), snapshot(6000, 10, 0));
  assert.deepEqual([rates.inPerSecond, rates.outPerSecond], [0, 0]);
});

test("the screen never has more lines or columns than the terminal", () => {
  const many = (prefix: string) => Array.from({ length: 100 }, (_, i) => `${prefix}-${"x".repeat(i)}`);
  const now = snapshot(0, 1, 0);
  const rates = topRates(now, {
    ...now,
    topics: new Map(many("topic").map((name) => [name, now.topics.get("orders")!])),
    groups: new Map(many("group").map((name) => [name, now.groups.get("billing")!])),
  });
  for (const view of ["both", "topics", "groups"] as const) {
    for (const [columns, rows] of [[80, 24], [200, 50], [40, 10]]) {
      const notes = ["broker-b: can't connect to somewhere that has a very long address: connection refused"];
      const lines = new TopScreen(plain).lines(rates, { view, columns, rows, notes, intervalMs: 2000 });
      assert.ok(lines.length <= rows, `${view} ${rows}: ${lines.length}`);
      if (columns >= 80) assert.ok(lines.every((line) => line.length <= columns), lines.join("\n"));
    }
  }
});

test("few groups leave their room to topics", () => {
  const now = snapshot(0, 1, 0);
  const topics = new Map(Array.from({ length: 50 }, (_, i) => [`topic-${i}`, now.topics.get("orders")!]));
  const lines = new TopScreen(plain).lines(topRates(now, { ...now, topics }), {
    view: "both",
    columns: 80,
    rows: 24,
    notes: [],
    intervalMs: 2000,
  });
  assert.equal(lines.filter((line) => line.startsWith("topic-")).length, 17);
  assert.ok(lines.some((line) => line.startsWith("billing")));
});

describe("rmq top against a cluster", () => {
  let cluster: TestCluster;
  let rmq: Rmq;

  before(async () => {
    cluster = await startTestCluster();
    rmq = new Rmq(cluster.nameServer.address);
    await rmq.ok("topic", "create", "busy");
    await rmq.ok("message", "send", "busy", "x", "--repeat", "3");
  });

  after(() => cluster.stop());

  test("not on a terminal it measures once", async () => {
    const { topics, measuredMs } = await rmq.json("top", "--interval", "20ms");
    assert.deepEqual(topics.map((one: { topic: string; messages: number }) => [one.topic, one.messages]), [[
      "busy",
      3,
    ]]);
    assert.ok(measuredMs >= 20);
    const out = await rmq.ok("top", "--interval", "20ms", "no-such*");
    assert.match(
      out,
      /^rmq top .* in 0\/s {2}out 0\/s {2}lag 0 {2}0 topics {2}0 groups\n\nno topics\n\nno groups\n$/,
    );
    assert.match(
      await rmq.fails("top", "--interval", "soon"),
      /--interval takes a time such as 5s, not soon/,
    );
  });

  test("on a terminal it refreshes in place until q, and restores the terminal", async () => {
    let out = "";
    let press = (_key: string) => {};
    let areKeysRead = false;
    const running = rmq.run(["top", "--interval", "20ms"], {
      ...terminal(80),
      print: (text) => void (out += text),
      readKeys(onKey) {
        press = onKey;
        areKeysRead = true;
        return () => areKeysRead = false;
      },
    });
    await until(() => out.split("\x1b[H").length > 3);
    assert.ok(out.startsWith("\x1b[?1049h\x1b[?25l"));
    assert.match(out, /busy +0 +3 +\d+s/);
    press("g");
    await until(() => out.split("\x1b[H").at(-1)!.includes("no groups"));
    press("q");
    assert.equal((await running).status, 0);
    assert.ok(out.endsWith("\x1b[?25h\x1b[?1049l"));
    assert.equal(areKeysRead, false);
  });

  test("a cluster that goes away is told on the screen, and top goes on", async () => {
    const other = await startTestCluster();
    let out = "";
    let press = (_key: string) => {};
    const running = new Rmq(other.nameServer.address).run(["top", "--interval", "20ms"], {
      ...terminal(100),
      print: (text) => void (out += text),
      readKeys: (onKey) => (press = onKey, () => {}),
    });
    await until(() => out.includes("rmq top"));
    await other.stop();
    await until(() => out.includes("no name server answers at"));
    press("\x03");
    assert.equal((await running).status, 0);
  });
});
