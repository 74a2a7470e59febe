// SPDX-License-Identifier: Apache-2.0
/** A small client for TypeScript: for tests that want a broker of their own, for tools, for this project. */
export { AdminApi } from "./admin_api.ts";
export { Consumer, type ConsumerOptions, type ReceivedMessage } from "./consumer.ts";
export { NameServerApi } from "./name_server_api.ts";
export { PopConsumer, type PopConsumerOptions } from "./pop_consumer.ts";
export { type OutgoingMessage, Producer, type ProducerOptions, type SendResult } from "./producer.ts";
export type { Reply } from "./replies.ts";
export type { Decide, Decision } from "./transactions.ts";
export { RemotingError, RemotingIoError } from "../remoting/remoting_error.ts";
