// SPDX-License-Identifier: Apache-2.0
/** What replication needs of others, and tells them. */
import type { Buffer } from "node:buffer";

/** What a master needs of its store. */
export interface SourceLog {
  /** Start of the oldest file. */
  readonly minPhysicalOffset: number;
  /** End of the log as appended. */
  readonly maxPhysicalOffset: number;
  readonly writtenOffset: number;
  readonly flushedOffset: number;
  /** Length of each file of the log; no frame goes beyond the end of one. */
  readonly logFileBytes: number;
  /**
   * Copies up to `bytes` written bytes of one file into `target`; by promise where they are not in memory.
   * @returns how many there were; 0 where the log does not have them (any more)
   * @throws what the disk says
   */
  readLog(target: Buffer, at: number, offset: number, bytes: number): number | Promise<number>;
  /** Calls `listener` as soon as more is written, before consumers are shown it. */
  onWritten(listener: () => void): void;
  /** Calls `listener` after each growth of *written* or *flushed*. */
  onWatermark(listener: () => void): void;
}

/** What a slave needs of its store. */
export interface ReplicaLog {
  readonly minPhysicalOffset: number;
  readonly maxPhysicalOffset: number;
  readonly writtenOffset: number;
  readonly flushedOffset: number;
  readonly logFileBytes: number;
  /** Where the next byte must come from: the log's end and what waits there of an unfinished record. */
  readonly replicatedOffset: number;
  /** Where the last whole record begins; -1 without any. */
  readonly lastRecordOffset: number;
  /**
   * Takes bytes of the master's log that lie within one of its files. Whole records are appended in memory, as
   * they are; what is left of an unfinished one waits for its rest. `writeReplicated` hands them on.
   * @throws ReplicaError where these bytes can't stand there; StoreRefusedError
   */
  appendReplicated(physicalOffset: number, bytes: Buffer): void;
  /** Hands what was appended to the kernel, at once. @throws StoreRefusedError where it can't; it is forgotten then */
  writeReplicated(): void;
  /** Forgets what waits of an unfinished record: its master will send it again. */
  dropUnfinished(): void;
  /** Resolves when what was appended before is durable. @throws when a flush has failed */
  flush(): Promise<void>;
  /** The whole record at an offset, whether or not consumers may see it; undefined where none begins. */
  readRecord(physicalOffset: number): Uint8Array | undefined;
  onWritten(listener: () => void): void;
  onWatermark(listener: () => void): void;
}

/**
 * Asks a master about its log before a slave follows it, by GET_BROKER_RUNTIME_INFO (28) and
 * VIEW_MESSAGE_BY_ID (33), which Apache serves too. Whoever starts the slave provides it, for the master of
 * now. A rejected promise means that the master could not be asked; the slave then waits and tries again.
 */
export interface MasterProbe {
  /** `commitLogMinOffset` and `commitLogMaxOffset` of 28. */
  range(): Promise<{ minOffset: number; endOffset: number }>;
  /** The record that begins at an offset, as stored, by 33; undefined where the master says that there is none. */
  record(physicalOffset: number): Promise<Uint8Array | undefined>;
}

/** A slave as its master sees it. */
export interface SlaveState {
  /** `ip:port` of its end of the connection. */
  readonly address: string;
  /** What it says that it has; 0 before its first report, and where it has nothing. */
  readonly ackedOffset: number;
  /** What was handed to its socket. */
  readonly transferredOffset: number;
  /** Bytes of the master's log that it lacks. */
  readonly gapBytes: number;
  /** Whether the gap is below the operator's limit (`haMaxGapNotInSync`). */
  readonly isInSync: boolean;
  /** Of the last second that was counted. */
  readonly transferredBytesPerSecond: number;
}

/** What a slave is doing. */
export type SlavePhase =
  /** There is no master to follow. */
  | "IDLE"
  /** Connecting, comparing, or waiting for the next try. */
  | "SEEKING"
  /** Bytes come, or may come at any time. */
  | "FOLLOWING"
  /** The logs do not fit: an operator has to decide. Asked again now and then. */
  | "REFUSING";

/** A slave as it sees itself. */
export interface FollowerState {
  readonly phase: SlavePhase;
  /** `host:port` of the master's replication port; undefined without one. */
  readonly masterAddress: string | undefined;
  /** Why it does not follow, for an operator; undefined where it does, or has only just begun. */
  readonly problem: string | undefined;
  /** Wall clock of the last bytes from the master and of the last report to it; 0 without any. */
  readonly lastReadMs: number;
  readonly lastReportMs: number;
  /** Bytes of the log that came in the last second that was counted. */
  readonly receivedBytesPerSecond: number;
}
