// SPDX-License-Identifier: Apache-2.0
/** QUERY_MESSAGE (12) and VIEW_MESSAGE_BY_ID (33). [RMQ QueryMessageProcessor] */
import {
  queryMessageRequest,
  queryMessageResponse,
  viewMessageRequest,
} from "../../protocol/headers/query.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { MAX_FRAME_BYTES } from "../../remoting/frame.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Handler, Request } from "../../remoting/request.ts";

export interface QueryMessageOptions {
  store: {
    readWrittenRecord(physicalOffset: number): Uint8Array | undefined;
    queryByKey(
      topic: string,
      key: string,
      maxCount: number,
      beginMs: number,
      endMs: number,
    ): { records: Uint8Array[]; lastUpdateTimestampMs: number; lastUpdatePhysicalOffset: number };
  };
  /** For queries by unique key. */
  queryMaxCount: number;
  /** For all queries. */
  indexQueryMaxCount: number;
}

/** Messages of one answer, which has to fit into a frame together with its header. */
const MAX_ANSWER_BYTES = MAX_FRAME_BYTES - 4096;

export function queryMessageHandlers(options: QueryMessageOptions): [number, Handler][] {
  return [
    [RequestCode.QUERY_MESSAGE, (request) => handleQuery(options, request)],
    [RequestCode.VIEW_MESSAGE_BY_ID, (request) => handleView(options, request)],
  ];
}

function handleQuery(options: QueryMessageOptions, request: Request): Response {
  const query = queryMessageRequest.decode(request.fields);
  const isUniqueKey = query._UNIQUE_KEY_QUERY?.toLowerCase() === "true";
  const wanted = isUniqueKey ? options.queryMaxCount : query.maxNum;
  const maxCount = Math.min(Math.max(wanted, 0), options.indexQueryMaxCount);
  const found = options.store.queryByKey(
    query.topic,
    query.key,
    maxCount,
    query.beginTimestamp,
    query.endTimestamp,
  );
  const fields = queryMessageResponse.encode({
    indexLastUpdateTimestamp: found.lastUpdateTimestampMs,
    indexLastUpdatePhyoffset: found.lastUpdatePhysicalOffset,
  });
  const body = fitting(found.records);
  if (body.length > 0) return { code: ResponseCode.SUCCESS, fields, body };
  return {
    code: ResponseCode.QUERY_NOT_FOUND,
    fields,
    remark: "can not find message, maybe time range not correct",
  };
}

/** The first records, as many as one answer can hold. */
function fitting(records: readonly Uint8Array[]): readonly Uint8Array[] {
  let bytes = 0;
  for (const [index, record] of records.entries()) {
    bytes += record.length;
    if (bytes > MAX_ANSWER_BYTES) return records.slice(0, index);
  }
  return records;
}

function handleView(options: QueryMessageOptions, request: Request): Response {
  const { offset } = viewMessageRequest.decode(request.fields);
  // A slave compares its log with its master's by this request: what is not flushed yet must be in the answer.
  const record = options.store.readWrittenRecord(offset);
  if (record !== undefined) return { code: ResponseCode.SUCCESS, body: record };
  throw new RemotingError(ResponseCode.SYSTEM_ERROR, `can not find message by the offset, ${offset}`);
}
