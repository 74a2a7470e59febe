// SPDX-License-Identifier: Apache-2.0
import { getLogger } from "@logtape/logtape";
import type { Clock, Timer } from "../base/clock.ts";
import type { Connection } from "../remoting/connection.ts";

const logger = getLogger(["rmq", "broker"]);

/**
 * What is said to a name server, over a connection that is open. A text that comes back says why the name
 * server refused; an error means that nothing is known of what it did.
 */
export interface NameServerTalk {
  /** Registers everything. Once refused, it is not asked again before the next period. */
  registerAll(connection: Connection): Promise<string | undefined>;
  /** Registers these topics alone. Once refused, everything is registered. */
  registerSome(connection: Connection, topics: ReadonlySet<string>): Promise<string | undefined>;
  /** Whether the name server's data differs from ours. */
  isOutdated(connection: Connection): Promise<boolean>;
  unregister(connection: Connection): Promise<void>;
}

export interface NameServerLinkOptions {
  clock: Clock;
  connect: (address: string) => Promise<Connection>;
  talk: NameServerTalk;
}

/** Pause before another try to connect: a name server that comes back is known to clients within a second. */
const RETRY_MS = 1000;
/** Pause after a connection over which we had registered broke. */
const RECONNECT_MS = 100;
/** What a stopping broker waits for at most. */
const LAST_WORDS_MS = 3000;

/**
 * What one name server knows of this broker. One thing is said at a time, and on every new connection first
 * of all everything: a name server that has just started takes a single topic for the whole of a broker
 * (4.9, which then ignores the rest), or refuses it (5.x).
 *
 * Failures are tried again for ever, and logged when they begin and end.
 */
export class NameServerLink {
  #connection: Connection | undefined;
  #needsAll = true;
  #needsCheck = false;
  #changedTopics = new Set<string>();
  #registered = false;
  #stopped = false;
  #working: Promise<void> | undefined;
  #retry: Timer | undefined;
  #complained = false;
  #triedOnce: () => void = () => {};
  /** Resolves when the first try to register has ended, well or not. */
  readonly firstTry: Promise<void> = new Promise((resolve) => this.#triedOnce = resolve);
  readonly #options: NameServerLinkOptions;

  constructor(readonly address: string, options: NameServerLinkOptions) {
    this.#options = options;
  }

  /** Whether the name server has everything it was told, as far as we know. */
  get isRegistered(): boolean {
    return this.#registered;
  }

  /** The connection over which everything is registered; undefined while there is none. */
  get connection(): Connection | undefined {
    return this.#registered ? this.#connection : undefined;
  }

  /** Registers everything soon. */
  registerAll(): void {
    this.#needsAll = true;
    this.#work();
  }

  /** Registers everything soon if the name server's data is not ours. */
  check(): void {
    this.#needsCheck = true;
    this.#work();
  }

  /** Registers these topics soon, with everything else where that has not been done. */
  registerSome(topics: Iterable<string>): void {
    for (const topic of topics) this.#changedTopics.add(topic);
    this.#work();
  }

  /** Resolves when it has nothing more to say now, or can't say it. */
  async quiet(): Promise<void> {
    while (this.#working !== undefined) await this.#working;
  }

  /** Says goodbye, if there is a connection. Never fails, never takes long. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#retry?.cancel();
    this.#triedOnce();
    if (this.#working !== undefined) await this.#withinLastWords(this.#working);
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection === undefined) return;
    await this.#withinLastWords(this.#options.talk.unregister(connection)).catch((error) => {
      logger.info("name server {address} was not told that this broker stops: {error}", {
        address: this.address,
        error: messageOf(error),
      });
    });
    connection.close();
  }

  #work(): void {
    if (this.#stopped || this.#working !== undefined || this.#retry !== undefined) return;
    this.#working = this.#sayAll().catch((error) => this.#fail(error)).finally(() => {
      this.#working = undefined;
      this.#triedOnce();
      if (this.#stopped || this.#retry !== undefined) return;
      if (this.#connection === undefined) this.#fail(new Error("the connection was closed"));
      else if (this.#registered && this.#hasMoreToSay()) this.#work();
    });
  }

  #hasMoreToSay(): boolean {
    return this.#needsAll || this.#needsCheck || this.#changedTopics.size > 0;
  }

  async #sayAll(): Promise<void> {
    const { talk } = this.#options;
    const connection = this.#connection ?? await this.#connect();
    if (this.#needsCheck && !this.#needsAll && this.#registered) {
      this.#needsCheck = false;
      this.#needsAll = await talk.isOutdated(connection);
    }
    this.#needsCheck = false;
    if (!this.#needsAll && this.#registered) {
      const topics = this.#changedTopics;
      if (topics.size === 0) return;
      this.#changedTopics = new Set();
      if (await talk.registerSome(connection, topics) === undefined) return;
    }
    this.#needsAll = false;
    this.#changedTopics.clear();
    const refusal = await talk.registerAll(connection);
    this.#registered = refusal === undefined;
    if (refusal !== undefined) return this.#complain(refusal);
    if (this.#complained) {
      logger.info("registered with name server {address} again", { address: this.address });
    }
    this.#complained = false;
  }

  async #connect(): Promise<Connection> {
    const connection = await this.#options.connect(this.address);
    if (this.#stopped) {
      connection.close();
      throw new Error("stopped");
    }
    this.#connection = connection;
    this.#needsAll = true;
    connection.onClose(() => this.#onClosed(connection));
    return connection;
  }

  #onClosed(connection: Connection): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    if (this.#stopped) return;
    if (this.#working === undefined) this.#fail(new Error("the connection was closed"));
  }

  /** After an error nothing is known of what the name server has: another connection makes it clear. */
  #fail(error: unknown): void {
    if (this.#stopped) return;
    const wasRegistered = this.#registered;
    this.#registered = false;
    this.#needsAll = true;
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.close();
    this.#complain(messageOf(error));
    this.#retry?.cancel();
    this.#retry = this.#options.clock.after(wasRegistered ? RECONNECT_MS : RETRY_MS, () => {
      this.#retry = undefined;
      this.#work();
    });
  }

  /** Logs what is wrong with this name server, once until it is right again. */
  #complain(text: string): void {
    if (this.#complained) return;
    this.#complained = true;
    logger.warn("not registered with name server {address}, trying on: {text}", {
      address: this.address,
      text,
    });
  }

  async #withinLastWords(work: Promise<void>): Promise<void> {
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => timer = this.#options.clock.after(LAST_WORDS_MS, resolve));
    try {
      await Promise.race([work, late]);
    } finally {
      timer?.cancel();
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
