// SPDX-License-Identifier: Apache-2.0
import type { Json } from "../java_json.ts";
import { asInteger, asObject } from "./json_fields.ts";

/**
 * The version of a broker's table (topics, groups, …). Readers only ask whether it differs from what they
 * have; the order is used where two masters of one broker are compared. A value: changes give a new one.
 * Written as `{"counter":3,"stateVersion":0,"timestamp":1700000000000}`. [RMQ DataVersion]
 */
export class DataVersion {
  constructor(
    readonly stateVersion: number,
    readonly timestampMs: number,
    readonly counter: number,
  ) {}

  /** What a name server keeps of a broker that registers without any table. */
  static readonly ZERO: DataVersion = new DataVersion(0, 0, 0);

  /** The version of a table that was never changed. */
  static initial(nowMs: number): DataVersion {
    return new DataVersion(0, nowMs, 0);
  }

  /** The version after one more change. */
  next(nowMs: number, stateVersion: number = this.stateVersion): DataVersion {
    return new DataVersion(stateVersion, nowMs, this.counter + 1);
  }

  equals(other: DataVersion | undefined): boolean {
    return other !== undefined && this.stateVersion === other.stateVersion &&
      this.timestampMs === other.timestampMs && this.counter === other.counter;
  }

  /** Negative if this one is older, by state version, then counter, then time. */
  compare(other: DataVersion): number {
    return this.stateVersion - other.stateVersion || this.counter - other.counter ||
      this.timestampMs - other.timestampMs;
  }

  /** The value for `stringifyJson`. */
  toJson(): { counter: number; stateVersion: number; timestamp: number } {
    return { counter: this.counter, stateVersion: this.stateVersion, timestamp: this.timestampMs };
  }

  /** Absent members (4.9 knows no state version) are 0. */
  static fromJson(value: Json | undefined): DataVersion {
    const object = asObject(value);
    return new DataVersion(
      asInteger(object.stateVersion, 0),
      asInteger(object.timestamp, 0),
      asInteger(object.counter, 0),
    );
  }
}
