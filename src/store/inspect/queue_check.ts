// SPDX-License-Identifier: Apache-2.0
/**
 * Holds one queue against the log. The log is walked once for all queues: each message finds its queue here, in the
 * order of the queue, so that a few entries at a time are enough.
 *
 * Not everything that differs is wrong. A topic that was deleted leaves its messages in the log; one that was made
 * again counts from 0 again, while the earlier messages are still there. A queue may lack its last entries while a
 * broker runs or after it was killed; entries of expired messages stay until their file is deleted.
 */
import type { FindingPlace, Findings } from "./findings.ts";
import { canFollow } from "./message_keys.ts";
import type { QueueView } from "./queue_view.ts";

/** How the last process left the store, or that one has it now. */
export type StoreState = "clean" | "unclean" | "in use";

/** What decides how differences are judged; known when the log's end is. */
export interface Judgement {
  readonly logEnd: number;
  /** Whether the topic exists; undefined where nobody knows. */
  readonly isKnownTopic: (topic: string) => boolean | undefined;
}

/** Tags codes this small are addresses in `consumequeue_ext`, not hashes. */
const EXT_ADDRESS_MAX = -2147483649;
/** Longer delays than ten years are taken for damage. */
const MAX_DELAY_MS = 10 * 366 * 86_400_000;

interface Place {
  readonly queueOffset: number;
  readonly physicalOffset: number;
}

/** A queue entry that outlived its message. */
export interface ExpiredEntry {
  readonly queueOffset: number;
  readonly physicalOffset: number;
  readonly size: number;
  readonly tagsCode: number;
}

/** A number of messages: how many, the first and the last. */
class Messages {
  count = 0;
  first: Place | undefined;
  last: Place | undefined;

  add(queueOffset: number, physicalOffset: number): void {
    this.last = { queueOffset, physicalOffset };
    this.first ??= this.last;
    this.count++;
  }

  has(queueOffset: number): boolean {
    return this.count > 0 && queueOffset >= this.first!.queueOffset && queueOffset <= this.last!.queueOffset;
  }

  describe(): string {
    const { count, first, last } = this;
    if (count === 1) return `message ${first!.queueOffset} (at ${first!.physicalOffset} of the log)`;
    return `${count} messages, ${first!.queueOffset} to ${last!.queueOffset} (at ${
      first!.physicalOffset
    } to ` +
      `${last!.physicalOffset} of the log)`;
  }
}

export class QueueCheck {
  readonly topic: string;
  readonly queueId: number;
  /** Whether its files have to be built again. */
  isWrong = false;
  /** Whether it is to have files: it has, or its topic exists. Known after `finish`. */
  isExpected = true;
  /** Where its files are, or would be. */
  readonly directory: string;
  #view: QueueView | undefined;
  #findings: Findings;
  #logStart: number;
  #state: StoreState;
  #recoveryStart: number;
  #isDamaged: (physicalOffset: number) => boolean;
  /** The next entry to be looked at: those before are matched, or judged. */
  #next: number;
  /** First entry that a message of the log belongs to. */
  #firstMatched: number | undefined;
  /** First message of the log; of the last life of a topic that was made again. */
  #logFirst: number | undefined;
  /** One past the last message of the log. */
  #logNext: number | undefined;
  #lastPhysicalOffset = 0;
  #missing = new Messages();
  /** Messages whose place another one has that comes later in the log. */
  #superseded = new Messages();
  #restarts = 0;
  #lastExpired: ExpiredEntry | undefined;
  /** Delivery time minus store time, where messages wait. */
  #delayMs: number | undefined;

  /**
   * @param options view undefined: the queue has no files. recoveryStart: after a crash, where in the log the next
   * start begins to build queues again. isDamaged: whether a place of the log, before the last message given, can't
   * be read
   */
  constructor(options: {
    topic: string;
    queueId: number;
    directory: string;
    view: QueueView | undefined;
    findings: Findings;
    logStart: number;
    state: StoreState;
    recoveryStart: number;
    isDamaged: (physicalOffset: number) => boolean;
  }) {
    this.topic = options.topic;
    this.queueId = options.queueId;
    this.#view = options.view;
    this.directory = options.directory;
    this.#findings = options.findings;
    this.#logStart = options.logStart;
    this.#state = options.state;
    this.#recoveryStart = options.recoveryStart;
    this.#isDamaged = options.isDamaged;
    this.#next = options.view?.first ?? 0;
    this.isWrong = options.view?.place.isSound === false;
  }

  get hasFiles(): boolean {
    return this.#view !== undefined && this.#view.capacityEnd > this.#view.first;
  }

  /** The last entry whose message has expired. Known after `finish`. */
  get lastExpired(): ExpiredEntry | undefined {
    return this.#lastExpired;
  }

  /** How long the queue's messages wait, as its entries have it; undefined where they do not. */
  get delayMs(): number | undefined {
    return this.#delayMs;
  }

  /** First message that the log has; equals `maxOffset` without any. Known after `finish`. */
  get minOffset(): number {
    return this.#logFirst ?? this.maxOffset;
  }

