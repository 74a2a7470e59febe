// SPDX-License-Identifier: Apache-2.0
/**
 * A broker goes through the same small day again and again, and each time another one of its calls to the disk fails:
 * the first that writes, the second, and so on to the last, and so for each kind of call and error, once, or from then
 * on until somebody mends the disk. So no place where it writes is left out: log, queues, index, checkpoint, tables,
 * progress, marks of a clean stop.
 *
 * By default one call in twelve; `STRIDE=1` tries all.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { RequestCode } from "../../src/protocol/request_code.ts";
import { ResponseCode } from "../../src/protocol/response_code.ts";
import type { Response } from "../../src/remoting/command.ts";
import { bodyOf, recordsIn, sendRequest } from "../harness/broker_parts.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryBroker, memoryBrokerConfig, STORE } from "../harness/memory_broker.ts";
import type { IncomingRequest } from "../harness/memory_connection.ts";
import { type Fault, MemoryFiles, type Operation } from "../harness/memory_files.ts";
import { report } from "./campaign.ts";
import { turns } from "../harness/until.ts";

const STRIDE = Number(process.env.STRIDE ?? 12);
const HOUR_MS = 3_600_000;
const HOURS = Array.from({ length: 24 }, (_, hour) => String(hour).padStart(2, "0")).join(";");
const GROUP = "readers";
/** The log takes nothing more after these, until a restart has checked it. */
const UNTIL_RESTART = /flushing the CommitLog failed|could not be cut|can't be written: E(IO|ACCES)/;

const CONFIGS = ["SYNC_FLUSH", "ASYNC_FLUSH"].map((flushDiskType) => ({
  flushDiskType,
  config: memoryBrokerConfig([
    `flushDiskType=${flushDiskType}`,
    "mappedFileSizeCommitLog=8192",
    "mappedFileSizeConsumeQueue=60",
    "maxHashSlotNum=5",
    "maxIndexNum=10",
    "messageDelayLevel=1s",
    "flushDelayOffsetInterval=1000",
    "flushConsumerOffsetInterval=1000",
    "flushConsumeQueueThoroughInterval=2000",
    `deleteWhen=${HOURS}`,
    "fileReservedTime=1",
    "deleteCommitLogFilesInterval=0",
  ]),
}));

interface Failure {
  readonly operation: Operation;
  readonly code: "ENOSPC" | "EIO" | "EMFILE" | "EACCES";
  /** Calls of the kind let through before. */
  readonly skip: number;
  /** Until somebody mends it; otherwise once. */
  readonly lasts: boolean;
  /** Of a write: what gets through before it fails. */
  readonly writtenBytes: number;
  /** The day begins with a recovery. */
  readonly isAfterCrash: boolean;
}

/** One day of a broker. */
class Day {
  #files: MemoryFiles;
  #clock = new ManualClock();
  readonly #config: typeof CONFIGS[number]["config"];
  readonly #failure: Failure;
  #fault: Fault = { hits: 0, remove() {} };
  #broker: MemoryBroker | undefined;
  readonly #acknowledged = new Set<string>();
  /** Those that were to be delayed; they come late where nothing can be stored for a while. */
  readonly #delayed = new Set<string>();
  readonly #topics = new Set<string>();
  #sentCount = 0;
  #position = 0;

  constructor(config: typeof CONFIGS[number]["config"], failure: Failure) {
    this.#config = config;
    this.#files = new MemoryFiles({ nowMs: () => this.#clock.nowMs() });
    this.#failure = failure;
  }

  /** @returns whether the call that was to fail was ever made */
  async live(): Promise<boolean> {
    if (this.#failure.isAfterCrash) await this.#dieBefore();
    const { lasts, operation, code, skip, writtenBytes } = this.#failure;
    this.#fault = this.#files.fail({ operation, code, skip, writtenBytes, times: lasts ? Infinity : 1 });
    await this.#start();
    await this.#createTopic("Orders");
    for (let count = 0; count < 4; count++) await this.#send();
    await this.#send("1");
    await this.#consume();
    await this.#pass(4000);
    await this.#createTopic("Others");
    for (let count = 0; count < 4; count++) await this.#send();
    await this.#consume();
    await this.#pass(3000);
    this.#clock.advance(HOUR_MS);
    await this.#pass(12_000);
    await this.#checkMessages("before the disk is mended");
    const isEarly = this.#fault.hits > 0;
    if (isEarly) this.#mend();
    await this.#pass(7000);
    await this.#checkTaken();
    await this.#stop();
    const wasHit = this.#fault.hits > 0;
    this.#mend();
    await this.#restart();
    return wasHit;
  }

  /** A broker that was killed leaves something to recover. */
  async #dieBefore(): Promise<void> {
    await this.#start();
    await this.#createTopic("Orders");
    for (let count = 0; count < 7; count++) await this.#send();
    await this.#pass(3000);
    await this.#send();
    this.#files = this.#files.kill();
    this.#clock = new ManualClock(this.#clock.nowMs());
  }

