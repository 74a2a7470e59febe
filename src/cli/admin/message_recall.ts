// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { Producer } from "../../client/producer.ts";
import { UsageError } from "../args.ts";
import { adminCommand } from "./command.ts";

export const messageRecallCommand = adminCommand({
  name: "recall",
  summary: "Take back a message that waits for its moment",
  help:
    "The broker must allow it (recallMessageEnable). That it succeeds means that the wish is stored: a message that " +
    "was delivered a moment before stays delivered.",
  operands: [{ name: "TOPIC", kind: "topic" }, { name: "HANDLE" }],
  examples: [[
    "message recall orders djEgb3JkZXJzIGJyb2tlci1hIDE3OTUyNjQyMDA1MTYgQUJD",
    "what `message send` told",
  ]],
  json: `{"topic", "broker", "handle"}`,
  async run({ cluster, operands, out }) {
    const [topic, handle] = operands;
    const brokerName = brokerOf(handle);
    await cluster.info();
    const producer = new Producer({ nameServers: cluster.nameServers.join(";"), group: "RMQ_CLI_PRODUCER" });
    try {
      await producer.recall(topic, { brokerName, recallHandle: handle });
    } finally {
      producer.stop();
    }
    if (out.isJson) return await out.json({ topic, broker: brokerName, handle });
    await out.line(`${brokerName} will not deliver it.`);
  },
});

/** A handle is `v1 TOPIC BROKER TIME ID` in Base64. [RMQ RecallMessageHandle] */
function brokerOf(handle: string): string {
  const [version, , broker] = Buffer.from(handle, "base64url").toString().split(" ");
  if (version !== "v1" || !broker) throw new UsageError(`${handle} is no handle as a send gives it.`);
  return broker;
}
