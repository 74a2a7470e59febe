// SPDX-License-Identifier: Apache-2.0
/** What a metric is to those who make one: a name, and samples that are taken when somebody looks. */

export type Labels = Readonly<Record<string, string | number>>;

export interface Sample {
  labels: Labels;
  value: number;
  /** Of a histogram. */
  suffix?: "_bucket" | "_sum" | "_count";
}

export interface Family {
  /** With its unit, as samples of Apache's exporter are named. */
  name: string;
  help: string;
  type: "gauge" | "counter" | "histogram";
  samples(): Iterable<Sample>;
}

export const NO_LABELS: Labels = {};

/** A gauge without labels of its own. */
export function gauge(name: string, help: string, value: () => number, labels: Labels = NO_LABELS): Family {
  return { name, help, type: "gauge", samples: () => [{ labels, value: value() }] };
}
