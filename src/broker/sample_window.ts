// SPDX-License-Identifier: Apache-2.0
/** What something has counted since start. Handlers add to the fields; sampling reads them. */
export interface Counts {
  /** Requests (batches, pulls). */
  times: number;
  messages: number;
  bytes: number;
}

/** The three numbers that tools are shown of a window. [RMQ BrokerStatsItem] */
export interface WindowStats {
  /** Growth within the window. */
  sum: number;
  /** Growth per second. */
  tps: number;
  /** Growth per time counted; 0 where nothing was. */
  avgpt: number;
}

const NOTHING: WindowStats = { sum: 0, tps: 0, avgpt: 0 };

/**
 * The last samples of some counts, from which their growth over the window is read. Before the first sample
 * stands one of zeros, a period earlier, so that what came before it is seen too. [RMQ StatsItem]
 */
export class SampleWindow {
  readonly #samples: { atMs: number; times: number; messages: number; bytes: number }[] = [];

  constructor(readonly periodMs: number, readonly sampleCount: number) {}

  /** To be called every `periodMs`. */
  sample(counts: Counts, nowMs: number): void {
    const samples = this.#samples;
    if (samples.length === 0) samples.push({ atMs: nowMs - this.periodMs, times: 0, messages: 0, bytes: 0 });
    const sample = samples.length >= this.sampleCount ? samples.shift()! : ({} as typeof samples[0]);
    sample.atMs = nowMs;
    sample.times = counts.times;
    sample.messages = counts.messages;
    sample.bytes = counts.bytes;
    samples.push(sample);
  }

  stats(of: "times" | "messages" | "bytes"): WindowStats {
    const first = this.#samples[0];
    const last = this.#samples[this.#samples.length - 1];
    if (first === undefined || last.atMs <= first.atMs) return NOTHING;
    const sum = last[of] - first[of];
    const times = last.times - first.times;
    return { sum, tps: sum * 1000 / (last.atMs - first.atMs), avgpt: times > 0 ? sum / times : 0 };
  }
}
