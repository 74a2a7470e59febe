// SPDX-License-Identifier: Apache-2.0
import { encodeMasterRuntimeInfo, encodeSlaveRuntimeInfo } from "../../protocol/bodies/ha_runtime_info.ts";
import type { FollowerState, SlaveState } from "../../replication/mod.ts";

/** What a broker tells of replication (GET_BROKER_HA_STATUS): whom it follows, or who follows it. */
export function haStatus(
  maxPhysicalOffset: number,
  following: FollowerState | undefined,
  slaves: readonly SlaveState[],
): Uint8Array {
  if (following !== undefined) {
    return encodeSlaveRuntimeInfo({
      lastReadTimestamp: following.lastReadMs,
      lastWriteTimestamp: following.lastReportMs,
      masterAddr: following.masterAddress,
      masterFlushOffset: 0,
      maxOffset: maxPhysicalOffset,
      transferredByteInSecond: following.receivedBytesPerSecond,
    });
  }
  return encodeMasterRuntimeInfo({
    commitLogMaxOffset: maxPhysicalOffset,
    slaves: slaves.map((slave) => ({
      addr: slave.address,
      slaveAckOffset: slave.ackedOffset,
      diff: slave.gapBytes,
      inSync: slave.isInSync,
      transferFromWhere: slave.transferredOffset,
      transferredByteInSecond: slave.transferredBytesPerSecond,
    })),
  });
}
