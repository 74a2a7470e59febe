// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type AssignmentSettings,
  queryAssignmentHandlers,
} from "../../../src/broker/handlers/query_assignment.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { ResponseCode } from "../../../src/protocol/response_code.ts";
import { bodyBytes, MemoryConnection } from "../../harness/memory_connection.ts";

const queue = (queueId: number) => ({ brokerName: "b", queueId, topic: "T" });

const handlers = new Map(queryAssignmentHandlers({
  clients: {
    // One client has come back before its old connection was closed.
    consumerGroup: (group) =>
      group === "G" ? { members: ["c2", "c1", "c2"].map((clientId) => ({ clientId })) } : undefined,
  },
  queuesOf: (topic) => Promise.resolve(topic === "no" ? undefined : [queue(0), queue(1), queue(2)]),
  modeOf: (topic) => topic === "P" ? { mode: "POP", popShareQueueNum: 0 } : undefined,
  settings: () => settings,
}));

const settings: AssignmentSettings = {
  sharesOutQueues: true,
  defaultRequestMode: "PULL",
  defaultPopShareCount: -1,
};

async function assigned(asked: Record<string, string>): Promise<string> {
  const request = { topic: "T", consumerGroup: "G", clientId: "c1", strategyName: "AVG", ...asked };
  const { code, ...response } = await new MemoryConnection().ask(handlers, {
    code: RequestCode.QUERY_ASSIGNMENT,
    body: new TextEncoder().encode(JSON.stringify(request)),
  });
  assert.equal(code, ResponseCode.SUCCESS);
  return new TextDecoder().decode(bodyBytes({ code, ...response }));
}

function told(...queueIds: number[]): string {
  const messageQueueAssignments = queueIds.map((id) => ({ messageQueue: queue(id), mode: "PULL" }));
  return JSON.stringify({ messageQueueAssignments });
}

test("each member is given its part, to be pulled from", async () => {
  assert.equal(await assigned({}), told(0, 1));
  assert.equal(await assigned({ clientId: "c2" }), told(2));
  assert.equal(await assigned({ strategyName: "AVG_BY_CIRCLE" }), told(0, 2));
});

test("who broadcasts is given every queue", async () => {
  assert.equal(await assigned({ messageModel: "BROADCASTING", clientId: "c9" }), told(0, 1, 2));
});

test("who pops is given every broker, whose queue -1 stands for all", async () => {
  const all = { messageQueueAssignments: [{ messageQueue: queue(-1), mode: "POP" }] };
  assert.equal(await assigned({ topic: "P" }), JSON.stringify(all));
});

test("a client whose part is not certain is told to keep what it has", async () => {
  const uncertain: Record<string, string>[] = [
    { topic: "no" },
    { consumerGroup: "no" },
    { clientId: "c9" },
    { strategyName: "CONFIG" },
  ];
  for (const asked of uncertain) {
    assert.equal(await assigned(asked), "{}");
  }
});

test("a request without a body is refused", async () => {
  const { code } = await new MemoryConnection().ask(handlers, { code: RequestCode.QUERY_ASSIGNMENT });
  assert.equal(code, ResponseCode.SYSTEM_ERROR);
});
