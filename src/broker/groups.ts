// SPDX-License-Identifier: Apache-2.0
/**
 * The broker's consumer groups: `config/subscriptionGroup.json`, and the rules by which groups come into being.
 *
 * What an administrator changes is durable when the call returns; if it can't be written, nothing has changed
 * and the call throws. Groups that a look-up makes are written a moment later, all together, for the next
 * look-up would make them again.
 */
import { getLogger } from "@logtape/logtape";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { DataVersion } from "../protocol/bodies/data_version.ts";
import { storedTable } from "../protocol/bodies/json_fields.ts";
import {
  FORBIDDEN_READ,
  type GroupConfig,
  groupConfig,
  type GroupTable,
  groupTableFromJson,
  groupTableToJson,
} from "../protocol/bodies/subscription_group.ts";
import type { Files } from "../store/files.ts";
import { alterAttributes, GROUP_ATTRIBUTES } from "./attributes.ts";
import { JsonFile } from "./json_file.ts";
import { groupNameProblem, isLightName, SYSTEM_GROUP_PREFIX } from "./topic_name.ts";

const logger = getLogger(["rmq", "broker"]);

export interface GroupsOptions {
  readonly files: Files;
  /** Where `subscriptionGroup.json` is: the `config` folder of the store. */
  readonly directory: string;
  readonly clock: Clock;
  readonly settings: () => GroupsSettings;
  /** Whether names that begin with `%LMQ%` stand for groups that need no configuration. */
  readonly lightQueues?: boolean;
  /** Beyond so many groups none is made by itself any more, for clients choose the names. */
  readonly maxAutoCreated?: number;
}

export interface GroupsSettings {
  /** Whether a look-up makes any group. */
  readonly autoCreateGroup: boolean;
  /** Whether a look-up makes groups whose name begins with `CID_RMQ_SYS_`, even if it makes no others. */
  readonly createSystemGroups: boolean;
}

const MAX_AUTO_CREATED = 100_000;

/** Groups of tools and of the broker itself, which every table has. [RMQ SubscriptionGroupManager.init] */
const BUILT_IN_GROUPS = [
  "TOOLS_CONSUMER",
  "FILTERSRV_CONSUMER",
  "SELF_TEST_C_GROUP",
  "CID_ONS-HTTP-PROXY",
  "CID_ONSAPI_PULL",
  "CID_ONSAPI_PERMISSION",
  "CID_ONSAPI_OWNER",
  "CID_RMQ_SYS_TRANS",
] as const;

export class Groups {
  readonly #options: GroupsOptions;
  readonly #file: JsonFile;
  readonly #groups = new Map<string, GroupConfig>();
  readonly #forbidden = new Map<string, Map<string, number>>();
  #dataVersion: DataVersion;

