// SPDX-License-Identifier: Apache-2.0
/**
 * The expressions of groups, remembered in `config/consumerFilter.json` beyond their members' lives, so that what
 * is stored while a group is away can be told apart for it as well: where queue entries are extended, each says
 * which of these filters its message fulfils. [RMQ ConsumerFilterManager]
 *
 * An entry is believed only if it was made while exactly this filter was known: its message was stored after the
 * filter's birth. After a crash the file may be older than the entries, so all filters count as born then.
 */
import { getLogger } from "@logtape/logtape";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { addToSet, BloomFilter, mayBeInSet } from "../filter/bloom_filter.ts";
import { ExpressionError } from "../filter/sql/expression_error.ts";
import { PropertySlots } from "../filter/sql/property_slots.ts";
import type { SqlFilter } from "../filter/sql/sql_filter.ts";
import { asArray, asInteger, asObject, asText, type JsonObject } from "../protocol/bodies/json_fields.ts";
import { SQL_EXPRESSION, type SubscriptionData } from "../protocol/bodies/subscription_data.ts";
import { Property } from "../protocol/properties.ts";
import type { Files } from "../store/files.ts";
import type { MessageFilter, QueueExtension } from "../store/types.ts";
import { JsonFile } from "./json_file.ts";
import { compiled } from "./message_filter.ts";
import { isRetryTopic } from "./topic_name.ts";
import type { Subscription } from "./subscription.ts";

const logger = getLogger(["rmq", "broker"]);

export interface ConsumerFiltersOptions {
  readonly files: Files;
  readonly clock: Clock;
  /** The `config` folder of the store. */
  readonly directory: string;
  /** Of the bit maps: how often one may name a group wrongly, and how many groups it is made for. */
  readonly bloomErrorPercent: number;
  readonly bloomGroupCount: number;
  readonly isOnline: (group: string, topic: string) => boolean;
  /** No message that is stored from now on has an earlier store time. */
  readonly lastStoreTimestampMs: () => number;
  /** Whether the last process that had the store ended it properly. */
  readonly wasStoppedCleanly: boolean;
  readonly settings: () => ConsumerFiltersSettings;
}

export interface ConsumerFiltersSettings {
  /** Filters of groups that have been gone for so long are forgotten. */
  readonly filterExpiryMs: number;
  /** Messages that come again are held once more against the expression for the topic that they come from. */
  readonly filterRetries: boolean;
}

interface GroupFilter {
  readonly group: string;
  readonly topic: string;
  readonly expression: string;
  readonly sql: SqlFilter;
  readonly positions: readonly number[];
  /** Messages stored later were held against this filter. */
  readonly bornMs: number;
  /** Of the subscription, which grows. */
  version: number;
  /** Since when the group is gone; 0 while it is there. */
  deadMs: number;
  /** For pulls, made when first asked for. */
  filter: MessageFilter | undefined;
}

const RETRY_SLOTS = new PropertySlots([Property.RETRY_TOPIC]);
/** Each costs time for every message of its topic; what is beyond is decided when it is pulled. */
const MAX_FILTERS_OF_TOPIC = 256;
const MAX_FILTERS = 10_000;
/** A file that does not say when a group went: a little while ago. [RMQ ConsumerFilterManager.decode] */
const DEAD_BEFORE_START_MS = 30_000;

export class ConsumerFilters {
  readonly #options: ConsumerFiltersOptions;
  readonly #file: JsonFile;
  readonly #bloom: BloomFilter;
  readonly #topics = new Map<string, Map<string, GroupFilter>>();
  /** Topics of each group in the table. */
  readonly #topicsOf = new Map<string, Set<string>>();
  #count = 0;

  private constructor(options: ConsumerFiltersOptions) {
    this.#options = options;
    this.#file = new JsonFile(options.files, options.clock, join(options.directory, "consumerFilter.json"));
    this.#bloom = new BloomFilter(options.bloomErrorPercent, options.bloomGroupCount);
  }

  /** Reads the table; its groups count as gone until they say otherwise. @throws ConfigFileError */
  static open(options: ConsumerFiltersOptions): ConsumerFilters {
    const filters = new ConsumerFilters(options);
    const items = filters.#file.load((object) => itemsOf(object));
    filters.#load(items ?? []);
    return filters;
  }

