// SPDX-License-Identifier: Apache-2.0
/**
 * The broker's topics: `config/topics.json`, and the rules by which topics come into being.
 *
 * A change is durable when the call returns; if it can't be written, nothing has changed and the call throws.
 * The exceptions are topics that heartbeats make: they are written a moment later, all together, for the
 * next heartbeat would make them again.
 */
import { getLogger } from "@logtape/logtape";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { DataVersion } from "../protocol/bodies/data_version.ts";
import { storedTable } from "../protocol/bodies/json_fields.ts";
import {
  isInheritable,
  Perm,
  type TopicConfig,
  topicConfig,
  topicConfigTableFromJson,
  topicConfigTableToJson,
} from "../protocol/bodies/topic_config.ts";
import type { Files } from "../store/files.ts";
import { alterAttributes, TOPIC_ATTRIBUTES } from "./attributes.ts";
import { JsonFile } from "./json_file.ts";
import { type SystemTopicOptions, systemTopics } from "./system_topics.ts";
import { isLightName, SYSTEM_TOPIC_PREFIX, SYSTEM_TOPICS, SystemTopic } from "./topic_name.ts";

const logger = getLogger(["rmq", "broker"]);

export interface TopicsOptions extends SystemTopicOptions {
  readonly files: Files;
  /** Where `topics.json` is: the `config` folder of the store. */
  readonly directory: string;
  readonly clock: Clock;
  readonly settings: () => TopicsSettings;
  /** Whether names that begin with `%LMQ%` stand for queues without a topic. */
  readonly lightQueues?: boolean;
  /** Beyond so many topics none is made by itself any more, for clients choose the names. */
  readonly maxAutoCreated?: number;
}

/** What may change while the broker runs; the system topics stay those of the start. */
export interface TopicsSettings {
  /** Whether topics may be made after the template that producers name by default. */
  readonly autoCreateTopic: boolean;
}

/** What a send or a heartbeat asks of a topic that may not exist yet. */
export interface NewTopic {
  readonly queueCount: number;
  readonly perm: number;
  readonly order?: boolean;
  readonly topicSysFlag?: number;
  /** Written a moment later: for topics that would be made again by themselves. */
  readonly soon?: boolean;
}

/** Called with the topics that are new or different; with none after a topic was deleted. */
export type TopicsListener = (changed: readonly TopicConfig[]) => void;

const MAX_AUTO_CREATED = 100_000;

export class Topics {
  readonly #file: JsonFile;
  readonly #clock: Clock;
  readonly #maxAutoCreated: number;
  readonly #systemNames: Set<string>;
  readonly #settings: () => TopicsSettings;
  readonly #hasLightQueues: boolean;
  readonly #table = new Map<string, TopicConfig>();
  readonly #listeners: TopicsListener[] = [];
  #dataVersion: DataVersion;

  private constructor(options: TopicsOptions) {
    this.#file = new JsonFile(options.files, options.clock, join(options.directory, "topics.json"));
    this.#clock = options.clock;
    this.#maxAutoCreated = options.maxAutoCreated ?? MAX_AUTO_CREATED;
    this.#settings = options.settings;
    this.#hasLightQueues = options.lightQueues ?? false;
    this.#dataVersion = DataVersion.initial(options.clock.nowMs());
    const fromStart = systemTopics(options);
    for (const config of fromStart) this.#table.set(config.topicName, config);
    this.#systemNames = new Set([...SYSTEM_TOPICS, ...fromStart.map((config) => config.topicName)]);
  }

