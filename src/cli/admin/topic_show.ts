// SPDX-License-Identifier: Apache-2.0
import { groupsOfTopic, topicStats } from "../../client/admin/topics.ts";
import { counted } from "../store_text.ts";
import { adminCommand, brokerOptions, FAILURES } from "./command.ts";
import { byName, formatAge, formatRate, listed } from "./text.ts";
import { configJson, oneTopic, shortPerm } from "./topic_facts.ts";
import { countsOf } from "./topic_list.ts";

const topicOperand = { name: "TOPIC", kind: "topic" } as const;

const show = adminCommand({
  name: "show",
  summary: "Show the settings of a topic, and who consumes it",
  operands: [topicOperand],
  options: brokerOptions,
  examples: [["topic show orders", "queues and permissions on each broker, groups"]],
  json: `{"topic", "kind", "messageType", "groups": [names],
 "brokers": [{"cluster", "broker", "readQueues", "writeQueues", "perm", "order", "attributes": {name: text}}],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out }) {
    const facts = await oneTopic(cluster, operands[0], given);
    const brokers = facts.configs.map(([broker]) => broker);
    const consumers = await cluster.each(brokers, (broker) => groupsOfTopic(broker, facts.topic));
    const groups = [...new Set(consumers.flatMap(([, names]) => names))].sort(byName);
    if (out.isJson) {
      const { topic, kind, messageType } = facts;
      const json = { topic, kind, messageType, groups, brokers: facts.configs.map(configJson) };
      return await out.json({ ...json, failures: cluster.failures });
    }
    await out.facts([["Topic", facts.topic], ["Messages", facts.messageType], ["Groups", listed(groups)]]);
    await out.line();
    await out.table({
      columns: [
        { head: "BROKER", isFlexible: true },
        { head: "READ-QUEUES", isNumber: true },
        { head: "WRITE-QUEUES", isNumber: true },
        { head: "PERM" },
        { head: "ORDER" },
        { head: "ATTRIBUTES", isFlexible: true },
      ],
      rows: facts.configs.map(([broker, config]) => [
        broker.name,
        config.readQueueNums,
        config.writeQueueNums,
        shortPerm(config.perm),
        String(config.order),
        listed([...config.attributes].map(([name, value]) => `${name}=${value}`)),
      ]),
    });
  },
});

const route = adminCommand({
  name: "route",
  summary: "Show what clients are told of a topic: brokers, queues, addresses",
  operands: [topicOperand],
  examples: [["topic route orders", "as the first name server that answers tells it"]],
  json:
    `{"topic", "brokers": [{"cluster", "broker", "readQueues", "writeQueues", "perm", "addresses": {id: address}}],
 "orderConfig"}`,
  async run({ cluster, operands, out }) {
    const [topic] = operands;
    const route = await cluster.askNameServer((nameServer) => nameServer.topicRoute(topic));
    if (route === undefined) {
      throw new Error(
        `name servers know no route of ${topic}. \`rmq topic list\` shows which topics there are.`,
      );
    }
    const brokers = route.queueDatas.map((queues) => {
      const data = route.brokerDatas.find(({ brokerName }) => brokerName === queues.brokerName);
      return {
        cluster: data?.cluster ?? "",
        broker: queues.brokerName,
        readQueues: queues.readQueueNums,
        writeQueues: queues.writeQueueNums,
        perm: queues.perm,
        addresses: Object.fromEntries(data?.brokerAddrs ?? []),
      };
    }).sort((a, b) => byName(a.broker, b.broker));
    if (out.isJson) return await out.json({ topic, brokers, orderConfig: route.orderTopicConf ?? null });
    await out.table({
      columns: [
        { head: "CLUSTER", isFlexible: true, isOptional: true },
        { head: "BROKER", isFlexible: true },
        { head: "READ-QUEUES", isNumber: true },
        { head: "WRITE-QUEUES", isNumber: true },
        { head: "PERM" },
        { head: "ADDRESSES", isFlexible: true },
      ],
      rows: brokers.map((one) => [
        one.cluster,
        one.broker,
        one.readQueues,
        one.writeQueues,
        shortPerm(one.perm),
        listed(Object.entries(one.addresses).map(([id, address]) => `${id}=${address}`)),
      ]),
    });
  },
});

const stats = adminCommand({
  name: "stats",
  summary: "Show how far the queues of a topic reach, and when messages came",
  operands: [topicOperand],
  options: brokerOptions,
  examples: [["topic stats orders", "one line for each queue"]],
  json: `{"topic", "messages", "inPerSecond", "lastMessageMs",
 "queues": [{"broker", "queueId", "minOffset", "maxOffset", "lastMessageMs"}],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out }) {
    const { topic, configs } = await oneTopic(cluster, operands[0], given);
    const answers = await cluster.each(
      configs.map(([broker]) => broker),
      (broker) => topicStats(broker, topic),
    );
    const totals = { messages: 0, inPerSecond: 0, lastMessageMs: 0 };
    const queues = [];
    for (const [broker, table] of answers) {
      if (table === undefined) continue;
      const counts = countsOf(table);
      totals.messages += counts.messages;
      totals.inPerSecond += counts.inPerSecond;
      totals.lastMessageMs = Math.max(totals.lastMessageMs, counts.lastMessageMs);
      for (const [{ queueId }, { minOffset, maxOffset, lastUpdateTimestamp }] of table.offsetTable) {
        queues.push({
          broker: broker.name,
          queueId,
          minOffset,
          maxOffset,
          lastMessageMs: lastUpdateTimestamp,
        });
      }
    }
    queues.sort((a, b) => byName(a.broker, b.broker) || a.queueId - b.queueId);
    if (out.isJson) return await out.json({ topic, ...totals, queues, failures: cluster.failures });
    const nowMs = Date.now();
    await out.table({
      columns: [
        { head: "BROKER", isFlexible: true },
        { head: "QUEUE", isNumber: true },
        { head: "MIN", isNumber: true },
        { head: "MAX", isNumber: true },
        { head: "MESSAGES", isNumber: true },
        { head: "LAST", isNumber: true },
      ],
      rows: queues.map((queue) => [
        queue.broker,
        queue.queueId,
        queue.minOffset,
        queue.maxOffset,
        queue.maxOffset - queue.minOffset,
        formatAge(queue.lastMessageMs, nowMs),
      ]),
    });
    const last = totals.lastMessageMs > 0 ? `, the last ${formatAge(totals.lastMessageMs, nowMs)} ago` : "";
    await out.line(
      out.colour(
        `${counted(totals.messages, "message")}, ${formatRate(totals.inPerSecond)} per second${last}`,
        "dim",
      ),
    );
  },
});

export const topicShowCommands = [show, stats, route];