  /** Takes what a member says of its group: new expressions, newer ones, and topics that it left. */
  register(group: string, subscriptions: readonly SubscriptionData[]): void {
    let hasChanged = false;
    const named = new Set<string>();
    for (const { topic, subString, expressionType, subVersion } of subscriptions) {
      if (expressionType !== SQL_EXPRESSION) continue;
      named.add(topic);
      if (this.#registerOne(group, topic, subString, subVersion)) hasChanged = true;
    }
    for (const topic of this.#topicsOf.get(group) ?? []) {
      const known = this.#topics.get(topic)!.get(group)!;
      if (known.deadMs !== 0 || named.has(topic)) continue;
      known.deadMs = this.#options.clock.nowMs();
      hasChanged = true;
    }
    if (hasChanged) this.#save();
  }

  /** Which filters of a topic a message fulfils, dead ones included; undefined where the topic has none. */
  bitMapOf(topic: string, properties: ReadonlyMap<string, string>): Uint8Array | undefined {
    const groups = this.#topics.get(topic);
    if (groups === undefined) return undefined;
    const set = this.#bloom.emptySet();
    for (const { sql, positions } of groups.values()) {
      if (sql.matches(properties)) addToSet(set, positions);
    }
    return set;
  }

  /**
   * The filter by which a group reads a topic: that of its subscription, which looks into a message only if its
   * entry leaves that open.
   * @throws RemotingError SUBSCRIPTION_PARSE_FAILED
   */
  filterOf(
    group: string,
    topic: string,
    subscription: Pick<Subscription, "filter" | "expressionType" | "subString">,
  ): MessageFilter | undefined {
    const { filter } = subscription;
    if (this.#options.settings().filterRetries && isRetryTopic(topic)) {
      return this.#retryFilter(group, filter);
    }
    if (filter === undefined || subscription.expressionType !== SQL_EXPRESSION) return filter;
    const known = this.#topics.get(topic)?.get(group);
    if (known === undefined || known.expression !== subscription.subString) return filter;
    return known.filter ??= this.#extended(known);
  }

  /** Marks groups that have gone, and forgets those that have been gone for long. To be called now and then. */
  removeExpired(): void {
    const nowMs = this.#options.clock.nowMs();
    const { filterExpiryMs } = this.#options.settings();
    let hasChanged = false;
    for (const [topic, groups] of this.#topics) {
      for (const [group, known] of groups) {
        if (known.deadMs === 0) {
          if (this.#options.isOnline(group, topic)) continue;
          known.deadMs = nowMs;
        } else if (nowMs - known.deadMs >= filterExpiryMs) {
          this.#delete(group, topic);
          logger.info("the filter of {group} for {topic} is forgotten", { group, topic });
        } else continue;
        hasChanged = true;
      }
    }
    if (hasChanged) this.#save();
  }

  /** Writes what is not written yet. @throws RemotingError when it can't be written */
  flush(): void {
    this.#file.flush();
  }

  /** @returns whether the table is another one now */
  #registerOne(group: string, topic: string, expression: string, version: number): boolean {
    const known = this.#topics.get(topic)?.get(group);
    if (known !== undefined && version <= known.version) {
      if (version < known.version || known.deadMs === 0 || known.expression !== expression) return false;
      known.deadMs = 0;
      return true;
    }
    if (known !== undefined && known.expression === expression) {
      known.version = version;
      known.deadMs = 0;
      return true;
    }
    try {
      const sql = compiled(expression);
      return this.#put(group, topic, expression, sql, version);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      logger.warn("{group} subscribes to {topic} by what can't be read, {reason}: {expression}", {
        group,
        topic,
        reason: error.message,
        expression: expression.slice(0, 512),
      });
      return this.#delete(group, topic);
    }
  }

  #put(group: string, topic: string, expression: string, sql: SqlFilter, version: number): boolean {
    if (this.#topics.get(topic)?.has(group) !== true && this.#isFull(topic)) return false;
    const bornMs = this.#nowInStore();
    const positions = this.#positionsOf(group, topic);
    this.#set({
      ...{ group, topic, expression, sql, positions, bornMs, version },
      ...{ deadMs: 0, filter: undefined },
    });
    logger.info("{group} filters {topic} by {expression}", {
      ...{ group, topic },
      expression: expression.slice(0, 512),
    });
    return true;
  }

  #delete(group: string, topic: string): boolean {
    const groups = this.#topics.get(topic);
    if (groups?.delete(group) !== true) return false;
    this.#count--;
    if (groups.size === 0) this.#topics.delete(topic);
    const topics = this.#topicsOf.get(group)!;
    topics.delete(topic);
    if (topics.size === 0) this.#topicsOf.delete(group);
    return true;
  }

  #isFull(topic: string): boolean {
    return this.#count >= MAX_FILTERS || (this.#topics.get(topic)?.size ?? 0) >= MAX_FILTERS_OF_TOPIC;
  }

  #set(filter: GroupFilter): void {
    const { group, topic } = filter;
    let groups = this.#topics.get(topic);
    if (groups === undefined) this.#topics.set(topic, groups = new Map());
    let topics = this.#topicsOf.get(group);
    if (topics === undefined) this.#topicsOf.set(group, topics = new Set());
    topics.add(topic);
    if (!groups.has(group)) this.#count++;
    groups.set(group, filter);
  }

  /** Store times don't go back when the clock does. */
  #nowInStore(): number {
    return Math.max(this.#options.clock.nowMs(), this.#options.lastStoreTimestampMs());
  }

  #positionsOf(group: string, topic: string): number[] {
    return this.#bloom.positionsOf(`${group}#${topic}`);
  }

  #extended({ sql, positions, bornMs }: GroupFilter): MessageFilter {
    const bytes = this.#bloom.bitCount / 8;
    return {
      properties: sql,
      matchesEntry(_tagsCode: number, extension?: QueueExtension): boolean {
        const bitMap = extension?.bitMap;
        if (bitMap === undefined || bitMap.length !== bytes) return true;
        return extension!.storeTimestampMs <= bornMs || mayBeInSet(bitMap, positions);
      },
    };
  }

  /** [RMQ ExpressionForRetryMessageFilter] */
  #retryFilter(group: string, filter: MessageFilter | undefined): MessageFilter {
    const sqlOf = (topic: string | undefined) =>
      topic === undefined ? undefined : this.#topics.get(topic)?.get(group)?.sql;
    return {
      matchesEntry: (tagsCode, extension) => filter?.matchesEntry(tagsCode, extension) ?? true,
      properties: {
        matches: (properties) => sqlOf(properties.get(Property.RETRY_TOPIC))?.matches(properties) ?? true,
        matchesBytes(bytes, from, end) {
          const [topic] = RETRY_SLOTS.ofBytes(bytes, from, end);
          return sqlOf(topic)?.matchesBytes(bytes, from, end) ?? true;
        },
      },
    };
  }

  #load(items: readonly StoredFilter[]): void {
    const { bitCount, hashCount } = this.#bloom;
    const fits = ({ bitNum, bitPos }: StoredFilter) => bitNum === bitCount && bitPos.length === hashCount;
    if (!items.every(fits)) {
      logger.warn("the filters of groups were made for other bit maps; they are found out anew");
      return;
    }
    const nowMs = this.#options.clock.nowMs();
    for (const item of items) {
      const { group, topic, expression, version } = item;
      if (this.#isFull(topic)) continue;
      const positions = this.#positionsOf(group, topic);
      const isTrusted = this.#options.wasStoppedCleanly &&
        positions.every((position, i) => position === item.bitPos[i]);
      const bornMs = isTrusted ? item.bornMs : this.#nowInStore();
      const deadMs = item.deadMs || Math.max(item.bornMs, nowMs - DEAD_BEFORE_START_MS);
      try {
        const sql = compiled(expression);
        this.#set({ group, topic, expression, sql, positions, bornMs, version, deadMs, filter: undefined });
      } catch (error) {
        if (!(error instanceof ExpressionError)) throw error;
      }
    }
  }

  #save(): void {
    this.#file.writeSoon(() => this.#toJson());
  }

  #toJson(): Record<string, unknown> {
    const { bitCount } = this.#bloom;
    const filterDataByTopic = [...this.#topics].map(([topic, groups]) => {
      const groupFilterData = [...groups].map(([group, known]) => [group, {
        bloomFilterData: { bitNum: bitCount, bitPos: known.positions },
        bornTime: known.bornMs,
        clientVersion: known.version,
        consumerGroup: group,
        dead: known.deadMs >= known.bornMs,
        deadTime: known.deadMs,
        expression: known.expression,
        expressionType: SQL_EXPRESSION,
        topic,
      }]);
      return [topic, { groupFilterData: Object.fromEntries(groupFilterData), topic }];
    });
    return { filterDataByTopic: Object.fromEntries(filterDataByTopic) };
  }
}

interface StoredFilter {
  group: string;
  topic: string;
  expression: string;
  version: number;
  bornMs: number;
  deadMs: number;
  bitNum: number;
  bitPos: number[];
}

function itemsOf(object: JsonObject): StoredFilter[] {
  const items: StoredFilter[] = [];
  for (const [topic, ofTopic] of Object.entries(asObject(object.filterDataByTopic))) {
    for (const [group, value] of Object.entries(asObject(asObject(ofTopic).groupFilterData))) {
      const data = asObject(value);
      const bloom = asObject(data.bloomFilterData);
      if (asText(data.expressionType, "") !== SQL_EXPRESSION) continue;
      items.push({
        ...{ group, topic, expression: asText(data.expression, "") },
        version: asInteger(data.clientVersion, 0),
        bornMs: asInteger(data.bornTime, 0),
        deadMs: asInteger(data.deadTime, 0),
        bitNum: asInteger(bloom.bitNum, 0),
        bitPos: asArray(bloom.bitPos).map((position) => asInteger(position, -1)),
      });
    }
  }
  return items;
}
