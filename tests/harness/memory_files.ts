// SPDX-License-Identifier: Apache-2.0
/**
 * A disk in memory, with the faults that a real one has. `kill` ends the process that uses it (what was
 * written stays), `crash` cuts the power (what was not synced may be lost or torn). Both give what the next
 * process finds; the object they were called on is of the dead one: its calls throw, its syncs never end.
 */
import { dirname, join, posix } from "node:path";
import { setImmediate } from "node:timers";
import type { Files, FileStat, StoreFile } from "../../src/store/files.ts";
import { type Counter, MemoryDirectory, MemoryInode, type MemoryNode, PAGE_BYTES } from "./memory_disk.ts";
import type { SeededRandom } from "./seeded_random.ts";

export type Operation =
  | "open"
  | "create"
  | "read"
  | "write"
  | "truncate"
  | "sync"
  | "rename"
  | "remove"
  | "makeDirectory"
  | "syncDirectory";

/** Calls that will fail. */
export interface FaultRule {
  operation: Operation;
  code: "EIO" | "ENOSPC" | "EMFILE" | "EACCES" | "EROFS" | "EDQUOT";
  /** Only for paths that match. */
  path?: RegExp;
  /** Calls let through before; 0 unless told. */
  skip?: number;
  /** Calls that fail, one unless told. */
  times?: number;
  /** Of a write: bytes that are written before it fails; none unless told. */
  writtenBytes?: number;
}

export interface Fault {
  /** Calls that failed by it. */
  readonly hits: number;
  /** Lets calls through again. */
  remove(): void;
}

/** Syncs under way that do not end by themselves. */
export interface SyncHold {
  /** Syncs that wait now. */
  readonly waitingCount: number;
  /** Lets them, and later ones, end. */
  release(): void;
}

export interface MemoryFilesOptions {
  /** What the disk writes in one go; smaller ones tear records in more places. A divisor of 4096. */
  sectorBytes?: number;
  /** Of the whole disk; no end unless told. */
  capacityBytes?: number;
  nowMs?: () => number;
  /** Turns of the event loop that a sync takes; one unless told. */
  syncTurns?: () => number;
}

/** What outlives processes. */
interface Disk {
  root: MemoryDirectory;
  counter: Counter;
}

/** Says `space` of a disk without an end. */
const UNBOUNDED_BYTES = 2 ** 50;

export class MemoryFileError extends Error {
  override name = "MemoryFileError";

  constructor(readonly code: string, operation: string, path: string) {
    super(`${code}: ${operation} '${path}'`);
  }
}

export class MemoryFiles implements Files {
  readonly isOnDisk = false;
  capacityBytes: number;
  #sectorBytes: number;
  #nowMs: () => number;
  #syncTurns: () => number;
  #disk: Disk;
  #isDead = false;
  #open = new Set<MemoryFile>();
  #faults: { rule: FaultRule; path: RegExp; skip: number; times: number; hits: number }[] = [];
  #hold: { ends: (() => void)[] } | undefined;
  #changeCount = 0;
  #diesAt = Infinity;

  constructor(options: MemoryFilesOptions = {}, disk?: Disk) {
    this.#sectorBytes = options.sectorBytes ?? 512;
    this.capacityBytes = options.capacityBytes ?? UNBOUNDED_BYTES;
    this.#nowMs = options.nowMs ?? (() => Date.now());
    this.#syncTurns = options.syncTurns ?? (() => 1);
    this.#disk = disk ?? { root: new MemoryDirectory(this.#nowMs()), counter: { value: 0 } };
  }

  // What tests do

