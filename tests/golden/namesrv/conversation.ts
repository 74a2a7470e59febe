// SPDX-License-Identifier: Apache-2.0
/**
 * What a name server is asked, and what Apache's answered: `record.ts` asks a real one and keeps the answers
 * beside the requests; `tests/namesrv/apache_test.ts` asks ours and compares.
 */

/** One request, or the end of a connection. */
export interface Step {
  /** Connections are made when they are first named. */
  connection: string;
  /** Absent: the connection is closed. */
  code?: number;
  fields?: Record<string, string>;
  version?: number;
  /** Text, or anything that is written as JSON. */
  body?: unknown;
  /** The words of the answer are Apache's own affair; its code is not. */
  anyRemark?: boolean;
}

export interface Answer {
  code: number;
  remark: string | null;
  fields: Record<string, string> | null;
  body: string | null;
}

export interface Scenario {
  /** What must differ from a name server's defaults, as Apache's keys. */
  settings: Record<string, string>;
  steps: Step[];
}

/** A recorded scenario: `answers[i]` belongs to `steps[i]`, null where a connection was closed. */
export interface Recording extends Scenario {
  answers: (Answer | null)[];
}

interface Broker {
  connection: string;
  name: string;
  id: number;
  address: string;
  cluster?: string;
  topics: Record<string, Record<string, unknown>>;
  counter?: number;
  stateVersion?: number;
  /** Absent: a broker of 4.9. */
  acting?: boolean;
  zone?: string;
  filterServers?: string[] | null;
  mappings?: Record<string, unknown>;
  header?: Record<string, string>;
}

function register(broker: Broker): Step {
  const { connection, name, id, address, cluster = "C", topics, counter = 1, stateVersion = 0 } = broker;
  const topicConfigTable = Object.fromEntries(
    Object.entries(topics).map(([topicName, config]) => [topicName, { ...TOPIC, topicName, ...config }]),
  );
  return {
    connection,
    code: 103,
    version: broker.acting === undefined ? 407 : 493,
    fields: {
      brokerName: name,
      brokerAddr: address,
      clusterName: cluster,
      haServerAddr: `ha-${address}`,
      brokerId: String(id),
      compressed: "false",
      bodyCrc32: "0",
      ...(broker.acting === undefined ? {} : { enableActingMaster: String(broker.acting) }),
      ...(broker.zone === undefined ? {} : { __ZONE_NAME: broker.zone }),
      ...broker.header,
    },
    body: {
      filterServerList: broker.filterServers === undefined ? [] : broker.filterServers,
      topicConfigSerializeWrapper: {
        dataVersion: { counter, stateVersion, timestamp: 1_700_000_000_000 },
        topicConfigTable,
        topicQueueMappingInfoMap: broker.mappings ?? {},
      },
    },
  };
}

const TOPIC = {
  attributes: {},
  order: false,
  perm: 6,
  readQueueNums: 4,
  topicFilterType: "SINGLE_TAG",
  topicSysFlag: 0,
  writeQueueNums: 4,
};

const ask = (code: number, fields?: Record<string, string>, more: Partial<Step> = {}): Step => ({
  connection: "client",
  code,
  fields,
  version: 493,
  ...more,
});

const route = (topic: string, more: Partial<Step> = {}) => ask(105, { topic }, more);
const clusterInfo = () => ask(106);
const allTopics = () => ask(206);
const members = (brokerName: string) => ask(901, { clusterName: "C", brokerName });
const identity = (brokerName: string, brokerId: number, brokerAddr: string, clusterName = "C") => ({
  brokerName,
  brokerId: String(brokerId),
  brokerAddr,
  clusterName,
});
const unregister = (brokerName: string, brokerId: number, brokerAddr: string) =>
  ask(104, identity(brokerName, brokerId, brokerAddr));
const queryVersion = (brokerName: string, brokerAddr: string, counter: number, stateVersion = 0) =>
  ask(322, identity(brokerName, 0, brokerAddr), {
    body: { counter, stateVersion, timestamp: 1_700_000_000_000 },
  });

const MASTER: Broker = {
  connection: "a0",
  name: "a",
  id: 0,
  address: "10.0.0.1:10911",
  topics: { T1: {}, T2: { perm: 7, topicSysFlag: 1 }, T3: { topicSysFlag: 3 }, T4: { topicSysFlag: 2 } },
};
const SLAVE: Broker = { ...MASTER, connection: "a1", id: 1, address: "10.0.0.2:10911", acting: false };

function queuesAt(brokerName: string) {
  return { brokerName, perm: 6, readQueueNums: 4, topicSysFlag: 0, writeQueueNums: 4 };
}

const STATIC_T1 = {
  bname: "a",
  currIdMap: { "0": 0, "3": 1 },
  dirty: false,
  epoch: 5,
  scope: "__global__",
  topic: "T1",
  totalQueues: 8,
};

