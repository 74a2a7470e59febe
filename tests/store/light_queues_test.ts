// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { encodeProperties, parseProperties } from "../../src/protocol/properties.ts";
import { furtherQueues } from "../../src/store/light_queues.ts";
import type { MessageStore } from "../../src/store/message_store.ts";
import type { MessageDraft } from "../../src/store/types.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { draft, openStore, recordsOf, visible } from "../harness/store.ts";

const DISPATCH = "INNER_MULTI_DISPATCH";
const OFFSETS = "INNER_MULTI_QUEUE_OFFSET";
const GIVEN = { multiDispatch: true, maxLightQueueCount: 3 };

function spread(topic: string, body: string, names: string, more: Record<string, string> = {}): MessageDraft {
  const properties = { [DISPATCH]: names, ...more };
  return {
    ...draft(topic, body),
    properties: encodeProperties(Object.entries(properties)),
    propertyMap: new Map(Object.entries(properties)),
  };
}

function setUp() {
  const files = new MemoryFiles();
  files.makeDirectory("/store");
  const open = (given = {}) => openStore("/store", { files, ...GIVEN, ...given });
  return { files, open };
}

async function bodies(store: MessageStore, topic: string): Promise<string[]> {
  const result = await store.getMessages(topic, 0, 0, { maxCount: 32 });
  return recordsOf(result).map((record) => new TextDecoder().decode(record.body));
}

describe("messages in light queues", () => {
  test("are in each queue that they name, with its numbers, which the record tells", async () => {
    const { open } = setUp();
    const store = await open();
    const arrived: string[] = [];
    store.onArrival((topic, queueId, queueOffset) => arrived.push(`${topic}/${queueId}:${queueOffset}`));
    store.append(spread("T", "a", "%LMQ%one,%LMQ%two"));
    store.append(draft("T", "b"));
    store.append(spread("U", "c", "%LMQ%two", { [OFFSETS]: "77" }));
    await visible(store);
    assert.deepEqual(await bodies(store, "T"), ["a", "b"]);
    assert.deepEqual(await bodies(store, "%LMQ%one"), ["a"]);
    assert.deepEqual(await bodies(store, "%LMQ%two"), ["a", "c"]);
    assert.deepEqual(arrived, [
      ...["T/0:0", "%LMQ%one/0:0", "%LMQ%two/0:0", "T/0:1", "U/0:0", "%LMQ%two/0:1"],
    ]);
    const last = recordsOf(await store.getMessages("%LMQ%two", 0, 1, { maxCount: 1 }))[0];
    assert.deepEqual(last.queueOffset, 0);
    assert.equal(parseProperties(last.properties).get(OFFSETS), "1");
    await store.close();
  });

  test("are there again after stops, kills and lost queue files", async () => {
    const { files, open } = setUp();
    let store = await open();
    for (let i = 0; i < 70; i++) {
      store.append(spread("T", `m${i}`, i % 2 === 0 ? "%LMQ%even,%LMQ%all" : "%LMQ%all"));
    }
    await visible(store);
    const check = async (count: number) => {
      assert.equal(store.maxOffset("%LMQ%all", 0), count);
      assert.equal(store.maxOffset("%LMQ%even", 0), Math.ceil(count / 2));
      const found = await bodies(store, "%LMQ%even");
      assert.deepEqual(found.slice(0, 3), ["m0", "m2", "m4"]);
    };
    await check(70);
    await store.close();
    store = await open();
    await check(70);
    store.append(spread("T", "m70", "%LMQ%even,%LMQ%all"));
    await visible(store);
    await check(71);
    await store.close();
    // A kill: the mark of a running process is there, entries of the last second are not.
    for (const name of files.list("/store/consumequeue/%LMQ%even/0")) {
      files.remove(`/store/consumequeue/%LMQ%even/0/${name}`);
    }
    files.replace("/store/abort", new TextEncoder().encode("1"));
    store = await open();
    await check(71);
    store.append(spread("T", "m71", "%LMQ%all"));
    await visible(store);
    assert.equal(store.maxOffset("%LMQ%all", 0), 72);
    await store.close();
  });

  test("can't name what is no light queue; a message that does all the same is in its own queue only", async () => {
    const { open } = setUp();
    const store = await open();
    const wrong = ["T2", "%LMQ%", "%LMQ%a/b", "%LMQ%a,%LMQ%a", "%LMQ%a,", "%LMQ%1,%LMQ%2,%LMQ%3,%LMQ%4"];
    for (const names of wrong) {
      assert.notEqual(store.lightQueueProblem(names, 100), undefined, names);
      store.append(spread("T", names, names, { [OFFSETS]: "0" }));
    }
    assert.match(store.lightQueueProblem("%LMQ%1", 29_990)!, /too long/);
    await visible(store);
    assert.deepEqual(await bodies(store, "T"), wrong);
    assert.deepEqual(store.topics(), ["T"]);
    const [first] = recordsOf(await store.getMessages("T", 0, 0, { maxCount: 1 }));
    assert.equal(parseProperties(first.properties).has(OFFSETS), false);
    assert.equal(store.lightQueueProblem("%LMQ%1,%LMQ%2,%LMQ%3", 100), undefined);
    store.append(spread("T", "x", "%LMQ%1,%LMQ%2,%LMQ%3"));
    assert.match(store.lightQueueProblem("%LMQ%4", 100)!, /3 are allowed/);
    store.deleteTopic("%LMQ%1");
    assert.equal(store.lightQueueProblem("%LMQ%4", 100), undefined);
    await store.close();
    const plain = await open({ multiDispatch: false });
    assert.notEqual(plain.lightQueueProblem("%LMQ%4", 100), undefined);
    await plain.close();
  });

  test("are not spread while they wait for their own topic, nor as dead letters", async () => {
    const { open } = setUp();
    const store = await open();
    for (
      const topic of [
        "SCHEDULE_TOPIC_XXXX",
        "rmq_sys_wheel_timer",
        "%RETRY%g",
        "%DLQ%g",
        "RMQ_SYS_TRANS_HALF_TOPIC",
        "TRANS_CHECK_MAX_TIME_TOPIC",
      ]
    ) {
      store.append(spread(topic, topic, "%LMQ%a", { [OFFSETS]: "5" }));
    }
    await visible(store);
    assert.equal(store.maxOffset("%LMQ%a", 0), 0);
    store.append(spread("T", "at last", "%LMQ%a"));
    await visible(store);
    assert.deepEqual(await bodies(store, "%LMQ%a"), ["at last"]);
    await store.close();
    const again = await open();
    assert.deepEqual(await bodies(again, "%LMQ%a"), ["at last"]);
    await again.close();
  });

  test("are what a record says, whatever it says", () => {
    const of = (names: string, offsets: string | undefined) => {
      const properties = new Map([[DISPATCH, names]]);
      if (offsets !== undefined) properties.set(OFFSETS, offsets);
      return furtherQueues("T", properties, 3).map(({ topic, queueId, queueOffset }) =>
        `${topic}/${queueId}:${queueOffset}`
      );
    };
    assert.deepEqual(of("%LMQ%a,b", "1,2"), ["%LMQ%a/0:1", "b/3:2"]);
    for (const offsets of [undefined, "", "1", "1,2,3"]) assert.deepEqual(of("%LMQ%a,b", offsets), []);
    assert.deepEqual(of("%LMQ%a,b", "x,-1"), []);
    assert.deepEqual(of("../a,..", "1,2"), []);
  });
});
