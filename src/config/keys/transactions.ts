// SPDX-License-Identifier: Apache-2.0
import { acts, type Area, fixed, type KeyTable, notYet } from "../key.ts";
import { bytes, count, flag, long, ms } from "../kinds.ts";

export const transactionKeys = {
  rejectTransactionMessage: notYet(flag(), false, "Refuse transactional messages.", { important: true }),
  transactionTimeOut: notYet(long("ms"), 6000, "A transaction younger than this is not asked about.", {
    important: true,
  }),
  transactionCheckMax: notYet(count(), 15, "After so many questions without answer it is rolled back.", {
    important: true,
  }),
  transactionCheckInterval: notYet(long("ms"), 30000, "Pause between rounds of questions to producers.", {
    important: true,
  }),
  transactionMetricFlushInterval: notYet(
    long("ms"),
    10000,
    "How often counts of open transactions are written.",
  ),
  transactionOpMsgMaxSize: notYet(bytes(), 4096, "Longest record of finished transactions."),
  transactionOpBatchInterval: notYet(
    ms(),
    3000,
    "How long finished transactions are gathered for one record.",
  ),
  transRocksDBEnable: fixed(
    flag(),
    false,
    "Keep open transactions in RocksDB.",
    "there is no RocksDB in rmq to keep open transactions",
  ),
  transWriteOriginTransHalfEnable: notYet(flag(), true, "Write open transactions to their topic as well."),
  storeReplyMessageEnable: notYet(flag(), true, "Store replies of request and reply as messages."),
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