const plain: Scenario = {
  settings: {},
  steps: [
    // Nobody is there.
    clusterInfo(),
    route("T1"),
    ask(105),
    allTopics(),
    ask(304),
    ask(224, { cluster: "C" }),
    ask(311),
    members("a"),
    ask(999),

    // A broker comes: not with one topic alone, then with all.
    register({ ...MASTER, topics: { T1: {} } }),
    register({ ...MASTER, filterServers: ["10.0.0.1:31000"] }),
    route("T1"),
    route("T1", { version: 300 }),
    route("T1", { version: 300, fields: { topic: "T1", acceptStandardJsonOnly: "true" } }),
    route("T9"),
    clusterInfo(),
    allTopics(),
    ask(304),
    ask(224, { cluster: "C" }),
    ask(224, { cluster: "D" }),
    ask(311),
    ask(312),
    ask(313),
    members("a"),

    // Its slave's topics don't count; the slave learns of its master.
    register({ ...SLAVE, topics: { T1: { readQueueNums: 9 }, T9: {} } }),
    route("T9"),
    route("T1"),

    // The version decides what is read.
    register({ ...MASTER, topics: { T1: { readQueueNums: 8 }, T5: {} } }),
    route("T1"),
    route("T5"),
    allTopics(),
    register({ ...MASTER, counter: 0, topics: { T1: { readQueueNums: 8 }, T5: {} }, filterServers: null }),
    route("T1"),
    queryVersion("a", "10.0.0.1:10911", 0),
    queryVersion("a", "10.0.0.1:10911", 1),
    queryVersion("x", "10.0.0.9:10911", 1),
    ask(904, { clusterName: "C", brokerAddr: "10.0.0.1:10911", brokerName: "a" }),
    ask(904, { clusterName: "C", brokerAddr: "10.0.0.9:10911", brokerName: "x" }),

    // Writing is taken away and given back.
    ask(205, { brokerName: "a" }),
    ask(205, { brokerName: "x" }),
    route("T2"),
    register({ ...MASTER, counter: 0 }),
    route("T2"),
    ask(327, { brokerName: "a" }),
    route("T2"),
    register({ ...MASTER, counter: 2 }),
    route("T2"),

    // Single topics come and go.
    ask(217, { topic: "T6" }, { body: { queueDatas: [{ ...queuesAt("a"), perm: 7 }] } }),
    route("T6"),
    ask(217, { topic: "T6" }, { body: { queueDatas: [{ ...queuesAt("a"), writeQueueNums: 1 }] } }),
    route("T6"),
    ask(217, { topic: "T7" }, { body: { queueDatas: [queuesAt("a"), queuesAt("nobody")] } }),
    route("T7"),
    ask(216, { topic: "T6", clusterName: "D" }),
    route("T6"),
    ask(216, { topic: "T6", clusterName: "C" }),
    route("T6"),
    ask(216, { topic: "T1" }),
    ask(216, { topic: "nothing" }),
    route("T1"),
    register({ ...MASTER, counter: 2 }),
    route("T1"),

    // An address moves to another id; an id to another address, unless that one knows of a later master.
    register({ ...SLAVE, id: 2 }),
    members("a"),
    register({ ...SLAVE, id: 2, stateVersion: 5 }),
    register({ ...SLAVE, id: 2, connection: "a3", address: "10.0.0.3:10911", stateVersion: 4 }),
    members("a"),
    register({ ...SLAVE, id: 2, connection: "a3", address: "10.0.0.3:10911", stateVersion: 5 }),
    members("a"),

    // Order topics.
    ask(100, { namespace: "ORDER_TOPIC_CONFIG", key: "T1", value: "a:4" }),
    ask(100, { namespace: "N", key: "k", value: "é ü" }),
    ask(100, { namespace: "N" }),
    ask(101, { namespace: "N", key: "k" }),
    ask(101, { namespace: "N", key: "l" }),
    ask(101, { namespace: "M", key: "k" }),
    ask(101, { key: "k" }),
    ask(101, { namespace: "N" }),
    ask(219, { namespace: "N" }),
    ask(219, { namespace: "M" }),
    ask(219),
    ask(102, { namespace: "N", key: "k" }),
    ask(102, { namespace: "N", key: "k" }),
    ask(102, { namespace: "M", key: "k" }),
    ask(219, { namespace: "N" }),
    register({ ...MASTER, counter: 2 }),
    route("T1"),

    // What is wrong is refused.
    register({ ...MASTER, header: { bodyCrc32: "1" } }),
    { ...register(MASTER), body: "no JSON", anyRemark: true },
    { ...register({ ...MASTER, header: { compressed: "true" } }), body: "no zlib", anyRemark: true },
    {
      ...register(MASTER),
      fields: { brokerName: "a", clusterName: "C", brokerAddr: "b:1" },
      anyRemark: true,
    },

    // A very old broker sends the topics alone, another none at all.
    {
      ...register({ ...MASTER, name: "old", connection: "old", address: "10.0.0.4:10911" }),
      version: 36,
      body: {
        dataVersion: { counter: 1, timestamp: 1 },
        topicConfigTable: { O1: { ...TOPIC, topicName: "O1" }, O2: { ...TOPIC, topicName: "O2" } },
      },
    },
    route("O1"),
    {
      ...register({ ...MASTER, name: "none", connection: "none", address: "10.0.0.5:10911", topics: {} }),
      body: undefined,
    },
    ask(322, identity("none", 0, "10.0.0.5:10911"), { body: { counter: 0, stateVersion: 0, timestamp: 0 } }),

    // A static topic.
    register({ ...MASTER, counter: 3, mappings: { T1: STATIC_T1 } }),
    route("T1"),
    route("T1", { version: 300 }),

    // Brokers go: one by one, then by the end of a connection.
    unregister("a", 0, "10.0.0.3:10911"),
    members("a"),
    unregister("a", 0, "10.0.0.1:10911"),
    members("a"),
    route("T1"),
    register({ ...MASTER, counter: 3 }),
    { connection: "old" },
    route("O1"),
    clusterInfo(),
    { connection: "a0" },
    allTopics(),
    clusterInfo(),
  ],
};

