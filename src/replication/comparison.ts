// SPDX-License-Identifier: Apache-2.0
/**
 * Whether a slave may follow a master: their logs must be equal up to the slave's end. Both only ever append, so
 * they are if the slave's last record stands in the master's log at the same place.
 *
 * Where they are not, nothing is cut: what only the slave has may have been acknowledged before its master lost it.
 */
import { Buffer } from "node:buffer";
import type { MasterProbe, ReplicaLog } from "./types.ts";

/** Where to go on in a log that ends where, or why not. */
export type Comparison =
  | { fits: true; startOffset: number; masterEnd: number }
  | { fits: false; problem: string };

export interface ComparisonOptions {
  store: ReplicaLog;
  probe: MasterProbe;
  /** A slave without data begins with the master's last file, not with its oldest one. */
  startAtLastFile: boolean;
}

const HAS_MORE =
  "It may hold messages that were acknowledged before the master lost them, so nothing is cut off. If the master is " +
  "right, stop this slave, move its store away and start it again: it copies everything anew. If this slave is " +
  "right, stop the master and let it begin with a copy of this slave's store";

/** Everything in the slave's log must be flushed. @throws where the master can't be asked */
export async function compareWithMaster(options: ComparisonOptions): Promise<Comparison> {
  const { store, probe, startAtLastFile } = options;
  const { minOffset, endOffset } = await probe.range();
  const own = store.maxPhysicalOffset;
  if (own === store.minPhysicalOffset) {
    return {
      fits: true,
      masterEnd: endOffset,
      startOffset: emptyStart(own, store.logFileBytes, minOffset, endOffset, startAtLastFile),
    };
  }
  if (own > endOffset) {
    return {
      fits: false,
      problem: `this slave's log ends at offset ${own}, its master's at ${endOffset}. ${HAS_MORE}`,
    };
  }
  if (own < minOffset) {
    return {
      fits: false,
      problem:
        `this slave's log ends at offset ${own}, and its master has deleted everything before ${minOffset}, ` +
        "so there would be a gap. To begin anew, stop this slave, move its store away and start it again",
    };
  }
  const last = store.lastRecordOffset;
  // Of the last record nothing is left there where the master has just deleted its file.
  if (last < minOffset) return { fits: true, startOffset: own, masterEnd: endOffset };
  const ours = store.readRecord(last);
  if (ours === undefined) throw new Error(`this slave's last record, at offset ${last}, can't be read`);
  const theirs = await probe.record(last);
  if (theirs !== undefined && Buffer.compare(ours, theirs) === 0) {
    return { fits: true, startOffset: own, masterEnd: endOffset };
  }
  return {
    fits: false,
    problem: `this slave's last message, at offset ${last}, is ${
      theirs === undefined ? "not in its master's log" : "another one in its master's log"
    }: the two logs have gone apart. ${HAS_MORE}`,
  };
}

/** Where a slave begins that has nothing. A log that has begun can only go on where it ends. */
function emptyStart(
  own: number,
  fileBytes: number,
  minOffset: number,
  endOffset: number,
  startAtLastFile: boolean,
): number {
  const start = startAtLastFile ? endOffset - endOffset % fileBytes : minOffset;
  return own > 0 && own >= minOffset && own <= endOffset ? own : start;
}
