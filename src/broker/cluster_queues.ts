// SPDX-License-Identifier: Apache-2.0
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import type { MessageQueue } from "../protocol/bodies/message_queue.ts";
import { isReadable } from "../protocol/bodies/topic_config.ts";
import type { TopicRouteData } from "../protocol/bodies/topic_route.ts";

const logger = getLogger(["rmq", "broker"]);

/** How long a route is taken to be right. Clients ask every 20 s, or every second while something is amiss. */
const FRESH_MS = 5000;
/** Topics remembered; clients choose the names. */
const MAX_TOPICS = 10_000;

/** The queues of a topic at all brokers that may be read, sorted as Java sorts them; undefined: not known. */
export type TopicQueueList = readonly MessageQueue[] | undefined;

/** Remembers for a few seconds what name servers say of topics. */
export class ClusterQueues {
  readonly #clock: Clock;
  readonly #route: (topic: string) => Promise<TopicRouteData | undefined>;
  readonly #known = new Map<string, { askedMs: number; queues: Promise<TopicQueueList> }>();

  /** @param route asks a name server; rejects when none answers */
  constructor(clock: Clock, route: (topic: string) => Promise<TopicRouteData | undefined>) {
    this.#clock = clock;
    this.#route = route;
  }

  /** Never rejects: a topic of which no name server can tell is not known. */
  of(topic: string): Promise<TopicQueueList> {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#known.get(topic);
    if (known !== undefined && nowMs - known.askedMs < FRESH_MS) return known.queues;
    this.#known.delete(topic);
    // The map is in the order of asking, so what is first is oldest.
    for (const [name, { askedMs }] of this.#known) {
      if (this.#known.size < MAX_TOPICS && nowMs - askedMs < FRESH_MS) break;
      this.#known.delete(name);
    }
    const queues = this.#ask(topic);
    this.#known.set(topic, { askedMs: nowMs, queues });
    return queues;
  }

  async #ask(topic: string): Promise<TopicQueueList> {
    try {
      const route = await this.#route(topic);
      return route === undefined ? undefined : queuesOf(topic, route);
    } catch (error) {
      logger.warn("no name server says where {topic} is: {error}", { topic: topic.slice(0, 255), error });
      return undefined;
    }
  }
}

function queuesOf(topic: string, route: TopicRouteData): MessageQueue[] {
  return route.queueDatas.filter(({ perm }) => isReadable(perm))
    .sort((a, b) => (a.brokerName < b.brokerName ? -1 : a.brokerName > b.brokerName ? 1 : 0))
    .flatMap(({ brokerName, readQueueNums }) =>
      Array.from({ length: readQueueNums }, (_, queueId) => ({ brokerName, queueId, topic }))
    );
}
