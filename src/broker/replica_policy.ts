// SPDX-License-Identifier: Apache-2.0
/**
 * How many slaves must have a message before its sender is told that it is stored.
 *
 * Without `inSyncReplicas`, SYNC_MASTER means what 4.9 and the documents promise: one slave has it, and where none
 * can have it in time the sender is told so at once. With it, it means what 5.x makes of it: so many members, the
 * master included; 1 waits for nobody. [RMQ CommitLog.calcNeedAckNums; 4.9 CommitLog.submitReplicaRequest]
 */
import { ResponseCode } from "../protocol/response_code.ts";
import { RemotingError } from "../remoting/remoting_error.ts";

export interface ReplicaSettings {
  readonly brokerRole: "ASYNC_MASTER" | "SYNC_MASTER" | "SLAVE";
  /** `inSyncReplicas`; undefined where nobody has set it. */
  readonly inSyncReplicas: number | undefined;
  /** `minInSyncReplicas` */
  readonly minInSyncReplicas: number;
  /** `enableAutoInSyncReplicas` */
  readonly autoInSyncReplicas: boolean;
  /** `enableSlaveActingMaster`: only then the two above count. */
  readonly slaveActingMaster: boolean;
  /** `slaveTimeout` */
  readonly slaveTimeoutMs: number;
}

/** What slaves have of the log. */
export interface Replicas {
  /** The offset up to which at least `count` slaves have the log; -1 with fewer slaves. */
  ackedBy(count: number): number;
  /** How many slaves are connected and not too far behind. */
  inSyncCount(): number;
  /** Calls `listener` when slaves have more. */
  onAcked(listener: () => void): void;
}

export interface ReplicaPolicy {
  /** How long a sender waits for slaves. */
  readonly timeoutMs: number;
  /** Whether a sender is told at once when no slave is in sync. */
  readonly tellsAtOnce: boolean;
  /** Slaves that must have what is stored now; 0: none. */
  slaveCount(replicas: Replicas): number;
  /** @throws RemotingError where members are missing without which nothing may be stored; absent: never */
  readonly requireMembers?: (replicas: Replicas) => void;
}

/** Undefined: nobody waits for slaves. */
export function replicaPolicy(settings: ReplicaSettings): ReplicaPolicy | undefined {
  const { inSyncReplicas, slaveTimeoutMs: timeoutMs } = settings;
  if (settings.brokerRole !== "SYNC_MASTER") return undefined;
  if (settings.slaveActingMaster) return actingMasterPolicy(settings);
  if (inSyncReplicas === undefined) return { timeoutMs, tellsAtOnce: true, slaveCount: () => 1 };
  if (inSyncReplicas <= 1) return undefined;
  return { timeoutMs, tellsAtOnce: false, slaveCount: () => inSyncReplicas - 1 };
}

/** With fewer members than are needed nothing is stored; `autoInSyncReplicas` asks for fewer while some are missing. */
function actingMasterPolicy(settings: ReplicaSettings): ReplicaPolicy {
  const { inSyncReplicas = 2, minInSyncReplicas, autoInSyncReplicas, slaveTimeoutMs: timeoutMs } = settings;
  const membersNeeded = (replicas: Replicas) => {
    const alive = 1 + replicas.inSyncCount();
    return autoInSyncReplicas ? Math.max(Math.min(inSyncReplicas, alive), minInSyncReplicas) : inSyncReplicas;
  };
  return {
    timeoutMs,
    tellsAtOnce: false,
    slaveCount: (replicas) => Math.max(0, membersNeeded(replicas) - 1),
    requireMembers: (replicas) => {
      if (membersNeeded(replicas) > 1 + replicas.inSyncCount()) {
        throw new RemotingError(ResponseCode.SYSTEM_ERROR, "in-sync replicas not enough");
      }
    },
  };
}
