// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "../../base/clock.ts";
import { encodeTopicRoute, type TopicRouteData } from "../../protocol/bodies/topic_route.ts";
import { routeRequest } from "../../protocol/headers/name_server.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { HandlerTable, Request } from "../../remoting/request.ts";
import { type KvTable, ORDER_NAMESPACE } from "../kv_table.ts";
import { withActingMasters, withinZone } from "../route_answer.ts";
import type { RouteTable } from "../route_table.ts";

export interface RouteSettings {
  readonly orderConfigInRoutes: boolean;
  readonly actingMaster: boolean;
  readonly routeHoldMs: number;
}

export interface RouteParts {
  routes: RouteTable;
  kv: KvTable;
  clock: Clock;
  /** Asked at each request. */
  settings: () => RouteSettings;
}

/** GET_ROUTEINFO_BY_TOPIC: what every client asks for each of its topics, every half minute. */
export function routeHandlers(parts: RouteParts): HandlerTable {
  const answers = new RouteAnswers(parts);
  const startedMs = parts.clock.monotonicMs();

  function handleRoute(request: Request): Response {
    const { topic, __ZONE_MODE, __ZONE_NAME } = routeRequest.decode(request.fields);
    if (parts.clock.monotonicMs() - startedMs < parts.settings().routeHoldMs) {
      throw new RemotingError(ResponseCode.SYSTEM_ERROR, "name server not ready");
    }
    const zoneName = __ZONE_MODE ? __ZONE_NAME?.trim() : undefined;
    const body = answers.find(topic, zoneName);
    if (body === undefined) throw new RemotingError(ResponseCode.TOPIC_NOT_EXIST, noRoute(topic));
    return { code: ResponseCode.SUCCESS, body };
  }

  return new Map([[RequestCode.GET_ROUTEINFO_BY_TOPIC, handleRoute]]);
}

/** Encoded routes, kept until something changes: clients ask far more often than brokers change. */
class RouteAnswers {
  readonly #bodies = new Map<string, Uint8Array>();
  readonly #parts: RouteParts;
  #settings: RouteSettings | undefined;
  #routesRevision = -1;
  #kvRevision = -1;

  constructor(parts: RouteParts) {
    this.#parts = parts;
  }

  find(topic: string | undefined, zoneName: string | undefined): Uint8Array | undefined {
    if (topic === undefined) return undefined;
    if (zoneName) {
      const route = this.#route(topic);
      return route && encodeTopicRoute(withinZone(route, zoneName));
    }
    this.#forgetIfOutdated();
    let body = this.#bodies.get(topic);
    if (body !== undefined) return body;
    const route = this.#route(topic);
    if (route === undefined) return undefined;
    this.#bodies.set(topic, body = encodeTopicRoute(route));
    return body;
  }

  #route(topic: string): TopicRouteData | undefined {
    const { routes, kv, settings } = this.#parts;
    const route = routes.route(topic);
    if (route === undefined) return undefined;
    const { actingMaster, orderConfigInRoutes } = settings();
    const orderTopicConf = orderConfigInRoutes ? kv.get(ORDER_NAMESPACE, topic) : undefined;
    const answer = { ...route, orderTopicConf };
    return actingMaster ? withActingMasters(topic, answer) : answer;
  }

  #forgetIfOutdated(): void {
    const { routes, kv } = this.#parts;
    const settings = this.#parts.settings();
    const isCurrent = this.#routesRevision === routes.revision && this.#kvRevision === kv.revision &&
      this.#settings === settings;
    if (isCurrent) return;
    this.#bodies.clear();
    this.#routesRevision = routes.revision;
    this.#kvRevision = kv.revision;
    this.#settings = settings;
  }
}

function noRoute(topic: string | undefined): string {
  return `No topic route info in name server for the topic: ${topic ?? null}\n` +
    "See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.";
}
