// SPDX-License-Identifier: Apache-2.0
/** Ratios to Apache as they were once, on this machine, and whether today's are worse. */

/** How much better rmq was than Apache: 2 is twice the messages, or half the processor time of each. */
export interface Ratios {
  readonly messagesPerSecond?: number;
  readonly cpuPerMessage?: number;
}

export interface Baseline {
  /** What the ratios belong to; other machines have others. */
  readonly machine: string;
  /** When, and which rmq. */
  readonly recorded: string;
  readonly workloads: Readonly<Record<string, Ratios>>;
}

/** What today's ratios must reach, as a share of the recorded ones. */
export const LEAST_SHARE = 0.85;

/** Nothing where both have no figure, or Apache's is 0. */
export function ratiosOf(own: Measured | undefined, reference: Measured | undefined): Ratios {
  const over = (more?: number, less?: number) => more && less ? more / less : undefined;
  return {
    messagesPerSecond: over(own?.messagesPerSecond, reference?.messagesPerSecond),
    cpuPerMessage: over(reference?.cpuMicrosPerMessage, own?.cpuMicrosPerMessage),
  };
}

interface Measured {
  readonly messagesPerSecond: number;
  readonly cpuMicrosPerMessage?: number;
}

export interface Verdict {
  /** One line per workload and ratio. */
  readonly lines: readonly string[];
  readonly isWorse: boolean;
}

/** A ratio that was recorded and is missing now counts as worse; one that is new is only shown. */
export function compare(recorded: Baseline["workloads"], now: Baseline["workloads"]): Verdict {
  const lines: string[] = [];
  let isWorse = false;
  for (const name of Object.keys(now)) {
    for (const key of ["messagesPerSecond", "cpuPerMessage"] as const) {
      const [was, is] = [recorded[name]?.[key], now[name][key]];
      if (was === undefined && is === undefined) continue;
      const failed = was !== undefined && !(is !== undefined && is >= was * LEAST_SHARE);
      isWorse ||= failed;
      const share = was !== undefined && is !== undefined ? ` (${(is / was * 100).toFixed(0)} %)` : "";
      lines.push(
        `${name}, ${LABELS[key]}: ${text(is)}, recorded ${text(was)}${share}${failed ? " WORSE" : ""}`,
      );
    }
  }
  return { lines, isWorse };
}

const LABELS = {
  messagesPerSecond: "msgs/s to Apache's",
  cpuPerMessage: "Apache's CPU/msg to ours",
} as const;

function text(ratio: number | undefined): string {
  return ratio === undefined ? "none" : `${ratio.toFixed(2)}×`;
}

/** @throws where `text` is no baseline */
export function parseBaseline(text: string): Baseline {
  const value = JSON.parse(text);
  const isBaseline = typeof value?.machine === "string" && typeof value.recorded === "string" &&
    typeof value.workloads === "object" && value.workloads !== null;
  if (!isBaseline) throw new Error("not a baseline: machine, recorded or workloads is missing");
  return value;
}
