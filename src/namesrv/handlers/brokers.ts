// SPDX-License-Identifier: Apache-2.0
import { DataVersion } from "../../protocol/bodies/data_version.ts";
import { encodeKvTable } from "../../protocol/bodies/kv_table.ts";
import { decodeRegisterBroker, registrationCrc32 } from "../../protocol/bodies/register_broker.ts";
import { Perm } from "../../protocol/bodies/topic_config.ts";
import {
  addWritePermResponse,
  brokerNameRequest,
  wipeWritePermResponse,
} from "../../protocol/headers/name_server.ts";
import {
  brokerHeartbeatRequest,
  brokerIdentityRequest,
  queryDataVersionResponse,
  registerBrokerRequest,
  registerBrokerResponse,
} from "../../protocol/headers/register_broker.ts";
import { encodeJson, parseJsonObject } from "../../protocol/java_json.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Handler, HandlerTable, Request } from "../../remoting/request.ts";
import { type KvTable, ORDER_NAMESPACE } from "../kv_table.ts";
import type { RouteTable } from "../route_table.ts";

const DONE: Response = { code: ResponseCode.SUCCESS };

/** How brokers come, stay and go, and how administrators take writing from them. */
export function brokerHandlers(
  routes: RouteTable,
  kv: KvTable,
  settings: () => { readonly orderConfigToBrokers: boolean },
): HandlerTable {
  function handleRegister(request: Request): Response {
    const header = registerBrokerRequest.decode(request.fields);
    checkCrc32(header.bodyCrc32, request.body);
    const registered = routes.register({
      cluster: header.clusterName,
      brokerName: header.brokerName,
      brokerId: header.brokerId,
      address: header.brokerAddr,
      haServerAddr: header.haServerAddr,
      zoneName: header.__ZONE_NAME,
      heartbeatTimeoutMs: header.heartbeatTimeoutMillis,
      enableActingMaster: header.enableActingMaster,
      body: decodeRegisterBroker(request.body, header.compressed, request.command.version),
    }, request.connection);
    if (registered === undefined) {
      throw new RemotingError(ResponseCode.SYSTEM_ERROR, "register broker failed");
    }
    const orderConfig = settings().orderConfigToBrokers ? kv.list(ORDER_NAMESPACE) : undefined;
    const { masterAddr, haServerAddr } = registered;
    return {
      code: ResponseCode.SUCCESS,
      fields: registerBrokerResponse.encode({ masterAddr, haServerAddr }),
      body: orderConfig && encodeKvTable(orderConfig),
    };
  }

  /** Apache answers before it takes effect; here it has when the answer leaves. */
  function handleUnregister(request: Request): Response {
    const { clusterName, brokerName, brokerAddr } = brokerIdentityRequest.decode(request.fields);
    routes.unregister(clusterName, brokerName, brokerAddr);
    return DONE;
  }

  /** Tells a broker whether it needs to register; a sign of life at the same time. */
  function handleQueryDataVersion(request: Request): Response {
    const { clusterName, brokerAddr } = brokerIdentityRequest.decode(request.fields);
    const asked = DataVersion.fromJson(parseJsonObject(request.body));
    const known = routes.dataVersionOf(clusterName, brokerAddr);
    routes.touch(clusterName, brokerAddr);
    return {
      code: ResponseCode.SUCCESS,
      fields: queryDataVersionResponse.encode({ changed: !asked.equals(known) }),
      body: known && encodeJson(known.toJson()),
    };
  }

  function handleHeartbeat(request: Request): Response {
    const { clusterName, brokerAddr } = brokerHeartbeatRequest.decode(request.fields);
    routes.touch(clusterName, brokerAddr);
    return DONE;
  }

  function handleWipeWritePerm(request: Request): Response {
    const { brokerName } = brokerNameRequest.decode(request.fields);
    const wipeTopicCount = routes.changePermissions(brokerName, (perm) => perm & ~Perm.WRITE);
    return { code: ResponseCode.SUCCESS, fields: wipeWritePermResponse.encode({ wipeTopicCount }) };
  }

  /** Gives back reading and writing, and no more: what else was wiped is not known. */
  function handleAddWritePerm(request: Request): Response {
    const { brokerName } = brokerNameRequest.decode(request.fields);
    const addTopicCount = routes.changePermissions(brokerName, () => Perm.READ | Perm.WRITE);
    return { code: ResponseCode.SUCCESS, fields: addWritePermResponse.encode({ addTopicCount }) };
  }

  return new Map<number, Handler>([
    [RequestCode.REGISTER_BROKER, handleRegister],
    [RequestCode.UNREGISTER_BROKER, handleUnregister],
    [RequestCode.QUERY_DATA_VERSION, handleQueryDataVersion],
    [RequestCode.BROKER_HEARTBEAT, handleHeartbeat],
    [RequestCode.WIPE_WRITE_PERM_OF_BROKER, handleWipeWritePerm],
    [RequestCode.ADD_WRITE_PERM_OF_BROKER, handleAddWritePerm],
  ]);
}

function checkCrc32(expected: number, body: Uint8Array | null): void {
  if (expected !== 0 && body !== null && registrationCrc32(body) !== expected) {
    throw new RemotingError(ResponseCode.SYSTEM_ERROR, "crc32 not match");
  }
}
