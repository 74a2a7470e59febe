// SPDX-License-Identifier: Apache-2.0
/**
 * What can be wrong with a store, in words for whoever has to decide at night: what it is, what it means, what to
 * do. What is `wrong` needs somebody; a `note` is worth knowing and needs nobody.
 */

export type Severity = "wrong" | "note";

interface KindText {
  readonly severity: Severity;
  readonly means: string;
  readonly todo: string;
}

const REPAIR =
  "Stop the broker, then run `rmq store verify DIR --repair`: it builds this again from the log.";
const SAVE_LOG =
  "Copy the log before a broker starts on it. If a slave or a backup has these bytes, bring the file back " +
  "from there.";

const KINDS = {
  LOG_FILE_MISSING: {
    severity: "wrong",
    means: "The messages of the missing file are gone from here. rmq does not start with a hole in the log.",
    todo:
      "Bring the file back from a slave or a backup. If there is none, move the files before the hole elsewhere: what " +
      "is behind it can then be served.",
  },
  LOG_FILE_SIZE: {
    severity: "wrong",
    means:
      "All files of a log have one size. Apache RocketMQ does not start with another one; rmq only makes the last file " +
      "longer.",
    todo:
      "If it was cut off while it was copied, copy it again. If mappedFileSizeCommitLog was changed, change it back.",
  },
  LOG_FILE_NAME: {
    severity: "wrong",
    means:
      "A log file is named by the offset of its first byte. No broker finds messages in a file named otherwise.",
    todo: "Find out where it comes from; give it its name back, or move it elsewhere.",
  },
  FOREIGN_FILE: {
    severity: "wrong",
    means:
      "Apache RocketMQ does not start while a file that is not its own is in this directory; rmq passes over it.",
    todo: "Move it out of the store.",
  },
  STRAY_FILE: {
    severity: "note",
    means: "It is none of the store's files; brokers pass over it.",
    todo: "Remove it if nobody needs it.",
  },
  EMPTY_FILE: {
    severity: "note",
    means: "A crash left it while it was being made; the next start of a broker removes it.",
    todo: "Nothing.",
  },
  RECORD_DAMAGED: {
    severity: "wrong",
    means:
      "These bytes are no message, and others follow. Nobody can read what was here. If the start of a broker comes " +
      "by here, rmq refuses to start or ends the log here; Apache RocketMQ ends it here and removes what follows.",
    todo: SAVE_LOG,
  },
  RECORD_CRC: {
    severity: "wrong",
    means:
      "The body is not the one that was stored; clients refuse it. If the start of a broker comes by here, rmq " +
      "refuses to start or ends the log here; Apache RocketMQ ends it here and removes what follows.",
    todo: SAVE_LOG,
  },
  RECORD_PROPERTIES_CRC: {
    severity: "wrong",
    means: "The checksum over the whole message does not fit: something beside the body may have changed.",
    todo: SAVE_LOG,
  },
  RECORD_FIELDS: {
    severity: "wrong",
    means: "The message is whole, but consumers may not be able to read it or get it.",
    todo:
      "Look at it with `rmq store dump DIR --from OFFSET --limit 1 --body`, and at the client that sent it.",
  },
  STORE_TIME_BACK: {
    severity: "wrong",
    means:
      "The clock was set back. A search by time, and a reset of a group to a time, may miss messages near here.",
    todo: "Nothing can be mended; keep the clock from being set back. It ends when the log file expires.",
  },
  BLANK_SIZE: {
    severity: "wrong",
    means:
      "The filler at the end of the file tells a wrong length. Brokers go on in the next file all the same.",
    todo: "Nothing now; look whether the disk reports errors.",
  },
  BEHIND_END: {
    severity: "wrong",
    means:
      "Behind the last message there is something that is none, as a crash leaves it. rmq makes it zeros at its next " +
      "start; Apache RocketMQ leaves it, and writes over it by and by.",
    todo: "Start the broker. If the machine did not crash, look whether the disk reports errors.",
  },
  TORN_END: {
    severity: "note",
    means:
      "The last process did not stop properly: what it wrote last did not come to its end, and nobody was told that it " +
      "was stored.",
    todo: "Nothing: the next start of a broker cuts it off.",
  },
  QUEUE_OFFSET_GAP: {
    severity: "wrong",
    means: "The log has no messages with these queue offsets: they are lost. Consumers pass over them.",
    todo: "Look for what else is said about the log near here. A slave or a backup may still have them.",
  },
  QUEUE_OFFSET_WRONG: {
    severity: "wrong",
    means:
      "The place in the queue that the message claims belongs to another one, or can't be: consumers do not get it.",
    todo:
      "Look at it with `rmq store dump DIR --from OFFSET --limit 1 --body`, and send it again if it is needed.",
  },
  QUEUE_RESTARTED: {
    severity: "note",
    means: "The topic was deleted and made again; the messages of its earlier life go with their log files.",
    todo: "Nothing.",
  },
  TOPIC_DELETED: {
    severity: "note",
    means: "The topic was deleted; its messages go with their log files.",
    todo: "Nothing.",
  },
  QUEUE_FILES: {
    severity: "wrong",
    means: "A broker does not start with this, or does not find what is in this queue.",
    todo: REPAIR,
  },
  QUEUE_ENTRY_WRONG: {
    severity: "wrong",
    means: "Consumers of this queue get nothing, or something else, at this place.",
    todo: REPAIR,
  },
  QUEUE_ENTRY_BEHIND_END: {
    severity: "wrong",
    means:
      "The queue holds places of messages that the log does not have (any more): the log has lost its end, or the queue " +
      "belongs to another one.",
    todo:
      "If the log was copied or restored, see whether it is complete. If it is, --repair cuts the queue to it; the next " +
      "start of a broker does the same.",
  },
  QUEUE_ENTRY_MISSING: {
    severity: "wrong",
    means: "The log has messages that the queue lacks: consumers do not get them.",
    todo: REPAIR,
  },
  QUEUE_BEHIND_LOG: {
    severity: "note",
    means: "The last messages are not in their queue yet.",
    todo:
      "Nothing: a running broker adds them within a second or so, the next start of one does it otherwise.",
  },
  QUEUE_AHEAD_OF_LOG: {
    severity: "note",
    means:
      "The last process did not stop properly, and the log has lost its end, as a power cut may have it.",
    todo: "Nothing: the next start of a broker cuts the queue.",
  },
  QUEUE_TORN: {
    severity: "note",
    means: "The last process did not stop properly, and these entries were not on the disk yet.",
    todo: "Nothing: the next start of a broker builds this part of the queue again.",
  },
  INDEX_UNFINISHED: {
    severity: "note",
    means:
      "The last process did not stop properly. The next start of a broker removes the file, and indexes again only " +
      "the part of the log that it walks through.",
    todo: "Nothing; to have all of it, run `rmq store verify DIR --repair --all` before the next start.",
  },
  INDEX_FILE: {
    severity: "wrong",
    means: "Messages of this file are not found by key; a broker puts it aside or does not start.",
    todo: REPAIR,
  },
  INDEX_ENTRY_WRONG: {
    severity: "wrong",
    means: "A query by key comes to a place without a message that has this key.",
    todo: REPAIR,
  },
  INDEX_KEY_MISSING: {
    severity: "wrong",
    means: "The message is not found by its key.",
    todo: REPAIR,
  },
  INDEX_CHAIN: {
    severity: "wrong",
    means: "The hash table does not lead to all entries: some messages are not found by key.",
    todo: REPAIR,
  },
  INDEX_INCOMPLETE: {
    severity: "note",
    means:
      "These messages are not found by key. It is so where messageIndexEnable was off, and for a part of the messages " +
      "after a crash.",
    todo:
      "Nothing; --repair --all builds the index of all messages (with --configFile where there is no file of it).",
  },
  CONSUMER_OFFSET_AHEAD: {
    severity: "wrong",
    means:
      "The group is ahead of the queue's end: it misses the next messages, up to its offset. rmq cuts such offsets at its " +
      "start, Apache RocketMQ does not.",
    todo: "Start rmq, or reset the group: `mqadmin resetOffsetByTime`.",
  },
  CONSUMER_OFFSET_BEHIND: {
    severity: "note",
    means: "Messages expired before the group consumed them; it goes on at the queue's start.",
    todo: "Nothing, if the group is not in use any more.",
  },
  CONSUMER_OFFSET_NO_QUEUE: {
    severity: "note",
    means:
      "The group has consumed from a queue that has no files: its topic was deleted, or it never held a message.",
    todo: "If the topic is made again, reset the group, as it might begin behind the first messages.",
  },
  DELAY_OFFSET_AHEAD: {
    severity: "wrong",
    means:
      "Delayed messages up to this offset would not be delivered. Brokers take it back to the queue's end at start.",
    todo: "Start the broker, then see that delayed messages arrive.",
  },
  DELAY_OFFSET_BEHIND: {
    severity: "note",
    means: "Delayed messages expired before they were delivered.",
    todo: "Nothing can be brought back; look why delivery stood still.",
  },
  CONFIG_UNREADABLE: {
    severity: "wrong",
    means:
      "Neither the file nor its .bak can be read. rmq does not start; Apache RocketMQ deletes it, and starts without " +
      "what it held or not at all.",
    todo: "Put one of the two right by hand, or bring it back from a backup, before a broker starts.",
  },
  CONFIG_FROM_BACKUP: {
    severity: "wrong",
    means: "The file can't be read: brokers take its .bak, which is older.",
    todo:
      "See what the .bak lacks. Copy the broken file if somebody shall look at it: the next change writes over it.",
  },
  CONFIG_ONLY_BACKUP: {
    severity: "note",
    means: "A broker ended while it wrote the file; brokers take the .bak.",
    todo: "Nothing.",
  },
  CONFIG_BACKUP_UNREADABLE: {
    severity: "note",
    means: "The file itself is in order; its .bak would not help if it were lost.",
    todo: "Nothing: the next change writes both.",
  },
  CHECKPOINT_VALUE: {
    severity: "wrong",
    means: "After a crash a broker would check the wrong part of the log, or all of it.",
    todo: "Remove the file while no broker runs: the next start after a crash then checks the whole log.",
  },
  CHECKPOINT_AHEAD: {
    severity: "wrong",
    means: "The log once held later messages, which were safe on the disk: it has lost its end.",
    todo:
      "If the log was copied or restored, see whether it is complete. A slave or a backup may have the rest.",
  },
  CHECKPOINT_MISSING: {
    severity: "note",
    means: "After a crash a broker checks the whole log.",
    todo: "Nothing: a broker makes it.",
  },
  REPAIR_INTERRUPTED: {
    severity: "wrong",
    means: "A repair did not come to its end; some queues or the index may be missing.",
    todo: "Run `rmq store verify DIR --repair` again before a broker starts.",
  },
  UNREADABLE: {
    severity: "wrong",
    means: "The system does not let us read it, so nothing is known of it.",
    todo: "See to its permissions, and whether the disk reports errors.",
  },
} as const satisfies Record<string, KindText>;

