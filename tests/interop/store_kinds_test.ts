// SPDX-License-Identifier: Apache-2.0
/**
 * A store in which the real Apache RocketMQ has put every kind of record: single and batch-sent messages, compressed
 * ones, those that were consumed in vain and come again, transactions committed, rolled back and open, messages of an
 * IPv6 client. Apache is killed, ours has the store, then Apache again: each shows the same messages at the same places,
 * answers administrators alike, and leaves the others' records as they are.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { readdirSync } from "node:fs";
import { run } from "../../src/cli/run.ts";
import { encodeSendV2 } from "../../src/protocol/headers/send.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import { RemotingClient } from "../../src/remoting/client.ts";
import type { ApacheVersion } from "./apache.ts";
import { Driver } from "./driver.ts";
import {
  type BrokerSite,
  type Make,
  newBrokerSite,
  startBroker,
  startNameServer,
  Workspace,
} from "./servers.ts";
import { interopTest, lazily, VERSIONS } from "./suite.ts";

const PROPERTIES = {
  mappedFileSizeCommitLog: 1 << 20,
  mappedFileSizeConsumeQueue: 20 * 50,
  maxHashSlotNum: 100,
  maxIndexNum: 500,
  messageDelayLevel: "1s 1s 1s 1s 1s",
  // nobody asks about open transactions: each question is another record
  transactionCheckInterval: 600_000,
};
const BULK = 200;
const BULK_BYTES = 6000;

const world = lazily(async () => {
  const workspace = await Workspace.create();
  const [driver, nameServer] = await Promise.all([
    Driver.start("5.4.0", workspace),
    startNameServer("rmq", workspace),
  ]);
  return { workspace, driver, nameServer };
});

/** What one broker shows of the store. */
interface Seen {
  /** Lines of messages by topic. */
  readonly messages: Readonly<Record<string, string[]>>;
  /** What mqadmin prints, by command. */
  readonly printed: Readonly<Record<string, string>>;
}

interface Chain {
  readonly apache: Seen;
  readonly ours: Seen;
  readonly again: Seen;
  readonly dumpBefore: readonly string[];
  readonly dumpAfter: readonly string[];
  readonly logFiles: number;
  readonly committed: readonly string[];
}

