// SPDX-License-Identifier: Apache-2.0
import process from "node:process";
import { isMainThread } from "node:worker_threads";
import { processSurroundings } from "./cli/process.ts";
import { run } from "./cli/run.ts";
import { startWorker, workerSurroundings } from "./cli/worker.ts";

if (isMainThread) {
  const surroundings = processSurroundings();
  const status = await run(process.argv.slice(2), {
    ...surroundings,
    inWorker: (args, out) => startWorker(import.meta.url, args, out),
  });
  await surroundings.exit(status);
} else {
  const { args, surroundings, exit } = workerSurroundings();
  exit(await run(args, surroundings));
}