export type Kind = keyof typeof KINDS;

/** The same kind of thing in the same file or queue, however often. */
export interface Finding {
  readonly severity: Severity;
  readonly kind: Kind;
  /** A file or a directory. */
  readonly file: string;
  /** Byte within the file; undefined where it is about the file as a whole. */
  readonly position: number | undefined;
  /** What the first one is. */
  readonly what: string;
  readonly means: string;
  readonly todo: string;
  /** How many there are; `what` tells the first. */
  readonly count: number;
  /** What the last one is; undefined where there is only one. */
  readonly last: string | undefined;
}

/** Beyond so many, findings are only counted: whoever has that many looks at the first ones. */
const MAX_LISTED: Readonly<Record<Severity, number>> = { wrong: 1000, note: 200 };

/** Where something is. */
export interface FindingPlace {
  readonly file: string;
  readonly position?: number;
  /** What it is a part of, for things of which one finding is enough; default the file. */
  readonly within?: string;
}

/** Gathers what is found, one entry for each kind and file. */
export class Findings {
  #byPlace = new Map<string, { -readonly [K in keyof Finding]: Finding[K] }>();
  #listed: Record<Severity, number> = { wrong: 0, note: 0 };
  #unlisted: Record<Severity, number> = { wrong: 0, note: 0 };

  add(kind: Kind, place: FindingPlace, what: string): void {
    const key = `${kind} ${place.within ?? place.file}`;
    const known = this.#byPlace.get(key);
    if (known !== undefined) {
      known.count++;
      known.last = what;
      return;
    }
    const text: KindText = KINDS[kind];
    if (this.#listed[text.severity] >= MAX_LISTED[text.severity]) {
      this.#unlisted[text.severity]++;
      return;
    }
    this.#listed[text.severity]++;
    this.#byPlace.set(key, {
      ...text,
      kind,
      file: place.file,
      position: place.position,
      what,
      count: 1,
      last: undefined,
    });
  }

  /** What is wrong first; of one kind together, the log before what is derived from it. */
  get list(): Finding[] {
    const order = Object.keys(KINDS);
    const all = [...this.#byPlace.values()].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
    return [
      ...all.filter((one) => one.severity === "wrong"),
      ...all.filter((one) => one.severity === "note"),
    ];
  }

  get wrongCount(): number {
    return this.#listed.wrong + this.#unlisted.wrong;
  }

  /** Found, but not in the list. */
  get unlistedCount(): number {
    return this.#unlisted.wrong + this.#unlisted.note;
  }
}
