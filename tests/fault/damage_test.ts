// SPDX-License-Identifier: Apache-2.0
/**
 * Stores with damage anywhere in any file: bits turned over, sectors lost, files cut short, emptied, removed, mixed up,
 * and files that do not belong there. A broker that starts on one has every whole message in front of the damage; what
 * it lacks it has told, with the file, or `rmq store verify` tells it; and nothing that stood behind a cut end of the
 * log comes back. A broker that does not start says why in a sentence.
 *
 * `SEEDS=2000` tries so many stores; `SEED=7` repeats one, and tells its story.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readTables } from "../../src/cli/store_config.ts";
import { parseOffsetMessageId } from "../../src/protocol/message_id.ts";
import { decodeRecord, type MessageRecord } from "../../src/protocol/record.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import { ResponseCode } from "../../src/protocol/response_code.ts";
import type { Response } from "../../src/remoting/command.ts";
import { Findings } from "../../src/store/inspect/findings.ts";
import { readLayout } from "../../src/store/inspect/layout.ts";
import { verifyStore } from "../../src/store/inspect/verify.ts";
import { bodyOf, recordsIn, sendRequest } from "../harness/broker_parts.ts";
import { logged } from "../harness/logged.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryBroker, memoryBrokerConfig, memoryReader, STORE } from "../harness/memory_broker.ts";
import { bodyBytes, type IncomingRequest } from "../harness/memory_connection.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import type { SeededRandom } from "../harness/seeded_random.ts";
import { eachSeed } from "./campaign.ts";
import { turns } from "../harness/until.ts";

const FILE_BYTES = 8192;
const LOG = `${STORE}/commitlog`;
const CONFIG = memoryBrokerConfig([
  "flushDiskType=SYNC_FLUSH",
  `mappedFileSizeCommitLog=${FILE_BYTES}`,
  "mappedFileSizeConsumeQueue=200",
  "maxHashSlotNum=20",
  "maxIndexNum=40",
  "messageDelayLevel=1s",
]);
/** Names of errors that hold a sentence for an operator; others are slips in the code. */
const TOLD = ["Error", "StoreCorruptError", "ConfigFileError", "CheckpointError"];

interface Acknowledged {
  readonly body: string;
  readonly physicalOffset: number;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly endOffset: number;
}

class DamagedStore {
  readonly story: string[] = [];
  readonly counts = { started: 0, refused: 0 };
  readonly #random: SeededRandom;
  #clock = new ManualClock();
  #files: MemoryFiles;
  #broker!: MemoryBroker;
  readonly #acknowledged: Acknowledged[] = [];
  #sentCount = 0;
  /** Where the log is damaged; a part without end where it may be shorter now. Nowhere: other files are. */
  #from = Infinity;
  #to = 0;
  #path = "";
  #said: string[] = [];
  /** A first log file that is gone looks like one that had expired; the end of the last one is a crash's to take. */
  #looksUsual = false;

  constructor(random: SeededRandom) {
    this.#random = random;
    this.#files = new MemoryFiles({ nowMs: () => this.#clock.nowMs() });
  }

  async run(): Promise<void> {
    const random = this.#random;
    await this.#start();
    await this.#fill(random.between(5, 40));
    const wasKilled = random.next() < 0.5;
    if (wasKilled) this.#files = this.#files.kill();
    else await this.#broker.stop();
    this.#clock = new ManualClock(this.#clock.nowMs() + 1000);
    const lastFile = `${LOG}/${this.#files.list(LOG).sort().at(-1)}`;
    this.#damage();
    this.#looksUsual ||= wasKilled && this.#path === lastFile;
    const found = await this.#verify();
    this.story.push(...found.map((line) => `verify: ${line}`));
    try {
      this.#said = await logged(() => this.#start());
    } catch (error) {
      this.counts.refused++;
      return this.#checkRefusal(error as Error);
    }
    this.story.push(...this.#said.map((line) => `start: ${line}`));
    this.counts.started++;
    await this.#pass(3000);
    const lost = await this.#check(found);
    await this.#fill(random.between(1, 30));
    this.#files = this.#files.kill();
    this.#clock = new ManualClock(this.#clock.nowMs() + 1000);
    await logged(() => this.#start());
    await this.#checkNoReturn(lost);
    await this.#broker.stop();
  }

  async #start(): Promise<void> {
    this.#broker = (await MemoryBroker.start(CONFIG, this.#files, this.#clock))!;
  }

  async #fill(count: number): Promise<void> {
    const random = this.#random;
    for (; count > 0; count--) {
      const queueId = random.between(0, 1);
      const body = `${this.#sentCount++} ${"x".repeat(random.between(0, 700))}`;
      const properties: Record<string, string> = { KEYS: `key${this.#sentCount}`, TAGS: "red" };
      const request = sendRequest({
        topic: "Orders",
        body,
        properties,
        header: { queueId: String(queueId) },
      });
      const { code, remark, fields } = await this.#ask(request);
      assert.equal(code, ResponseCode.SUCCESS, remark ?? "");
      const { physicalOffset } = parseOffsetMessageId(fields!.msgId)!;
      const record = await this.#view(physicalOffset);
      const endOffset = physicalOffset + record!.totalBytes;
      const queueOffset = Number(fields!.queueOffset);
      this.#acknowledged.push({ body, physicalOffset, queueId, queueOffset, endOffset });
      if (random.next() < 0.2) await this.#pass(random.between(100, 2000));
      if (random.next() < 0.05) await this.#commit(queueId, queueOffset);
    }
  }

