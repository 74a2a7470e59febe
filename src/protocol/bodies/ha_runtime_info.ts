// SPDX-License-Identifier: Apache-2.0
import { encodeJson, parseJsonObject } from "../java_json.ts";
import { asArray, asBoolean, asInteger, asObject, asText } from "./json_fields.ts";

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

/** A slave as it sees itself. [RMQ HARuntimeInfo.HAClientRuntimeInfo] */
export interface FollowingRuntimeInfo {
  /** `host:port` of the master's replication port; absent without a master. */
  readonly masterAddr: string | undefined;
  readonly maxOffset: number;
  readonly transferredByteInSecond: number;
  /** Wall clock; 0: never. */
  readonly lastReadTimestamp: number;
  readonly lastWriteTimestamp: number;
  readonly masterFlushOffset: number;
}

const FOLLOWS_NONE: FollowingRuntimeInfo = {
  lastReadTimestamp: 0,
  lastWriteTimestamp: 0,
  masterAddr: undefined,
  masterFlushOffset: 0,
  maxOffset: 0,
  transferredByteInSecond: 0,
};

/** The answer of a master to GET_BROKER_HA_STATUS. */
export function encodeMasterRuntimeInfo(
  master: { commitLogMaxOffset: number; slaves: readonly SlaveRuntimeInfo[] },
): Uint8Array {
  return encodeJson({
    haClientRuntimeInfo: FOLLOWS_NONE,
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

/** The answer of a slave. */
export function encodeSlaveRuntimeInfo(slave: FollowingRuntimeInfo): Uint8Array {
  return encodeJson({
    haClientRuntimeInfo: slave,
    haConnectionInfo: [],
    inSyncSlaveNums: 0,
    master: false,
    masterCommitLogMaxOffset: 0,
  });
}

/** How a broker replicates, as it tells it. */
export type HaRuntimeInfo =
  | { readonly isMaster: true; readonly maxOffset: number; readonly slaves: readonly SlaveRuntimeInfo[] }
  | { readonly isMaster: false; readonly following: FollowingRuntimeInfo };

/** @throws MalformedError when it is no JSON object */
export function decodeHaRuntimeInfo(body: Uint8Array | null): HaRuntimeInfo {
  const object = parseJsonObject(body);
  if (asBoolean(object.master, false)) {
    return {
      isMaster: true,
      maxOffset: asInteger(object.masterCommitLogMaxOffset, 0),
      slaves: asArray(object.haConnectionInfo).map((value) => {
        const slave = asObject(value);
        return {
          addr: asText(slave.addr, ""),
          slaveAckOffset: asInteger(slave.slaveAckOffset, 0),
          diff: asInteger(slave.diff, 0),
          inSync: asBoolean(slave.inSync, false),
          transferFromWhere: asInteger(slave.transferFromWhere, 0),
          transferredByteInSecond: asInteger(slave.transferredByteInSecond, 0),
        };
      }),
    };
  }
  const client = asObject(object.haClientRuntimeInfo);
  return {
    isMaster: false,
    following: {
      lastReadTimestamp: asInteger(client.lastReadTimestamp, 0),
      lastWriteTimestamp: asInteger(client.lastWriteTimestamp, 0),
      masterAddr: asText(client.masterAddr) || undefined,
      masterFlushOffset: asInteger(client.masterFlushOffset, 0),
      maxOffset: asInteger(client.maxOffset, 0),
      transferredByteInSecond: asInteger(client.transferredByteInSecond, 0),
    },
  };
}