  /** One past the last message, in the queue or still on its way there. Known after `finish`. */
  get maxOffset(): number {
    return Math.max(this.#next, this.#logNext ?? 0);
  }

  /**
   * A message of this queue, in the order of the log.
   * @param delayedFromMs for a message that waits: its store time, which the entry's delivery time must not precede
   * @param isDamaged whether its queue need not have it
   */
  onMessage(
    queueOffset: number,
    physicalOffset: number,
    size: number,
    tagsCode: number,
    delayedFromMs: number | undefined,
    isDamaged: boolean,
  ): void {
    if (!this.#checkNumber(queueOffset, physicalOffset)) return;
    const view = this.#view;
    if (view === undefined || !this.#seek(view, queueOffset) || view.isFiller) {
      if (!isDamaged) this.#missing.add(queueOffset, physicalOffset);
      return;
    }
    if (view.physicalOffset > physicalOffset) {
      this.#superseded.add(queueOffset, physicalOffset);
      return;
    }
    if (view.physicalOffset < physicalOffset) {
      if (queueOffset < this.#next) {
        // judged already; a queue that does not follow a topic that was made again
        if (!isDamaged) this.#missing.add(queueOffset, physicalOffset);
        return;
      }
      const { physicalOffset: wrong } = view;
      this.#judgeUpTo(queueOffset);
      this.#wrongEntry(queueOffset, `points to ${wrong} of the log; its message is at ${physicalOffset}`);
      this.#next = queueOffset + 1;
      return;
    }
    const { size: entrySize, tagsCode: entryTags } = view;
    this.#judgeUpTo(queueOffset);
    if (entrySize !== size) {
      this.#wrongEntry(queueOffset, `tells ${entrySize} bytes; its message at ${physicalOffset} has ${size}`);
    } else if (!isRightTagsCode(entryTags, tagsCode, delayedFromMs)) {
      const right = delayedFromMs === undefined ? `${tagsCode}` : `a time from ${delayedFromMs} on`;
      this.#wrongEntry(
        queueOffset,
        `has the tags code ${entryTags}, not ${right} as its message at ${physicalOffset}`,
      );
    } else if (delayedFromMs !== undefined) this.#delayMs = entryTags - delayedFromMs;
    this.#firstMatched ??= queueOffset;
    this.#next = Math.max(this.#next, queueOffset + 1);
  }

  /** A part of the log has expired while it was walked. */
  onLogGone(): void {
    this.#logNext = undefined;
  }

  /** Judges what is left when the whole log was walked. */
  finish(judgement: Judgement): void {
    this.#judgeRest(judgement);
    const isKnown = judgement.isKnownTopic(this.topic);
    this.isExpected = this.hasFiles || isKnown !== false;
    if (this.#restarts > 0) {
      const earlier = this.#superseded.count > 0 ? `; ${this.#superseded.describe()} were before` : "";
      this.#note("QUEUE_RESTARTED", `the queue offsets begin at 0 again in the log${earlier}`);
    }
    const missing = this.#missing;
    if (missing.count === 0) return;
    // Recovery after a crash may have brought back the end of the queue, as what it walks through says so.
    if (isKnown === false) {
      this.#note("TOPIC_DELETED", `${missing.describe()} of a topic that does not exist`);
      return;
    }
    if (this.#isAdded(missing) || this.#isBuiltAgain(missing.first!.physicalOffset)) {
      this.#noteOfAll("QUEUE_BEHIND_LOG", `no entry yet for ${missing.describe()}`);
      return;
    }
    this.isWrong = true;
    const place = this.#placeOf(missing.first!.queueOffset);
    this.#findings.add("QUEUE_ENTRY_MISSING", place, `no entry for ${missing.describe()}`);
  }

  /** @returns whether the message can be in the queue */
  #checkNumber(queueOffset: number, physicalOffset: number): boolean {
    const expected = this.#logNext;
    const distance = physicalOffset - this.#lastPhysicalOffset;
    const place = { file: `${this.topic} queue ${this.queueId}` };
    if (expected !== undefined && queueOffset !== 0 && !canFollow(expected, queueOffset, distance)) {
      const what =
        `the message at ${physicalOffset} of the log has queue offset ${queueOffset}; ${expected} comes next`;
      this.#findings.add("QUEUE_OFFSET_WRONG", place, what);
      return false;
    }
    this.#logNext = queueOffset + 1;
    this.#lastPhysicalOffset = physicalOffset;
    if (this.#logFirst === undefined || queueOffset === 0) this.#logFirst = queueOffset;
    if (expected === undefined || queueOffset === expected) return true;
    if (queueOffset === 0) {
      // What was missing belongs to the earlier life of the topic.
      this.#restarts++;
      this.#missing = new Messages();
      return true;
    }
    const lost = queueOffset - 1 === expected ? `${expected} is` : `${expected} to ${queueOffset - 1} are`;
    const before = `before the message at ${physicalOffset} of the log`;
    this.#findings.add("QUEUE_OFFSET_GAP", place, `queue offset ${lost} missing ${before}`);
    return true;
  }

  /** Whether a running broker has added, or will add, what was missing when the log was walked. */
  #isAdded({ last }: Messages): boolean {
    if (this.#state !== "in use") return false;
    return last!.queueOffset >= this.#next || this.#view?.seek(last!.queueOffset, true) === true;
  }

  #seek(view: QueueView, queueOffset: number): boolean {
    return view.seek(queueOffset) || (this.#state === "in use" && view.seek(queueOffset, true));
  }

  /** Entries that no message of the log belongs to, up to one that does. */
  #judgeUpTo(queueOffset: number): void {
    const view = this.#view!;
    for (let at = this.#next; at < queueOffset; at++) {
      if (view.seek(at)) this.#judge(view, at);
      else if (!this.#missing.has(at)) this.#wrongEntry(at, "is empty");
    }
    this.#next = Math.max(this.#next, queueOffset);
  }

  #judgeRest({ logEnd }: Judgement): void {
    const view = this.#view;
    if (view === undefined) return;
    for (;;) {
      const used = view.nextUsed(this.#next);
      if (used === undefined) return;
      if (used > this.#next && this.#next > view.first && !this.#missing.has(this.#next)) {
        this.#wrongEntry(this.#next, `is empty, as ${used - this.#next} in a row are; then more follow`);
      }
      this.#next = used;
      // Read again: while a broker writes, the buffer may be older than the search.
      for (let isUsed = view.seek(used, true); isUsed; isUsed = view.seek(++this.#next)) {
        const { physicalOffset, size } = view;
        if (physicalOffset < logEnd || view.isFiller) this.#judge(view, this.#next);
        else if (this.#state !== "in use") {
          this.#behindEnd(`points to ${physicalOffset} (${size} bytes); the log ends at ${logEnd}`);
        }
      }
      // A file that became shorter meanwhile must not keep us here.
      this.#next = Math.max(this.#next, used + 1);
    }
  }

  /** An entry that no message of the log belongs to. */
  #judge(view: QueueView, queueOffset: number): void {
    const { physicalOffset, size, tagsCode } = view;
    if (view.isFiller || this.#isDamaged(physicalOffset)) return;
    // A running broker has added it since its message went by.
    if (this.#state === "in use" && this.#missing.has(queueOffset)) return;
    if (physicalOffset < this.#logStart && this.#firstMatched === undefined && size > 0) {
      const before = this.#lastExpired?.physicalOffset ?? -1;
      if (physicalOffset > before) this.#lastExpired = { queueOffset, physicalOffset, size, tagsCode };
      else {this.#wrongEntry(
          queueOffset,
          `points to ${physicalOffset} of the log, the one before it to ${before}`,
        );}
      return;
    }
    this.#wrongEntry(
      queueOffset,
      `points to ${physicalOffset} of the log, where no message of this queue begins`,
    );
  }

  #behindEnd(what: string): void {
    const entry = `entry ${this.#next} ${what}`;
    if (this.#state === "unclean") return this.#noteOfAll("QUEUE_AHEAD_OF_LOG", entry);
    this.isWrong = true;
    this.#findings.add("QUEUE_ENTRY_BEHIND_END", this.#placeOf(this.#next), entry);
  }

  #wrongEntry(queueOffset: number, what: string): void {
    if (this.#isBuiltAgain(this.#lastPhysicalOffset)) {
      this.#noteOfAll("QUEUE_TORN", `entry ${queueOffset} ${what}`);
      return;
    }
    this.isWrong = true;
    this.#findings.add("QUEUE_ENTRY_WRONG", this.#placeOf(queueOffset), `entry ${queueOffset} ${what}`);
  }

  /** Whether the next start cuts the queue before the entry of a message, and builds it again from there. */
  #isBuiltAgain(physicalOffset: number): boolean {
    return this.#state === "unclean" && physicalOffset >= this.#recoveryStart;
  }

  #placeOf(queueOffset: number): FindingPlace {
    return this.#view?.placeOf(queueOffset) ?? { file: this.directory };
  }

  #note(kind: "QUEUE_RESTARTED" | "TOPIC_DELETED", what: string): void {
    this.#findings.add(kind, { file: `${this.topic} queue ${this.queueId}` }, what);
  }

  /** One for all queues: after a crash there may be thousands of them. */
  #noteOfAll(kind: "QUEUE_BEHIND_LOG" | "QUEUE_AHEAD_OF_LOG" | "QUEUE_TORN", what: string): void {
    this.#findings.add(kind, { file: "consumequeue" }, `${this.topic} queue ${this.queueId}: ${what}`);
  }
}

function isRightTagsCode(found: number, right: number, delayedFromMs: number | undefined): boolean {
  if (found <= EXT_ADDRESS_MAX) return true;
  if (delayedFromMs === undefined) return found === right;
  return found >= delayedFromMs && found - delayedFromMs <= MAX_DELAY_MS;
}
