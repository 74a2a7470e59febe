// SPDX-License-Identifier: Apache-2.0
/** A process of its own for the tests of the lock: takes it, says so, and keeps it until its input ends. */
import process from "node:process";
import { lockFile } from "../../../src/base/runtime/file_lock.ts";

try {
  const lock = await lockFile(process.argv[2], 0);
  process.stdout.write(`LOCKED ${process.pid}\n`);
  process.stdin.on("data", () => {}).on("end", () => {
    lock.release();
    process.stdout.write("RELEASED\n");
  });
} catch (error) {
  process.stdout.write(`REFUSED ${(error as Error).message}\n`);
}
