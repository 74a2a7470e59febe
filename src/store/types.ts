// SPDX-License-Identifier: Apache-2.0
/** The nouns of the store's public face. */

/** A message on its way into the log. */
export interface MessageDraft {
  topic: string;
  queueId: number;
  /** User flag, opaque. */
  flag: number;
  sysFlag: number;
  bornTimestampMs: number;
  bornHost: StoredHost;
  storeHost: StoredHost;
  reconsumeTimes: number;
  preparedTransactionOffset: number;
  body: Uint8Array;
  /** Property string, `name \x01 value \x02 …`. */
  properties: string;
  /** The same, parsed. */
  propertyMap: ReadonlyMap<string, string>;
}

/** IP (4 or 16 bytes) and port, as stored. */
export interface StoredHost {
  readonly ip: Uint8Array;
  readonly port: number;
}

/** Where a message went. It may be acknowledged when the watermark that the policy names has reached `endOffset`. */
export interface Appended {
  physicalOffset: number;
  queueOffset: number;
  /** End of the record (of the last one of a batch) in the log. */
  endOffset: number;
  storeTimestampMs: number;
}

/** Statuses of a read; names as in the remark of a pull's answer. */
export type GetStatus =
  | "FOUND"
  | "NO_MATCHED_MESSAGE"
  | "MESSAGE_WAS_REMOVING"
  | "OFFSET_FOUND_NULL"
  | "OFFSET_OVERFLOW_BADLY"
  | "OFFSET_OVERFLOW_ONE"
  | "OFFSET_TOO_SMALL"
  | "NO_MATCHED_LOGIC_QUEUE"
  | "NO_MESSAGE_IN_QUEUE";

export interface GetResult {
  status: GetStatus;
  nextBeginOffset: number;
  minOffset: number;
  maxOffset: number;
  /** Whole records, as on disk; may be changed by the caller's socket only after being copied. */
  records: readonly Uint8Array[];
  messageCount: number;
  byteCount: number;
}

export interface GetLimits {
  maxCount: number;
  /** Which messages are wanted; absent: every one. */
  filter?: MessageFilter;
}

/** Which messages of a queue a reader wants. Asked in two steps, the cheap one first; none may throw. */
export interface MessageFilter {
  /**
   * By what the queue says of a message; false: surely not wanted.
   * @param tagsCode 32-bit hash of the tags, sign-extended
   * @param extension what an extended entry holds beside it
   */
  matchesEntry(tagsCode: number, extension?: QueueExtension): boolean;
  /** By what it says itself; absent where its entry decides. */
  readonly properties?: PropertyFilter;
}

/** What an extended entry of a queue holds. */
export interface QueueExtension {
  tagsCode: number;
  storeTimestampMs: number;
  /** Which filters the message fulfils; absent where that was not worked out. */
  bitMap: Uint8Array | undefined;
}

/** Decides by a message's properties. */
export interface PropertyFilter {
  matches(properties: ReadonlyMap<string, string>): boolean;
  /** The same for a property string as it is stored, UTF-8, between two places of `bytes`. */
  matchesBytes(bytes: Uint8Array, from: number, end: number): boolean;
}

/** The part of the store that those use who read queues. */
export interface ReadableQueues {
  /** Messages from `offset` on; at once where their bytes are near the log's end, else by promise. */
  getMessages(
    topic: string,
    queueId: number,
    offset: number,
    limits: GetLimits,
  ): GetResult | Promise<GetResult>;
  minOffset(topic: string, queueId: number): number;
  /** One past the last message that consumers may see. */
  maxOffset(topic: string, queueId: number): number;
}

/** Why the store takes nothing now. */
export type RefusalReason = "SHUT_DOWN" | "IS_COPY" | "DISK_FULL" | "WRITE_FAILED" | "SYNC_FAILED";

/** The store does not take messages now; nothing was stored. */
export class StoreRefusedError extends Error {
  override name = "StoreRefusedError";

  constructor(readonly reason: RefusalReason, message: string, options?: { cause?: unknown }) {
    super(message, options);
  }
}

/** This message can't be stored at all (too long, …); nothing was stored. */
export class MessageIllegalError extends Error {
  override name = "MessageIllegalError";
}

/** Bytes of another log can't stand where they should in this one; of these bytes nothing was taken from there on. */
export class ReplicaError extends Error {
  override name = "ReplicaError";

  constructor(readonly physicalOffset: number, message: string) {
    super(message);
  }
}

/** Files that are not what they should be. The store does not open; nothing was changed. */
export class StoreCorruptError extends Error {
  override name = "StoreCorruptError";

  constructor(readonly file: string, message: string, options?: { cause?: unknown }) {
    super(`${file}: ${message}`, options);
  }
}