  async #commit(queueId: number, offset: number): Promise<void> {
    const fields = {
      consumerGroup: "readers",
      topic: "Orders",
      queueId: String(queueId),
      commitOffset: String(offset),
    };
    await this.#pull(queueId, 0);
    await this.#ask({ code: RequestCode.UPDATE_CONSUMER_OFFSET, fields });
  }

  // Damage

  #damage(): void {
    const random = this.#random;
    const files = listFiles(this.#files, STORE);
    const path = this.#path = files[random.between(0, files.length - 1)];
    const sizeBytes = this.#files.stat(path)!.sizeBytes;
    const dice = random.next();
    if (dice < 0.3) this.#turnBits(path, sizeBytes);
    else if (dice < 0.5) this.#loseSectors(path, sizeBytes);
    else if (dice < 0.65) this.#truncate(path, random.between(0, sizeBytes));
    else if (dice < 0.72) this.#truncate(path, 0);
    else if (dice < 0.82) this.#remove(path);
    else if (dice < 0.92) this.#mixUp(path, files[random.between(0, files.length - 1)]);
    else this.#addForeign(path);
  }

  #turnBits(path: string, sizeBytes: number): void {
    if (sizeBytes === 0) return;
    const content = this.#files.read(path);
    for (let count = this.#random.between(1, 4); count > 0; count--) {
      // rather where something is than in the zeros behind it
      const used = content.findLastIndex((byte) => byte !== 0) + 1;
      const at = this.#random.between(0, Math.max(1, used) - 1);
      this.#files.damage(path, at, Uint8Array.of(content[at] ^ (1 << this.#random.between(0, 7))));
      this.#note("a bit", path, at, at + 1);
    }
  }

  #loseSectors(path: string, sizeBytes: number): void {
    const at = 512 * this.#random.between(0, Math.floor(Math.max(0, sizeBytes - 1) / 512));
    const bytes = Math.min(sizeBytes - at, 512 * this.#random.between(1, 4));
    if (bytes <= 0) return;
    this.#files.damage(path, at, new Uint8Array(bytes));
    this.#note("lost sectors", path, at, at + bytes);
  }

  #truncate(path: string, sizeBytes: number): void {
    const file = this.#files.open(path);
    file.truncate(sizeBytes);
    file.close();
    this.#note("cut", path, sizeBytes, Infinity);
  }

  #remove(path: string): void {
    this.#files.remove(path);
    if (path === `${LOG}/${"0".padStart(20, "0")}`) this.#looksUsual = true;
    this.#note("removed", path, 0, Infinity);
  }

  #mixUp(path: string, other: string): void {
    const content = this.#files.read(other);
    const file = this.#files.open(path);
    file.truncate(0);
    file.writeAt(content, 0);
    file.close();
    this.#note(`took ${other} for`, path, 0, Infinity);
  }

  #addForeign(path: string): void {
    const name = [
      "notes.txt",
      "00000000000000000001",
      "00000000000000999999",
      "20250101000000000",
      ".DS_Store",
      "7",
    ];
    const foreign = path.replace(/[^/]*$/, name[this.#random.between(0, name.length - 1)]);
    if (this.#files.stat(foreign) !== undefined) return;
    const file = this.#files.create(foreign, this.#random.between(0, 300));
    file.close();
    // it may be taken for a part of the log only where it has a part's name
    this.#note("foreign", foreign, 0, foreign.startsWith(LOG) && /[0-9]{20}$/.test(foreign) ? Infinity : 0);
    this.#path = foreign;
  }

  #note(what: string, path: string, from: number, to: number): void {
    this.story.push(`${what} ${path} ${from} to ${to}`);
    if (!path.startsWith(LOG) || to === 0) return;
    const start = Number(path.slice(LOG.length + 1));
    this.#from = Math.min(this.#from, start + from);
    this.#to = Math.max(this.#to, start + Math.min(to, FILE_BYTES));
  }

  // Checks

  #checkRefusal(error: Error): void {
    this.story.push(`refused: ${error.message}`);
    assert.ok(TOLD.includes(error.name) && error.message.includes(STORE), error.stack);
    assert.ok(/[a-z] [a-z]/.test(error.message), "no sentence");
    assert.deepEqual(this.#files.openPaths, [], "files left open");
  }

  /** @returns bodies that the log does not have any more */
  async #check(found: readonly string[]): Promise<Set<string>> {
    const lost = new Set<string>();
    const end = await this.#logEnd();
    for (const { body, physicalOffset, endOffset, queueId, queueOffset } of this.#acknowledged) {
      const record = await this.#view(physicalOffset);
      const isIn = record !== undefined && bodyOf(record) === body;
      if (!isIn && physicalOffset >= end) lost.add(body);
      const isHit = physicalOffset < this.#to && endOffset > this.#from;
      const name = `message ${parseInt(body)} at ${physicalOffset}`;
      const isTold = [...this.#said, ...found].some((line) =>
        line.includes(this.#path) || line.includes(LOG)
      );
      if (!isHit && endOffset <= this.#from) {
        assert.ok(isIn, `${name} stood in front of the damage, and is gone`);
      }
      if (!isIn) {
        assert.ok(isTold || this.#looksUsual, `${name} is gone, and nobody says why`);
        continue;
      }
      if (isHit) continue;
      const pulled = await this.#pull(queueId, queueOffset);
      const first = pulled.code === ResponseCode.SUCCESS ? recordsIn(pulled)[0] : undefined;
      if (first !== undefined && bodyOf(first) === body) continue;
      assert.ok(
        found.length > 0 || isTold,
        `${name} is not consumed any more, and verify finds nothing wrong`,
      );
    }
    for (const queueId of [0, 1]) await this.#consumeAll(queueId);
    return lost;
  }

  /** A consumer gets to the end of its queue, whatever there is on the way. */
  async #consumeAll(queueId: number): Promise<void> {
    const fields = { topic: "Orders", queueId: String(queueId) };
    const max = Number((await this.#ask({ code: RequestCode.GET_MAX_OFFSET, fields })).fields!.offset);
    let next = 0;
    for (let pulls = 0; next < max; pulls++) {
      const { code, remark, fields } = await this.#pull(queueId, next);
      // told at the start
      if (code === ResponseCode.TOPIC_NOT_EXIST) return;
      assert.ok(pulls < 200, `a consumer stays at ${next} of ${max} in queue ${queueId}: ${code} ${remark}`);
      if (fields?.nextBeginOffset !== undefined) next = Number(fields.nextBeginOffset);
    }
  }

  async #checkNoReturn(lost: ReadonlySet<string>): Promise<void> {
    for (const { body, physicalOffset } of this.#acknowledged) {
      const record = await this.#view(physicalOffset);
      const isBack = lost.has(body) && record !== undefined && bodyOf(record) === body;
      assert.ok(!isBack, `message ${parseInt(body)} stood behind the end of the log, and is back`);
    }
  }

  /** What `rmq store verify` says to be wrong. */
  async #verify(): Promise<string[]> {
    const findings = new Findings();
    const reader = memoryReader(this.#files);
    const layout = readLayout(reader, STORE, LOG, findings);
    const state = this.#files.stat(`${STORE}/abort`) === undefined ? "clean" : "unclean";
    await verifyStore({ reader, layout, state, tables: readTables(reader, STORE, findings), findings });
    return findings.list.map(({ kind, file, what }) => `${kind} ${file}: ${what}`);
  }

  async #view(physicalOffset: number): Promise<MessageRecord | undefined> {
    const fields = { offset: String(physicalOffset) };
    const response = await this.#ask({ code: RequestCode.VIEW_MESSAGE_BY_ID, fields });
    if (response.code !== ResponseCode.SUCCESS) return undefined;
    const record = decodeRecord(bodyBytes(response));
    return typeof record === "string" ? undefined : record;
  }

  async #logEnd(): Promise<number> {
    const { body } = await this.#ask({ code: RequestCode.GET_BROKER_RUNTIME_INFO });
    return Number(
      JSON.parse(new TextDecoder().decode(bodyBytes({ code: 0, body }))).table.commitLogMaxOffset,
    );
  }

  #pull(queueId: number, queueOffset: number): Promise<Response> {
    return this.#ask({
      code: RequestCode.PULL_MESSAGE,
      fields: {
        consumerGroup: "readers",
        topic: "Orders",
        queueId: String(queueId),
        queueOffset: String(queueOffset),
        maxMsgNums: "4",
        sysFlag: "4",
        commitOffset: "0",
        suspendTimeoutMillis: "0",
        subscription: "*",
        subVersion: "0",
      },
    });
  }

  async #ask(request: IncomingRequest): Promise<Response> {
    const response = await this.#broker.askSoon(request);
    assert.ok(response !== undefined, `request ${request.code} was not answered`);
    return response;
  }

  async #pass(ms: number): Promise<void> {
    for (; ms > 0; ms -= 250) {
      this.#clock.advance(250);
      await turns(2);
    }
  }
}

function listFiles(files: MemoryFiles, directory: string): string[] {
  return files.list(directory).flatMap((name) => {
    const path = `${directory}/${name}`;
    return files.stat(path)!.kind === "directory" ? listFiles(files, path) : [path];
  });
}

test("a store with damage anywhere starts with all that is whole, or says why not", {
  timeout: 24 * 3_600_000,
}, async () => {
  const options = { file: "tests/fault/damage_test.ts", filter: "damage anywhere", seeds: 100 };
  const totals = await eachSeed(options, (random) => {
    const store = new DamagedStore(random);
    const { story, counts } = store;
    return { story, counts, run: () => store.run() };
  });
  assert.ok(totals.started > 0);
});
