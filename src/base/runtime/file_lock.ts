// SPDX-License-Identifier: Apache-2.0
/**
 * The lock by which one process at a time has a store: on byte 0 of a file, as a Java broker takes it, so that
 * both kinds of broker keep each other out. [RMQ DefaultMessageStore.start: FileChannel.tryLock(0, 1)]
 *
 * Java takes a POSIX record lock, which belongs to the process and ends as soon as the process closes any
 * descriptor of the file. We take one that belongs to the open file (OFD): Java sees it just the same, but
 * reading the file elsewhere in the process does not end it, and another worker of the process is kept out.
 * The system does not tell who holds such a lock, so byte 1, which Java leaves alone, carries a POSIX lock that
 * does. Both end with the process.
 */
import { closeSync, constants, existsSync, openSync, readFileSync, realpathSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { setTimeout } from "node:timers";
import { type Fcntl, loadFcntl } from "./libc.ts";

export interface FileLock {
  /** Lets others have the file. */
  release(): void;
}

/** Another process has the file. */
export class FileLockedError extends Error {
  override name = "FileLockedError";

  /** @param isHolderKnown false: the system does not tell which process it is */
  constructor(message: string, readonly isHolderKnown: boolean) {
    super(message);
  }
}

/** `struct flock` and the commands, as the C headers of the platform have them; 64-bit systems only. */
interface Abi {
  structBytes: number;
  typeAt: number;
  startAt: number;
  lengthAt: number;
  pidAt: number;
  writeLock: number;
  unlocked: number;
  getLock: number;
  setLock: number;
  /** Undefined where the system's own headers don't promise it. */
  setLockOfOpenFile: number | undefined;
}

const LINUX: Abi = {
  structBytes: 32,
  typeAt: 0,
  startAt: 8,
  lengthAt: 16,
  pidAt: 24,
  writeLock: 1,
  unlocked: 2,
  getLock: 5,
  setLock: 6,
  setLockOfOpenFile: 37,
};

const MACOS: Abi = {
  structBytes: 24,
  typeAt: 20,
  startAt: 0,
  lengthAt: 8,
  pidAt: 16,
  writeLock: 3,
  unlocked: 2,
  getLock: 7,
  setLock: 8,
  setLockOfOpenFile: undefined,
};

/**
 * A killed process may be held up by a sync of the device: then it has let go of its number, but not of the lock.
 * So a lock of which nobody knows the holder is tried again for so long.
 */
const WAIT_FOR_DYING_MS = 10_000;
const RETRY_MS = 20;

const JAVA_BYTE = 0;
const PID_BYTE = 1;

/** Real paths of the directories whose lock this process (or this worker of it) has. */
const held = new Set<string>();

/**
 * Locks a store's file `lock`, which is made if need be, until `release` or the end of the process.
 * @throws FileLockedError when somebody has it; an error of `node:fs`
 */
export async function lockFile(path: string, waitForDyingMs = WAIT_FOR_DYING_MS): Promise<FileLock> {
  const fcntl = await loadFcntl();
  const directory = realpathSync(dirname(path));
  // Looked at before the file is opened: closing that descriptor would end a POSIX lock.
  if (held.has(directory)) throw new FileLockedError(`${directory} is in use by this very process`, true);
  const descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT);
  try {
    await takeWhenFree(fcntl, descriptor, directory, waitForDyingMs);
    writeSync(descriptor, "lock", 0);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  held.add(directory);
  return {
    release() {
      if (held.delete(directory)) closeSync(descriptor);
    },
  };
}

/** A process that has a file. */
export interface LockHolder {
  /** 0 where the system does not tell, as for a process of another container. */
  readonly pid: number;
  readonly description: string;
}

/** Who has a store's file `lock`, without taking it or writing; undefined where nobody has. @throws an error of `node:fs` */
export async function findLockHolder(path: string): Promise<LockHolder | undefined> {
  if (!existsSync(path)) return undefined;
  // Looked at before the file is opened, as above.
  if (held.has(realpathSync(dirname(path)))) return { pid: process.pid, description: describe(process.pid) };
  const fcntl = await loadFcntl();
  const abi = abiOfPlatform();
  const descriptor = openSync(path, constants.O_RDONLY);
  try {
    const holder = callFcntl(fcntl, abi, descriptor, abi.getLock, JAVA_BYTE);
    if (holder === undefined || holder.type === abi.unlocked) return undefined;
    const pid = pidOf(holder, () => callFcntl(fcntl, abi, descriptor, abi.getLock, PID_BYTE));
    return { pid, description: describe(pid) };
  } finally {
    closeSync(descriptor);
  }
}

async function takeWhenFree(
  fcntl: Fcntl,
  descriptor: number,
  directory: string,
  waitMs: number,
): Promise<void> {
  const untilMs = performance.now() + waitMs;
  for (;;) {
    try {
      return take(fcntl, descriptor, directory);
    } catch (error) {
      const mayBeDying = error instanceof FileLockedError && !error.isHolderKnown;
      if (!mayBeDying || performance.now() >= untilMs) throw error;
    }
    await new Promise<void>((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

function take(fcntl: Fcntl, descriptor: number, directory: string): void {
  const abi = abiOfPlatform();
  const call = (command: number, byte: number) => callFcntl(fcntl, abi, descriptor, command, byte);
  if (abi.setLockOfOpenFile !== undefined && call(abi.setLockOfOpenFile, JAVA_BYTE) !== undefined) {
    call(abi.setLock, PID_BYTE);
    return;
  }
  const holder = call(abi.getLock, JAVA_BYTE);
  if (holder !== undefined && holder.type !== abi.unlocked) {
    const pid = pidOf(holder, () => call(abi.getLock, PID_BYTE));
    throw new FileLockedError(
      `${directory} is in use by another broker (rmq or Apache RocketMQ), ${describe(pid)}`,
      pid > 0,
    );
  }
  // Nobody has it: a system without locks of open files.
  if (call(abi.setLock, JAVA_BYTE) === undefined) {
    throw new Error(
      `${directory}: its file system refuses to lock files, so a store can't be kept safe there`,
    );
  }
}

function abiOfPlatform(): Abi {
  return process.platform === "darwin" ? MACOS : LINUX;
}

/** The system does not tell it for locks of open files; the lock on the other byte does. */
function pidOf(holder: { pid: number }, ofPidByte: () => { pid: number } | undefined): number {
  return holder.pid > 0 ? holder.pid : Math.max(0, ofPidByte()?.pid ?? 0);
}

/** One call for a write lock on one byte; undefined when the system refuses, else what it wrote into the struct. */
function callFcntl(
  fcntl: Fcntl,
  abi: Abi,
  descriptor: number,
  command: number,
  byte: number,
): { type: number; pid: number } | undefined {
  const lock = new Uint8Array(abi.structBytes);
  const view = new DataView(lock.buffer);
  view.setInt16(abi.typeAt, abi.writeLock, true);
  view.setBigInt64(abi.startAt, BigInt(byte), true);
  view.setBigInt64(abi.lengthAt, 1n, true);
  if (fcntl(descriptor, command, lock) === -1) return undefined;
  return { type: view.getInt16(abi.typeAt, true), pid: view.getInt32(abi.pidAt, true) };
}

/** The system knows no number for a process of another container. */
function describe(pid: number): string {
  if (pid <= 0) return "a process that can't be seen from here";
  try {
    return `process ${pid} (${readFileSync(`/proc/${pid}/comm`, "utf8").trim()})`;
  } catch {
    return `process ${pid}`;
  }
}
