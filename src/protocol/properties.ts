// SPDX-License-Identifier: Apache-2.0
/**
 * The property string of a message: `name \x01 value \x02`, repeated. The last `\x02` may be missing;
 * we write it. Nothing is escaped. [RMQ MessageDecoder.string2messageProperties]
 */

/** Names of properties that the broker reads or writes. [RMQ MessageConst] */
export const Property = {
  KEYS: "KEYS",
  TAGS: "TAGS",
  UNIQ_KEY: "UNIQ_KEY",
  /** Checksum of the whole record. */
  CRC32: "__CRC32#",
  WAIT: "WAIT",
  DELAY: "DELAY",
  RETRY_TOPIC: "RETRY_TOPIC",
  REAL_TOPIC: "REAL_TOPIC",
  /** Of messages that are to stay in order. */
  SHARDING_KEY: "__SHARDINGKEY",
  REAL_QUEUE_ID: "REAL_QID",
  TRANSACTION_PREPARED: "TRAN_MSG",
  PRODUCER_GROUP: "PGROUP",
  TRANSACTION_ID: "__transactionId__",
  TRANSACTION_CHECK_TIMES: "TRANSACTION_CHECK_TIMES",
  /** Of a half that Apache has stored anew while it was too young to be asked about: the offset of the first. */
  TRANSACTION_PREPARED_QUEUE_OFFSET: "TRAN_PREPARED_QUEUE_OFFSET",
  CHECK_IMMUNITY_TIME: "CHECK_IMMUNITY_TIME_IN_SECONDS",
  REPLY_TO_CLIENT: "REPLY_TO_CLIENT",
  PUSH_REPLY_TIME: "PUSH_REPLY_TIME",
  ORIGIN_MESSAGE_ID: "ORIGIN_MESSAGE_ID",
  MSG_REGION: "MSG_REGION",
  TRACE_ON: "TRACE_ON",
  CLUSTER: "CLUSTER",
  POP_CK: "POP_CK",
  FIRST_POP_TIME: "1ST_POP_TIME",
  ORIGIN_GROUP: "ORIGIN_GROUP",
  INNER_NUM: "INNER_NUM",
  PRIORITY: "_SYS_MSG_PRIORITY_",
  INNER_MULTI_DISPATCH: "INNER_MULTI_DISPATCH",
  INNER_MULTI_QUEUE_OFFSET: "INNER_MULTI_QUEUE_OFFSET",
  TIMER_DELAY_SEC: "TIMER_DELAY_SEC",
  TIMER_DELAY_MS: "TIMER_DELAY_MS",
  TIMER_DELIVER_MS: "TIMER_DELIVER_MS",
  TIMER_DEL_UNIQKEY: "TIMER_DEL_UNIQKEY",
  TIMER_OUT_MS: "TIMER_OUT_MS",
  TIMER_ENQUEUE_MS: "TIMER_ENQUEUE_MS",
  TIMER_DEQUEUE_MS: "TIMER_DEQUEUE_MS",
  TIMER_ROLL_TIMES: "TIMER_ROLL_TIMES",
  BORN_TIMESTAMP: "BORN_TIMESTAMP",
} as const;

const NAME_END = "\u0001";
const ITEM_END = "\u0002";
const ITEM_END_CODE = 2;

/** How the items of the properties that are asked for begin: few names, asked for millions of times. */
const ITEM_STARTS = new Map(Object.values(Property).map((name) => [name as string, name + NAME_END]));

function itemStart(name: string): string {
  return ITEM_STARTS.get(name) ?? name + NAME_END;
}

/** The properties as a map, in their order; pairs with an empty name or value are dropped, as Java does. */
export function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>();
  let from = 0;
  while (from < text.length) {
    let end = text.indexOf(ITEM_END, from);
    if (end === -1) end = text.length;
    const separator = text.indexOf(NAME_END, from);
    if (separator > from && separator < end - 1) {
      properties.set(text.slice(from, separator), text.slice(separator + 1, end));
    }
    from = end + 1;
  }
  return properties;
}

/** A property string of which mostly one or two properties are asked for: it is parsed only for more than that. */
export class PropertyText implements ReadonlyMap<string, string> {
  readonly #text: string;
  #parsed: Map<string, string> | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  get(name: string): string | undefined {
    if (this.#parsed !== undefined) return this.#parsed.get(name);
    const text = this.#text;
    const item = itemStart(name);
    const at = text.indexOf(item);
    if (at === -1) return undefined;
    const isItem = at === 0 || text.charCodeAt(at - 1) === ITEM_END_CODE;
    // Of items with one name the last counts; and what looks like an item may be a part of another.
    if (!isItem || text.indexOf(item, at + 1) !== -1) return this.#all().get(name);
    const from = at + item.length;
    const end = text.indexOf(ITEM_END, from);
    return (end === -1 ? text.slice(from) : text.slice(from, end)) || undefined;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  get size(): number {
    return this.#all().size;
  }

  keys() {
    return this.#all().keys();
  }

  values() {
    return this.#all().values();
  }

  entries() {
    return this.#all().entries();
  }

  [Symbol.iterator]() {
    return this.#all().entries();
  }

  forEach(
    use: (value: string, name: string, map: ReadonlyMap<string, string>) => void,
    self?: unknown,
  ): void {
    this.#all().forEach((value, name) => use.call(self, value, name, this));
  }

  #all(): Map<string, string> {
    return this.#parsed ??= parseProperties(this.#text);
  }
}

export function encodeProperties(properties: Iterable<readonly [string, string]>): string {
  let text = "";
  for (const [name, value] of properties) text += name + NAME_END + value + ITEM_END;
  return text;
}

/** `text` with one more property at its end. */
export function appendProperty(text: string, name: string, value: string): string {
  return joinProperties(text, name + NAME_END + value + ITEM_END);
}

/** Two property strings as one. */
export function joinProperties(text: string, more: string): string {
  return text === "" || text.charCodeAt(text.length - 1) === 2 ? text + more : text + ITEM_END + more;
}

/** `text` without the property `name`. */
export function removeProperty(text: string, name: string): string {
  if (!text.includes(name + NAME_END)) return text;
  return text.split(ITEM_END).filter((item) => item !== "" && !item.startsWith(name + NAME_END))
    .map((item) => item + ITEM_END).join("");
}
