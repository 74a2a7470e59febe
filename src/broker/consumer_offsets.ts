// SPDX-License-Identifier: Apache-2.0
/**
 * How far each group has come in each queue: `config/consumerOffset.json`, keyed `topic@group`.
 *
 * What is stored may lag (messages come again) but must never run ahead of what the group has consumed or of
 * what a queue holds (messages would be lost); so after recovery `cutAbove` is called before anybody is served.
 * Commits become durable within the flush interval, or at `close`. Reset and pulled offsets are not stored.
 */
import { getLogger } from "@logtape/logtape";
import { join } from "node:path";
import type { Clock, Timer } from "../base/clock.ts";
import { DataVersion } from "../protocol/bodies/data_version.ts";
import { asInteger, isObject, type JsonObject, storedTable } from "../protocol/bodies/json_fields.ts";
import { MalformedError } from "../protocol/header.ts";
import type { Json } from "../protocol/java_json.ts";
import type { Files } from "../store/files.ts";
import { JsonFile } from "./json_file.ts";
import { isLightName } from "./topic_name.ts";

const logger = getLogger(["rmq", "broker"]);

export interface ConsumerOffsetsOptions {
  readonly files: Files;
  /** Where `consumerOffset.json` is: the `config` folder of the store. */
  readonly directory: string;
  readonly clock: Clock;
  /** How often what was committed is written. */
  readonly flushIntervalMs: number;
  /** The table is `lmqConsumerOffset.json` then, and has a part for light groups. */
  readonly lightQueues?: boolean;
  /** Of a slave: commits are remembered until its master has them, and don't make another version. */
  readonly isCopy?: boolean;
  /** Called when an administrator moves a group, with the version of the table that knows of it. */
  readonly onReset?: (group: string, topic: string, queueId: number, version: DataVersion) => void;
}

/** A group's position in a queue. */
export interface CommittedOffset {
  readonly group: string;
  readonly topic: string;
  readonly queueId: number;
  readonly offset: number;
}

const FILE = "consumerOffset.json";
const LIGHT_FILE = "lmqConsumerOffset.json";
/** Between the parts of a key; names of topics can't contain it. */
const SEPARATOR = "@";
/** Commits after which slaves are told that the table has changed. [RMQ consumerOffsetUpdateVersionStep] */
const COMMITS_PER_VERSION = 500;
/** Lines of the file that are written without a break. */
const LINES_PER_PIECE = 500;

/** What `query` and `pulled` answer where there is nothing. */
export const NO_OFFSET = -1;

export class ConsumerOffsets {
  readonly #file: JsonFile;
  /** Read where there is no other yet. */
  readonly #fileBefore: JsonFile | undefined;
  readonly #hasLightQueues: boolean;
  readonly #clock: Clock;
  #committed = new OffsetTable();
  readonly #pulled = new OffsetTable();
  readonly #resets = new OffsetTable();
  readonly #timer: Timer;
  /** Of a slave: what groups have committed here and the master is not known to have. */
  readonly #own: OffsetTable | undefined;
  readonly #onReset: ConsumerOffsetsOptions["onReset"];
  #dataVersion: DataVersion;
  #commitCount = 0;
  #isChanged = false;
  #writing: Promise<void> | undefined;

  private constructor(options: ConsumerOffsetsOptions) {
    const fileOf = (name: string) =>
      new JsonFile(options.files, options.clock, join(options.directory, name));
    this.#hasLightQueues = options.lightQueues ?? false;
    this.#file = fileOf(this.#hasLightQueues ? LIGHT_FILE : FILE);
    this.#fileBefore = this.#hasLightQueues ? fileOf(FILE) : undefined;
    this.#clock = options.clock;
    this.#dataVersion = DataVersion.initial(options.clock.nowMs());
    this.#own = options.isCopy ? new OffsetTable() : undefined;
    this.#onReset = options.onReset;
    this.#timer = options.clock.every(options.flushIntervalMs, () => void this.#flushLater());
  }

