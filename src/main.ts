// SPDX-License-Identifier: Apache-2.0
import process from "node:process";
import { processSurroundings } from "./cli/process.ts";
import { run } from "./cli/run.ts";

const surroundings = processSurroundings();
const status = await run(process.argv.slice(2), surroundings);
await surroundings.exit(status);
