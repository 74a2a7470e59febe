// SPDX-License-Identifier: Apache-2.0
// Loaded into the server that is measured, before its own program; see loop_delay.ts.
import { renameSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import process from "node:process";

const file = process.env.RMQ_BENCH_LOOP_DELAY;
/** Milliseconds between the timers whose lateness is recorded. */
const RESOLUTION_MS = 5;
let signals = 0;
let histogram;

/** Whole or not at all, for it is read by another process. */
function note(delay) {
  writeFileSync(`${file}.new`, JSON.stringify({ signals, delay }));
  renameSync(`${file}.new`, file);
}

if (file) {
  note(); // there is somebody to take signals
  process.on("SIGUSR2", () => {
    signals++;
    if (histogram === undefined) {
      histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
      histogram.enable();
      return note();
    }
    histogram.disable();
    note({
      p50Micros: histogram.percentile(50) / 1000,
      p99Micros: histogram.percentile(99) / 1000,
      maxMicros: histogram.max / 1000,
    });
    histogram = undefined;
  });
}