  #mend(): void {
    this.#fault.remove();
  }

  /** A start that the disk spoils says so, leaves nothing open, and succeeds when the disk is well. */
  async #start(): Promise<void> {
    try {
      this.#broker = await MemoryBroker.start(this.#config, this.#files, this.#clock);
    } catch (error) {
      assert.match((error as Error).message, /E(NOSPC|IO|MFILE|ACCES)/);
      assert.deepEqual(this.#files.openPaths, [], "files left open");
      assert.equal(this.#clock.timerCount, 0, "timers left behind");
      this.#mend();
      this.#broker = await MemoryBroker.start(this.#config, this.#files, this.#clock);
    }
  }

  async #send(delayLevel?: string): Promise<Response> {
    const body = `${this.#sentCount++} ${"x".repeat(1500)}`;
    const properties: Record<string, string> = { KEYS: `key${this.#sentCount}` };
    if (delayLevel !== undefined) properties.DELAY = delayLevel;
    const response = await this.#ask(sendRequest({ topic: "Orders", body, properties }));
    if (response.code === ResponseCode.SUCCESS) {
      (delayLevel === undefined ? this.#acknowledged : this.#delayed).add(body);
    } else if (response.code === ResponseCode.SYSTEM_ERROR) {
      assert.match(response.remark!, /topics\.json can't be written/, "only a topic that can't be made");
    } else {
      assert.equal(response.code, ResponseCode.SERVICE_NOT_AVAILABLE, response.remark ?? "");
      assert.match(response.remark!, /disk|full|can't|flush|written/i);
    }
    return response;
  }

  async #createTopic(topic: string): Promise<void> {
    const fields = {
      topic,
      defaultTopic: "TBW102",
      readQueueNums: "1",
      writeQueueNums: "1",
      perm: "6",
      topicFilterType: "SINGLE_TAG",
      topicSysFlag: "0",
      order: "false",
    };
    const { code, remark } = await this.#ask({ code: RequestCode.UPDATE_AND_CREATE_TOPIC, fields });
    if (code === ResponseCode.SUCCESS) this.#topics.add(topic);
    else assert.match(remark!, /topics\.json can't be written/);
  }

  async #consume(): Promise<void> {
    const response = await this.#pull(this.#position);
    if (response.code === ResponseCode.SUCCESS) this.#position += recordsIn(response).length;
    const fields = {
      consumerGroup: GROUP,
      topic: "Orders",
      queueId: "0",
      commitOffset: String(this.#position),
    };
    await this.#ask({ code: RequestCode.UPDATE_CONSUMER_OFFSET, fields });
  }

  #pull(queueOffset: number): Promise<Response> {
    return this.#ask({
      code: RequestCode.PULL_MESSAGE,
      fields: {
        consumerGroup: GROUP,
        topic: "Orders",
        queueId: "0",
        queueOffset: String(queueOffset),
        maxMsgNums: "32",
        sysFlag: "4",
        commitOffset: "0",
        suspendTimeoutMillis: "0",
        subscription: "*",
        subVersion: "0",
      },
    });
  }

  /** What is in the queue is whole and in order; what was acknowledged and has not expired is among it. */
  async #checkMessages(when: string): Promise<void> {
    const min = await this.#offset(RequestCode.GET_MIN_OFFSET);
    const max = await this.#offset(RequestCode.GET_MAX_OFFSET);
    const bodies = new Set<string>();
    let last: string | undefined;
    for (let next = min; next < max;) {
      const response = await this.#pull(next);
      // a disk that can't be read may be read again later
      if (response.code === ResponseCode.SYSTEM_ERROR && this.#fault.hits > 0) return;
      assert.equal(response.code, ResponseCode.SUCCESS, `${when}: ${response.code} ${response.remark}`);
      for (const record of recordsIn(response)) {
        assert.equal(record.queueOffset, next++, when);
        bodies.add(last = bodyOf(record));
      }
    }
    const first = [...bodies].map((body) => parseInt(body)).sort((a, b) => a - b)[0] ?? Infinity;
    const missing = [...this.#acknowledged].filter((body) => parseInt(body) >= first && !bodies.has(body));
    assert.deepEqual(
      missing.map((body) => parseInt(body)),
      [],
      `${when}, the last being ${last?.slice(0, 5)}`,
    );
  }

  /** With a disk that is well, messages are taken again, unless only a restart can tell what the log holds. */
  async #checkTaken(): Promise<void> {
    const hits = this.#fault.hits;
    let { code, remark } = await this.#send();
    if (code !== ResponseCode.SUCCESS && this.#fault.hits > hits) {
      this.#mend();
      await this.#pass(2000);
      ({ code, remark } = await this.#send());
    }
    if (code === ResponseCode.SUCCESS) return await this.#checkMessages("when the disk is mended");
    assert.match(remark!, UNTIL_RESTART, `nothing is taken though the disk is well: ${remark}`);
  }

  /** A stop tells what it could not write. */
  async #stop(): Promise<void> {
    try {
      await this.#broker!.stop();
    } catch (error) {
      assert.match((error as Error).message, /E(NOSPC|IO|MFILE|ACCES)/);
    }
    assert.deepEqual(this.#files.openPaths, [], "files left open");
    assert.equal(this.#clock.timerCount, 0, "timers left behind");
  }

  async #restart(): Promise<void> {
    this.#broker = await MemoryBroker.start(this.#config, this.#files, this.#clock);
    await this.#pass(3000);
    for (const body of this.#delayed) this.#acknowledged.add(body);
    await this.#checkMessages("after a restart");
    for (const topic of this.#topics) {
      const { code } = await this.#ask({ code: RequestCode.GET_TOPIC_CONFIG, fields: { topic } });
      assert.equal(code, ResponseCode.SUCCESS, topic);
    }
    assert.equal((await this.#send()).code, ResponseCode.SUCCESS);
    await this.#broker!.stop();
    assert.equal(this.#files.stat(`${STORE}/abort`), undefined, "the second stop was no clean one");
  }

  async #offset(code: number): Promise<number> {
    const response = await this.#ask({ code, fields: { topic: "Orders", queueId: "0" } });
    return Number(response.fields?.offset ?? 0);
  }

  async #ask(request: IncomingRequest): Promise<Response> {
    const response = await this.#broker!.askSoon(request);
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

const KINDS: readonly { operation: Operation; codes: readonly Failure["code"][] }[] = [
  { operation: "write", codes: ["ENOSPC", "EIO"] },
  { operation: "create", codes: ["ENOSPC", "EMFILE"] },
  { operation: "sync", codes: ["EIO"] },
  { operation: "rename", codes: ["EIO"] },
  { operation: "remove", codes: ["EACCES"] },
  { operation: "truncate", codes: ["EIO"] },
  { operation: "syncDirectory", codes: ["EIO"] },
  { operation: "makeDirectory", codes: ["ENOSPC"] },
  { operation: "open", codes: ["EMFILE"] },
];

const SHAPES = [
  { isAfterCrash: false, lasts: false },
  { isAfterCrash: false, lasts: true },
  { isAfterCrash: true, lasts: false },
  { isAfterCrash: true, lasts: true },
];

for (const { flushDiskType, config } of CONFIGS) {
  for (const { operation, codes } of KINDS) {
    const name =
      `under ${flushDiskType} any ${operation} may fail: nothing acknowledged is lost, and work goes on`;
    test(name, { timeout: 600_000 }, async () => {
      let failures = 0;
      let first = 0;
      for (const code of codes) {
        for (const shape of SHAPES) {
          for (let skip = first++ % STRIDE, wasHit = true; wasHit; skip += STRIDE) {
            const failure = { operation, code, skip, writtenBytes: skip % 3 * 70, ...shape };
            try {
              wasHit = await new Day(config, failure).live();
            } catch (error) {
              throw new Error(JSON.stringify(failure), { cause: error });
            }
            if (wasHit) failures++;
          }
        }
      }
      assert.ok(failures > 0, "nothing ever failed");
      report(`tests/fault/every_call_test.ts ${flushDiskType} ${operation}`, { callsFailed: failures });
    });
  }
}
