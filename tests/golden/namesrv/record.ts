// SPDX-License-Identifier: Apache-2.0
/**
 * Records what a name server of Apache RocketMQ answers in a scenario. It must have started with the
 * scenario's settings and with nothing in its key-value file.
 *
 *   deno run -A tests/golden/namesrv/record.ts plain 127.0.0.1:9876 > tests/golden/namesrv/plain.json
 */
import { connect, type Socket } from "node:net";
import process from "node:process";
import { type Answer, bodyOf, type Recording, scenarios, type Step } from "./conversation.ts";

const [name, address] = process.argv.slice(2);
const [host, port] = address.split(":");
const sockets = new Map<string, Socket>();
const scenario = scenarios[name];

const recording: Recording = { ...scenario, answers: [] };
for (const step of scenario.steps) recording.answers.push(await take(step));
process.stdout.write(JSON.stringify(recording, null, 1) + "\n");
process.exit(0);

async function take(step: Step): Promise<Answer | null> {
  if (step.code === undefined) {
    sockets.get(step.connection)!.end();
    sockets.delete(step.connection);
    await effect();
    return null;
  }
  let socket = sockets.get(step.connection);
  if (socket === undefined) sockets.set(step.connection, socket = connect(Number(port), host));
  socket.write(requestFrame(step));
  const answer = await answerFrom(socket);
  if (step.code === 104) await effect();
  return answer;
}

/** Unregistration is only queued when it is answered, and the end of a connection has no answer. */
function effect(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1000));
}

function requestFrame(step: Step): Uint8Array {
  const header = new TextEncoder().encode(JSON.stringify({
    code: step.code,
    language: "JAVA",
    version: step.version,
    opaque: 1,
    flag: 0,
    extFields: step.fields ?? {},
    serializeTypeCurrentRPC: "JSON",
  }));
  const body = bodyOf(step) ?? new Uint8Array();
  const frame = new Uint8Array(8 + header.length + body.length);
  const view = new DataView(frame.buffer);
  view.setInt32(0, 4 + header.length + body.length);
  view.setInt32(4, header.length);
  frame.set(header, 8);
  frame.set(body, 8 + header.length);
  return frame;
}

function answerFrom(socket: Socket): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let received = new Uint8Array();
    const onData = (chunk: Uint8Array) => {
      received = Uint8Array.from([...received, ...chunk]);
      const view = new DataView(received.buffer);
      if (received.length < 4 || received.length < 4 + view.getInt32(0)) return;
      socket.off("data", onData).off("error", reject);
      const headerEnd = 8 + (view.getInt32(4) & 0xffffff);
      const header = JSON.parse(new TextDecoder().decode(received.subarray(8, headerEnd)));
      const body = new TextDecoder().decode(received.subarray(headerEnd));
      resolve({
        code: header.code,
        remark: header.remark ?? null,
        fields: header.extFields ?? null,
        body: body === "" ? null : body,
      });
    };
    socket.on("data", onData);
    socket.once("error", reject);
  });
}
