// SPDX-License-Identifier: Apache-2.0
/** What every implementation of `Files` does. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import type { Files, StoreFile } from "../../src/store/files.ts";

export interface FilesUnderTest {
  files: Files;
  /** An empty directory. */
  root: string;
  cleanUp(): void;
}

export function describeFiles(name: string, make: () => FilesUnderTest): void {
  describe(name, () => {
    let files: Files;
    let root: string;
    let cleanUp: () => void;
    const at = (...names: string[]) => join(root, ...names);
    const bytes = (...values: number[]) => Uint8Array.from(values);
    const text = (value: string) => new TextEncoder().encode(value);

    beforeEach(() => {
      ({ files, root, cleanUp } = make());
    });
    afterEach(() => cleanUp());

    function readAll(file: StoreFile): number[] {
      const target = new Uint8Array(file.sizeBytes());
      file.readAt(target, 0);
      return [...target];
    }

    test("list() gives names of files and directories, and nothing for a directory that is missing", () => {
      assert.deepEqual(files.list(at("missing")), []);
      files.makeDirectory(at("directory", "below"));
      files.create(at("directory", "file"), 1).close();
      assert.deepEqual(files.list(at("directory")).sort(), ["below", "file"]);
      assert.deepEqual(files.list(at("directory", "below")), []);
    });

    test("stat() tells files, directories and nothing apart", () => {
      const nowMs = Date.now();
      files.create(at("file"), 5000).close();
      const file = files.stat(at("file"));
      assert.equal(file?.kind, "file");
      assert.equal(file?.sizeBytes, 5000);
      assert.ok(Math.abs(file!.modifiedMs - nowMs) < 60_000);
      assert.equal(files.stat(root)?.kind, "directory");
      assert.equal(files.stat(at("missing")), undefined);
      assert.equal(files.stat(at("file", "below")), undefined);
    });

    test("makeDirectory() makes parents, and leaves what is there", () => {
      files.makeDirectory(at("a", "b", "c"));
      files.create(at("a", "b", "file"), 0).close();
      files.makeDirectory(at("a", "b", "c"));
      assert.deepEqual(files.list(at("a", "b")).sort(), ["c", "file"]);
    });

    test("open() of a file that is missing throws ENOENT", () => {
      assert.throws(() => files.open(at("missing")), { code: "ENOENT" });
    });

    test("create() makes a file of zeros, not where there is one or no directory", () => {
      const file = files.create(at("file"), 10);
      assert.deepEqual(readAll(file), Array(10).fill(0));
      file.writeAt(bytes(7), 3);
      file.close();
      assert.throws(() => files.create(at("file"), 10), { code: "EEXIST" });
      assert.throws(() => files.create(at("missing", "file"), 10), { code: "ENOENT" });
      assert.equal(files.read(at("file"))[3], 7);
    });

    test("writeAt() and readAt() reach beyond 4 GiB", () => {
      const sizeBytes = 5_000_000_000;
      const file = files.create(at("large"), sizeBytes);
      for (const position of [0, 2 ** 31 - 2, 2 ** 32 - 2, sizeBytes - 4]) {
        file.writeAt(bytes(1, 2, 3, 4), position);
        const target = new Uint8Array(4);
        assert.equal(file.readAt(target, position), 4);
        assert.deepEqual([...target], [1, 2, 3, 4]);
      }
      assert.equal(file.sizeBytes(), sizeBytes);
      file.close();
    });

    test("readAt() returns fewer bytes only at the end of the file", async () => {
      const file = files.create(at("file"), 0);
      file.writeAt(bytes(1, 2, 3), 0);
      const target = new Uint8Array(10).fill(9);
      assert.equal(file.readAt(target, 1), 2);
      assert.deepEqual([...target.subarray(0, 3)], [2, 3, 9]);
      assert.equal(file.readAt(target, 3), 0);
      assert.equal(file.readAt(target, 100), 0);
      assert.equal(await file.readAtAsync(target, 0), 3);
      assert.equal(await file.readAtAsync(target, 100), 0);
      assert.equal(file.readAt(new Uint8Array(0), 0), 0);
      file.close();
    });

    test("reads and writes use the part of the buffer that they are given", async () => {
      const file = files.create(at("file"), 8);
      const buffer = bytes(0, 1, 2, 3, 4, 5, 6, 7);
      file.writeAt(buffer.subarray(2, 5), 1);
      assert.deepEqual(readAll(file), [0, 2, 3, 4, 0, 0, 0, 0]);
      file.readAt(buffer.subarray(6, 8), 2);
      assert.deepEqual([...buffer], [0, 1, 2, 3, 4, 5, 3, 4]);
      await file.readAtAsync(buffer.subarray(0, 1), 3);
      assert.deepEqual([...buffer], [4, 1, 2, 3, 4, 5, 3, 4]);
      file.close();
    });

    test("truncate() cuts, and what is added reads as zeros", () => {
      const file = files.create(at("file"), 0);
      file.writeAt(new Uint8Array(10_000).fill(1), 0);
      file.truncate(5001);
      assert.equal(file.sizeBytes(), 5001);
      file.truncate(10_000);
      const target = new Uint8Array(10_000);
      assert.equal(file.readAt(target, 0), 10_000);
      assert.equal(target.indexOf(0), 5001);
      assert.equal(target.lastIndexOf(1), 5000);
      file.close();
    });

    test("two handles of one file see each other's writes", () => {
      const one = files.create(at("file"), 4);
      const other = files.open(at("file"));
      one.writeAt(bytes(5), 2);
      assert.deepEqual(readAll(other), [0, 0, 5, 0]);
      one.close();
      other.writeAt(bytes(6), 0);
      assert.deepEqual([...files.read(at("file"))], [6, 0, 5, 0]);
      other.close();
    });

    test("sync() and syncNow() succeed on a healthy disk", async () => {
      const file = files.create(at("file"), 100);
      file.writeAt(bytes(1), 0);
      await file.sync();
      await Promise.all([file.sync(), file.sync()]);
      file.syncNow();
      files.syncDirectory(root);
      file.close();
      assert.throws(() => files.syncDirectory(at("missing")), { code: "ENOENT" });
    });

    test("a closed file refuses everything, and touches no file opened after it", async () => {
      const file = files.create(at("closed"), 4);
      file.close();
      file.close();
      const other = files.create(at("other"), 4);
      assert.throws(() => file.writeAt(bytes(9), 0));
      assert.throws(() => file.readAt(new Uint8Array(1), 0));
      assert.throws(() => file.truncate(0));
      assert.throws(() => file.sizeBytes());
      assert.throws(() => file.syncNow());
      await assert.rejects(file.sync());
      await assert.rejects(file.readAtAsync(new Uint8Array(1), 0));
      assert.deepEqual(readAll(other), [0, 0, 0, 0]);
      other.close();
    });

    test("close() lets reads and syncs under way finish with this file's bytes", async () => {
      for (let round = 0; round < 20; round++) {
        const file = files.create(at(`file${round}`), 4096);
        file.writeAt(new Uint8Array(4096).fill(1), 0);
        const target = new Uint8Array(4096);
        const work = Promise.all([file.sync(), file.readAtAsync(target, 0)]);
        file.close();
        const other = files.create(at(`other${round}`), 4096);
        assert.equal((await work)[1], 4096);
        assert.ok(target.every((value) => value === 1));
        other.close();
      }
    });

    test("read() gives a whole file and throws ENOENT for none", () => {
      files.replace(at("file"), text("content"));
      assert.deepEqual([...files.read(at("file"))], [...text("content")]);
      assert.throws(() => files.read(at("missing")), { code: "ENOENT" });
    });

    test("replace() makes or replaces a file, keeps the old content as told, and leaves nothing else", () => {
      files.replace(at("file"), text("a first, longer content"), at("file.bak"));
      assert.deepEqual(files.list(root), ["file"]);
      files.replace(at("file"), text("second"), at("file.bak"));
      files.replace(at("file"), text("third"), at("file.bak"));
      assert.deepEqual(files.list(root).sort(), ["file", "file.bak"]);
      assert.equal(new TextDecoder().decode(files.read(at("file"))), "third");
      assert.equal(new TextDecoder().decode(files.read(at("file.bak"))), "second");
    });

    test("rename() moves a file over another one", () => {
      files.replace(at("from"), text("moved"));
      files.replace(at("to"), text("replaced"));
      files.rename(at("from"), at("to"));
      assert.deepEqual(files.list(root), ["to"]);
      assert.equal(new TextDecoder().decode(files.read(at("to"))), "moved");
      assert.throws(() => files.rename(at("from"), at("to")), { code: "ENOENT" });
    });

    test("remove() takes a file or nothing; one that is open can still be read", () => {
      files.remove(at("missing"));
      const file = files.create(at("file"), 4);
      file.writeAt(bytes(1, 2, 3, 4), 0);
      files.remove(at("file"));
      assert.deepEqual(files.list(root), []);
      assert.deepEqual(readAll(file), [1, 2, 3, 4]);
      file.close();
    });

    test("removeDirectory() takes an empty directory or nothing", () => {
      files.removeDirectory(at("missing"));
      files.makeDirectory(at("full", "empty"));
      files.removeDirectory(at("full"));
      assert.deepEqual(files.list(root), ["full"]);
      files.removeDirectory(at("full", "empty"));
      files.removeDirectory(at("full"));
      assert.deepEqual(files.list(root), []);
    });

    test("space() tells more bytes in all than free ones, and of these the usable ones", () => {
      const { totalBytes, freeBytes, usableBytes } = files.space(root);
      assert.ok(totalBytes >= freeBytes && freeBytes >= usableBytes && usableBytes > 0);
      assert.ok([totalBytes, freeBytes, usableBytes].every(Number.isSafeInteger));
    });

    test("any writes and cuts leave what they would leave of an array", () => {
      const position = fc.nat(20_000);
      const step = fc.oneof(
        fc.record({
          kind: fc.constant("write" as const),
          position,
          data: fc.uint8Array({ maxLength: 9000 }),
        }),
        fc.record({ kind: fc.constant("truncate" as const), position }),
      );
      let round = 0;
      fc.assert(
        fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
          const file = files.create(at(`file${round++}`), 0);
          let model = new Uint8Array(0);
          const resize = (size: number) => {
            const old = model;
            model = new Uint8Array(size);
            model.set(old.subarray(0, size));
          };
          for (const step of steps) {
            if (step.kind === "truncate") {
              file.truncate(step.position);
              resize(step.position);
            } else if (step.data.length > 0) {
              file.writeAt(step.data, step.position);
              resize(Math.max(model.length, step.position + step.data.length));
              model.set(step.data, step.position);
            }
          }
          const found = files.read(file.path);
          file.close();
          assert.equal(found.length, model.length);
          assert.ok(found.every((value, index) => value === model[index]));
        }),
        { numRuns: 50 },
      );
    });
  });
}
