// SPDX-License-Identifier: Apache-2.0
/**
 * Who may be read when, and whom a consumer should ask next. [RMQ PullMessageProcessor.rejectRequest,
 * DefaultPullMessageResultHandler, DefaultMessageStore.nextOffsetCorrection]
 */
import type { GroupConfig } from "../protocol/bodies/subscription_group.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import { RemotingError } from "../remoting/remoting_error.ts";
import type { GetStatus } from "../store/types.ts";

export const MASTER_ID = 0;

export interface ReadSettings {
  /** Consumers far behind the log's end are sent to a slave, and slaves serve them while their master lives. */
  readonly slaveReads: boolean;
  /** A slave corrects offsets outside its queues as a master does. */
  readonly slaveChecksOffsets: boolean;
}

export interface ReadRulesOptions {
  isSlave: boolean;
  /** Of a slave: whether its master serves consumers, as far as it can tell. */
  masterServes: () => boolean;
  /** Whether a message is so near the log's end that it is taken to be in memory. */
  isHot: (topic: string, queueId: number, queueOffset: number) => boolean;
  settings: () => ReadSettings;
}

export class ReadRules {
  readonly #options: ReadRulesOptions;

  constructor(options: ReadRulesOptions) {
    this.#options = options;
  }

  /**
   * A slave is read from when its master is gone; before, only where the configuration says so: then consumers
   * that the master has sent here are served, others have not yet heard that it is back.
   * @throws RemotingError SYSTEM_BUSY, after which clients ask again a second later
   */
  requireReadable(): void {
    const { isSlave, masterServes, settings } = this.#options;
    if (!isSlave || settings().slaveReads || !masterServes()) return;
    throw new RemotingError(
      ResponseCode.SYSTEM_BUSY,
      "[REJECTREQUEST]this slave is not read from while its master is there (slaveReadEnable=false)",
    );
  }

  /**
   * The id of the broker to ask next.
   * @param queueOffset of the last message that was looked at; negative where the pull was outside the queue
   */
  suggestedBroker(
    group: GroupConfig | undefined,
    topic: string,
    queueId: number,
    queueOffset: number,
  ): number {
    if (group === undefined || !this.#options.settings().slaveReads) return MASTER_ID;
    if (queueOffset < 0 || this.#options.isHot(topic, queueId, queueOffset)) return group.brokerId;
    return group.whichBrokerWhenConsumeSlowly;
  }

  /**
   * Whether a pull outside the queue is to be repeated as it was: what a slave has not got, or not any more, its
   * master may have, and a consumer that went past it would never see it.
   */
  leavesOffset(status: GetStatus): boolean {
    if (!this.#options.isSlave || this.#options.settings().slaveChecksOffsets) return false;
    return status !== "FOUND" && status !== "NO_MATCHED_MESSAGE" && status !== "MESSAGE_WAS_REMOVING";
  }
}
