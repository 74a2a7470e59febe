// SPDX-License-Identifier: Apache-2.0
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Handler, HandlerTable, Request } from "../../remoting/request.ts";

/** The operator's keys, as text in Java's properties format. */
export interface ConfigText {
  /** All keys with their values, as lines `key=value`. */
  read(): string;
  /** Changes the keys that `text` names, here and in the file; only then is it durable. Unknown keys are skipped. */
  change(text: string): ConfigChange;
}

/** Of a text that is not `CHANGED` nothing was changed. */
export type ConfigChange = "CHANGED" | "FORBIDDEN_KEY" | "UNREADABLE";

/** What administrators see and change of this name server's configuration. */
export function configHandlers(config: ConfigText): HandlerTable {
  function handleGet(): Response {
    return { code: ResponseCode.SUCCESS, body: new TextEncoder().encode(config.read()) };
  }

  function handleUpdate(request: Request): Response {
    if (request.body === null) return { code: ResponseCode.SUCCESS };
    switch (config.change(new TextDecoder().decode(request.body))) {
      case "CHANGED":
        return { code: ResponseCode.SUCCESS };
      case "FORBIDDEN_KEY":
        throw new RemotingError(ResponseCode.NO_PERMISSION, "Can not update config in black list.");
      case "UNREADABLE":
        throw new RemotingError(ResponseCode.SYSTEM_ERROR, "string2Properties error");
    }
  }

  return new Map<number, Handler>([
    [RequestCode.GET_NAMESRV_CONFIG, handleGet],
    [RequestCode.UPDATE_NAMESRV_CONFIG, handleUpdate],
  ]);
}
