// SPDX-License-Identifier: Apache-2.0
import { acts, type Area, fixed, type KeyTable, notYet } from "../key.ts";
import { bytes, count, flag, long, ms } from "../kinds.ts";

export const transactionKeys = {
  rejectTransactionMessage: acts(flag(), false, "Refuse transactional messages.", {
    important: true,
    live: true,
  }),
  transactionTimeOut: acts(long("ms"), 6000, "A transaction younger than this is not asked about.", {
    important: true,
    live: true,
  }),
  transactionCheckMax: acts(
    count(),
    15,
    "After so many questions without answer a half message goes to TRANS_CHECK_MAX_TIME_TOPIC.",
    { important: true, live: true },
  ),
  transactionCheckInterval: acts(long("ms"), 30000, "Pause between rounds of questions to producers.", {
    important: true,
    live: true,
  }),
  transactionMetricFlushInterval: notYet(
    long("ms"),
    10000,
    "How often counts of open transactions are written.",
  ),
  transactionOpMsgMaxSize: acts(
    bytes(),
    4096,
    "Longest list of finished transactions in one record, where they are gathered.",
    { live: true },
  ),
  transactionOpBatchInterval: acts(
    ms(),
    0,
    "How long finished transactions are gathered for one record, which a crash forgets and Apache 4.9 can't " +
      "read; 0: each is written at once, for every version.",
    { live: true },
  ),
  transRocksDBEnable: fixed(
    flag(),
    false,
    "Keep open transactions in RocksDB.",
    "there is no RocksDB in rmq to keep open transactions",
  ),
  transWriteOriginTransHalfEnable: notYet(flag(), true, "Write open transactions to their topic as well."),
  storeReplyMessageEnable: acts(flag(), true, "Store replies of request and reply as messages.", {
    live: true,
  }),
  recallMessageEnable: acts(flag(), false, "Let producers take back delayed messages.", { live: true }),
  allowRecallWhenBrokerNotWriteable: acts(flag(), true, "Even while the broker takes no messages.", {
    live: true,
  }),
} satisfies KeyTable;

export const transactionArea: Area = {
  title: "Transactions, replies, recall",
  about: "Rules for messages that are more than stored and read.",
  keys: transactionKeys,
};