const B0: Broker = { ...MASTER, connection: "b0", name: "b", acting: true };
const B1: Broker = { ...B0, connection: "b1", id: 1, address: "10.0.0.2:10911" };
const B2: Broker = { ...B0, connection: "b2", id: 2, address: "10.0.0.3:10911" };
const SELF: Record<string, Record<string, unknown>> = { rmq_sys_SYNC_BROKER_MEMBER_b: { perm: 1 }, T1: {} };
const zoned = (zoneName: string) => ({
  fields: { topic: "T1", __ZONE_MODE: "true", __ZONE_NAME: zoneName },
});

const acting: Scenario = {
  settings: { supportActingMaster: "true", orderMessageEnable: "true" },
  steps: [
    register({ ...B1, topics: { ...B0.topics, ...SELF } }),
    route("T1"),
    route("T2"),
    register({ ...B0, topics: { ...B0.topics, ...SELF } }),
    register(B2),
    route("T1"),
    members("b"),
    unregister("b", 0, "10.0.0.1:10911"),
    route("T1"),
    route("T2"),
    route("rmq_sys_SYNC_BROKER_MEMBER_b"),
    register({ ...B1, counter: 2, topics: { ...B0.topics, ...SELF } }),
    register({ ...B2, counter: 2 }),
    route("T2"),
    unregister("b", 1, "10.0.0.2:10911"),
    members("b"),
    route("T1"),
    register({ ...B0, counter: 2, topics: { ...B0.topics, ...SELF } }),
    route("T1"),
    ask(327, { brokerName: "b" }),
    unregister("b", 0, "10.0.0.1:10911"),
    route("T2"),
    ask(327, { brokerName: "b" }),
    route("T2"),

    // Zones.
    register({ ...MASTER, counter: 5, zone: "z1", filterServers: ["10.0.0.1:31000"], acting: false }),
    route("T1"),
    route("T1", zoned("Z1")),
    route("T1", zoned("z2")),
    route("T1", zoned("")),
    route("T1", { fields: { topic: "T1", __ZONE_NAME: "z2" } }),
    register({ ...MASTER, counter: 5, acting: false }),
    route("T1", zoned("z1")),

    // Order topics in routes.
    ask(100, { namespace: "ORDER_TOPIC_CONFIG", key: "T1", value: "a:4;b:4" }),
    route("T1"),
    route("T2"),
  ],
};

const deleting: Scenario = {
  settings: {
    deleteTopicWithBrokerRegistration: "true",
    enableAllTopicList: "false",
    enableTopicList: "false",
  },
  steps: [
    register(MASTER),
    register({
      ...MASTER,
      name: "c",
      connection: "c",
      address: "10.0.0.6:10911",
      topics: { T1: {}, T2: {} },
    }),
    register({ ...MASTER, topics: { T2: {}, T8: {} } }),
    route("T1"),
    route("T2"),
    route("T3"),
    route("T8"),
    register({ ...MASTER, topics: { T1: {} }, mappings: { T1: STATIC_T1 } }),
    route("T2"),
    allTopics(),
    ask(224, { cluster: "C" }),
    ask(304),
    ask(311),
    ask(312),
    ask(313),
  ],
};

export const scenarios: Record<string, Scenario> = { plain, acting, deleting };

/** The bytes of a step's body. */
export function bodyOf({ body }: Step): Uint8Array | undefined {
  if (body === undefined) return undefined;
  return new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body));
}
