// SPDX-License-Identifier: Apache-2.0
import { getLogger } from "@logtape/logtape";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { formatAddress } from "../../remoting/connection.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Handler, HandlerTable, Request } from "../../remoting/request.ts";

const logger = getLogger(["rmq", "namesrv"]);

/** The operator's configuration, made where it is loaded. */
export interface LiveConfig {
  /** Every key with its value now, defaults included. */
  values(): Iterable<readonly [key: string, value: string]>;
  /** Java properties, such as the body of a request, as keys and values. @throws Error with a sentence */
  parse(text: string): ReadonlyMap<string, string>;
  /** Keys that can't be changed by a request. */
  readonly blackList: readonly string[];
  /**
   * Applies and keeps what can be changed; keys that nobody knows are ignored. May say what the operator must
   * know, such as that a key takes effect after a restart. @throws Error with a sentence: nothing was changed
   */
  update(changes: ReadonlyMap<string, string>): string | undefined;
}

/** Keys by which a request could reach files that are none of its business. */
const ALWAYS_FORBIDDEN = ["configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"];

/** What administrators see and change of this name server's configuration. [RMQ DefaultRequestProcessor] */
export function configHandlers(config: LiveConfig): HandlerTable {
  /** Lines `key=value`, sorted, nothing escaped, as tools have always been given them. */
  function handleGet(): Response {
    const lines = [...config.values()].map(([key, value]) => `${key}=${value}\n`).sort();
    return { code: ResponseCode.SUCCESS, body: new TextEncoder().encode(lines.join("")) };
  }

  /** An absent body changes nothing, and succeeds. */
  function handleUpdate(request: Request): Response {
    if (request.body === null) return { code: ResponseCode.SUCCESS };
    const changes = orRefuse(() => config.parse(new TextDecoder().decode(request.body!)));
    if ([...ALWAYS_FORBIDDEN, ...config.blackList].some((key) => changes.has(key))) {
      throw new RemotingError(ResponseCode.NO_PERMISSION, "Can not update config in black list.");
    }
    const remark = orRefuse(() => config.update(changes));
    logger.info("configuration changed by {peer}: {keys}", {
      peer: formatAddress(request.connection.remote),
      keys: [...changes.keys()],
    });
    return { code: ResponseCode.SUCCESS, remark };
  }

  return new Map<number, Handler>([
    [RequestCode.GET_NAMESRV_CONFIG, handleGet],
    [RequestCode.UPDATE_NAMESRV_CONFIG, handleUpdate],
  ]);
}

/** The sentence of the error is what the operator is told. */
function orRefuse<T>(attempt: () => T): T {
  try {
    return attempt();
  } catch (cause) {
    const remark = cause instanceof Error ? cause.message : String(cause);
    throw new RemotingError(ResponseCode.SYSTEM_ERROR, remark, { cause });
  }
}
