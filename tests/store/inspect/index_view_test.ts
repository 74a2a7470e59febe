// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { after, before, test } from "node:test";
import type { IndexShape } from "../../../src/store/index_file.ts";
import { DEFAULT_INDEX_SHAPE, IndexView } from "../../../src/store/inspect/index_view.ts";
import { diskReader, type StoreReader } from "../../../src/store/inspect/reader.ts";
import { draft, openStore, temporaryDirectory, visible } from "../../harness/store.ts";
import { indexFiles, intBytes, patch } from "./planted_store.ts";

let reader: StoreReader;

before(() => {
  reader = diskReader();
});

after(() => reader.close());

/** An index with this shape and so many entries. */
async function makeIndex(
  shape: IndexShape,
  entryCount: number,
): Promise<{ files: string[]; remove(): void }> {
  const directory = temporaryDirectory();
  const store = await openStore(directory.path, {
    indexHashSlotCount: shape.slotCount,
    indexEntryCount: shape.entryCount,
  });
  for (let number = 0; number < entryCount; number++) store.append(draft("TopicA", String(number)));
  await visible(store);
  await store.close();
  return { files: indexFiles(directory.path), remove: directory.remove };
}

const open = (path: string) => IndexView.open(reader, { path, sizeBytes: statSync(path).size })!;

test("the numbers of slots and entries are found from what the file holds", async () => {
  // All of one size: 5 slots weigh as much as one entry.
  const shapes = [{ slotCount: 100, entryCount: 400 }, { slotCount: 1000, entryCount: 220 }, {
    slotCount: 7,
    entryCount: 123,
  }];
  for (const shape of shapes) {
    for (const entryCount of [1, 2, 100, shape.entryCount - 1, shape.entryCount + 50]) {
      const index = await makeIndex(shape, entryCount);
      for (const file of index.files) {
        if (open(file).isEmpty) continue;
        assert.deepEqual(open(file).shape([DEFAULT_INDEX_SHAPE]), shape, `${entryCount} entries`);
        assert.deepEqual(open(file).shape([shape]), shape);
      }
      index.remove();
    }
  }
});

test("a file of which slots and entries do not fit each other has no shape", async () => {
  const index = await makeIndex({ slotCount: 100, entryCount: 400 }, 50);
  const [file] = index.files;
  patch(file, 36, intBytes(40)); // the header counts fewer than it tells the end of
  assert.equal(open(file).shape([DEFAULT_INDEX_SHAPE, { slotCount: 100, entryCount: 400 }]), undefined);
  index.remove();
});

test("entries and slots are read in order", async () => {
  const shape = { slotCount: 100, entryCount: 400 };
  const index = await makeIndex(shape, 50);
  const view = open(index.files[0]);
  const entries = [...view.entries(shape)].length;
  assert.equal(entries, 50);
  assert.equal(view.header.count, 51);
  let used = 0;
  for (const { bytes } of view.slots(shape)) {
    for (let at = 0; at < bytes.length; at += 4) if (bytes.readInt32BE(at) > 0) used++;
  }
  assert.equal(used, view.header.usedSlots);
  index.remove();
});
