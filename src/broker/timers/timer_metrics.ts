// SPDX-License-Identifier: Apache-2.0
/** `config/timermetrics`: how many messages of each topic wait for their moment. [RMQ TimerMetrics] */
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../base/clock.ts";
import { DataVersion } from "../../protocol/bodies/data_version.ts";
import { javaHashCode } from "../../protocol/java_string.ts";
import { asInteger, asObject } from "../../protocol/bodies/json_fields.ts";
import { ConfigFileError, formatJson, type JsonFile } from "../json_file.ts";

const logger = getLogger(["rmq", "broker"]);

interface Metric {
  count: number;
  timestampMs: number;
}

export class TimerMetrics {
  #file: JsonFile;
  #clock: Clock;
  #metrics: Map<string, Metric>;
  #dataVersion: DataVersion;
  #isChanged = false;

  constructor(file: JsonFile, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
    const stored = loadMetrics(file);
    this.#metrics = new Map(stored?.metrics);
    this.#dataVersion = stored?.dataVersion ?? DataVersion.initial(clock.nowMs());
  }

  add(topic: string, step: number): void {
    const nowMs = this.#clock.nowMs();
    const metric = this.#metrics.get(topic);
    if (metric === undefined) this.#metrics.set(topic, { count: step, timestampMs: nowMs });
    else {
      metric.count += step;
      metric.timestampMs = nowMs;
    }
    this.#isChanged = true;
  }

  countOf(topic: string): number {
    return this.#metrics.get(topic)?.count ?? 0;
  }

  /**
   * Corrects the counts by what really waits, which a crash may have put them off.
   * @param counts by the hash of the topic; topics that share one keep theirs
   */
  correct(counts: ReadonlyMap<number, number>): void {
    const topics = Map.groupBy(this.#metrics.keys(), (topic) => javaHashCode(topic));
    for (const [hash, [topic, ...others]] of topics) {
      const step = (counts.get(hash) ?? 0) - this.countOf(topic);
      if (others.length === 0 && step !== 0) this.add(topic, step);
    }
  }

  /** Forgets topics that are gone. */
  keepOnly(exists: (topic: string) => boolean): void {
    for (const topic of this.#metrics.keys()) {
      if (exists(topic)) continue;
      this.#metrics.delete(topic);
      this.#isChanged = true;
    }
  }

  /** As in the file, and as answered to GET_TIMER_METRICS. */
  toJson(): unknown {
    const timingCount = [...this.#metrics].map(([topic, { count, timestampMs }]) =>
      [topic, { count, timeStamp: timestampMs }] as const
    );
    return { dataVersion: this.#dataVersion.toJson(), timingCount: new Map(timingCount) };
  }

  /** Writes what has changed; durable when the promise resolves. @throws what the disk says */
  async persist(): Promise<void> {
    if (!this.#isChanged) return;
    this.#isChanged = false;
    this.#dataVersion = this.#dataVersion.next(this.#clock.nowMs());
    try {
      await this.#file.writeInPieces([formatJson(this.toJson())]);
    } catch (error) {
      this.#isChanged = true;
      throw error;
    }
  }
}

/** No message depends on counts, so a file that can't be read is no reason not to start. */
function loadMetrics(file: JsonFile): { metrics: [string, Metric][]; dataVersion: DataVersion } | undefined {
  try {
    return file.load((object) => ({
      metrics: Object.entries(asObject(object.timingCount)).map(([topic, value]): [string, Metric] => {
        const { count, timeStamp } = asObject(value);
        return [topic, { count: asInteger(count, 0), timestampMs: asInteger(timeStamp, 0) }];
      }),
      dataVersion: DataVersion.fromJson(object.dataVersion),
    }));
  } catch (error) {
    if (!(error instanceof ConfigFileError)) throw error;
    logger.warn("{error}; timed messages are counted from 0 on", { error });
    return undefined;
  }
}
