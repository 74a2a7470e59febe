// SPDX-License-Identifier: Apache-2.0
import type { Family } from "./command.ts";

/** All families, in the order in which help texts show them. */
export const FAMILIES: readonly Family[] = [
  {
    name: "cluster",
    summary: "Clusters and what they do now",
    load: async () => (await import("./cluster_commands.ts")).clusterCommands,
  },
  {
    name: "broker",
    summary: "Brokers: state, configuration, draining",
    load: async () => (await import("./broker_commands.ts")).brokerCommands,
  },
  {
    name: "topic",
    summary: "Topics: list, create, change, delete, where they live",
    load: async () => (await import("./topic_commands.ts")).topicCommands,
  },
  {
    name: "group",
    summary: "Consumer groups: list, create, change, delete, lag, members",
    load: async () => (await import("./group_commands.ts")).groupCommands,
  },
  {
    name: "producer",
    summary: "Producers that are connected",
    load: async () => (await import("./producer_commands.ts")).producerCommands,
  },
  {
    name: "message",
    summary: "Messages: send, tail, find, trace",
    load: async () => (await import("./message_commands.ts")).messageCommands,
  },
  {
    name: "offset",
    summary: "Where groups stand, and moving them",
    load: async () => (await import("./offset_commands.ts")).offsetCommands,
  },
  {
    name: "dlq",
    summary: "Dead letters: messages that a group could not consume",
    load: async () => (await import("./dlq_commands.ts")).dlqCommands,
  },
  {
    name: "kv",
    summary: "Keys and values that name servers keep",
    load: async () => (await import("./kv_commands.ts")).kvCommands,
  },
  {
    name: "config",
    summary: "The configuration of name servers",
    load: async () => (await import("./config_commands.ts")).configCommands,
  },
  {
    name: "top",
    summary: "Rates and lag of topics and groups, as they change",
    isSingle: true,
    load: async () => [(await import("./top.ts")).topCommand],
  },
  {
    name: "doctor",
    summary: "Looks for what is wrong with this machine and its cluster",
    isSingle: true,
    load: async () => [(await import("./doctor.ts")).doctorCommand],
  },
  {
    name: "shutdown",
    summary: "Stops a broker or a name server of this machine",
    load: async () => (await import("./shutdown_commands.ts")).shutdownCommands,
  },
  {
    name: "completion",
    summary: "Scripts that complete rmq's command lines in a shell",
    load: async () => (await import("./completion.ts")).completionCommands,
  },
];
