// SPDX-License-Identifier: Apache-2.0
/** The commands that `mqadmin_compare_test.ts` gives to `rmq` and to Apache, and how far the answers must agree. */
import type { Make } from "./servers.ts";

export const CLUSTER = "ClusterQ";
export const BROKER = "broker-q";
export const TOPIC = "TopicQ";
export const GROUP = "GroupQ";
const CLONE = "CloneQ";

/** One make's servers, and what is known of the messages in them. */
export interface Side {
  readonly make: Make;
  readonly namesrv: string;
  readonly broker: string;
  readonly msgId: string;
  readonly offsetMsgId: string;
  /** Where commands read their files and leave theirs. */
  readonly directory: string;
}

/**
 * - `text`: the same lines in any order, apart from numbers, ids, times and addresses
 * - `values`: as `text`, and the same short numbers
 * - `kinds`: the same kinds of lines, however many there are of each
 * - `keys`: every key of Apache's is there
 * - `refused`: what only Apache has; `rmq` says that it is not supported
 * - `better`: where Apache's answer makes the tool throw, and that of `rmq` does not
 */
export type Agreement = "text" | "values" | "kinds" | "keys" | "refused" | "better";

export interface Step {
  readonly words: (side: Side) => readonly string[];
  readonly agreement: Agreement;
  /** Both makes make the tool throw, with the same sentence. */
  readonly fails?: boolean;
  /** Only these lines are looked at. */
  readonly lines?: RegExp;
  /** A file that it leaves in the directory of the side: the same paths must be in it. */
  readonly leaves?: string;
}

function step(agreement: Agreement, words: string, more: Partial<Step> = {}): Step {
  return { agreement, words: (side) => words.split(" ").map((word) => fill(word, side)), ...more };
}

function fill(word: string, side: Side): string {
  return word.replace(/^\{(\w+)\}(.*)$/, (_, name: keyof Side, rest) => `${side[name]}${rest}`);
}

const fails = { fails: true };

const TOPICS = [
  step("values", `topicRoute -t ${TOPIC}`),
  step("values", `topicRoute -t ${TOPIC} -l`),
  step("text", `topicStatus -t ${TOPIC}`),
  step("text", `topicStatus -t ${TOPIC} -c ${CLUSTER}`),
  step("values", `topicClusterList -t ${TOPIC}`),
  step("text", "topicList"),
  step("text", "topicList -c"),
  step("values", `allocateMQ -t ${TOPIC} -i 1.1.1.1,2.2.2.2`),
  step("values", `updateOrderConf -t ${TOPIC} -m put -v ${BROKER}:2`),
  step("values", `updateOrderConf -t ${TOPIC} -m get`),
  step("values", `updateOrderConf -t ${TOPIC} -m delete`),
  step("text", `updateOrderConf -t ${TOPIC} -m get`, fails),
  step("values", `updateTopicPerm -t ${TOPIC} -p 6 -c ${CLUSTER}`),
  step("values", `updateTopicPerm -t ${TOPIC} -p 4 -b {broker}`),
  step("values", `updateTopicPerm -t ${TOPIC} -p 6 -b {broker}`),
  step("values", `updateTopic -t Ordered -c ${CLUSTER} -a +message.type=FIFO -o true`),
  step("text", `updateTopic -t Bad$ -c ${CLUSTER}`, fails),
  step("text", `updateTopic -t SELF_TEST_TOPIC -c ${CLUSTER}`, fails),
  step("values", `updateTopicList -c ${CLUSTER} -f {directory}/topics.json`),
  step("values", "topicRoute -t Listed"),
];

