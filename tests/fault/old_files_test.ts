// SPDX-License-Identifier: Apache-2.0
/** Old files of the log, as an operator sees it: when they go, when not, and what consumers and producers are told. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RequestCode } from "../../src/protocol/request_code.ts";
import { ResponseCode } from "../../src/protocol/response_code.ts";
import type { Response } from "../../src/remoting/command.ts";
import { recordsIn, sendRequest } from "../harness/broker_parts.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryBroker, memoryBrokerConfig, STORE } from "../harness/memory_broker.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { turns } from "../harness/until.ts";

const HOUR_MS = 3_600_000;
const FILE_BYTES = 16 * 1024;
/** Log files after `fill`. */
const FILES = 5;

class OldFiles {
  readonly clock: ManualClock;
  readonly files: MemoryFiles;
  readonly broker: MemoryBroker;

  /** A broker at three o'clock in the afternoon, with five log files. */
  static async open(...pairs: string[]): Promise<OldFiles> {
    const clock = new ManualClock(new Date(2026, 0, 5, 15).getTime());
    const files = new MemoryFiles({ nowMs: () => clock.nowMs() });
    const config = memoryBrokerConfig([
      "flushDiskType=SYNC_FLUSH",
      `mappedFileSizeCommitLog=${FILE_BYTES}`,
      "flushConsumeQueueThoroughInterval=1000",
      "deleteCommitLogFilesInterval=0",
      "fileReservedTime=2",
      ...pairs,
    ]);
    const opened = new OldFiles(clock, files, (await MemoryBroker.start(config, files, clock))!);
    await opened.#fill();
    return opened;
  }

  private constructor(clock: ManualClock, files: MemoryFiles, broker: MemoryBroker) {
    this.clock = clock;
    this.files = files;
    this.broker = broker;
  }

  async #fill(): Promise<void> {
    while (this.fileCount < FILES) assert.equal((await this.send()).code, ResponseCode.SUCCESS);
    await this.pass(3000);
    assert.equal(this.fileCount, FILES);
  }

  get fileCount(): number {
    return this.files.list(`${STORE}/commitlog`).length;
  }

  /** How full the disk is from now on. */
  fillDisk(percent: number): void {
    this.files.capacityBytes = 2 ** 50;
    const { freeBytes } = this.files.space(STORE);
    const usedBytes = 2 ** 50 - freeBytes;
    this.files.capacityBytes = Math.ceil(usedBytes * 100 / percent);
  }

  async send(): Promise<Response> {
    return await this.ask(sendRequest({ topic: "Orders", body: "x".repeat(1000) }));
  }

  async ask(request: Parameters<MemoryBroker["askSoon"]>[0]): Promise<Response> {
    const response = await this.broker.askSoon(request);
    assert.ok(response !== undefined);
    return response;
  }

  async pull(queueOffset: number): Promise<Response> {
    return await this.ask({
      code: RequestCode.PULL_MESSAGE,
      fields: {
        consumerGroup: "readers",
        topic: "Orders",
        queueId: "0",
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

  /** Time in which the cleaner looks several times. */
  async pass(ms = 40_000): Promise<void> {
    for (; ms > 0; ms -= 500) {
      this.clock.advance(500);
      await turns(3);
    }
  }
}

test("deleteWhen: what has expired goes in that hour, and in no other", async () => {
  const old = await OldFiles.open("deleteWhen=04");
  old.clock.advance(2 * HOUR_MS);
  await old.pass();
  assert.equal(old.fileCount, FILES, "five o'clock in the afternoon");
  old.clock.advance(11 * HOUR_MS);
  await old.pass();
  assert.equal(old.fileCount, 1, "four o'clock at night; the last file always stays");
  await old.broker.stop();
});

test("fileReservedTime: what has not expired stays in the hour of deleteWhen", async () => {
  const old = await OldFiles.open("deleteWhen=16");
  old.clock.advance(HOUR_MS);
  await old.pass();
  assert.equal(old.fileCount, FILES);
  await old.broker.stop();
});

test("diskMaxUsedSpaceRatio: above it, what has expired goes at any hour", async () => {
  const old = await OldFiles.open("deleteWhen=04", "diskMaxUsedSpaceRatio=60");
  old.clock.advance(2 * HOUR_MS);
  old.fillDisk(50);
  await old.pass();
  assert.equal(old.fileCount, FILES);
  old.fillDisk(65);
  await old.pass();
  assert.ok(old.fileCount < FILES);
  await old.broker.stop();
});

test("diskSpaceCleanForciblyRatio: above it, the oldest files go though they have not expired", async () => {
  const old = await OldFiles.open("deleteWhen=04", "diskSpaceCleanForciblyRatio=80");
  old.fillDisk(75);
  await old.pass();
  assert.equal(old.fileCount, FILES);
  old.fillDisk(84);
  await old.pass();
  assert.ok(old.fileCount < FILES && old.fileCount >= 1, `${old.fileCount} files`);
  assert.equal((await old.send()).code, ResponseCode.SUCCESS);
  await old.broker.stop();
});

test("cleanFileForciblyEnable=false: files that have not expired stay, and a full disk takes no message until there is room", async () => {
  const old = await OldFiles.open("cleanFileForciblyEnable=false", "diskSpaceWarningLevelRatio=90");
  old.fillDisk(95);
  await old.pass();
  assert.equal(old.fileCount, FILES);
  const { code, remark } = await old.send();
  assert.equal(code, ResponseCode.SERVICE_NOT_AVAILABLE);
  assert.match(remark!, /disk/);
  assert.equal((await old.pull(0)).code, ResponseCode.SUCCESS, "consumers go on");
  old.fillDisk(50);
  await old.pass();
  assert.equal((await old.send()).code, ResponseCode.SUCCESS);
  await old.broker.stop();
});

test("a consumer whose next message was deleted is told where the queue begins now, and goes on from there", async () => {
  const old = await OldFiles.open("deleteWhen=04;17");
  const first = recordsIn(await old.pull(0));
  assert.equal(first[0].queueOffset, 0);
  old.clock.advance(2 * HOUR_MS);
  await old.pass();
  assert.equal(old.fileCount, 1);
  const moved = await old.pull(first.length);
  assert.equal(moved.code, ResponseCode.PULL_OFFSET_MOVED);
  const next = Number(moved.fields!.nextBeginOffset);
  assert.ok(next > first.length);
  const later = await old.pull(next);
  assert.equal(later.code, ResponseCode.SUCCESS);
  assert.equal(recordsIn(later)[0].queueOffset, next);
  await old.broker.stop();
});
