// SPDX-License-Identifier: Apache-2.0
/** What brokers tell name servers about themselves. */
import { bool, header, type HeaderOf, int, long, optional, text, withDefault } from "../header.ts";

export const registerBrokerRequest = header({
  brokerName: text,
  brokerAddr: text,
  clusterName: text,
  haServerAddr: optional(text),
  brokerId: long,
  /** After how long without a sign of life the broker is given up; absent: two minutes. */
  heartbeatTimeoutMillis: optional(long),
  /** Absent in requests of brokers older than 5.0. */
  enableActingMaster: optional(bool),
  compressed: bool,
  /** `registrationCrc32` of the body; 0: not checked. */
  bodyCrc32: withDefault(int, 0),
  __ZONE_NAME: optional(text),
});
export type RegisterBrokerRequest = HeaderOf<typeof registerBrokerRequest>;

/** Both are there only in the answer to a slave whose master is alive. */
export const registerBrokerResponse = header({ haServerAddr: optional(text), masterAddr: optional(text) });
export type RegisterBrokerResponse = HeaderOf<typeof registerBrokerResponse>;

/** UNREGISTER_BROKER, and QUERY_DATA_VERSION with a DataVersion as body. */
export const brokerIdentityRequest = header({
  brokerName: text,
  brokerAddr: text,
  clusterName: text,
  brokerId: long,
});
export type BrokerIdentityRequest = HeaderOf<typeof brokerIdentityRequest>;

/** The body is the version that the name server has, if it has one. */
export const queryDataVersionResponse = header({ changed: withDefault(bool, true) });

/** BROKER_HEARTBEAT; only what a name server reads of it. */
export const brokerHeartbeatRequest = header({ clusterName: text, brokerAddr: text });

/** NOTIFY_MIN_BROKER_ID_CHANGE, from a name server to brokers. */
export const minBrokerIdChange = header({
  minBrokerId: optional(long),
  minBrokerAddr: optional(text),
  offlineBrokerAddr: optional(text),
  haBrokerAddr: optional(text),
});
export type MinBrokerIdChange = HeaderOf<typeof minBrokerIdChange>;
