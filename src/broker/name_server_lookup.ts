// SPDX-License-Identifier: Apache-2.0
/**
 * Learns from an HTTP server which name servers there are, and keeps asking, for clusters whose name servers
 * move. The answer is one line, `host:port` items with `;` between. [RMQ DefaultTopAddressing]
 */
import { getLogger } from "@logtape/logtape";
import type { Clock, Timer } from "../base/clock.ts";
import { parseAddress } from "../remoting/host_address.ts";

const logger = getLogger(["rmq", "broker"]);

const PERIOD_MS = 10_000;
const TIMEOUT_MS = 3000;
const MAX_ANSWER_LENGTH = 64 * 1024;

export interface NameServerLookupOptions {
  url: string;
  clock: Clock;
  /** Called with each list that differs from the one before. */
  onFound: (addresses: readonly string[]) => void;
}

export class NameServerLookup {
  #options: NameServerLookupOptions;
  #timer: Timer | undefined;
  #known = "";
  #hasFailed = false;

  constructor(options: NameServerLookupOptions) {
    this.#options = options;
  }

  /** Asks once, and then at every period. Resolves after the first answer or failure. */
  async start(): Promise<void> {
    this.#timer = this.#options.clock.every(PERIOD_MS, () => void this.#ask());
    await this.#ask();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  async #ask(): Promise<void> {
    const { url, onFound } = this.#options;
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
      const text = await answer.text();
      if (answer.status !== 200) throw new Error(`it answers ${answer.status}`);
      const addresses = addressesOf(text);
      this.#hasFailed = false;
      if (this.#timer === undefined || addresses.join(";") === this.#known) return;
      this.#known = addresses.join(";");
      logger.info("name servers, as {url} says: {addresses}", { url, addresses: this.#known });
      onFound(addresses);
    } catch (error) {
      if (!this.#hasFailed) logger.warn("{url} does not tell the name servers: {error}", { url, error });
      this.#hasFailed = true;
    }
  }
}

/** @throws Error where the text is no list of addresses */
function addressesOf(text: string): string[] {
  const line = text.slice(0, MAX_ANSWER_LENGTH).trim().split(/[\r\n]/)[0];
  const addresses = line.split(";").map((item) => item.trim()).filter((item) => item !== "");
  if (addresses.length === 0) throw new Error("its answer is empty");
  for (const address of addresses) parseAddress(address);
  return addresses;
}
