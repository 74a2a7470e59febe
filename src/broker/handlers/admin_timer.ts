// SPDX-License-Identifier: Apache-2.0
/** GET_TIMER_CHECK_POINT (60), GET_TIMER_METRICS (61): what a slave asks. [RMQ AdminBrokerProcessor] */
import { encodeJson } from "../../protocol/java_json.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Handler } from "../../remoting/request.ts";

export interface AdminTimerOptions {
  timers: {
    /** Undefined where timers are off. */
    checkpoint(): Uint8Array | undefined;
    metrics(): { toJson(): unknown } | undefined;
  };
}

export function adminTimerHandlers({ timers }: AdminTimerOptions): [number, Handler][] {
  return [
    [RequestCode.GET_TIMER_CHECK_POINT, () => {
      const body = timers.checkpoint();
      if (body === undefined) throw new RemotingError(ResponseCode.SYSTEM_ERROR, "The checkpoint is null");
      return { code: ResponseCode.SUCCESS, body };
    }],
    [RequestCode.GET_TIMER_METRICS, () => {
      const metrics = timers.metrics();
      if (metrics !== undefined) return { code: ResponseCode.SUCCESS, body: encodeJson(metrics.toJson()) };
      throw new RemotingError(ResponseCode.SYSTEM_ERROR, "The timer message store is null");
    }],
  ];
}
