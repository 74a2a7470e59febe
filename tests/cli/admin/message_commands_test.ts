// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startTestCluster, type TestCluster } from "../../harness/cluster.ts";
import { until } from "../../harness/until.ts";
import { Producer } from "../../../src/client/producer.ts";
import { Rmq, terminal } from "./rmq.ts";

describe("rmq message", () => {
  let cluster: TestCluster;
  let rmq: Rmq;

  before(async () => {
    cluster = await startTestCluster(
      "traceTopicEnable=true",
      "enablePropertyFilter=true",
      "recallMessageEnable=true",
    );
    rmq = new Rmq(cluster.nameServer.address);
    for (
      const topic of [
        "sent",
        "tailed",
        "found",
        "lined",
        "followed",
        "tagged",
        "binary",
        "at",
        "later",
        "priced",
      ]
    ) {
      await rmq.ok("topic", "create", topic, "--queues", "2");
    }
  });

  after(() => cluster.stop());

  test("send tells where the message is, and get finds it by both ids", async () => {
    const [sent] = await rmq.jsonLines(
      ...["message", "send", "sent", "hello", "--key", "k1", "--key", "k2", "--tag", "red"],
      ...["--property", "colour=blue=green", "--queue", "1"],
    );
    assert.deepEqual([sent.status, sent.broker, sent.queueId, sent.queueOffset], [
      "SEND_OK",
      "broker-a",
      1,
      0,
    ]);
    const byId = await rmq.json("message", "get", sent.messageId, "--topic", "sent");
    assert.deepEqual(await rmq.json("message", "get", sent.offsetMessageId), byId);
    assert.deepEqual([byId.body, byId.keys, byId.tags, byId.properties.colour], [
      "hello",
      "k1 k2",
      "red",
      "blue=green",
    ]);
    assert.equal(await rmq.ok("message", "get", sent.offsetMessageId, "--body"), "hello");
    const shown = await rmq.ok("message", "get", sent.offsetMessageId);
    assert.match(shown, /^Keys +k1 k2$/m);
    assert.match(shown, /^Properties +colour=/m);
    assert.ok(shown.endsWith("\n\nhello\n"));
  });

  test("send takes a file, the standard input, and each line as a message", async () => {
    const directory = mkdtempSync(join(tmpdir(), "rmq-message-"));
    try {
      const file = join(directory, "body");
      writeFileSync(file, "one\r\n\ntwo\nthree");
      await rmq.ok("message", "send", "lined", "--file", file, "--lines", "--queue", "0");
      const readInput = () => Promise.resolve(new TextEncoder().encode("four\n"));
      const { status } = await rmq.run(["message", "send", "lined", "--queue", "0"], { readInput });
      assert.equal(status, 0);
    } finally {
      rmSync(directory, { recursive: true });
    }
    const bodies = (await rmq.jsonLines("message", "tail", "lined")).map(({ body }) => body);
    assert.deepEqual(bodies, ["one", "two", "three", "four\n"]);
  });

  test("send delivers later, and recall takes that back", async () => {
    const [waiting] = await rmq.jsonLines("message", "send", "later", "x", "--delay", "1h");
    assert.ok(waiting.recallHandle.length > 20);
    assert.deepEqual(await rmq.json("message", "recall", "later", waiting.recallHandle), {
      topic: "later",
      broker: "broker-a",
      handle: waiting.recallHandle,
    });
    const inAnHour = `@${Date.now() + 3_600_000}`;
    const told = await rmq.ok("message", "send", "later", "x", "--at", inAnHour);
    assert.match(
      told,
      /^Sent \w+ to broker-a, where it waits\. Take it back: rmq message recall later \S+\n$/,
    );
    const [level] = await rmq.jsonLines("message", "send", "later", "x", "--delay", "18");
    assert.equal(level.recallHandle, null);
    assert.match(
      await rmq.fails("message", "send", "later", "x", "--delay", "soon"),
      /--delay takes a whole number/,
    );
    assert.match(
      await rmq.fails("message", "send", "later", "x", "--at", "soon"),
      /--at takes a time, not soon/,
    );
    assert.match(
      await rmq.fails("message", "send", "later", "x", "--at", "1h", "--delay", "1h"),
      /exclude each other/,
    );
    assert.match(await rmq.fails("message", "recall", "later", "nonsense"), /nonsense is no handle/);
  });

  test("tail looks at properties with SQL", async () => {
    for (const price of [5, 15]) {
      await rmq.ok("message", "send", "priced", `costs ${price}`, "--property", `price=${price}`);
    }
    const dear = await rmq.jsonLines("message", "tail", "priced", "--sql", "price > 10");
    assert.deepEqual(dear.map(({ body }) => body), ["costs 15"]);
    assert.match(
      await rmq.fails("message", "tail", "priced", "--sql", "a", "--tags", "b"),
      /exclude each other/,
    );
  });

  test("many messages are counted, not listed", async () => {
    assert.equal(await rmq.ok("message", "send", "sent", "x", "--repeat", "101"), "Sent 101 messages.\n");
  });

  test("tail shows the latest of all queues in the order in which they were stored", async () => {
    for (let i = 0; i < 12; i++) await rmq.ok("message", "send", "tailed", `m${i}`, "--queue", String(i % 2));
    const bodies = (await rmq.jsonLines("message", "tail", "tailed")).map(({ body }) => body);
    assert.deepEqual(bodies.length, 10);
    assert.deepEqual(new Set(bodies), new Set(Array.from({ length: 10 }, (_, i) => `m${i + 2}`)));
    const times = (await rmq.jsonLines("message", "tail", "tailed", "--from", "1h")).map(({ storedMs }) =>
      storedMs
    );
    assert.equal(times.length, 12);
    assert.deepEqual(times, times.toSorted((a, b) => a - b));
    const ofQueue = await rmq.jsonLines("message", "tail", "tailed", "--queue", "1", "--count", "2");
    assert.deepEqual(ofQueue.map(({ body }) => body), ["m9", "m11"]);
    assert.equal(await rmq.ok("message", "tail", "tailed", "--from", "2h", "--to", "1h"), "");
    assert.match(
      await rmq.ok("message", "tail", "tailed", "--count", "1"),
      /^\d{4}-\S+ \S+ {2}broker-a\/\d@5 {2}m1\d\n$/,
    );
  });

  test("tail finds tagged messages however far back they are", async () => {
    await rmq.ok("message", "send", "tagged", "wanted", "--tag", "rare", "--queue", "0");
    await rmq.ok("message", "send", "tagged", "x", "--tag", "common", "--repeat", "150", "--queue", "0");
    const found = await rmq.jsonLines("message", "tail", "tagged", "--tags", "rare || other");
    assert.deepEqual(found.map(({ body }) => body), ["wanted"]);
  });

  test("tail --follow shows what comes until it is to end", async () => {
    let out = "";
    let stop = () => {};
    const stopRequested = new Promise<void>((resolve) => stop = resolve);
    const following = rmq.run(["message", "tail", "followed", "-f", "--count", "1"], {
      print: (text) => void (out += text),
      stopRequested,
    });
    await rmq.ok("message", "send", "followed", "first");
    // Sent before or after the look at the end of the queues, it is shown once.
    await until(() => out.includes("first"));
    await rmq.ok("message", "send", "followed", "second");
    await until(() => out.includes("second"));
    stop();
    assert.equal((await following).status, 0);
    assert.deepEqual(out.trimEnd().split("\n").map((line) => line.split("  ").at(-1)), ["first", "second"]);
  });

  test("a reader who goes away ends a tail without a complaint", async () => {
    let lines = 0;
    const { status, err } = await rmq.run(["message", "tail", "tailed", "--from", "1h"], {
      printOut: () => Promise.resolve(++lines < 3),
    });
    assert.deepEqual([status, err, lines], [0, "", 3]);
  });

  test("find looks by key, and by message id", async () => {
    const [sent] = await rmq.jsonLines("message", "send", "found", "one", "--key", "order-7");
    await rmq.ok("message", "send", "found", "two", "--key", "order-7");
    await rmq.ok("message", "send", "found", "three", "--key", "order-8");
    const { messages } = await rmq.json("message", "find", "found", "order-7");
    assert.deepEqual(messages.map((one: { body: string }) => one.body), ["one", "two"]);
    const byId = await rmq.json("message", "find", "found", sent.messageId);
    assert.deepEqual(byId.messages.map((one: { body: string }) => one.body), ["one"]);
    assert.match(await rmq.ok("message", "find", "found", "order-8"), /keys=order-8 {2}three\n$/);
    assert.match(
      await rmq.fails("message", "find", "found", "order-9"),
      /found has no message with the key order-9/,
    );
    const { status } = await rmq.run(["message", "find", "found", "order-7", "--to", "1h"]);
    assert.equal(status, 1);
  });

  test("at shows the message of an offset, or tells which there are", async () => {
    await rmq.ok("message", "send", "at", "zero", "--queue", "1");
    await rmq.ok("message", "send", "at", "one", "--queue", "1");
    assert.equal((await rmq.json("message", "at", "at", "1", "1")).body, "one");
    assert.match(await rmq.fails("message", "at", "at", "1", "2"), /has no message at 2; it has 0 to 1/);
    assert.match(await rmq.fails("message", "at", "at", "0", "0"), /has no message at 0; it is empty/);
  });

  test("what is no text is shown in Base64, and nothing moves the cursor", async () => {
    const producer = new Producer({ nameServers: cluster.nameServer.address, group: "bytes" });
    const { offsetMessageId } = await producer.send({
      topic: "binary",
      body: Uint8Array.of(0xff, 0, 1),
      queueId: 0,
    });
    await producer.send({ topic: "binary", body: "bell \x07 and \x1b[2J", queueId: 1 });
    producer.stop();
    assert.equal((await rmq.json("message", "get", offsetMessageId)).bodyBase64, "/wAB");
    let bytes = new Uint8Array();
    await rmq.run(["message", "get", offsetMessageId, "--body"], {
      printOut: (text) => (bytes = new Uint8Array(text as Uint8Array), Promise.resolve(true)),
    });
    assert.deepEqual(bytes, Uint8Array.of(0xff, 0, 1));
    const { out } = await rmq.run(["message", "tail", "binary"], terminal(80));
    assert.match(out, /base64:\/wAB/);
    assert.match(out, /bell \\u0007 and/);
    assert.ok(!out.includes("\x07") && !out.includes("\x1b"));
    assert.ok(out.split("\n").every((line) => line.length <= 80));
  });

  test("trace tells what clients wrote down", async () => {
    const id = "7F0000010000AAAAAAAAAAAAAAAA0001";
    const producer = new Producer({ nameServers: cluster.nameServer.address, group: "tracing" });
    const write = (fields: unknown[]) =>
      producer.send({ topic: "RMQ_SYS_TRACE_TOPIC", body: `${fields.join("\x01")}\x02`, keys: id });
    await write([
      "Pub",
      1000,
      "r",
      "pg",
      "orders",
      id,
      "",
      "",
      "10.0.0.1:10911",
      5,
      3,
      0,
      "off",
      true,
      "10.0.0.9",
    ]);
    await write(["SubBefore", 2000, "r", "cg", "request-1", id, 0, "", "10.0.0.8"]);
    await write(["SubAfter", "request-1", id, 7, false, "", 2, 2007, "cg"]);
    await write(["SubBefore", 3000, "r", "cg", "request-2", id, 1, "", "10.0.0.8"]);
    producer.stop();
    const { events } = await rmq.json("message", "trace", id);
    assert.deepEqual(
      events.map((
        event: Record<string, unknown>,
      ) => [event.event, event.timeMs, event.group, event.isSuccess]),
      [["sent", 1000, "pg", true], ["consumed", 2000, "cg", false], ["consuming", 3000, "cg", null]],
    );
    const out = await rmq.ok("message", "trace", id);
    assert.match(out, / sent +pg +orders +3ms +ok +10\.0\.0\.9$/m);
    assert.match(out, / consumed +cg +- +7ms +threw +10\.0\.0\.8$/m);
    assert.match(
      await rmq.fails("message", "trace", "nothing"),
      /no trace of nothing in RMQ_SYS_TRACE_TOPIC/,
    );
    assert.match(
      await rmq.fails("message", "trace", id, "--trace-topic", "no"),
      /there is no topic no: traces are not/,
    );
  });

  test("what is wrong is told in a sentence", async () => {
    assert.match(await rmq.fails("message", "send", "sent"), /BODY is missing/);
    assert.match(await rmq.fails("message", "send", "sent", ""), /the body is empty/);
    const nothing = { readInput: () => Promise.resolve(new Uint8Array()) };
    assert.match((await rmq.run(["message", "send", "sent"], nothing)).err, /the body is empty/);
    assert.match(
      await rmq.fails("message", "send", "snet", "x"),
      /there is no topic snet\. `rmq topic create` makes one/,
    );
    assert.match(
      await rmq.fails("message", "send", "sent", "x", "--property", "y"),
      /--property takes NAME=VALUE/,
    );
    assert.match(await rmq.fails("message", "get", "xyz"), /xyz is no offset message id\. Say which --topic/);
    assert.match(await rmq.fails("message", "get", "xyz", "-t", "sent"), /sent has no message xyz/);
    assert.match(
      await rmq.fails("message", "get", "0".repeat(32)),
      /no broker has 0+ as an offset message id/,
    );
    assert.match(await rmq.fails("message", "tail", "nothing"), /there is no topic nothing/);
    assert.match(
      await rmq.fails("message", "tail", "sent", "--from", "soon"),
      /--from takes a time or a duration/,
    );
    assert.match(await rmq.fails("message", "tail", "sent", "--queue", "9"), /sent has no queue 9/);
  });
});
