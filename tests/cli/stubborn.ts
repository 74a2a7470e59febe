// SPDX-License-Identifier: Apache-2.0
// A process that is asked to end and doesn't: started by process_test.ts.
import { setInterval } from "node:timers";
import { processSurroundings } from "../../src/cli/process.ts";

const { print, stopRequested } = processSurroundings();
setInterval(() => {}, 1000);
print("ready\n");
await stopRequested;
print("asked\n");
