// SPDX-License-Identifier: Apache-2.0
/** The same requests, in the same order, as a name server of Apache RocketMQ 5.4.0 was asked. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import type { NameServerSettings } from "../../src/namesrv/name_server.ts";
import { type Json, parseJson } from "../../src/protocol/java_json.ts";
import { ResponseCode } from "../../src/protocol/response_code.ts";
import type { Response } from "../../src/remoting/command.ts";
import { type Answer, bodyOf, type Recording, type Step } from "../golden/namesrv/conversation.ts";
import { bodyBytes, MemoryConnection } from "../harness/memory_connection.ts";
import { MemoryNameServer } from "./memory_name_server.ts";

const SETTINGS: Record<string, Partial<NameServerSettings>> = {
  plain: {},
  acting: { actingMaster: true, orderConfigInRoutes: true },
  deleting: { deleteTopicsByRegistration: true, allTopicList: false, topicLists: false },
};

for (const [name, settings] of Object.entries(SETTINGS)) {
  describe(`scenario ${name}`, () => {
    const file = new URL(`../golden/namesrv/${name}.json`, import.meta.url);
    const { steps, answers }: Recording = JSON.parse(readFileSync(file, "utf8"));
    const connections = new Map<string, MemoryConnection>();
    let server: MemoryNameServer;
    before(() => {
      server = new MemoryNameServer(settings);
    });
    after(() => server.remove());

    for (const [index, step] of steps.entries()) {
      test(`${name}: step ${index} is answered as by Apache: ${describeStep(step)}`, async () => {
        const response = await take(server, connections, step);
        const expected = answers[index];
        if (expected === null) assert.equal(response, undefined);
        else assert.deepEqual(shownOf(response!, step), shownOfAnswer(expected, step));
      });
    }
  });
}

function describeStep(step: Step): string {
  if (step.code === undefined) return `the connection ${step.connection} ends`;
  const { topic, brokerName, brokerId, namespace, key } = step.fields ?? {};
  return [step.code, topic, brokerName, brokerId, namespace, key].filter((item) => item !== undefined).join(
    " ",
  );
}

async function take(
  server: MemoryNameServer,
  connections: Map<string, MemoryConnection>,
  step: Step,
): Promise<Response | undefined> {
  let connection = connections.get(step.connection);
  if (step.code === undefined) {
    connection!.close();
    connections.delete(step.connection);
    return undefined;
  }
  if (connection === undefined) connections.set(step.connection, connection = new MemoryConnection());
  const { code, version, fields = {} } = step;
  return await connection.ask(server.dispatch, { code, version, fields, body: bodyOf(step) ?? null });
}

interface Shown {
  code: number;
  remark?: string;
  fields: Record<string, string>;
  body?: Json;
}

function shownOf(response: Response, step: Step): Shown {
  const body = bodyBytes(response);
  return shownOfAnswer({
    code: response.code,
    remark: response.remark ?? null,
    fields: response.fields ?? null,
    body: body.length > 0 ? new TextDecoder().decode(body) : null,
  }, step);
}

function shownOfAnswer(answer: Answer, step: Step): Shown {
  const { code, remark, fields, body } = answer;
  return {
    code,
    // Apache forgets to clear a remark that means "no code was set" from some answers of success.
    remark: step.anyRemark || code === ResponseCode.SUCCESS ? undefined : remark ?? undefined,
    fields: fields ?? {},
    body: body === null ? undefined : inOneOrder(parseJson(body)),
  };
}

/** Lists in bodies of a name server have no order of their own. */
function inOneOrder(value: Json): Json {
  if (Array.isArray(value)) {
    return value.map(inOneOrder).sort((a, b) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inOneOrder(item)]));
}