  /** Reads the table and begins to write it at intervals. @throws ConfigFileError */
  static open(options: ConsumerOffsetsOptions): ConsumerOffsets {
    const offsets = new ConsumerOffsets(options);
    try {
      offsets.#load();
    } catch (error) {
      offsets.#timer.cancel();
      throw error;
    }
    return offsets;
  }

  /** Of the table of committed offsets; moves only now and then. */
  get dataVersion(): DataVersion {
    return this.#dataVersion;
  }

  /** Stores a group's position in a queue: the offset of the next message to consume. It may go back. */
  commit(group: string, topic: string, queueId: number, offset: number): void {
    this.#committed.set(group, topic, queueId, offset);
    this.#isChanged = true;
    if (this.#own !== undefined) this.#own.set(group, topic, queueId, offset);
    else if (++this.#commitCount % COMMITS_PER_VERSION === 0) this.#nextVersion();
  }

  /** The committed offset, or `NO_OFFSET`. */
  query(group: string, topic: string, queueId: number): number {
    return this.#committed.get(group, topic, queueId);
  }

  /** queueId to committed offset; undefined where the group has none in this topic. A live view. */
  queuesOf(group: string, topic: string): ReadonlyMap<number, number> | undefined {
    return this.#committed.queuesOf(group, topic);
  }

  /** Topics in which a group has committed something. */
  topicsOf(group: string): string[] {
    return this.#committed.topicsOf(group);
  }

  /** Groups that have committed something in a topic. */
  groupsOf(topic: string): string[] {
    return this.#committed.groupsOf(topic);
  }

  /** Groups that have committed anything. */
  groups(): string[] {
    return this.#committed.groups();
  }

  /** Gives one group the positions that another has in a topic, in place of its own. */
  clone(fromGroup: string, toGroup: string, topic: string): void {
    const queues = this.#committed.queuesOf(fromGroup, topic);
    if (queues === undefined) return;
    const copy = [...queues];
    this.#committed.removeTopicOf(toGroup, topic);
    for (const [queueId, offset] of copy) this.#committed.set(toGroup, topic, queueId, offset);
    this.#changed();
  }

  /** Remembers the end of what was given to a group: what it has pulled but perhaps not consumed. */
  notePulled(group: string, topic: string, queueId: number, nextOffset: number): void {
    this.#pulled.set(group, topic, queueId, nextOffset);
  }

  /** The end of what was given to a group since the start of the broker, or `NO_OFFSET`. */
  pulled(group: string, topic: string, queueId: number): number {
    return this.#pulled.get(group, topic, queueId);
  }

  /** Moves a group: stored at once, and told to the client that next pulls from the queue. */
  reset(group: string, topic: string, queueId: number, offset: number): void {
    this.#resets.set(group, topic, queueId, offset);
    this.#committed.set(group, topic, queueId, offset);
    this.#changed();
    this.#onReset?.(group, topic, queueId, this.#dataVersion);
  }

  /** The offset of a reset that no client has been told yet. */
  pendingReset(group: string, topic: string, queueId: number): number | undefined {
    const offset = this.#resets.get(group, topic, queueId);
    return offset === NO_OFFSET ? undefined : offset;
  }

  /** The same, and from now on the client counts as told. */
  takeReset(group: string, topic: string, queueId: number): number | undefined {
    const offset = this.pendingReset(group, topic, queueId);
    if (offset !== undefined) this.#resets.remove(group, topic, queueId);
    return offset;
  }

  /** Forgets all groups' positions in a topic. */
  removeTopic(topic: string): void {
    for (const table of this.#tables()) {
      for (const group of table.groupsOf(topic)) table.removeTopicOf(group, topic);
    }
    this.#changed();
  }

  /** Forgets a group's positions. */
  removeGroup(group: string): void {
    for (const table of this.#tables()) table.removeGroup(group);
    this.#changed();
  }

  /** Forgets a group's positions in a topic. */
  removeTopicOf(group: string, topic: string): void {
    for (const table of this.#tables()) table.removeTopicOf(group, topic);
    this.#changed();
  }

  /**
   * Cuts offsets above the end of their queue to it, and logs each: records that a power cut removed leave
   * their offsets to new messages, which the group would never see. Returns how many were cut.
   */
  cutAbove(maxOffsetOf: (topic: string, queueId: number) => number): number {
    let count = 0;
    for (const [group, topic, queues] of this.#committed.entries()) {
      for (const [queueId, offset] of queues) {
        const maxOffset = maxOffsetOf(topic, queueId);
        if (offset <= maxOffset) continue;
        queues.set(queueId, maxOffset);
        count++;
        logger.warn(
          "{group} was at {offset} in {topic} queue {queueId}, which ends at {maxOffset}: cut to it",
          {
            group,
            offset,
            topic,
            queueId,
            maxOffset,
          },
        );
      }
    }
    if (count > 0) this.#changed();
    return count;
  }

  /**
   * Of a slave: takes the master's table and version in place of its own, but keeps what was committed here if it
   * is further.
   * @returns what was kept: the master should have it too, which `handedOver` then tells
   */
  adopt(table: readonly CommittedOffset[], version: DataVersion): CommittedOffset[] {
    const masters = new OffsetTable();
    for (const { group, topic, queueId, offset } of table) masters.set(group, topic, queueId, offset);
    const kept: CommittedOffset[] = [];
    for (const own of listOf(this.#own ?? new OffsetTable())) {
      const { group, topic, queueId, offset } = own;
      if (offset <= masters.get(group, topic, queueId)) this.#own!.remove(group, topic, queueId);
      else kept.push(own);
    }
    if (kept.length === 0 && version.equals(this.#dataVersion) && this.#committed.equals(masters)) return [];
    for (const { group, topic, queueId, offset } of kept) masters.set(group, topic, queueId, offset);
    this.#committed = masters;
    this.#dataVersion = version;
    this.#isChanged = true;
    return kept;
  }

  /** Of a slave: the master has this offset. */
  handedOver({ group, topic, queueId, offset }: CommittedOffset): void {
    if (this.#own?.get(group, topic, queueId) === offset) this.#own.remove(group, topic, queueId);
  }

  /**
   * Of a master that was away: takes what groups have committed at a slave meanwhile, where it is further.
   * @param isWanted false leaves a position as it is
   * @returns how many positions have moved
   */
  takeFurther(table: readonly CommittedOffset[], isWanted: (offset: CommittedOffset) => boolean): number {
    let count = 0;
    for (const item of table) {
      const { group, topic, queueId, offset } = item;
      if (offset <= this.#committed.get(group, topic, queueId) || !isWanted(item)) continue;
      this.#committed.set(group, topic, queueId, offset);
      count++;
    }
    if (count > 0) this.#changed();
    return count;
  }

  /** All positions. */
  all(): CommittedOffset[] {
    return listOf(this.#committed);
  }

  /** Whether no group has committed anything. */
  get isEmpty(): boolean {
    return this.#committed.groups().length === 0;
  }

  /** The answer to GET_ALL_CONSUMER_OFFSET, and what slaves store. A value for `stringifyJson`. */
  toJson(): Record<string, unknown> {
    const offsetTable = new Map<string, ReadonlyMap<number, number>>();
    for (const [group, topic, queues] of this.#committed.entries()) {
      offsetTable.set(topic + SEPARATOR + group, queues);
    }
    const dataVersion = this.#dataVersion.toJson();
    if (!this.#hasLightQueues) return { dataVersion, offsetTable };
    return { dataVersion, lmqOffsetTable: Object.fromEntries(this.#lightEntries()), offsetTable };
  }

  /** Writes what was committed before the call, if anything. @throws the error of the disk */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing.catch(() => {});
    if (!this.#isChanged) return;
    this.#isChanged = false;
    this.#writing = this.#file.writeInPieces(this.#pieces());
    try {
      await this.#writing;
    } catch (error) {
      this.#isChanged = true;
      throw error;
    } finally {
      this.#writing = undefined;
    }
  }

  /** Writes what is not written yet and stops writing. @throws RemotingError when it can't be written */
  async close(): Promise<void> {
    this.#timer.cancel();
    while (this.#writing !== undefined) await this.#writing.catch(() => {});
    if (!this.#isChanged) return;
    this.#file.write(this.toJson());
    this.#isChanged = false;
  }

  async #flushLater(): Promise<void> {
    if (this.#writing !== undefined) return;
    try {
      await this.flush();
    } catch (error) {
      logger.error("consumer offsets can't be written: {error}; tried again at the next interval", { error });
    }
  }

  #load(): void {
    const decode = (object: JsonObject) => {
      const parsed = parseOffsets(object);
      this.#dataVersion = DataVersion.fromJson(object.dataVersion);
      for (const [group, topic, queueId, offset] of parsed) {
        this.#committed.set(group, topic, queueId, offset);
      }
      return true;
    };
    if (this.#file.load(decode) === undefined) this.#fileBefore?.load(decode);
  }

  /** `topic@group` to offset: light groups stand in both parts, for brokers that read only one of them. */
  *#lightEntries(): Iterable<[string, number]> {
    for (const [group, topic, queues] of this.#committed.entries()) {
      const offset = queues.get(0);
      if (isLightName(group) && offset !== undefined) yield [topic + SEPARATOR + group, offset];
    }
  }

  /** The text of the file. Offsets change while it is made; each one is as it was at some time of that. */
  *#pieces(): Iterable<string> {
    const { counter, stateVersion, timestamp } = this.#dataVersion.toJson();
    let text =
      `{\n\t"dataVersion":{"counter":${counter},"stateVersion":${stateVersion},"timestamp":${timestamp}},\n` +
      (this.#hasLightQueues
        ? `\t"lmqOffsetTable":${JSON.stringify(Object.fromEntries(this.#lightEntries()))},\n`
        : "") +
      `\t"offsetTable":{`;
    let lineCount = 0;
    for (const [group, topic, queues] of this.#committed.entries()) {
      text += `${lineCount === 0 ? "" : ","}\n\t\t${JSON.stringify(topic + SEPARATOR + group)}:{`;
      let separator = "";
      for (const [queueId, offset] of queues) {
        text += `${separator}"${queueId}":${offset}`;
        separator = ",";
      }
      text += "}";
      if (++lineCount % LINES_PER_PIECE !== 0) continue;
      yield text;
      text = "";
    }
    yield `${text}\n\t}\n}\n`;
  }

  #changed(): void {
    this.#isChanged = true;
    this.#nextVersion();
  }

  #nextVersion(): void {
    this.#dataVersion = this.#dataVersion.next(this.#clock.nowMs());
  }

  #tables(): readonly OffsetTable[] {
    const tables = [this.#committed, this.#pulled, this.#resets];
    return this.#own === undefined ? tables : [...tables, this.#own];
  }
}

/** Group to topic to queueId to offset. Empty inner maps are removed. */
class OffsetTable {
  readonly #groups = new Map<string, Map<string, Map<number, number>>>();

  get(group: string, topic: string, queueId: number): number {
    return this.#groups.get(group)?.get(topic)?.get(queueId) ?? NO_OFFSET;
  }

  set(group: string, topic: string, queueId: number, offset: number): void {
    let topics = this.#groups.get(group);
    if (topics === undefined) this.#groups.set(group, topics = new Map());
    let queues = topics.get(topic);
    if (queues === undefined) topics.set(topic, queues = new Map());
    queues.set(queueId, offset);
  }

  remove(group: string, topic: string, queueId: number): void {
    const queues = this.#groups.get(group)?.get(topic);
    queues?.delete(queueId);
    if (queues?.size === 0) this.removeTopicOf(group, topic);
  }

  removeTopicOf(group: string, topic: string): void {
    const topics = this.#groups.get(group);
    topics?.delete(topic);
    if (topics?.size === 0) this.#groups.delete(group);
  }

  removeGroup(group: string): void {
    this.#groups.delete(group);
  }

  queuesOf(group: string, topic: string): Map<number, number> | undefined {
    return this.#groups.get(group)?.get(topic);
  }

  topicsOf(group: string): string[] {
    return [...this.#groups.get(group)?.keys() ?? []];
  }

  groupsOf(topic: string): string[] {
    return this.groups().filter((group) => this.#groups.get(group)!.has(topic));
  }

  groups(): string[] {
    return [...this.#groups.keys()];
  }

  equals(other: OffsetTable): boolean {
    const mine = listOf(this);
    return mine.length === listOf(other).length &&
      mine.every(({ group, topic, queueId, offset }) => other.get(group, topic, queueId) === offset);
  }

  *entries(): Iterable<[group: string, topic: string, queues: Map<number, number>]> {
    for (const [group, topics] of this.#groups) {
      for (const [topic, queues] of topics) yield [group, topic, queues];
    }
  }
}

function listOf(table: OffsetTable): CommittedOffset[] {
  const list: CommittedOffset[] = [];
  for (const [group, topic, queues] of table.entries()) {
    for (const [queueId, offset] of queues) list.push({ group, topic, queueId, offset });
  }
  return list;
}

/** @throws MalformedError when something is not an offset: then nothing of the file can be trusted */
export function parseOffsets(
  object: JsonObject,
): [group: string, topic: string, queueId: number, offset: number][] {
  const parsed: [string, string, number, number][] = [];
  const table = storedTable(object, "offsetTable");
  for (const key of Object.keys(table)) {
    const { topic, group } = partsOf(key);
    for (const [queueId, offset] of Object.entries(resolve(table, key))) {
      if (!/^-?[0-9]+$/.test(queueId)) {
        throw new MalformedError(`${queueId.slice(0, 32)} in ${key} is no queue`);
      }
      parsed.push([group, topic, Number(queueId), offsetOf(offset, key)]);
    }
  }
  // Brokers that know light groups keep theirs here only; what is above may be older.
  for (const [key, offset] of Object.entries(members(object.lmqOffsetTable ?? {}, "lmqOffsetTable"))) {
    const { topic, group } = partsOf(key);
    parsed.push([group, topic, 0, offsetOf(offset, key)]);
  }
  return parsed;
}

function partsOf(key: string): { topic: string; group: string } {
  const at = key.indexOf(SEPARATOR);
  if (at <= 0) throw new MalformedError(`the key ${key.slice(0, 128)} is not of the form topic@group`);
  return { topic: key.slice(0, at), group: key.slice(at + 1) };
}

/**
 * The offsets under a key. Old brokers cloned a group by sharing its map, which fastjson then writes once, and
 * after that as `{"$ref":"$.offsetTable.TopicA\\@GroupA"}`.
 */
function resolve(table: JsonObject, key: string): JsonObject {
  const queues = members(table[key], key);
  if (typeof queues.$ref !== "string") return queues;
  const referred = queues.$ref.replace(/^\$\.offsetTable\./, "").replaceAll("\\", "");
  if (!Object.hasOwn(table, referred)) {
    throw new MalformedError(`${key} refers to ${referred}, which is not there`);
  }
  return members(table[referred], referred);
}

function offsetOf(value: Json, key: string): number {
  const offset = asInteger(value, NaN);
  if (Number.isNaN(offset)) throw new MalformedError(`an offset of ${key} is no number`);
  // Java clients can commit Long.MAX_VALUE; what is stored must stay a number that Java can read.
  return Math.max(Math.min(offset, Number.MAX_SAFE_INTEGER), Number.MIN_SAFE_INTEGER);
}

function members(value: Json | undefined, name: string): JsonObject {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw new MalformedError(`${name} is no JSON object`);
  return value;
}
