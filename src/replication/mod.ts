// SPDX-License-Identifier: Apache-2.0
/** What other rooms use of replication. */
export type { Network } from "./pipe.ts";
export { ReplicationMaster, type ReplicationMasterOptions } from "./master.ts";
export { type MasterToFollow, ReplicationSlave, type ReplicationSlaveOptions } from "./slave.ts";
export type { FollowerState, MasterProbe, SlavePhase, SlaveState } from "./types.ts";
