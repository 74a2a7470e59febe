// SPDX-License-Identifier: Apache-2.0
import { encodeKvTable } from "../../protocol/bodies/kv_table.ts";
import {
  getKvResponse,
  kvKeyRequest,
  kvListRequest,
  putKvRequest,
} from "../../protocol/headers/name_server.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Handler, HandlerTable, Request } from "../../remoting/request.ts";
import type { KvTable } from "../kv_table.ts";

const DONE: Response = { code: ResponseCode.SUCCESS };

/** The key-value table of administrators. */
export function kvHandlers(kv: KvTable): HandlerTable {
  function handlePut(request: Request): Response {
    const { namespace, key, value } = putKvRequest.decode(request.fields);
    if (namespace === undefined || key === undefined) {
      throw new RemotingError(ResponseCode.SYSTEM_ERROR, "namespace or key is null");
    }
    if (value === undefined) throw new RemotingError(ResponseCode.SYSTEM_ERROR, "value is null");
    kv.put(namespace, key, value);
    return DONE;
  }

  function handleGet(request: Request): Response {
    const { namespace, key } = kvKeyRequest.decode(request.fields);
    const value = namespace === undefined || key === undefined ? undefined : kv.get(namespace, key);
    if (value === undefined) throw notFound(`Namespace: ${namespace ?? null} Key: ${key ?? null}`);
    return { code: ResponseCode.SUCCESS, fields: getKvResponse.encode({ value }) };
  }

  function handleDelete(request: Request): Response {
    const { namespace, key } = kvKeyRequest.decode(request.fields);
    if (namespace !== undefined && key !== undefined) kv.delete(namespace, key);
    return DONE;
  }

  function handleList(request: Request): Response {
    const { namespace } = kvListRequest.decode(request.fields);
    const table = namespace === undefined ? undefined : kv.list(namespace);
    if (table === undefined) throw notFound(`Namespace: ${namespace ?? null}`);
    return { code: ResponseCode.SUCCESS, body: encodeKvTable(table) };
  }

  return new Map<number, Handler>([
    [RequestCode.PUT_KV_CONFIG, handlePut],
    [RequestCode.GET_KV_CONFIG, handleGet],
    [RequestCode.DELETE_KV_CONFIG, handleDelete],
    [RequestCode.GET_KVLIST_BY_NAMESPACE, handleList],
  ]);
}

function notFound(what: string): RemotingError {
  return new RemotingError(ResponseCode.QUERY_NOT_FOUND, `No config item, ${what}`);
}