  private constructor(options: GroupsOptions) {
    this.#options = options;
    this.#file = new JsonFile(
      options.files,
      options.clock,
      join(options.directory, "subscriptionGroup.json"),
    );
    this.#dataVersion = DataVersion.initial(options.clock.nowMs());
    for (const name of BUILT_IN_GROUPS) this.#groups.set(name, groupConfig(name));
  }

  /** Reads the table; what it says of built-in groups overrides what they are made with. @throws ConfigFileError */
  static open(options: GroupsOptions): Groups {
    const groups = new Groups(options);
    const loaded = groups.#file.load((object) => {
      storedTable(object, "subscriptionGroupTable");
      return groupTableFromJson(object);
    });
    if (loaded === undefined) return groups;
    for (const [name, config] of loaded.groups) groups.#groups.set(name, config);
    for (const [name, topics] of loaded.forbidden) groups.#forbidden.set(name, new Map(topics));
    groups.#dataVersion = loaded.dataVersion;
    return groups;
  }

  get dataVersion(): DataVersion {
    return this.#dataVersion;
  }

  /** Every group and what is forbidden to it, by name; live views, which must not be changed. */
  get table(): GroupTable {
    return { dataVersion: this.#dataVersion, groups: this.#groups, forbidden: this.#forbidden };
  }

  /** The group, if there is one. */
  get(group: string): GroupConfig | undefined {
    return this.#groups.get(group) ?? this.#light(group);
  }

  has(group: string): boolean {
    return this.get(group) !== undefined;
  }

  /** Light groups have no entries in the table. [RMQ LmqSubscriptionGroupManager] */
  #light(group: string): GroupConfig | undefined {
    return this.#options.lightQueues && isLightName(group) ? groupConfig(group) : undefined;
  }

  /** The group, made now if it may be: what requests of consumers look up. */
  find(group: string): GroupConfig | undefined {
    return this.get(group) ?? this.#autoCreate(group);
  }

  /**
   * Creates or replaces groups at an administrator's wish, all or none. Attributes come with the sign that
   * requests give them (`+name`, `-name`); those not named stay.
   * @throws RemotingError when attributes can't be so, or the table can't be written
   */
  update(...wished: readonly GroupConfig[]): void {
    const configs = wished.map((wish) => {
      const current = this.#groups.get(wish.groupName);
      return { ...wish, attributes: alterAttributes(GROUP_ATTRIBUTES, current?.attributes, wish.attributes) };
    });
    if (configs.length === 0) return;
    const before = configs.map((config) => this.#groups.get(config.groupName));
    this.#change(
      () => configs.forEach((config) => this.#groups.set(config.groupName, config)),
      () => configs.forEach((config, i) => restore(this.#groups, config.groupName, before[i])),
    );
    for (const [i, { groupName, ...config }] of configs.entries()) {
      const done = before[i] === undefined ? "created" : "changed";
      logger.info("{done} the group {groupName}: {config}", { done, groupName, config });
    }
  }

  /** Removes a group and what is forbidden to it. False if there was none. @throws RemotingError */
  delete(group: string): boolean {
    const config = this.#groups.get(group);
    if (config === undefined) return false;
    const forbidden = this.#forbidden.get(group);
    const remove = () => {
      this.#groups.delete(group);
      this.#forbidden.delete(group);
    };
    this.#change(remove, () => {
      this.#groups.set(group, config);
      restore(this.#forbidden, group, forbidden);
    });
    logger.info("deleted the group {group}", { group });
    return true;
  }

  /** Whether a group may not read a topic although both exist. */
  isReadForbidden(group: string, topic: string): boolean {
    if (this.#forbidden.size === 0) return false;
    return ((this.#forbidden.get(group)?.get(topic) ?? 0) & FORBIDDEN_READ) !== 0;
  }

  /**
   * Forbids a group to read a topic, or allows it again; its other topics stay as they are.
   * @throws RemotingError when the table can't be written
   */
  setReadForbidden(group: string, topic: string, isForbidden: boolean): void {
    if (this.isReadForbidden(group, topic) === isForbidden) return;
    const before = this.#forbidden.get(group);
    const topics = new Map(before);
    const bits = (topics.get(topic) ?? 0) ^ FORBIDDEN_READ;
    if (bits === 0) topics.delete(topic);
    else topics.set(topic, bits);
    this.#change(
      () => restore(this.#forbidden, group, topics.size === 0 ? undefined : topics),
      () => restore(this.#forbidden, group, before),
    );
  }

  /**
   * Takes the table of another broker, with its version, in place of this one: a slave its master's. Built-in
   * groups that the other one lacks stay.
   * @throws RemotingError when the table can't be written
   */
  adopt(table: GroupTable): void {
    if (table.dataVersion.equals(this.#dataVersion)) return;
    const before = { groups: new Map(this.#groups), forbidden: new Map(this.#forbidden) };
    const set = (groups: ReadonlyMap<string, GroupConfig>, forbidden: GroupTable["forbidden"]) => {
      this.#groups.clear();
      for (const [name, config] of groups) this.#groups.set(name, config);
      this.#forbidden.clear();
      for (const [name, topics] of forbidden) this.#forbidden.set(name, new Map(topics));
    };
    const builtIn = BUILT_IN_GROUPS.map((name) => [name, before.groups.get(name)!] as const);
    this.#change(
      () => set(new Map([...builtIn, ...table.groups]), table.forbidden),
      () => set(before.groups, before.forbidden),
      table.dataVersion,
    );
  }

  /** Whether every broker has the group. */
  static isBuiltIn(group: string): boolean {
    return (BUILT_IN_GROUPS as readonly string[]).includes(group);
  }

  /** Writes what is not written yet. @throws RemotingError when it can't be written */
  flush(): void {
    this.#file.flush();
  }

  #autoCreate(group: string): GroupConfig | undefined {
    const { settings, maxAutoCreated = MAX_AUTO_CREATED } = this.#options;
    const { autoCreateGroup, createSystemGroups } = settings();
    if (!autoCreateGroup && !(createSystemGroups && group.startsWith(SYSTEM_GROUP_PREFIX))) return undefined;
    if (groupNameProblem(group) !== undefined) return undefined;
    if (this.#groups.size >= maxAutoCreated) {
      logger.warn("the group {group} is not made: there are {count} groups", {
        group,
        count: this.#groups.size,
      });
      return undefined;
    }
    const config = groupConfig(group);
    this.#groups.set(group, config);
    this.#dataVersion = this.#dataVersion.next(this.#options.clock.nowMs());
    this.#file.writeSoon(() => groupTableToJson(this.table));
    logger.info("created the group {group} because a client named it", { group });
    return config;
  }

  #change(apply: () => void, undo: () => void, version?: DataVersion): void {
    const before = this.#dataVersion;
    apply();
    this.#dataVersion = version ?? before.next(this.#options.clock.nowMs());
    try {
      this.#file.write(groupTableToJson(this.table));
    } catch (error) {
      undo();
      this.#dataVersion = before;
      throw error;
    }
  }
}

function restore<V>(map: Map<string, V>, key: string, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
