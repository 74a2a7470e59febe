// SPDX-License-Identifier: Apache-2.0
import { encodeJson } from "../java_json.ts";

/** A slave as its master sees it. [RMQ HARuntimeInfo.HAConnectionRuntimeInfo] */
export interface SlaveRuntimeInfo {
  /** `host:port` */
  readonly addr: string;
  readonly slaveAckOffset: number;
  readonly diff: number;
  readonly inSync: boolean;
  readonly transferFromWhere: number;
  readonly transferredByteInSecond: number;
}

/** The answer of a master to GET_BROKER_HA_STATUS. */
export function encodeMasterRuntimeInfo(
  master: { commitLogMaxOffset: number; slaves: readonly SlaveRuntimeInfo[] },
): Uint8Array {
  return encodeJson({
    haClientRuntimeInfo: {
      lastReadTimestamp: 0,
      lastWriteTimestamp: 0,
      masterFlushOffset: 0,
      maxOffset: 0,
      transferredByteInSecond: 0,
    },
    haConnectionInfo: master.slaves.map((slave) => ({
      addr: slave.addr,
      diff: slave.diff,
      inSync: slave.inSync,
      slaveAckOffset: slave.slaveAckOffset,
      transferFromWhere: slave.transferFromWhere,
      transferredByteInSecond: slave.transferredByteInSecond,
    })),
    inSyncSlaveNums: master.slaves.filter((slave) => slave.inSync).length,
    master: true,
    masterCommitLogMaxOffset: master.commitLogMaxOffset,
  });
}