const GROUPS = [
  step("values", `updateSubGroupList -c ${CLUSTER} -f {directory}/groups.json`),
  step("values", "getConsumerConfig -g ListedGroup"),
  step("values", `setConsumeMode -t ${TOPIC} -g ${GROUP} -m PULL -c ${CLUSTER} -q 0`),
  step("values", `getConsumerConfig -g ${GROUP}`),
  step("values", "getConsumerConfig -g NoGroup"),
  step("text", `consumerProgress -g ${GROUP}`),
  step("text", "consumerProgress"),
  step("text", `consumerProgress -g ${GROUP} -t ${TOPIC}`),
  step("text", `consumerProgress -g ${GROUP} -s true`),
  step("text", "consumerProgress -g NoGroup", fails),
  step("kinds", `consumerStatus -g ${GROUP}`),
  step("text", "consumerStatus -g NoGroup", fails),
  step("text", `consumerConnection -g ${GROUP}`),
  step("text", "consumerConnection -g NoGroup", fails),
  step("text", `producerConnection -g p_${TOPIC} -t ${TOPIC}`),
  step("text", `producerConnection -g NoGroup -t ${TOPIC}`, fails),
  // Others are of tools that have just ended.
  step("text", "producer -b {broker}", { lines: new RegExp(`p_${TOPIC}`) }),
  // Makes a group's positions, not the group: that it needs for the next ones.
  step("text", `cloneGroupOffset -s ${GROUP} -d ${CLONE} -t ${TOPIC}`, fails),
  step("text", `resetOffsetByTime -g ${CLONE} -t ${TOPIC} -s 0`, fails),
  step("values", `updateSubGroup -g ${CLONE} -c ${CLUSTER} -r 7 -q 2`),
  step("text", `resetOffsetByTime -g ${CLONE} -t ${TOPIC} -s now`),
  step("text", `resetOffsetByTime -g ${CLONE} -t ${TOPIC} -s 0 -b {broker} -q 0`),
  step("text", `resetOffsetByTime -g ${CLONE} -t ${TOPIC} -s 0 -b {broker} -q 0 -o 1`),
  step("text", `skipAccumulatedMessage -g ${CLONE} -t ${TOPIC}`),
  step("text", `resetOffsetByTime -g ${GROUP} -t NoTopic -s 0`, fails),
];

const MESSAGES = [
  step("text", `queryMsgByKey -t ${TOPIC} -k k-1`),
  step("text", `queryMsgByKey -t ${TOPIC} -k none`, fails),
  step("text", `queryMsgByOffset -t ${TOPIC} -b ${BROKER} -i 0 -o 0`),
  step("text", `queryMsgById -t ${TOPIC} -i {offsetMsgId}`),
  step("text", `queryMsgById -t ${TOPIC} -i {offsetMsgId} -g ${GROUP} -d nobody`, fails),
  step("text", `queryMsgByUniqueKey -t ${TOPIC} -i {msgId}`),
  step("text", `queryMsgByUniqueKey -t ${TOPIC} -i 7F0000010001AAAAAAAA00000000FFFF`, fails),
  step("text", "queryMsgTraceById -i {msgId}", fails), // nobody traces here
  step("kinds", `printMsg -t ${TOPIC} -d true`),
  // Which queue has the clients' own message differs.
  step("kinds", `printMsgByQueue -t ${TOPIC} -a ${BROKER} -i 0 -p true -d true`, { lines: /KEYS=k-/ }),
  step("kinds", `consumeMessage -t ${TOPIC} -b ${BROKER} -i 0 -o 0 -c 2`),
  step("text", `sendMessage -t ${TOPIC} -p hello -k kk -c TagA -b ${BROKER} -i 0`),
  step("text", `sendMessage -t ${TOPIC} -p hello`),
  step("text", `checkMsgSendRT -t ${TOPIC} -a 2 -s 10`),
  step("text", `sendMsgStatus -b ${BROKER} -s 10 -c 1`),
  step("text", `queryCq -t ${TOPIC} -q 0 -i 0 -c 2 -b {broker}`),
  // Apache says `eval=false` of every entry that has no extension, though the group is given the message.
  step("text", `queryCq -t ${TOPIC} -q 0 -i 0 -c 2 -b {broker} -g ${GROUP}`, {
    lines: /^(?!ConsumeQueueData)/,
  }),
  step("text", `queryCq -t ${TOPIC} -q 9 -i 0 -c 3 -b {broker}`, fails),
  step("better", `queryCq -t ${TOPIC} -q 0 -i 900 -c 3 -b {broker}`),
];

