// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  closeSync,
  existsSync,
  fdatasync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setImmediate } from "node:timers";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { FileLockedError, findLockHolder, lockFile } from "../../../src/base/runtime/file_lock.ts";
import { loadFcntl } from "../../../src/base/runtime/libc.ts";
import { runtimeName } from "../../../src/base/runtime/name.ts";

const HOLDER = fileURLToPath(new URL("./lock_holder.ts", import.meta.url));
const JAVA_HOLDER = fileURLToPath(new URL("./TryLock.java", import.meta.url));
const hasJava = spawnSync("java", ["-version"]).status === 0;
/** A Java program that has to be compiled first takes seconds to start on a busy machine. */
const JAVA_OPTIONS = { skip: !hasJava && "there is no java here", timeout: 60_000 };

let directory: string;
let path: string;
let children: Holder[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "rmq-lock-"));
  path = join(directory, "lock");
  children = [];
});

afterEach(async () => {
  for (const child of children) await child.kill();
  rmSync(directory, { recursive: true });
});

/** Another process that tries to take the lock. */
class Holder {
  /** LOCKED with its process id, or REFUSED with the reason. */
  readonly said: Promise<string>;
  #process: ChildProcessWithoutNullStreams;
  #ended: Promise<unknown>;

  constructor(command: string, args: readonly string[]) {
    this.#process = spawn(command, args);
    this.#process.stderr.on("data", () => {});
    this.#ended = once(this.#process, "exit");
    this.said = once(createInterface(this.#process.stdout), "line").then(([line]) => line as string);
    children.push(this);
  }

  async release(): Promise<void> {
    this.#process.stdin.end();
    await this.#ended;
  }

  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#ended;
  }
}

function ours(): Holder {
  return new Holder(process.execPath, [...(runtimeName === "deno" ? ["run", "-A"] : []), HOLDER, path]);
}

function java(): Holder {
  return new Holder("java", [JAVA_HOLDER, path]);
}

test("lockFile() makes the file with the content that Apache writes", async () => {
  const lock = await lockFile(path);
  assert.equal(readFileSync(path, "latin1"), "lock");
  lock.release();
});

test("lockFile() refuses a directory that this process has, also by another name, until it is released", async () => {
  const lock = await lockFile(path);
  const alias = `${directory}-alias`;
  symlinkSync(directory, alias);
  try {
    await assert.rejects(lockFile(path), FileLockedError);
    await assert.rejects(lockFile(join(alias, "lock")), /this very process/);
  } finally {
    rmSync(alias);
  }
  lock.release();
  lock.release();
  (await lockFile(path)).release();
});

test("lockFile() tells which process has the directory", async () => {
  const other = ours();
  const [, pid] = (await other.said).split(" ");
  await assert.rejects(lockFile(path), (error: Error) => {
    assert.ok(error instanceof FileLockedError);
    assert.ok(error.message.includes(directory), error.message);
    assert.match(
      error.message,
      new RegExp(`another broker \\(rmq or Apache RocketMQ\\), process ${pid} \\(`),
    );
    return true;
  });
  await other.release();
  (await lockFile(path)).release();
});

test("the lock of a process ends with it, even by kill -9", async () => {
  const other = ours();
  assert.match(await other.said, /^LOCKED/);
  await other.kill();
  (await lockFile(path)).release();
});

test("the lock stays when the process opens, syncs and closes the file elsewhere", async () => {
  const lock = await lockFile(path);
  readFileSync(path);
  const descriptor = openSync(path, "r+");
  await new Promise<void>((resolve, reject) =>
    fdatasync(descriptor, (error) => error ? reject(error) : resolve())
  );
  closeSync(descriptor);
  assert.match(await ours().said, /^REFUSED/);
  lock.release();
});

test("lockFile() passes on what the system says of the path", async () => {
  await assert.rejects(lockFile(join(directory, "missing", "lock")), { code: "ENOENT" });
});

test("findLockHolder() tells who has the file, and takes and makes nothing", async () => {
  assert.equal(await findLockHolder(path), undefined);
  assert.equal(existsSync(path), false);
  const other = ours();
  const [, pid] = (await other.said).split(" ");
  assert.equal((await findLockHolder(path))?.pid, Number(pid));
  chmodSync(path, 0o444);
  assert.match((await findLockHolder(path))!.description, new RegExp(`^process ${pid} \\(`));
  await other.release();
  assert.equal(await findLockHolder(path), undefined);
  chmodSync(path, 0o644);
  const lock = await lockFile(path);
  assert.equal((await findLockHolder(path))?.pid, process.pid);
  // Had it opened the file, the lock that tells others our number would be gone.
  assert.match(await ours().said, new RegExp(`^REFUSED .*process ${process.pid} `));
  lock.release();
});

test("findLockHolder() tells of Java", JAVA_OPTIONS, async () => {
  const other = java();
  assert.match(await other.said, /^LOCKED/);
  assert.match((await findLockHolder(path))!.description, /^process \d+ \(java\)$/);
  await other.release();
});

test("Java is refused what we hold, until we release it", JAVA_OPTIONS, async () => {
  const lock = await lockFile(path);
  assert.equal(await java().said, "REFUSED");
  lock.release();
  const other = java();
  assert.match(await other.said, /^LOCKED/);
  await other.release();
});

test("we are refused what Java holds, until it ends", JAVA_OPTIONS, async () => {
  const other = java();
  const [, pid] = (await other.said).split(" ");
  await assert.rejects(lockFile(path), new RegExp(`process ${pid} \\(java\\)`));
  await other.kill();
  (await lockFile(path)).release();
});

const IS_LINUX = { skip: process.platform !== "linux" && "locks of open files are Linux's" };

test(
  "a lock that a dying process still holds, though nobody knows its number any more, is waited for",
  IS_LINUX,
  async () => {
    const fcntl = await loadFcntl();
    const descriptor = openSync(path, "w");
    const lock = new Uint8Array(32);
    new DataView(lock.buffer).setInt16(0, 1, true);
    new DataView(lock.buffer).setBigInt64(16, 1n, true);
    assert.equal(fcntl(descriptor, 37, lock), 0);
    let isTaken = false;
    const taking = lockFile(path).then((taken) => {
      isTaken = true;
      return taken;
    });
    await new Promise<void>((resolve) => setImmediate(resolve));
    assert.equal(isTaken, false);
    closeSync(descriptor);
    (await taking).release();
  },
);
