// SPDX-License-Identifier: Apache-2.0
/** LOCK_BATCH_MQ, UNLOCK_BATCH_MQ: consumers in order take and give back queues. [RMQ AdminBrokerProcessor] */
import { decodeLockBatch, encodeLockedQueues, type LockBatch } from "../../protocol/bodies/lock_batch.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Handler, Request } from "../../remoting/request.ts";
import type { QueueLocks } from "../queue_locks.ts";

export interface QueueLockOptions {
  readonly locks: Pick<QueueLocks, "lock" | "unlock">;
}

const MAX_QUEUES = 16_384;

export function queueLockHandlers({ locks }: QueueLockOptions): [number, Handler][] {
  return [
    [RequestCode.LOCK_BATCH_MQ, (request) => handleLock(locks, request)],
    [RequestCode.UNLOCK_BATCH_MQ, (request) => handleUnlock(locks, request)],
  ];
}

function handleLock(locks: QueueLockOptions["locks"], request: Request): Response {
  const { consumerGroup, clientId, queues } = decode(request);
  const locked = locks.lock(consumerGroup, clientId, queues);
  return { code: ResponseCode.SUCCESS, body: encodeLockedQueues(locked) };
}

function handleUnlock(locks: QueueLockOptions["locks"], request: Request): Response {
  const { consumerGroup, clientId, queues } = decode(request);
  locks.unlock(consumerGroup, clientId, queues);
  return { code: ResponseCode.SUCCESS };
}

function decode(request: Request): LockBatch {
  const batch = decodeLockBatch(request.body);
  if (batch.queues.length > MAX_QUEUES) {
    throw new RemotingError(
      ResponseCode.INVALID_PARAMETER,
      `no more than ${MAX_QUEUES} queues in one request`,
    );
  }
  return batch;
}
