// SPDX-License-Identifier: Apache-2.0
/** Bits of a message's sysFlag. [RMQ MessageSysFlag] */
export const SysFlag = {
  COMPRESSED: 0x1,
  MULTI_TAGS: 0x2,
  TRANSACTION_PREPARED: 0x4,
  TRANSACTION_COMMIT: 0x8,
  TRANSACTION_ROLLBACK: 0xc,
  BORN_HOST_V6: 0x10,
  STORE_HOST_V6: 0x20,
  NEED_UNWRAP: 0x40,
  INNER_BATCH: 0x80,
} as const;

/** The two bits that say what part a message plays in a transaction; 0 is a plain message. */
export const TRANSACTION_MASK = 0xc;

/** Bits of a pull request's sysFlag. [RMQ PullSysFlag] */
export const PullSysFlag = {
  COMMIT_OFFSET: 0x1,
  SUSPEND: 0x2,
  SUBSCRIPTION: 0x4,
  CLASS_FILTER: 0x8,
  LITE_PULL: 0x10,
} as const;
