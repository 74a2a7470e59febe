// SPDX-License-Identifier: Apache-2.0
import { acts, type Area, type KeyTable, notYet } from "../key.ts";
import { bytes, count, flag } from "../kinds.ts";

/** Keys of 4.9 that 5.x dropped. Tools of 4.9 still look for some of them, so they are shown. */
export const formerKeys = {
  filterServerNums: notYet(count(), 0, "Processes for filters written in Java."),
  commercialEnable: notYet(flag(), true, "Count for billing."),
  commercialTimerCount: notYet(count(), 1, "Weight of a delayed message in it."),
  commercialTransCount: notYet(count(), 1, "Weight of a transactional message."),
  commercialBigCount: notYet(count(), 1, "Weight of a long message."),
  maxDelayTime: notYet(count(), 40, "Days that a message may be delayed."),
  haSlaveFallbehindMax: acts(bytes(), 268435456, "Old name of haMaxGapNotInSync."),
  isEnableBatchPush: notYet(flag(), false, "Shown to tools: see enableBatchPush."),
} satisfies KeyTable;

export const formerArea: Area = {
  title: "Keys of 4.9",
  about: "No longer in 5.x. All but haSlaveFallbehindMax have no effect.",
  keys: formerKeys,
};
