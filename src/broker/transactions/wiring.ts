// SPDX-License-Identifier: Apache-2.0
/** Puts the parts of transactions together. */
import type { Clock } from "../../base/clock.ts";
import type { HostAddress } from "../../remoting/connection.ts";
import type { Handler } from "../../remoting/request.ts";
import type { MessageStore } from "../../store/message_store.ts";
import type { MessageDraft } from "../../store/types.ts";
import type { Clients } from "../clients.ts";
import type { ConsumerOffsets } from "../consumer_offsets.ts";
import type { Durability } from "../durability.ts";
import { endTransactionHandlers } from "../handlers/end_transaction.ts";
import type { Statistics } from "../statistics.ts";
import type { Topics } from "../topics.ts";
import { TransactionCheck } from "./check.ts";
import { GIVEN_UP_TOPIC } from "./half.ts";
import type { CheckSettings } from "./judge.ts";
import type { OpLogSettings } from "./op_log.ts";
import { Transactions } from "./transactions.ts";

export interface TransactionParts {
  store: MessageStore;
  offsets: ConsumerOffsets;
  topics: Topics;
  clients: Clients;
  durability: Durability;
  statistics: Statistics;
  clock: Clock;
  storeHost: HostAddress;
  brokerName: string;
  /** A message as it is stored: one with a delay waits from now on. */
  asStored: (draft: MessageDraft) => MessageDraft;
  settings: () => CheckSettings & OpLogSettings;
}

/** Transactions of one broker. */
export interface TransactionService {
  readonly handlers: [number, Handler][];
  readonly transactions: Transactions;
  start(): void;
  stop(): Promise<void>;
}

export function openTransactions(parts: TransactionParts): TransactionService {
  const { store, clients, durability, clock, settings } = parts;
  const transactions = new Transactions({
    ...parts,
    whenStored: (endOffset, settle) => durability.when(endOffset, true, settle),
  });
  const check = new TransactionCheck({
    ...parts,
    transactions,
    producers: clients,
    makeGivenUpTopic: () => parts.topics.createForSendBack(GIVEN_UP_TOPIC, { queueCount: 1, perm: 6 }),
  });
  const { asStored } = parts;
  return {
    handlers: endTransactionHandlers({ store, durability, transactions, clock, settings, asStored }),
    transactions,
    start() {
      transactions.start();
      check.start();
    },
    async stop() {
      await check.stop();
      await transactions.stop();
    },
  };
}