async function chain(version: ApacheVersion): Promise<Chain> {
  const { workspace, driver, nameServer } = await world.get();
  const name = `kinds-${version.replaceAll(".", "_")}`;
  const namesrv = nameServer.address;
  const site = await newBrokerSite(workspace, { name, cluster: "ClusterK", namesrv, properties: PROPERTIES });
  const topics = ["Batch", "Bulk", "Retry", "Trans", "V6"].map((kind) => `${kind}_${name}`);
  const [batch, bulk, retry, trans, v6] = topics;
  const group = `Group_${name}`;
  // the tools of 5.4.0 ask for what a broker of 4.9 does not know
  const peer = version === driver.version ? driver : await Driver.start(version, workspace);
  const withBroker = async <T>(make: Make, end: "stop" | "kill", use: () => Promise<T>): Promise<T> => {
    const broker = await startBroker(make, site, workspace);
    try {
      await driver.mustRun("AwaitQueues", { namesrv, topic: name, count: 1 });
      const result = await use();
      await (end === "stop" ? broker.stop() : broker.kill());
      return result;
    } finally {
      if (broker.isRunning) await broker.kill();
    }
  };
  let offsetMsgId = "";
  const look = async (): Promise<Seen> => {
    const messages: Record<string, string[]> = {};
    for (const topic of [...topics, `%RETRY%${group}`]) {
      const result = await driver.mustRun("PullAll", { namesrv, topic, group: "lookers" });
      messages[topic] = result.all("RECV").map((fields) => JSON.stringify(fields)).sort();
    }
    const commands: Record<string, string[]> = {
      topicStatus: ["topicStatus", "-t", bulk],
      statusOfRetry: ["topicStatus", "-t", `%RETRY%${group}`],
      consumerProgress: ["consumerProgress", "-g", group],
      queryMsgById: ["queryMsgById", "-t", bulk, "-i", offsetMsgId],
      queryMsgByKey: ["queryMsgByKey", "-t", bulk, "-k", "bulk-7"],
      queryMsgByOffset: ["queryMsgByOffset", "-t", bulk, "-b", name, "-i", "0", "-o", "3"],
      brokerStatus: ["brokerStatus", "-b", site.address],
      // the last one, as the tool's own group makes a topic
      topicList: ["topicList"],
    };
    const printed: Record<string, string> = {};
    for (const [command, words] of Object.entries(commands)) {
      // those of 4.9.7 end their process, or answer once
      const tool = command === "queryMsgById" || command === "brokerStatus" ? driver : peer;
      printed[command] = await tool.admin(...words, "-n", namesrv);
    }
    return { messages, printed };
  };

  let committed: string[] = [];
  const apache = await withBroker(`apache-${version}`, "kill", async () => {
    for (const topic of topics) {
      await driver.admin("updateTopic", "-n", namesrv, "-b", site.address, "-t", topic, "-r", "2", "-w", "2");
    }
    const sent = await driver.mustRun("SendMany", {
      ...{ namesrv, topic: bulk, group, prefix: "bulk", count: BULK, bytes: BULK_BYTES },
      compressOver: 1000,
    });
    ({ offsetMsgId } = sent.all("SENT")[7]);
    await Promise.all([
      driver.mustRun("SendBatch", { namesrv, topic: batch, group, count: 20 }),
      driver.mustRun("ReconsumeLater", { namesrv, topic: retry, group }),
      leaveTransactions(peer, { namesrv, topic: trans, producerGroup: `p_${name}`, broker: name }),
      sendOverV6(site, v6),
    ]);
    committed = (await driver.mustRun("Committed", { namesrv, topic: retry, group })).all("COMMITTED")
      .map((fields) => JSON.stringify(fields));
    const seen = await look();
    // consumer offsets are written at intervals; what is compared must have been
    await new Promise((resolve) => setTimeout(resolve, 6000));
    return seen;
  });
  const dumpBefore = await dump(site);
  const ours = await withBroker("rmq", "stop", look);
  const dumpAfter = await dump(site);
  const again = await withBroker(`apache-${version}`, "stop", look);
  if (peer !== driver) await peer.stop();
  const logFiles = readdirSync(join(site.storePath, "commitlog")).length;
  return { apache, ours, again, dumpBefore, dumpAfter, logFiles, committed };
}

/**
 * Committed, rolled back and open ones. 4.9.7 keeps notes of what is settled in a topic that it does not show, so that
 * the scenario can't see them come; the dump of the log does.
 */
async function leaveTransactions(driver: Driver, args: Record<string, string>): Promise<void> {
  const { failure } = await driver.run("LeaveTransactions", { ...args, prefix: "left", count: 3 });
  if (failure !== undefined) assert.match(failure, /topic\[RMQ_SYS_TRANS_OP_HALF_TOPIC\] not exist/);
}

/** The stock clients take no IPv6 address of a broker from a name server: ours sends what they would. */
async function sendOverV6(site: BrokerSite, topic: string): Promise<void> {
  const client = new RemotingClient();
  try {
    for (let count = 0; count < 3; count++) {
      const fields = encodeSendV2({
        producerGroup: "v6",
        topic,
        defaultTopic: "TBW102",
        defaultTopicQueueNums: 2,
        queueId: count % 2,
        sysFlag: 0,
        bornTimestamp: Date.now(),
        flag: 0,
        properties: `KEYS\u0001v6-${count}\u0002`,
        reconsumeTimes: 0,
        unitMode: false,
        maxReconsumeTimes: undefined,
        batch: false,
      });
      const body = new TextEncoder().encode(`v6 ${count}`);
      const request = { code: RequestCode.SEND_MESSAGE_V2, fields, body };
      const { code, remark } = await client.request(`[::1]:${site.port}`, request, 10_000);
      assert.equal(code, 0, remark ?? "");
    }
  } finally {
    client.close();
  }
}

/** Every record of the log, one line each. */
async function dump(site: BrokerSite): Promise<string[]> {
  let out = "";
  await run(["store", "dump", site.storePath, "--json"], {
    print: (text) => void (out += text),
    complain: (text) => void (out += text),
    stopRequested: new Promise(() => {}),
  });
  return out.trim().split("\n");
}

