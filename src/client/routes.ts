// SPDX-License-Identifier: Apache-2.0
import { MASTER_ID, type TopicRouteData } from "../protocol/bodies/topic_route.ts";
import { isReadable, isWritable } from "../protocol/bodies/topic_config.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import type { RemotingClient } from "../remoting/client.ts";
import { RemotingError, RemotingIoError } from "../remoting/remoting_error.ts";
import { NameServerApi } from "./name_server_api.ts";

/** A queue, and the broker that has it now. */
export interface RoutedQueue {
  readonly topic: string;
  readonly brokerName: string;
  readonly queueId: number;
  /** `host:port` of the master; for reading, of any broker of the group where the master is away. */
  readonly address: string;
}

/** How long a route is believed. */
const ROUTE_TTL_MS = 30_000;

/** Asks name servers, in turn where one does not answer, where topics live. */
export class Routes {
  #client: RemotingClient;
  #nameServers: readonly string[];
  #current = 0;
  #routes = new Map<string, { route: TopicRouteData; expiresMs: number }>();

  /** @param nameServers `host:port` items separated by `;` */
  constructor(client: RemotingClient, nameServers: string) {
    this.#client = client;
    this.#nameServers = nameServers.split(";").map((item) => item.trim()).filter((item) => item !== "");
    if (this.#nameServers.length === 0) throw new Error("no name server is given");
  }

  /** The route of a topic; undefined where no name server knows it. @throws RemotingIoError */
  async route(topic: string): Promise<TopicRouteData | undefined> {
    const known = this.#routes.get(topic);
    if (known !== undefined && known.expiresMs > Date.now()) return known.route;
    const route = await this.ask((nameServer) => nameServer.topicRoute(topic));
    if (route !== undefined) this.#routes.set(topic, { route, expiresMs: Date.now() + ROUTE_TTL_MS });
    return route;
  }

  /** Asks again next time. */
  forget(topic: string): void {
    this.#routes.delete(topic);
  }

  /** Calls a name server, the next one where it can't be reached. @throws RemotingIoError when none can */
  async ask<T>(call: (nameServer: NameServerApi) => Promise<T>): Promise<T> {
    let failure: unknown;
    for (let tried = 0; tried < this.#nameServers.length; tried++) {
      const address = this.#nameServers[this.#current % this.#nameServers.length];
      try {
        return await call(NameServerApi.at(this.#client, address));
      } catch (error) {
        if (!(error instanceof RemotingIoError)) throw error;
        failure = error;
        this.#current++;
      }
    }
    throw failure;
  }

  /** Queues that can be sent to: writable ones of groups whose master is there. */
  async writableQueues(topic: string): Promise<RoutedQueue[]> {
    const route = await this.route(topic);
    if (route === undefined) return [];
    return route.queueDatas.filter(({ perm }) => isWritable(perm)).flatMap(
      ({ brokerName, writeQueueNums }) => {
        const address = addresses(route, brokerName)?.get(MASTER_ID);
        return address === undefined ? [] : queues(topic, brokerName, writeQueueNums, address);
      },
    );
  }

  async readableQueues(topic: string): Promise<RoutedQueue[]> {
    const route = await this.route(topic);
    if (route === undefined) return [];
    return route.queueDatas.filter(({ perm }) => isReadable(perm)).flatMap(
      ({ brokerName, readQueueNums }) => {
        const known = addresses(route, brokerName);
        const address = known?.get(MASTER_ID) ?? known?.values().next().value;
        return address === undefined ? [] : queues(topic, brokerName, readQueueNums, address);
      },
    );
  }

  /** All brokers of a topic, masters and slaves: a consumer is known to each, so that any can serve it. */
  async members(topic: string): Promise<string[]> {
    const route = await this.route(topic);
    return route?.brokerDatas.flatMap(({ brokerAddrs }) => [...brokerAddrs.values()]) ?? [];
  }

  /** Masters of a topic's broker groups. @throws RemotingError TOPIC_NOT_EXIST */
  async masters(topic: string): Promise<string[]> {
    const route = await this.route(topic);
    if (route === undefined) {
      throw new RemotingError(ResponseCode.TOPIC_NOT_EXIST, `no route of the topic ${topic}`);
    }
    return route.brokerDatas.flatMap(({ brokerAddrs }) => brokerAddrs.get(MASTER_ID) ?? []);
  }
}

function addresses(route: TopicRouteData, brokerName: string): ReadonlyMap<number, string> | undefined {
  return route.brokerDatas.find((broker) => broker.brokerName === brokerName)?.brokerAddrs;
}

function queues(topic: string, brokerName: string, count: number, address: string): RoutedQueue[] {
  return Array.from({ length: count }, (_, queueId) => ({ topic, brokerName, queueId, address }));
}
