// SPDX-License-Identifier: Apache-2.0
/**
 * What the generator can't do, by requests of our own client code straight to the broker: transactions, filters, pops.
 * The client is slower than the broker, so only the broker's processor time per message says something.
 */
import { messagesOf } from "../../src/client/consumer.ts";
import { endRequest } from "../../src/client/transactions.ts";
import { SQL_EXPRESSION, TAG_EXPRESSION } from "../../src/protocol/bodies/subscription_data.ts";
import { ackRequest, PopInitMode, popRequest, popResponse } from "../../src/protocol/headers/pop.ts";
import { pullRequest, pullResponse } from "../../src/protocol/headers/pull.ts";
import { encodeSendV2, sendResponse } from "../../src/protocol/headers/send.ts";
import { createUniqueKey, parseOffsetMessageId } from "../../src/protocol/message_id.ts";
import { decodeOffsetInfo, encodeReceipt, RetryFlag } from "../../src/protocol/pop_receipt.ts";
import { encodeProperties, Property } from "../../src/protocol/properties.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import { ResponseCode } from "../../src/protocol/response_code.ts";
import { PullSysFlag, SysFlag } from "../../src/protocol/sys_flag.ts";
import { RemotingClient } from "../../src/remoting/client.ts";
import type { Command, OutgoingRequest } from "../../src/remoting/command.ts";
import { runLoad, type Target } from "./generator.ts";
import { processCpuSeconds } from "./machine.ts";
import { CLIENT_WINDOW, type Workload } from "./workloads.ts";

export interface ActReport {
  readonly messagesPerSecond: number;
  readonly cpuMicrosPerMessage: number;
}

const QUEUES = 8;
const PULL_COUNT = 32;
/** Read per measured second at most; more than our client can. */
const BACKLOG_PER_SECOND = 50_000;
const TIMEOUT_MS = 10_000;
const GROUP = "bench-client";
/** True for all messages of the backlog; the same properties for the reads without it. */
const SQL = "region = 'north' AND amount BETWEEN 10 AND 90";
const PROPERTIES = ["--property", "region=north", "--property", "amount=42"];

/** Does one thing again and again for `seconds`; `topic` must be new. */
export async function runAct(
  generator: string,
  { act, bodyBytes }: Workload,
  target: Target,
  topic: string,
  seconds: number,
): Promise<ActReport> {
  const isReading = act === "read" || act === "read-sql" || act === "pop";
  await runLoad(generator, [
    ...["send", "--addr", target.address, "--topic", topic, "--queues", `${QUEUES}`],
    ...["--size", `${bodyBytes}`, "--conns", "1", "--window", "64", ...PROPERTIES],
    ...["--count", `${isReading ? Math.ceil(seconds * BACKLOG_PER_SECOND) : 1}`],
  ]);
  const client = new RemotingClient();
  const world = { address: target.address, client, topic, body: new Uint8Array(bodyBytes).fill(97) };
  const steps = Array.from({ length: CLIENT_WINDOW }, (_, lane) => stepOf(act!, world, lane % QUEUES));
  try {
    const [cpu, beginMs] = [processCpuSeconds(target.pid), performance.now()];
    const untilMs = beginMs + seconds * 1000;
    const counts = await Promise.all(steps.map(async (step) => {
      let messages = 0;
      for (let done = 1; done > 0 && performance.now() < untilMs;) messages += done = await step();
      return messages;
    }));
    const messages = counts.reduce((sum, count) => sum + count, 0);
    if (messages === 0) throw new Error(`${act}: no message`);
    return {
      messagesPerSecond: messages * 1000 / (performance.now() - beginMs),
      cpuMicrosPerMessage: (processCpuSeconds(target.pid) - cpu) * 1e6 / messages,
    };
  } finally {
    client.close();
  }
}

interface World {
  readonly client: RemotingClient;
  readonly address: string;
  readonly topic: string;
  readonly body: Uint8Array;
}

/** Does the thing once, or with one answer's messages; resolves to their number, 0 where there are no more. */
type Step = () => Promise<number>;

function stepOf(act: NonNullable<Workload["act"]>, world: World, queueId: number): Step {
  switch (act) {
    case "send":
      return async () => (await send(world, queueId, []), 1);
    case "transaction":
      return () => sendInTransaction(world, queueId);
    case "read":
      return reading(world, queueId, TAG_EXPRESSION, "*");
    case "read-sql":
      return reading(world, queueId, SQL_EXPRESSION, SQL);
    case "pop":
      return () => popAndAcknowledge(world);
  }
}

