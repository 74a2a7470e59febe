// SPDX-License-Identifier: Apache-2.0
/**
 * What a name server is told: the operator's keys with units in their names, checked, defaults filled in. A
 * value never changes; when an operator changes a key while it runs, a new object is handed over.
 */
export interface NameServerSettings {
  /** `bindAddress` */
  readonly bindAddress: string;
  /** `listenPort`; 0 lets the system choose (for tests). */
  readonly listenPort: number;
  /** `serverChannelMaxIdleTimeSeconds`: a connection silent for so long is closed; Infinity: never. */
  readonly connectionMaxIdleMs: number;
  /** `kvConfigPath`: the file that keeps the key-value table. */
  readonly kvTableFile: string;
  /** `configStorePath`: the file that changed settings are written to. */
  readonly configFile: string;
  /** `orderMessageEnable`: routes carry the order configuration of their topic. */
  readonly orderConfigInRoutes: boolean;
  /** `returnOrderTopicConfigToBroker`: answers to a registration carry the whole order configuration. */
  readonly orderConfigToBrokers: boolean;
  /** `scanNotActiveBrokerInterval` */
  readonly brokerScanIntervalMs: number;
  /** `enableAllTopicList`: GET_ALL_TOPIC_LIST_FROM_NAMESERVER is served. */
  readonly allTopicList: boolean;
  /** `enableTopicList`: the lists by cluster, unit and system are served. */
  readonly topicLists: boolean;
  /** Routes are refused for so long after the start (`needWaitForService`, `waitSecondsForService`); 0: not at all. */
  readonly routeHoldMs: number;
  /** `deleteTopicWithBrokerRegistration`: a registration removes the broker's topics that it does not name. */
  readonly deleteTopicsByRegistration: boolean;
  /** `supportActingMaster`: routes may show a slave in its dead master's place. */
  readonly actingMaster: boolean;
  /** `notifyMinBrokerIdChanged`: brokers are told when the lowest id of their name changes. */
  readonly notifyMinBrokerIdChanged: boolean;
  /** `nsaddrHttpPort`: where clients are told the name servers over HTTP; 0: nowhere. */
  readonly nsaddrHttpPort: number;
  /** `nsaddrHttpAddresses` as `host:port` items; empty: this name server. */
  readonly nsaddrHttpAddresses: readonly string[];
}
