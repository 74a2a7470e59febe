// SPDX-License-Identifier: Apache-2.0
import { getLogger } from "@logtape/logtape";
import { minBrokerIdChange } from "../protocol/headers/register_broker.ts";
import { RequestCode } from "../protocol/request_code.ts";
import type { OutgoingRequest } from "../remoting/command.ts";
import type { MinBrokerIdChange } from "./route_table.ts";

const logger = getLogger(["rmq", "namesrv"]);

/** The part of a remoting client that is needed here. */
export interface Notifier {
  notify(address: string, request: OutgoingRequest): Promise<void>;
}

/**
 * Tells the members of a group that another of them has the smallest id, so that they may act as master or
 * stop doing so. Not told twice: a member that missed it finds out by its own polls.
 */
export function tellMinBrokerId(notifier: Notifier, change: MinBrokerIdChange): void {
  const { minBrokerId, minBrokerAddr, offlineBrokerAddr, haBrokerAddr } = change;
  const fields = minBrokerIdChange.encode({ minBrokerId, minBrokerAddr, offlineBrokerAddr, haBrokerAddr });
  const request = { code: RequestCode.NOTIFY_MIN_BROKER_ID_CHANGE, fields };
  for (const address of change.receivers) {
    notifier.notify(address, request).catch((error) => {
      logger.warn("{address} can't be told of the smallest id in {brokerName}: {error}", {
        address,
        brokerName: change.brokerName,
        error,
      });
    });
  }
}