  /** Files that are open now; a test that ends with any has found a leak. */
  get openPaths(): string[] {
    return [...this.#open].map((file) => file.path);
  }

  /** Calls so far that change the disk or make a change durable. */
  get changeCount(): number {
    return this.#changeCount;
  }

  /** The process ends when it comes to this change (counted from 0), which is not made. */
  dieAt(change: number): void {
    this.#diesAt = change;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  fail(rule: FaultRule): Fault {
    const fault = {
      rule,
      path: rule.path ?? /(?:)/,
      skip: rule.skip ?? 0,
      times: rule.times ?? 1,
      hits: 0,
    };
    this.#faults.push(fault);
    return {
      get hits() {
        return fault.hits;
      },
      remove: () => {
        this.#faults = this.#faults.filter((other) => other !== fault);
      },
    };
  }

  /** From now on syncs wait for the test. */
  holdSyncs(): SyncHold {
    const hold: { ends: (() => void)[] } = this.#hold = { ends: [] };
    return {
      get waitingCount() {
        return hold.ends.length;
      },
      release: () => {
        if (this.#hold === hold) this.#hold = undefined;
        for (const end of hold.ends.splice(0)) end();
      },
    };
  }

  /** Ends the process: what was written stays, durable or not. */
  kill(): MemoryFiles {
    this.#isDead = true;
    const { capacityBytes } = this;
    const options = { sectorBytes: this.#sectorBytes, nowMs: this.#nowMs, syncTurns: this.#syncTurns };
    return new MemoryFiles({ ...options, capacityBytes }, this.#disk);
  }

  /** Cuts the power: of what was not synced, `random` decides what is left. */
  crash(random: SeededRandom): MemoryFiles {
    this.#disk.root.crash(random, this.#disk.counter);
    return this.kill();
  }

  /** Changes bytes as a failing disk would: behind everyone's back, and durably. */
  damage(path: string, position: number, bytes: Uint8Array): void {
    const inode = this.#file("damage", path);
    inode.write(bytes, position, inode.modifiedMs);
    inode.settle(inode.sequence);
  }

  setModified(path: string, modifiedMs: number): void {
    this.#file("touch", path).modifiedMs = modifiedMs;
  }

  // Files

  list(directory: string): string[] {
    this.#checkAlive();
    const node = this.#find(directory);
    return node?.kind === "directory" ? [...node.entries.keys()] : [];
  }

  stat(path: string): FileStat | undefined {
    this.#checkAlive();
    const node = this.#find(path);
    return node && { kind: node.kind, sizeBytes: node.sizeBytes, modifiedMs: node.modifiedMs };
  }

  makeDirectory(path: string): void {
    this.#checkAlive();
    let directory = this.#disk.root;
    for (const name of parts(path)) {
      const known = directory.entries.get(name);
      if (known?.kind === "file") throw new MemoryFileError("EEXIST", "mkdir", path);
      if (known === undefined) {
        this.#begin("makeDirectory", path);
        const made = new MemoryDirectory(this.#nowMs());
        MemoryDirectory.change({ directory, name, node: made });
        directory = made;
      } else {
        directory = known;
      }
    }
  }

  open(path: string): StoreFile {
    this.#checkAlive();
    this.#fault("open", path);
    return this.#handle(path, this.#file("open", path));
  }

  create(path: string, sizeBytes: number): StoreFile {
    this.#checkAlive();
    if (this.#find(path) !== undefined) throw new MemoryFileError("EEXIST", "create", path);
    this.#begin("create", path);
    const inode = this.#add(path);
    inode.truncate(sizeBytes, this.#nowMs());
    return this.#handle(path, inode);
  }

  read(path: string): Uint8Array {
    this.#checkAlive();
    const inode = this.#file("read", path);
    this.#fault("read", path);
    const content = new Uint8Array(inode.sizeBytes);
    inode.read(content, 0);
    return content;
  }

  replace(path: string, content: Uint8Array, backup?: string): void {
    this.#checkAlive();
    if (backup !== undefined && this.#find(path) !== undefined) this.replace(backup, this.read(path));
    const neighbour = `${path}.tmp`;
    this.remove(neighbour);
    const file = this.create(neighbour, 0);
    try {
      file.writeAt(content, 0);
      file.syncNow();
    } finally {
      file.close();
    }
    this.rename(neighbour, path);
    this.syncDirectory(dirname(path));
  }

  rename(from: string, to: string): void {
    this.#checkAlive();
    const node = this.#find(from);
    const source = this.#parent("rename", from);
    const target = this.#parent("rename", to);
    if (node === undefined) throw new MemoryFileError("ENOENT", "rename", from);
    const old = target.entries.get(posix.basename(to));
    if (old?.kind === "directory" && old.entries.size > 0) {
      throw new MemoryFileError("ENOTEMPTY", "rename", to);
    }
    this.#begin("rename", from);
    MemoryDirectory.change(
      { directory: source, name: posix.basename(from), node: undefined },
      { directory: target, name: posix.basename(to), node },
    );
  }

  remove(path: string): void {
    this.#checkAlive();
    const node = this.#find(path);
    if (node === undefined) return;
    if (node.kind === "directory") throw new MemoryFileError("EISDIR", "remove", path);
    this.#begin("remove", path);
    const directory = this.#parent("remove", path);
    MemoryDirectory.change({ directory, name: posix.basename(path), node: undefined });
  }

  removeDirectory(path: string): void {
    this.#checkAlive();
    const node = this.#find(path);
    if (node === undefined) return;
    if (node.kind === "file") throw new MemoryFileError("ENOTDIR", "rmdir", path);
    if (node.entries.size > 0) return;
    this.#begin("remove", path);
    const directory = this.#parent("rmdir", path);
    MemoryDirectory.change({ directory, name: posix.basename(path), node: undefined });
  }

  syncDirectory(path: string): void {
    this.#checkAlive();
    const node = this.#find(path);
    if (node?.kind !== "directory") throw new MemoryFileError("ENOENT", "sync", path);
    this.#begin("syncDirectory", path);
    node.sync();
  }

  space(path: string): { totalBytes: number; freeBytes: number; usableBytes: number } {
    this.#checkAlive();
    if (this.#find(path) === undefined) throw new MemoryFileError("ENOENT", "statfs", path);
    const freeBytes = this.capacityBytes - this.#usedBytes();
    return { totalBytes: this.capacityBytes, freeBytes, usableBytes: freeBytes };
  }

  // What open files need

  /** @internal */
  readFrom(file: MemoryFile, target: Uint8Array, position: number): number {
    this.#checkAlive();
    this.#fault("read", file.path);
    return file.inode.read(target, position);
  }

  /** @internal */
  writeTo(file: MemoryFile, source: Uint8Array, position: number): void {
    this.#checkAlive();
    const fault = this.#takeFault("write", file.path);
    if (fault !== undefined) {
      file.inode.write(source.subarray(0, fault.writtenBytes ?? 0), position, this.#nowMs());
      throw new MemoryFileError(fault.code, "write", file.path);
    }
    this.#countChange();
    const fits = this.#bytesThatFit(file.inode, position, source.length);
    file.inode.write(source.subarray(0, fits), position, this.#nowMs());
    if (fits < source.length) throw new MemoryFileError("ENOSPC", "write", file.path);
  }

  /** @internal */
  truncate(file: MemoryFile, sizeBytes: number): void {
    this.#checkAlive();
    this.#begin("truncate", file.path);
    file.inode.truncate(sizeBytes, this.#nowMs());
  }

  /** @internal */
  syncNow(file: MemoryFile): void {
    this.#checkAlive();
    this.#endSync(file, file.inode.sequence, this.#beginSync(file));
  }

  /** @internal Begins now; what is written later is not in it. */
  async sync(file: MemoryFile): Promise<void> {
    this.#checkAlive();
    const { sequence } = file.inode;
    const fault = this.#beginSync(file);
    if (this.#hold !== undefined) await new Promise<void>((resolve) => this.#hold!.ends.push(resolve));
    else for (let left = this.#syncTurns(); left > 0; left--) await turnEnds();
    if (this.#isDead) await new Promise<never>(() => {});
    this.#endSync(file, sequence, fault);
  }

  /** @internal */
  forget(file: MemoryFile): void {
    this.#open.delete(file);
  }

  #beginSync(file: MemoryFile): FaultRule | undefined {
    this.#countChange();
    return this.#takeFault("sync", file.path);
  }

  #endSync(file: MemoryFile, sequence: number, fault: FaultRule | undefined): void {
    if (fault === undefined) {
      file.inode.settle(sequence);
    } else {
      file.inode.doubt(sequence);
      throw new MemoryFileError(fault.code, "sync", file.path);
    }
  }

  /** Of a call that changes something: may throw by a fault, or end the process. */
  #begin(operation: Operation, path: string): void {
    this.#fault(operation, path);
    this.#countChange();
  }

  #countChange(): void {
    if (this.#changeCount++ < this.#diesAt) return;
    this.#isDead = true;
    this.#checkAlive();
  }

  #checkAlive(): void {
    if (this.#isDead) throw new MemoryFileError("ESRCH", "the process has ended", "");
  }

  #fault(operation: Operation, path: string): void {
    const rule = this.#takeFault(operation, path);
    if (rule !== undefined) throw new MemoryFileError(rule.code, operation, path);
  }

  #takeFault(operation: Operation, path: string): FaultRule | undefined {
    for (const fault of this.#faults) {
      if (fault.rule.operation !== operation || fault.times === 0 || !fault.path.test(path)) continue;
      if (fault.skip > 0) {
        fault.skip--;
        continue;
      }
      fault.times--;
      fault.hits++;
      return fault.rule;
    }
    return undefined;
  }

  /** Whole pages of a write, until the disk is full. */
  #bytesThatFit(inode: MemoryInode, position: number, bytes: number): number {
    if (this.capacityBytes === UNBOUNDED_BYTES) return bytes;
    let freePages = Math.floor((this.capacityBytes - this.#usedBytes()) / PAGE_BYTES);
    for (let at = position; at < position + bytes; at += PAGE_BYTES - at % PAGE_BYTES) {
      if (inode.pagesMissing(at, 1) > 0 && freePages-- <= 0) return at - position;
    }
    return bytes;
  }

  #usedBytes(directory = this.#disk.root): number {
    let bytes = 0;
    for (const node of directory.entries.values()) {
      bytes += node.kind === "directory" ? this.#usedBytes(node) : node.pageCount * PAGE_BYTES;
    }
    return bytes;
  }

  #handle(path: string, inode: MemoryInode): StoreFile {
    const file = new MemoryFile(this, path, inode);
    this.#open.add(file);
    return file;
  }

  #add(path: string): MemoryInode {
    const inode = new MemoryInode(this.#sectorBytes, this.#disk.counter, this.#nowMs());
    MemoryDirectory.change({
      directory: this.#parent("create", path),
      name: posix.basename(path),
      node: inode,
    });
    return inode;
  }

  #file(operation: string, path: string): MemoryInode {
    const node = this.#find(path);
    if (node === undefined) throw new MemoryFileError("ENOENT", operation, path);
    if (node.kind === "directory") throw new MemoryFileError("EISDIR", operation, path);
    return node;
  }

  #parent(operation: string, path: string): MemoryDirectory {
    const node = this.#find(join(path, ".."));
    if (node?.kind !== "directory") throw new MemoryFileError("ENOENT", operation, path);
    return node;
  }

  #find(path: string): MemoryNode | undefined {
    let node: MemoryNode | undefined = this.#disk.root;
    for (const name of parts(path)) {
      if (node?.kind !== "directory") return undefined;
      node = node.entries.get(name);
    }
    return node;
  }
}

class MemoryFile implements StoreFile {
  #files: MemoryFiles;
  #isClosed = false;

  constructor(files: MemoryFiles, readonly path: string, readonly inode: MemoryInode) {
    this.#files = files;
  }

  sizeBytes(): number {
    this.#checkOpen();
    return this.inode.sizeBytes;
  }

  readAt(target: Uint8Array, position: number): number {
    this.#checkOpen();
    return this.#files.readFrom(this, target, position);
  }

  async readAtAsync(target: Uint8Array, position: number): Promise<number> {
    this.#checkOpen();
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (this.#files.isDead) await new Promise<never>(() => {});
    return this.#files.readFrom(this, target, position);
  }

  writeAt(source: Uint8Array, position: number): void {
    this.#checkOpen();
    this.#files.writeTo(this, source, position);
  }

  truncate(sizeBytes: number): void {
    this.#checkOpen();
    this.#files.truncate(this, sizeBytes);
  }

  async sync(): Promise<void> {
    this.#checkOpen();
    await this.#files.sync(this);
  }

  syncNow(): void {
    this.#checkOpen();
    this.#files.syncNow(this);
  }

  close(): void {
    this.#isClosed = true;
    this.#files.forget(this);
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new MemoryFileError("EBADF", "use after close", this.path);
  }
}

function turnEnds(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function parts(path: string): string[] {
  return posix.normalize(path).split("/").filter((part) => part !== "" && part !== ".");
}
