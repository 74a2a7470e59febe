// SPDX-License-Identifier: Apache-2.0
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Handler } from "../../remoting/request.ts";

/** What this broker can't do yet, said in a sentence that an operator understands. */
interface NotBuilt {
  codes: readonly number[];
  remark: string;
  /** Unless told, the code that every peer takes for "this broker does not know that". */
  code?: number;
}

const TABLE: readonly NotBuilt[] = [
  {
    codes: [RequestCode.UPDATE_AND_CREATE_STATIC_TOPIC],
    remark: "static topics are not supported by this broker",
  },
  {
    codes: [RequestCode.CHECK_ROCKSDB_CQ_WRITE_PROGRESS, RequestCode.EXPORT_ROCKSDB_CONFIG_TO_JSON],
    remark: "this broker does not use RocksDB: queues and metadata are plain files",
  },
  {
    codes: [
      RequestCode.UPDATE_COLD_DATA_FLOW_CTR_CONFIG,
      RequestCode.REMOVE_COLD_DATA_FLOW_CTR_CONFIG,
      RequestCode.GET_COLD_DATA_FLOW_CTR_INFO,
      RequestCode.SET_COMMITLOG_READ_MODE,
    ],
    remark: "this broker does not limit reads of old messages",
  },
  {
    codes: [
      RequestCode.UPDATE_AND_CREATE_ACL_CONFIG,
      RequestCode.DELETE_ACL_CONFIG,
      RequestCode.GET_BROKER_CLUSTER_ACL_INFO,
      RequestCode.GET_BROKER_CLUSTER_ACL_CONFIG,
      RequestCode.UPDATE_GLOBAL_WHITE_ADDRS_CONFIG,
      RequestCode.AUTH_CREATE_USER,
      RequestCode.AUTH_UPDATE_USER,
      RequestCode.AUTH_DELETE_USER,
      RequestCode.AUTH_GET_USER,
      RequestCode.AUTH_LIST_USERS,
      RequestCode.AUTH_CREATE_ACL,
      RequestCode.AUTH_UPDATE_ACL,
      RequestCode.AUTH_DELETE_ACL,
      RequestCode.AUTH_GET_ACL,
      RequestCode.AUTH_LIST_ACL,
    ],
    remark: "access control is not supported by this broker",
  },
  {
    codes: [RequestCode.SWITCH_TIMER_ENGINE],
    remark: "this broker does not know several timer engines: timed messages are kept in files",
  },
];

/** Answers requests that are known but not built; codes served by nobody are answered by `Dispatch`. */
export function notBuiltHandlers(): [number, Handler][] {
  return TABLE.flatMap(({ codes, code = ResponseCode.REQUEST_CODE_NOT_SUPPORTED, remark }) =>
    codes.map((requestCode): [number, Handler] => [requestCode, () => ({ code, remark })])
  );
}
