// SPDX-License-Identifier: Apache-2.0
import { type AdminPeer, adminPeer } from "../../client/admin/ask.ts";
import { NameServerApi } from "../../client/name_server_api.ts";
import type { ClusterInfo } from "../../protocol/bodies/cluster_info.ts";
import { MASTER_ID } from "../../protocol/bodies/topic_route.ts";
import { RemotingClient } from "../../remoting/client.ts";
import { RemotingIoError } from "../../remoting/remoting_error.ts";
import { sentenceOf } from "./sentences.ts";
import { byName } from "./text.ts";

/** One broker as name servers know it. */
export interface Broker extends AdminPeer {
  readonly cluster: string;
  readonly name: string;
  /** 0 is the master. */
  readonly id: number;
}

/** Which brokers a command is about; nothing said: all. */
export interface BrokerChoice {
  readonly cluster?: string;
  /** A name or an address. */
  readonly broker?: string;
}

/** Something that could not be asked or that refused. */
export interface Failure {
  /** `broker-a` or, for a name server, its address. */
  readonly peer: string;
  readonly address: string;
  readonly error: string;
}

/** What several peers answered, in their order, without those that failed. */
export type Answers<P, T> = [peer: P, answer: T][];

export interface ClusterOptions {
  /** Addresses with `;` between. */
  readonly nameServers: string;
  /** How long each answer may take. */
  readonly timeoutMs: number;
}

/** `host:port`; names of brokers have no colon. */
const ADDRESS = /^.+:\d+$/;

/** Requests under way at the same time. */
const MAX_PARALLEL = 32;

/**
 * The cluster that a command is about. Brokers that can't be reached don't end a command: what the others say
 * is shown, and `failures` holds the rest.
 */
export class Cluster {
  readonly failures: Failure[] = [];
  readonly nameServers: readonly string[];
  readonly #client: RemotingClient;
  /** Counts up to the name server that answers. */
  #current = 0;
  readonly #timeoutMs: number;
  #info: Promise<ClusterInfo> | undefined;

  constructor({ nameServers, timeoutMs }: ClusterOptions) {
    this.nameServers = nameServers.split(";").map((item) => item.trim()).filter((item) => item !== "");
    this.#timeoutMs = timeoutMs;
    this.#client = new RemotingClient({ connectTimeoutMs: Math.min(3000, timeoutMs) });
  }