const BROKERS = [
  step("text", "clusterList"),
  step("text", "clusterList -m"),
  step("keys", "brokerStatus -b {broker}"),
  step("keys", `brokerStatus -c ${CLUSTER}`),
  step("text", "statsAll"),
  step("text", `statsAll -a -t ${TOPIC}`),
  step("text", "brokerConsumeStats -b {broker}", { lines: new RegExp(`#Topic|${TOPIC}|Diff`) }),
  step("text", "brokerConsumeStats -b {broker} -o true -l 1"),
  step("text", "updateBrokerConfig -b {broker} -k fileReservedTime -v 70"),
  step("text", "updateBrokerConfig -b {broker} -k noSuchKey -v 70"),
  step("text", "updateBrokerConfig -b {broker} -k rocketmqHome -v /", fails),
  step("keys", "getBrokerConfig -b {broker}"),
  step("keys", `getBrokerConfig -c ${CLUSTER}`),
  step("text", "cleanExpiredCQ -b {broker}"),
  step("text", `cleanExpiredCQ -c ${CLUSTER}`),
  step("text", "deleteExpiredCommitLog -b {broker}"),
  step("text", "cleanUnusedTopic -b {broker}"),
  step("text", "haStatus -b {broker}"),
  step("text", `haStatus -c ${CLUSTER}`),
  step("text", `getBrokerEpoch -b ${BROKER}`, fails),
  step("text", "resetMasterFlushOffset -b {broker} -o 0"),
  step("text", "exportPopRecord -b {broker} -d false"),
  step("text", "exportPopRecord -b {broker} -d true"),
  step("text", "addBroker -c {broker} -b /none", fails),
  step("text", `removeBroker -c {broker} -b ${CLUSTER}:${BROKER}:0`, fails),
  step("text", "getControllerMetaData -a {broker}", fails),
  step("text", "getControllerConfig -a {broker}", fails),
  step("refused", "getColdDataFlowCtrInfo -b {broker}"),
  step("refused", `updateColdDataFlowCtrGroupConfig -b {broker} -g ${GROUP} -v 1024`),
  step("refused", `removeColdDataFlowCtrGroupConfig -b {broker} -g ${GROUP}`),
  step("refused", "setCommitLogReadAheadMode -m 0 -b {broker}"),
  step("refused", `checkRocksdbCqWriteProgress -c ${CLUSTER} -t ${TOPIC}`),
  step("refused", `rocksDBConfigToJson -c ${CLUSTER}`),
  step("refused", "switchTimerEngine -b {broker} -e F"),
  step("text", `exportMetadata -c ${CLUSTER} -f {directory}`, { leaves: "metadata.json" }),
  step("text", `exportMetadata -c ${CLUSTER} -f {directory} -t`, { leaves: "topic.json" }),
  step("text", "exportMetadata -b {broker} -f {directory} -g", { leaves: "subscriptionGroup.json" }),
  step("text", `exportConfigs -c ${CLUSTER} -f {directory}`, { leaves: "configs.json" }),
  step("text", `exportMetrics -c ${CLUSTER} -f {directory}`, { leaves: "metrics.json" }),
];

const NAME_SERVERS = [
  step("values", "updateKvConfig -s SpaceQ -k a -v b"),
  step("values", "deleteKvConfig -s SpaceQ -k a"),
  step("text", `wipeWritePerm -b ${BROKER}`),
  step("text", `addWritePerm -b ${BROKER}`),
  step("keys", "getNamesrvConfig"),
  step("values", "updateNamesrvConfig -k orderMessageEnable -v true"),
];

/** Apache knows users and rules only with a provider of them, and answers these with an error of its own here. */
const ACCESS = [
  "createUser -b {broker} -u u -p pw",
  "updateUser -b {broker} -u u -p p2",
  "deleteUser -b {broker} -u u",
  "listUser -b {broker}",
  "getUser -b {broker} -u u",
  "copyUser -f {broker} -t {broker} -u u",
  "createAcl -b {broker} -s User:u -r Topic:* -a Pub -d Allow",
  "updateAcl -b {broker} -s User:u -r Topic:* -a Pub -d Allow",
  "deleteAcl -b {broker} -s User:u",
  "listAcl -b {broker}",
  "getAcl -b {broker} -s User:u",
  "copyAcl -f {broker} -t {broker} -s User:u",
].map((words) => step("refused", words));

const LAST = [
  // Late: with a static topic, the tool can't read Apache's table of topics any more.
  step("refused", `updateStaticTopic -c ${CLUSTER} -t Static -qn 2`),
  step("text", `deleteSubGroup -g ${CLONE} -c ${CLUSTER} -r true`),
  step("text", `deleteSubGroup -g ${CLONE} -b {broker}`),
  step("text", `deleteTopic -t ${TOPIC} -c ${CLUSTER}`),
  step("text", `topicStatus -t ${TOPIC}`, fails),
  step("text", `topicRoute -t ${TOPIC}`, fails),
];