const chains = new Map(VERSIONS.map((version) => [version, lazily(() => chain(version))]));

for (const version of VERSIONS) {
  const kindsTest = (name: string, check: (chain: Chain) => void) =>
    interopTest(`all kinds of Apache ${version}: ${name}`, { needs: ["5.4.0", version] }, async () => {
      check(await chains.get(version)!.get());
    });

  kindsTest("its log has rolled, and holds what was to be there", ({ apache, dumpBefore, logFiles }) => {
    assert.ok(logFiles >= 2, `${logFiles} files`);
    const counts = Object.entries(apache.messages).map((
      [topic, lines],
    ) => [topic.split("_")[0], lines.length]);
    assert.deepEqual(Object.fromEntries(counts), {
      Batch: 21,
      Bulk: BULK,
      Retry: 3,
      Trans: 3,
      V6: 3,
      "%RETRY%Group": 6,
    });
    const topics = dumpBefore.map((line) => JSON.parse(line).topic as string);
    const count = (topic: string) => topics.filter((other) => other === topic).length;
    assert.equal(count("RMQ_SYS_TRANS_HALF_TOPIC"), 9);
    assert.ok(count("RMQ_SYS_TRANS_OP_HALF_TOPIC") >= 1);
    assert.equal(count("SCHEDULE_TOPIC_XXXX"), 6);
    const ofV6 = dumpBefore.map((line) => JSON.parse(line)).filter(({ topic }) => topic.startsWith("V6_"));
    for (const record of ofV6) assert.match(JSON.stringify(record), /::1|0:0:0:0:0:0:0:1/);
    const ofBulk = dumpBefore.map((line) => JSON.parse(line)).filter(({ topic }) =>
      topic.startsWith("Bulk_")
    );
    for (const { sysFlag } of ofBulk) assert.ok((sysFlag & 1) !== 0, "a body that is not compressed");
  });
  kindsTest("we show the same messages with the same ids, places and keys", ({ apache, ours }) => {
    assert.deepEqual(ours.messages, apache.messages);
  });
  kindsTest("we answer administrators as Apache did", ({ apache, ours }) => {
    assertSamePrint(ours, apache);
  });
  kindsTest(
    "we leave all its records as they are, those of transactions too",
    ({ dumpBefore, dumpAfter }) => {
      assert.deepEqual(dumpAfter.slice(0, dumpBefore.length), dumpBefore);
    },
  );
  kindsTest("Apache shows and answers the same after we had its store", ({ ours, again }) => {
    assert.deepEqual(again.messages, ours.messages);
    assertSamePrint(again, ours);
  });
}

/** What brokers say of what is stored; what they count since their start, and what they are called, differs. */
function assertSamePrint(one: Seen, other: Seen): void {
  for (const command of Object.keys(one.printed)) {
    const [a, b] = [one, other].map((seen) => comparable(command, seen.printed[command]));
    assert.deepEqual(a, b, command);
    assert.ok(a.length > 0, `${command} printed nothing`);
  }
}

/** Not the time of the oldest message, which 4.9.7 does not tell. */
const STORED_FACTS = /^(commitLogMinOffset|dispatchBehindBytes)\b/;

function comparable(command: string, printed: string): string[] {
  const lines = printed.split("\n").map((line) => line.trim().replace(/\s+/g, " ")).filter((line) =>
    line !== ""
  );
  if (command === "brokerStatus") return lines.filter((line) => STORED_FACTS.test(line)).sort();
  if (command === "consumerProgress") return lines.filter((line) => !/TPS/.test(line)).sort();
  // each broker has system topics of its own
  if (command === "topicList") {
    return lines.filter((line) => /kinds-/.test(line) && !line.startsWith("rmq_sys_")).sort();
  }
  // where a body was saved, in a directory of the client
  return lines.filter((line) => !/Message Body Path|message body path/i.test(line)).sort();
}

interopTest("the servers of all kinds end when they are told to", { needs: VERSIONS }, async () => {
  const started = await world.started();
  if (!started) return;
  await Promise.allSettled([...chains.values()].map((chain) => chain.started()));
  await started.driver.stop();
  await started.nameServer.child.stop();
  await started.workspace.remove();
});
