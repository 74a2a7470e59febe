// SPDX-License-Identifier: Apache-2.0
/** UPDATE_BROKER_CONFIG (25) and GET_BROKER_CONFIG (26). [RMQ AdminBrokerProcessor, Configuration] */
import { getLogger } from "@logtape/logtape";
import type { DataVersion } from "../../protocol/bodies/data_version.ts";
import { brokerConfigResponse } from "../../protocol/headers/admin_broker.ts";
import { stringifyJson } from "../../protocol/java_json.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { formatAddress } from "../../remoting/connection.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Handler, Request } from "../../remoting/request.ts";

const logger = getLogger(["rmq", "broker"]);

/** The operator's configuration, made where it is loaded. */
export interface LiveConfig {
  /** Grows with every change. */
  readonly version: DataVersion;
  /** Every key with its value now, defaults included. */
  values(): Iterable<readonly [key: string, value: string]>;
  /** Java properties, such as the body of a request, as keys and values. @throws Error with a sentence */
  parse(text: string): ReadonlyMap<string, string>;
  /**
   * Applies and keeps what can be changed; keys that nobody knows are ignored. May say what the operator must
   * know, such as that a key takes effect after a restart. @throws Error with a sentence: nothing was changed
   */
  update(changes: ReadonlyMap<string, string>): string | undefined;
}

export interface AdminConfigOptions {
  config: LiveConfig;
  /** `configBlackList` as it was at start: keys that can't be changed by a request. */
  blackList: readonly string[];
  /** After `brokerPermission` was changed: what name servers know of all topics is out of date. */
  onPermissionChanged: () => void;
}

export function adminConfigHandlers(options: AdminConfigOptions): [number, Handler][] {
  const blackList = new Set([...ALWAYS_FORBIDDEN, ...options.blackList]);
  return [
    [RequestCode.UPDATE_BROKER_CONFIG, (request) => updateConfig(options, blackList, request)],
    [RequestCode.GET_BROKER_CONFIG, () => getConfig(options)],
  ];
}

/** Keys by which a request could reach files that are none of its business. */
const ALWAYS_FORBIDDEN = ["brokerConfigPath", "rocketmqHome", "configBlackList"];

/** An absent body changes nothing, and succeeds. */
function updateConfig(
  { config, onPermissionChanged }: AdminConfigOptions,
  blackList: ReadonlySet<string>,
  request: Request,
): Response {
  if (request.body === null) return { code: ResponseCode.SUCCESS };
  const changes = orRefuse(() => config.parse(new TextDecoder().decode(request.body!)));
  if ([...changes.keys()].some((key) => blackList.has(key))) {
    throw new RemotingError(ResponseCode.NO_PERMISSION, "Can not update config in black list.");
  }
  const remark = orRefuse(() => config.update(changes));
  logger.info("configuration changed by {peer}: {keys}", {
    peer: formatAddress(request.connection.remote),
    keys: [...changes.keys()],
  });
  if (changes.has("brokerPermission")) onPermissionChanged();
  return { code: ResponseCode.SUCCESS, remark };
}

/** Lines `key=value`, sorted, nothing escaped, as tools have always been given them. */
function getConfig({ config }: AdminConfigOptions): Response {
  const lines = [...config.values()].map(([key, value]) => `${key}=${value}\n`).sort();
  return {
    code: ResponseCode.SUCCESS,
    fields: brokerConfigResponse.encode({ version: stringifyJson(config.version.toJson()) }),
    body: new TextEncoder().encode(lines.join("")),
  };
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
