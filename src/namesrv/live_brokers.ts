// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "../base/clock.ts";
import type { DataVersion } from "../protocol/bodies/data_version.ts";
import type { Connection } from "../remoting/connection.ts";

/** A broker process that gives signs of life. */
export interface LiveBroker {
  readonly cluster: string;
  readonly address: string;
  /** The groups it registered in; more than one only where processes share an address. */
  readonly brokerNames: ReadonlySet<string>;
  /** Absent where the broker gives none. */
  readonly dataVersion: DataVersion | undefined;
  readonly haServerAddr: string | undefined;
  readonly timeoutMs: number;
  readonly connection: Connection;
}

interface Entry extends LiveBroker {
  readonly brokerNames: Set<string>;
  lastSeenMs: number;
}

/**
 * Who is alive. A broker is given up when its connection closes, or when it gave no sign of life for as long
 * as it said itself. Its later connection replaces the earlier one, whose end then means nothing.
 */
export class LiveBrokers {
  readonly #entries = new Map<string, Entry>();
  /** Connection to the keys of the brokers that came by it last. */
  readonly #keysByConnection = new Map<Connection, Set<string>>();
  readonly #clock: Clock;
  readonly #onGone: (broker: LiveBroker, reason: string) => void;

  /** @param onGone called after a broker was given up and removed, with the reason for the log */
  constructor(clock: Clock, onGone: (broker: LiveBroker, reason: string) => void) {
    this.#clock = clock;
    this.#onGone = onGone;
  }

  get(cluster: string, address: string): LiveBroker | undefined {
    return this.#entries.get(brokerKey(cluster, address));
  }

  /** Adds or replaces; `brokerName` is added to the names it had. */
  put(broker: Omit<LiveBroker, "brokerNames">, brokerName: string): void {
    const key = brokerKey(broker.cluster, broker.address);
    const previous = this.#entries.get(key);
    if (previous !== undefined && previous.connection !== broker.connection) this.#release(key, previous);
    const brokerNames = new Set(previous?.brokerNames).add(brokerName);
    this.#entries.set(key, { ...broker, brokerNames, lastSeenMs: this.#clock.monotonicMs() });
    const keys = this.#keysByConnection.get(broker.connection);
    if (keys !== undefined) {
      keys.add(key);
      return;
    }
    this.#keysByConnection.set(broker.connection, new Set([key]));
    broker.connection.onClose(() => this.#onClose(broker.connection));
  }

  /** Notes a sign of life of a broker that is known. */
  touch(cluster: string, address: string): void {
    const entry = this.#entries.get(brokerKey(cluster, address));
    if (entry !== undefined) entry.lastSeenMs = this.#clock.monotonicMs();
  }

  /** Takes one name from a broker, and the broker itself with its last name. */
  remove(cluster: string, address: string, brokerName: string): void {
    const key = brokerKey(cluster, address);
    const entry = this.#entries.get(key);
    if (!entry?.brokerNames.delete(brokerName) || entry.brokerNames.size > 0) return;
    this.#entries.delete(key);
    this.#release(key, entry);
  }

  /** Forgets everybody, without giving them up. */
  clear(): void {
    this.#entries.clear();
    this.#keysByConnection.clear();
  }

  /** Gives up those that were silent for too long, and closes connections that no other broker uses. */
  expire(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [key, entry] of [...this.#entries]) {
      if (entry.lastSeenMs + entry.timeoutMs >= nowMs || !this.#entries.delete(key)) continue;
      this.#release(key, entry);
      this.#onGone(entry, `no sign of life for more than ${entry.timeoutMs} ms`);
      if (!this.#keysByConnection.get(entry.connection)?.size) entry.connection.close();
    }
  }

  /** The connection stays known while it is open, so that it is listened to only once. */
  #release(key: string, entry: Entry): void {
    this.#keysByConnection.get(entry.connection)?.delete(key);
  }

  #onClose(connection: Connection): void {
    const keys = this.#keysByConnection.get(connection) ?? [];
    this.#keysByConnection.delete(connection);
    for (const key of keys) {
      const entry = this.#entries.get(key);
      this.#entries.delete(key);
      if (entry !== undefined) this.#onGone(entry, "its connection ended");
    }
  }
}

/** Names a broker process: those of different clusters may have the same address, in networks of their own. */
export function brokerKey(cluster: string, address: string): string {
  return `${address}\0${cluster}`;
}