  /** Reads the table; what it says of system topics overrides what they are made with. @throws ConfigFileError */
  static open(options: TopicsOptions): Topics {
    const topics = new Topics(options);
    const loaded = topics.#file.load((object) => {
      return {
        table: topicConfigTableFromJson(storedTable(object, "topicConfigTable")),
        dataVersion: DataVersion.fromJson(object.dataVersion),
      };
    });
    if (loaded === undefined) return topics;
    for (const [name, config] of loaded.table) topics.#load(name, config);
    topics.#dataVersion = loaded.dataVersion;
    return topics;
  }

  get dataVersion(): DataVersion {
    return this.#dataVersion;
  }

  /** Every topic by its name; a live view, which must not be changed. */
  get table(): ReadonlyMap<string, TopicConfig> {
    return this.#table;
  }

  get(topic: string): TopicConfig | undefined {
    return this.#table.get(topic) ?? this.#lightQueue(topic);
  }

  has(topic: string): boolean {
    return this.get(topic) !== undefined;
  }

  /** Light queues have no entries in the table; each stands for a topic of its own. [RMQ LmqTopicConfigManager] */
  #lightQueue(topic: string): TopicConfig | undefined {
    if (!this.#hasLightQueues || !isLightName(topic)) return undefined;
    return topicConfig(topic, { readQueueNums: 1, writeQueueNums: 1, perm: Perm.READ | Perm.WRITE });
  }

  isOrderTopic(topic: string): boolean {
    return this.#table.get(topic)?.order ?? false;
  }

  /** Whether administrators may not create, change or delete a topic. */
  isSystemTopic(topic: string): boolean {
    return this.#systemNames.has(topic) || topic.startsWith(SYSTEM_TOPIC_PREFIX);
  }

  /** The answer to GET_SYSTEM_TOPIC_LIST_FROM_BROKER. */
  systemTopicNames(): string[] {
    return [...this.#systemNames];
  }

  /** `listener` must not throw. */
  onChange(listener: TopicsListener): void {
    this.#listeners.push(listener);
  }

  /**
   * Creates or replaces topics at an administrator's wish, all or none. Attributes come with the sign that
   * requests give them (`+name`, `-name`); those not named stay. What is already as wished is left alone.
   * @throws RemotingError when attributes can't be so, or the table can't be written
   */
  update(...wished: readonly TopicConfig[]): void {
    const changed: TopicConfig[] = [];
    for (const wish of wished) {
      const current = this.#table.get(wish.topicName);
      const attributes = alterAttributes(TOPIC_ATTRIBUTES, current?.attributes, wish.attributes);
      const config = { ...wish, attributes };
      if (current === undefined || !isSame(current, config)) changed.push(config);
    }
    this.#put(changed);
  }

  /** False if there was none. @throws RemotingError when the table can't be written */
  delete(topic: string): boolean {
    const config = this.#table.get(topic);
    if (config === undefined) return false;
    this.#change(() => this.#table.delete(topic), () => this.#table.set(topic, config));
    logger.info("deleted the topic {topic}", { topic });
    this.#tell([]);
    return true;
  }

  /**
   * The topic of a send, made after the template that the client names if it does not exist. Undefined if
   * there is no such template, it may not be inherited from, or no queue would result.
   * @throws RemotingError when the table can't be written
   */
  createForSend(
    topic: string,
    defaultTopic: string,
    clientQueueCount: number,
    topicSysFlag: number,
  ): TopicConfig | undefined {
    const existing = this.#table.get(topic);
    if (existing !== undefined) return existing;
    const template = this.#template(defaultTopic);
    if (template === undefined) return undefined;
    const queueCount = Math.min(clientQueueCount, template.writeQueueNums);
    if (queueCount <= 0 || this.#isFull(topic)) return undefined;
    const config = topicConfig(topic, {
      readQueueNums: queueCount,
      writeQueueNums: queueCount,
      perm: template.perm & ~Perm.INHERIT,
      topicSysFlag,
      topicFilterType: template.topicFilterType,
    });
    this.#put([config]);
    return config;
  }

  /**
   * The topic of messages that go back (`%RETRY%…`, `%DLQ%…`), made if it does not exist. Of one that exists
   * only `order` is brought up to date, if given. Undefined if there are too many topics.
   * @throws RemotingError when the table can't be written
   */
  createForSendBack(topic: string, wish: NewTopic): TopicConfig | undefined {
    const existing = this.#table.get(topic);
    if (existing !== undefined) {
      if (wish.order === undefined || wish.order === existing.order) return existing;
      const config = { ...existing, order: wish.order };
      this.#put([config], wish.soon);
      return config;
    }
    if (this.#isFull(topic)) return undefined;
    const config = topicConfig(topic, {
      readQueueNums: wish.queueCount,
      writeQueueNums: wish.queueCount,
      perm: wish.perm,
      order: wish.order,
      topicSysFlag: wish.topicSysFlag,
    });
    this.#put([config], wish.soon);
    return config;
  }

  /** Marks topics that a name server lists as ordered; others stay as they are. [RMQ updateOrderTopicConfig] */
  markOrdered(topics: Iterable<string>): void {
    const changed: TopicConfig[] = [];
    for (const topic of topics) {
      const config = this.#table.get(topic);
      if (config !== undefined && !config.order) changed.push({ ...config, order: true });
    }
    this.#put(changed, true);
  }

  /**
   * Takes the table of another broker, with its version, in place of this one: a slave its master's. System topics
   * that the other one lacks stay.
   * @returns the topics that are gone
   * @throws RemotingError when the table can't be written
   */
  adopt(table: ReadonlyMap<string, TopicConfig>, version: DataVersion): string[] {
    if (version.equals(this.#dataVersion)) return [];
    const before = new Map(this.#table);
    const gone = [...before.keys()].filter((topic) => !table.has(topic) && !this.isSystemTopic(topic));
    const changed = [...table.values()].filter((config) => {
      const current = before.get(config.topicName);
      return current === undefined || !isSame(current, config);
    });
    const apply = () => {
      for (const topic of gone) this.#table.delete(topic);
      for (const config of changed) this.#table.set(config.topicName, config);
    };
    const undo = () => {
      this.#table.clear();
      for (const [topic, config] of before) this.#table.set(topic, config);
    };
    this.#change(apply, undo, false, version);
    if (gone.length > 0) logger.info("topics that the master no longer has: {gone}", { gone });
    if (changed.length > 0 || gone.length > 0) this.#tell(changed);
    return gone;
  }

  /** A new version of the same table: for changes that concern all topics, such as the broker's permission. */
  touch(): void {
    this.#change(() => {}, () => {});
    this.#tell([]);
  }

  /** Writes what is not written yet. @throws RemotingError when it can't be written */
  flush(): void {
    this.#file.flush();
  }

  #load(name: string, config: TopicConfig): void {
    this.#table.set(name, config);
    for (const [attribute, value] of config.attributes) {
      const problem = TOPIC_ATTRIBUTES.get(attribute)?.problem(value);
      if (problem !== undefined) {
        logger.warn("the topic {name} has {attribute}={value}, which {problem}", {
          name,
          attribute,
          value,
          problem,
        });
      }
    }
  }

  #template(defaultTopic: string): TopicConfig | undefined {
    // A table written while topics could be made may still hold the template. [RMQ createTopicInSendMessageMethod]
    if (defaultTopic === SystemTopic.AUTO_CREATE && !this.#settings().autoCreateTopic) return undefined;
    const template = this.#table.get(defaultTopic);
    return template !== undefined && isInheritable(template.perm) ? template : undefined;
  }

  #isFull(topic: string): boolean {
    if (this.#table.size < this.#maxAutoCreated) return false;
    logger.warn("the topic {topic} is not made: there are {count} topics", {
      topic,
      count: this.#table.size,
    });
    return true;
  }

  #put(configs: readonly TopicConfig[], soon = false): void {
    if (configs.length === 0) return;
    const before = configs.map((config) => this.#table.get(config.topicName));
    const apply = () => configs.forEach((config) => this.#table.set(config.topicName, config));
    const undo = () =>
      configs.forEach((config, i) => {
        if (before[i] === undefined) this.#table.delete(config.topicName);
        else this.#table.set(config.topicName, before[i]);
      });
    this.#change(apply, undo, soon);
    for (const [i, { topicName, ...config }] of configs.entries()) {
      const done = before[i] === undefined ? "created" : "changed";
      logger.info("{done} the topic {topicName}: {config}", { done, topicName, config });
    }
    this.#tell(configs);
  }

  #change(apply: () => void, undo: () => void, soon = false, version?: DataVersion): void {
    const before = this.#dataVersion;
    apply();
    this.#dataVersion = version ?? before.next(this.#clock.nowMs());
    if (soon) {
      this.#file.writeSoon(() => this.#toJson());
      return;
    }
    try {
      this.#file.write(this.#toJson());
    } catch (error) {
      undo();
      this.#dataVersion = before;
      throw error;
    }
  }

  #tell(changed: readonly TopicConfig[]): void {
    for (const listener of this.#listeners) listener(changed);
  }

  #toJson(): Record<string, unknown> {
    return {
      dataVersion: this.#dataVersion.toJson(),
      topicConfigTable: topicConfigTableToJson(this.#table),
    };
  }
}

function isSame(a: TopicConfig, b: TopicConfig): boolean {
  return a.readQueueNums === b.readQueueNums && a.writeQueueNums === b.writeQueueNums && a.perm === b.perm &&
    a.topicFilterType === b.topicFilterType && a.topicSysFlag === b.topicSysFlag && a.order === b.order &&
    a.attributes.size === b.attributes.size &&
    [...a.attributes].every(([name, value]) => b.attributes.get(name) === value);
}