async function send({ topic, body, ...world }: World, queueId: number, more: [string, string][]) {
  const uniqueKey = createUniqueKey(Uint8Array.of(127, 0, 0, 1), Date.now());
  const fields = encodeSendV2({
    ...{ producerGroup: GROUP, topic, defaultTopic: "TBW102", defaultTopicQueueNums: QUEUES, queueId },
    sysFlag: more.length > 0 ? SysFlag.TRANSACTION_PREPARED : 0,
    bornTimestamp: Date.now(),
    flag: 0,
    properties: encodeProperties([[Property.UNIQ_KEY, uniqueKey], [Property.WAIT, "true"], ...more]),
    ...{ reconsumeTimes: 0, unitMode: false, maxReconsumeTimes: undefined, batch: false },
  });
  const answer = await asked(world, { code: RequestCode.SEND_MESSAGE_V2, fields, body });
  return { ...sendResponse.decode(answer.fields), uniqueKey };
}

async function sendInTransaction(world: World, queueId: number): Promise<number> {
  const half: [string, string][] = [
    [Property.TRANSACTION_PREPARED, "true"],
    [Property.PRODUCER_GROUP, GROUP],
  ];
  const { msgId, queueOffset, uniqueKey } = await send(world, queueId, half);
  const end = endRequest("COMMIT", {
    ...{ topic: world.topic, producerGroup: GROUP, tranStateTableOffset: queueOffset },
    commitLogOffset: parseOffsetMessageId(msgId)!.physicalOffset,
    ...{ fromTransactionCheck: false, msgId: uniqueKey, transactionId: uniqueKey },
  });
  await asked(world, end);
  return 1;
}

function reading(world: World, queueId: number, expressionType: string, subscription: string): Step {
  let queueOffset = 0;
  const subVersion = Date.now();
  return async () => {
    const fields = pullRequest.encode({
      ...{ consumerGroup: `${GROUP}-${expressionType}`, topic: world.topic, queueId, queueOffset },
      ...{ maxMsgNums: PULL_COUNT, sysFlag: PullSysFlag.SUBSCRIPTION, commitOffset: 0 },
      ...{ suspendTimeoutMillis: 0, subscription, subVersion, expressionType },
    });
    const answer = await answerOf(world, { code: RequestCode.PULL_MESSAGE, fields });
    if (answer.code === ResponseCode.PULL_NOT_FOUND) return 0;
    expectSuccess(answer);
    queueOffset = pullResponse.decode(answer.fields).nextBeginOffset;
    return messagesOf(answer.body!).length;
  };
}

async function popAndAcknowledge(world: World): Promise<number> {
  const { topic } = world;
  const fields = popRequest.encode({
    ...{ consumerGroup: GROUP, topic, queueId: -1, maxMsgNums: PULL_COUNT, invisibleTime: 60_000 },
    ...{ pollTime: 0, bornTime: Date.now(), order: false, attemptId: undefined },
    ...{ initMode: PopInitMode.MIN, expType: TAG_EXPRESSION, exp: "*" },
  });
  const answer = await answerOf(world, { code: RequestCode.POP_MESSAGE, fields });
  if (answer.code === ResponseCode.PULL_NOT_FOUND || answer.code === ResponseCode.POLLING_TIMEOUT) return 0;
  expectSuccess(answer);
  const { popTime, invisibleTime, reviveQid, startOffsetInfo } = popResponse.decode(answer.fields);
  const starts = decodeOffsetInfo(startOffsetInfo ?? "");
  const messages = messagesOf(answer.body!);
  await Promise.all(messages.map(({ queueId, queueOffset }) => {
    const receipt = encodeReceipt({
      startOffset: starts.get(`${RetryFlag.NORMAL}@${queueId}`)?.[0] ?? queueOffset,
      ...{ popTimeMs: popTime, invisibleMs: invisibleTime, reviveQueueId: reviveQid },
      ...{ retry: RetryFlag.NORMAL, brokerName: "bench", queueId, queueOffset },
    });
    const fields = ackRequest.encode({
      ...{ consumerGroup: GROUP, topic, queueId, extraInfo: receipt, offset: queueOffset },
    });
    return asked(world, { code: RequestCode.ACK_MESSAGE, fields });
  }));
  return messages.length;
}

type Peer = Pick<World, "client" | "address">;

function answerOf({ client, address }: Peer, request: OutgoingRequest): Promise<Command> {
  return client.request(address, request, TIMEOUT_MS);
}

async function asked(peer: Peer, request: OutgoingRequest): Promise<Command> {
  return expectSuccess(await answerOf(peer, request));
}

function expectSuccess(answer: Command): Command {
  if (answer.code === ResponseCode.SUCCESS) return answer;
  throw new Error(`the broker answers ${answer.code}: ${answer.remark ?? ""}`);
}