  /** Asks the first name server that answers. @throws NoNameServerError */
  async askNameServer<T>(call: (nameServer: NameServerApi) => Promise<T>): Promise<T> {
    let failure: RemotingIoError | undefined;
    for (let tried = 0; tried < this.nameServers.length; tried++) {
      const address = this.nameServers[this.#current % this.nameServers.length];
      try {
        return await call(NameServerApi.at(this.#client, address, this.#timeoutMs));
      } catch (error) {
        if (!(error instanceof RemotingIoError)) throw error;
        failure = error;
        this.#current++;
      }
    }
    throw new NoNameServerError(
      `no name server answers at ${this.nameServers.join(" or ")} (${
        failure?.message ?? "none is given"
      }). ` +
        "Say where one is with -n or NAMESRV_ADDR.",
      { cause: failure },
    );
  }

  /** Asks every name server. Where some fail, `failures` says so. @throws Error where all do */
  async eachNameServer<T>(
    call: (nameServer: NameServerApi, address: string) => Promise<T>,
  ): Promise<Answers<string, T>> {
    return await this.#each(
      this.nameServers,
      (address) => ({ peer: address, address }),
      (address) => call(NameServerApi.at(this.#client, address, this.#timeoutMs), address),
    );
  }

  /** What name servers know; asked once. */
  info(): Promise<ClusterInfo> {
    return this.#info ??= this.askNameServer((nameServer) => nameServer.clusterInfo());
  }

  /** Asks anew what name servers know. */
  forget(): void {
    this.#info = undefined;
  }

  /**
   * The brokers of a choice, by cluster, name and id. One that is told by an address is asked there even if no name
   * server knows it, or none answers.
   * @throws Error where there are none
   */
  async brokers(choice: BrokerChoice = {}): Promise<Broker[]> {
    const { broker: address = "", cluster } = choice;
    if (cluster !== undefined || !ADDRESS.test(address)) return await this.#registered(choice);
    const known = await this.#registered({}).catch(() => []);
    const chosen = known.filter((broker) => isChosen(broker, choice));
    return chosen.length > 0 ? chosen : [{ ...this.at(address), cluster: "", name: address, id: MASTER_ID }];
  }

  async #registered(choice: BrokerChoice): Promise<Broker[]> {
    const { brokerAddrTable } = await this.info();
    const brokers: Broker[] = [];
    for (const [name, { cluster, brokerAddrs }] of brokerAddrTable) {
      for (const [id, address] of brokerAddrs) {
        brokers.push({ ...this.at(address), cluster, name, id });
      }
    }
    if (brokers.length === 0) {
      throw new Error(
        `no broker is registered at ${this.nameServers.join(", ")}. Start one with this address.`,
      );
    }
    const chosen = brokers.filter((broker) => isChosen(broker, choice));
    if (chosen.length === 0) throw new Error(nothingChosen(brokers, choice));
    return chosen.sort((a, b) => byName(a.cluster, b.cluster) || byName(a.name, b.name) || a.id - b.id);
  }

  /** Masters; of a group whose master is away, nothing. @throws Error where there are none */
  async masters(choice: BrokerChoice = {}): Promise<Broker[]> {
    const brokers = await this.brokers(choice);
    const masters = brokers.filter(({ id }) => id === MASTER_ID);
    if (masters.length > 0) return masters;
    throw new Error(`${brokers.map(({ name }) => name).join(", ")}: no master is registered.`);
  }

  /**
   * Whom to ask about a cluster: the master of each group, or where it is away the slave that stands in for it.
   * @throws Error where there are none
   */
  async readers(choice: BrokerChoice = {}): Promise<Broker[]> {
    const brokers = await this.brokers(choice);
    return brokers.filter(({ name, id }) => !brokers.some((other) => other.name === name && other.id < id));
  }

  /**
   * The masters that something is to be made on.
   * @throws Error where there are several clusters and none is named
   */
  async mastersToChange(choice: BrokerChoice): Promise<Broker[]> {
    if (choice.cluster === undefined && choice.broker === undefined) {
      const { clusterAddrTable } = await this.info();
      const names = [...clusterAddrTable.keys()].sort(byName);
      if (names.length > 1) {
        throw new Error(`there are several clusters: ${names.join(", ")}. Say which one with --cluster.`);
      }
    }
    return await this.masters(choice);
  }

  /** Asks every broker. Those that fail are told in `failures`. @throws Error where all do */
  async each<B extends Broker, T>(
    brokers: readonly B[],
    call: (broker: B) => Promise<T>,
  ): Promise<Answers<B, T>> {
    return await this.#each(brokers, ({ name, address }) => ({ peer: name, address }), call);
  }

  /** Asks one broker of many. Where it fails, `failures` says so, and nothing is answered. */
  async attempt<T>(broker: Broker, call: () => Promise<T>): Promise<T | undefined> {
    try {
      return await call();
    } catch (error) {
      this.#add({ peer: broker.name, address: broker.address, error: sentenceOf(error) });
      return undefined;
    }
  }

  /** Whoever listens at an address. */
  at(address: string): AdminPeer {
    return adminPeer(this.#client, address, this.#timeoutMs);
  }

  close(): void {
    this.#client.close();
  }

  async #each<P, T>(
    peers: readonly P[],
    describe: (peer: P) => { peer: string; address: string },
    call: (peer: P) => Promise<T>,
  ): Promise<Answers<P, T>> {
    const outcomes = await inParallel(peers, async (peer) => {
      try {
        return { answer: await call(peer) };
      } catch (error) {
        return { failure: { ...describe(peer), error: sentenceOf(error) } };
      }
    });
    const answers: Answers<P, T> = [];
    const failures: Failure[] = [];
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.failure === undefined) answers.push([peers[at], outcome.answer as T]);
      else failures.push(outcome.failure);
    }
    for (const failure of failures) this.#add(failure);
    if (answers.length === 0 && peers.length > 0) throw new AllFailedError();
    return answers;
  }

  #add(failure: Failure): void {
    if (!this.failures.some((known) => isSame(known, failure))) this.failures.push(failure);
  }
}

/** None of the name servers can be reached; says what to do. */
export class NoNameServerError extends Error {
  override name = "NoNameServerError";
}

/** Nobody answered; why stands in `failures`. */
export class AllFailedError extends Error {
  override name = "AllFailedError";
}

/** Like `Promise.all` over `map`, with a bounded number of calls under way. */
export async function inParallel<A, B>(items: readonly A[], call: (item: A) => Promise<B>): Promise<B[]> {
  const results: B[] = Array(items.length);
  let next = 0;
  const work = async () => {
    while (next < items.length) {
      const at = next++;
      results[at] = await call(items[at]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(MAX_PARALLEL, items.length) }, work));
  return results;
}

function isChosen({ cluster, name, address }: Broker, choice: BrokerChoice): boolean {
  return (choice.cluster === undefined || choice.cluster === cluster) &&
    (choice.broker === undefined || choice.broker === name || choice.broker === address);
}

function nothingChosen(brokers: readonly Broker[], { cluster, broker }: BrokerChoice): string {
  const clusters = [...new Set(brokers.map((one) => one.cluster))].sort(byName);
  if (cluster !== undefined && !clusters.includes(cluster)) {
    return `there is no cluster ${cluster}; there is ${clusters.join(", ")}.`;
  }
  const names = [...new Set(brokers.filter((one) => isChosen(one, { cluster })).map(({ name }) => name))];
  const where = cluster === undefined ? "" : ` in ${cluster}`;
  return `there is no broker ${broker}${where}; there is ${names.sort(byName).join(", ")}.`;
}

function isSame(a: Failure, b: Failure): boolean {
  return a.peer === b.peer && a.address === b.address && a.error === b.error;
}

/** What says in JSON which broker something is of. */
export function identityOf({ cluster, name, id, address }: Broker) {
  return { cluster, broker: name, id, address };
}

/** @throws Error where something is to be changed that only a slave has now */
export function requireMasters(brokers: readonly Broker[]): void {
  const names = brokers.filter(({ id }) => id !== MASTER_ID).map(({ name }) => name);
  if (names.length === 0) return;
  const others = names.length < brokers.length ? " Say --broker to change the others." : "";
  throw new Error(
    `the master of ${names.join(", ")} is away: nothing can be changed there until it is back.${others}`,
  );
}