/** With a topic of two queues, eleven messages and clients that are connected; at its end the topic is gone. */
export const STEPS: readonly Step[] = [
  ...TOPICS,
  ...MESSAGES,
  ...GROUPS,
  ...BROKERS,
  ...NAME_SERVERS,
  ...ACCESS,
  ...LAST,
];

/** Sub-commands of 5.4.0 that are not tried. */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  remappingStaticTopic: "it moves a static topic, and updateStaticTopic makes none",
  clusterRT: "it never ends: it sends to each cluster, again and again",
  startMonitoring: "it never ends: it reports every minute",
  dumpCompactionLog: "it reads a file of this machine",
  exportMetadataInRocksDB: "it reads files of this machine",
  updateControllerConfig: "a controller is asked; getControllerConfig shows what a broker answers",
  electMaster: "a controller is asked",
  cleanBrokerMetadata: "a controller is asked",
  getSyncStateSet: "a controller is asked",
};

/** What 4.9.7 asks of `rmq`: none of it may make the tool throw. */
export const STEPS_497: readonly Step[] = [
  `topicRoute -t ${TOPIC}`,
  `topicStatus -t ${TOPIC}`,
  `topicClusterList -t ${TOPIC}`,
  "topicList -c",
  `updateTopicPerm -t ${TOPIC} -p 6 -c ${CLUSTER}`,
  `consumerProgress -g ${GROUP}`,
  "consumerProgress",
  `consumerStatus -g ${GROUP}`,
  `consumerConnection -g ${GROUP}`,
  `producerConnection -g p_${TOPIC} -t ${TOPIC}`,
  "producer -b {broker}",
  `getConsumerConfig -g ${GROUP}`,
  `cloneGroupOffset -s ${GROUP} -d ${GROUP} -t ${TOPIC}`,
  `resetOffsetByTime -g ${GROUP} -t ${TOPIC} -s 0`,
  `skipAccumulatedMessage -g ${GROUP} -t ${TOPIC}`,
  `queryMsgByKey -t ${TOPIC} -k k-1`,
  `queryMsgByOffset -t ${TOPIC} -b ${BROKER} -i 0 -o 0`,
  "queryMsgById -i {offsetMsgId}",
  `queryMsgByUniqueKey -t ${TOPIC} -i {msgId}`,
  `printMsg -t ${TOPIC} -d true`,
  `printMsgByQueue -t ${TOPIC} -a ${BROKER} -i 0 -p true -d true`,
  `consumeMessage -t ${TOPIC} -b ${BROKER} -i 0 -o 0 -c 2`,
  `sendMessage -t ${TOPIC} -p hello -k kk -c TagA`,
  `checkMsgSendRT -t ${TOPIC} -a 2 -s 10`,
  `sendMsgStatus -b ${BROKER} -s 10 -c 1`,
  `queryCq -t ${TOPIC} -q 0 -i 0 -c 2 -b {broker} -g ${GROUP}`,
  "clusterList",
  "clusterList -m",
  "brokerStatus -b {broker}",
  "statsAll",
  `statsAll -a -t ${TOPIC}`,
  "brokerConsumeStats -b {broker}",
  "getBrokerConfig -b {broker}",
  "updateBrokerConfig -b {broker} -k fileReservedTime -v 70",
  "cleanExpiredCQ -b {broker}",
  "deleteExpiredCommitLog -b {broker}",
  "cleanUnusedTopic -b {broker}",
  "getNamesrvConfig",
  `exportMetadata -c ${CLUSTER} -f {directory}`,
  `exportConfigs -c ${CLUSTER} -f {directory}`,
  `exportMetrics -c ${CLUSTER} -f {directory}`,
].map((words) => step("text", words)).concat(
  [
    "updateAclConfig -b {broker} -a alice -s 12345678",
    "deleteAclConfig -b {broker} -a alice",
    "clusterAclConfigVersion -b {broker}",
    `clusterAclConfigVersion -c ${CLUSTER}`,
    "updateGlobalWhiteAddr -b {broker} -g 10.0.0.1",
    "getAclConfig -b {broker}",
  ].map((words) => step("refused", words)),
);
