// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { afterEach, beforeEach, describe, test } from "node:test";
import { writeLong } from "../../src/protocol/record.ts";
import { readCleanStop } from "../../src/store/clean_stop.ts";
import type { MessageStore, StoreOptions } from "../../src/store/message_store.ts";
import { logged } from "../harness/logged.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { SeededRandom } from "../harness/seeded_random.ts";
import { bodiesOf, draft, openStore, visible } from "../harness/store.ts";
import { copyOf, fields, recordBytes } from "./parts.ts";

const PATH = "/store/rmq/clean_stop.json";
const LOG_BYTES = 64 * 1024;
const LOG_FILE = `/store/commitlog/${"0".repeat(20)}`;
const QUEUE_FILE = `/store/consumequeue/T/0/${"0".repeat(20)}`;

describe("after a clean stop", () => {
  let files: MemoryFiles;
  let store: MessageStore | undefined;

  async function open(given: Partial<StoreOptions> = {}): Promise<MessageStore> {
    return store = await openStore("/store", { files, commitLogFileBytes: LOG_BYTES, ...given });
  }

  async function stop(): Promise<void> {
    await store?.close();
    store = undefined;
  }

  /** Whether the log is walked when the store opens: who walks it finds a damaged body, and refuses to open. */
  async function isWalked(): Promise<boolean> {
    const damage = Uint8Array.of(0xff);
    const at = 100;
    const [before] = files.read(LOG_FILE).subarray(at);
    files.damage(LOG_FILE, at, damage);
    const opened = await open().catch(() => undefined);
    await stop();
    files.damage(LOG_FILE, at, Uint8Array.of(before));
    return opened === undefined;
  }

  /** A record as Apache would add it, at the end of the log. */
  function appendBehindOurBack(queueOffset: number, storeTimestampMs: number): void {
    const { logEnd } = readCleanStop(files, PATH)!;
    files.damage(
      LOG_FILE,
      logEnd,
      recordBytes(fields("behind", { queueId: 0 }), {
        queueOffset,
        physicalOffset: logEnd,
        storeTimestampMs,
      }),
    );
  }

  beforeEach(async () => {
    files = new MemoryFiles();
    await open();
    for (let n = 0; n < 20; n++) store!.append(draft("T", `m${n}`.padEnd(200)));
    await visible(store!);
    await stop();
  });

  afterEach(stop);

  test("the next start knows where the log ends, without walking it", async () => {
    assert.equal(await isWalked(), false);
    await open();
    assert.equal((await bodiesOf(store!, "T")).length, 20);
    const next = store!.append(draft("T", "next"));
    assert.equal(next.queueOffset, 20);
    await visible(store!);
    await stop();
    assert.equal(await isWalked(), false);
    await open();
    assert.equal((await bodiesOf(store!, "T")).length, 21);
    assert.ok(store!.append(draft("T", "later")).storeTimestampMs >= next.storeTimestampMs);
  });

  test("the state outlives a power cut that follows", async () => {
    for (let seed = 0; seed < 20; seed++) {
      files = files.crash(new SeededRandom(seed));
      assert.equal(await isWalked(), false);
    }
  });

  test("a message that something else has added is found", async () => {
    appendBehindOurBack(20, Date.now());
    const notes = await logged(async () => {
      await open();
    }, "info");
    assert.match(notes.join(), /something else has used this store/);
    assert.deepEqual((await bodiesOf(store!, "T")).slice(-2).map((body) => body.trim()), ["m19", "behind"]);
    assert.equal(store!.append(draft("T", "next")).queueOffset, 21);
  });

  test("any difference makes the start walk the log", async () => {
    const differences: [string, () => void][] = [
      ["no state", () => files.remove(PATH)],
      ["a state cut short", () => files.replace(PATH, files.read(PATH).subarray(0, 50))],
      ["no state at all", () => files.replace(PATH, new TextEncoder().encode("null"))],
      ["numbers that are none", () => files.replace(PATH, edited({ logEnd: -1 }))],
      ["another end", () => files.replace(PATH, edited({ logEnd: 100 }))],
      ["another last message", () => files.replace(PATH, edited({ lastRecordOffset: 0 }))],
      ["other queues", () => files.replace(PATH, edited({ queueCount: 2 }))],
      ["other ends of queues", () => files.replace(PATH, edited({ queueEnds: 19 }))],
      ["a checkpoint that was written again", () => {
        const bytes = new Uint8Array(8);
        writeLong(Buffer.from(bytes.buffer), Date.now() + 1, 0);
        files.damage("/store/checkpoint", 16, bytes);
      }],
      ["a queue that lacks an entry", () => files.damage(QUEUE_FILE, 19 * 20, new Uint8Array(20))],
      ["bytes behind the end", () => files.damage(LOG_FILE, readCleanStop(files, PATH)!.logEnd + 4000, ONE)],
    ];
    for (const [what, differ] of differences) {
      const copy = copyOf(files);
      differ();
      assert.equal(await isWalked(), true, what);
      files = copy;
    }
  });

  test("a state that can't be written only costs time", async () => {
    await open();
    files.fail({ operation: "create", code: "ENOSPC", path: /clean_stop/, times: 5 });
    store!.append(draft("T", "last"));
    await visible(store!);
    await stop();
    assert.equal(files.stat("/store/abort"), undefined);
    assert.equal(await isWalked(), true);
    await open();
    assert.equal((await bodiesOf(store!, "T")).length, 21);
  });

  test("a store without messages leaves no state", async () => {
    files = new MemoryFiles();
    await open();
    await stop();
    assert.equal(files.stat(PATH), undefined);
    await open();
  });

  function edited(change: Record<string, number>): Uint8Array {
    const state = JSON.parse(new TextDecoder().decode(files.read(PATH)));
    return new TextEncoder().encode(JSON.stringify({ ...state, ...change }));
  }
});

const ONE = Uint8Array.of(1);
