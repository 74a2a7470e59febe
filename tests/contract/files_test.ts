// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import assert from "node:assert/strict";
import { diskFiles } from "../../src/store/disk_files.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { describeFiles } from "./files_contract.ts";

describeFiles("diskFiles", () => {
  const root = mkdtempSync(join(tmpdir(), "rmq-files-"));
  return { files: diskFiles, root, cleanUp: () => rmSync(root, { recursive: true }) };
});

describeFiles("MemoryFiles", () => {
  const files = new MemoryFiles();
  files.makeDirectory("/root");
  return { files, root: "/root", cleanUp: () => assert.deepEqual(files.openPaths, []) };
});
