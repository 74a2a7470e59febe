// SPDX-License-Identifier: Apache-2.0
import { minBrokerIdChange } from "../../protocol/headers/register_broker.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Handler } from "../../remoting/request.ts";

/**
 * NOTIFY_MIN_BROKER_ID_CHANGE: a name server says which member of this brokerName has the smallest id now: the
 * master has gone, or is back. [RMQ AdminBrokerProcessor.notifyBrokerIdChanged]
 */
export function minBrokerIdHandlers(
  onChange: (minBrokerId: number | undefined) => void,
): [number, Handler][] {
  return [[RequestCode.NOTIFY_MIN_BROKER_ID_CHANGE, (request) => {
    onChange(minBrokerIdChange.decode(request.fields).minBrokerId);
    return { code: ResponseCode.SUCCESS };
  }]];
}
