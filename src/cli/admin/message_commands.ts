// SPDX-License-Identifier: Apache-2.0
import { messageFindCommands } from "./message_find.ts";
import { messageRecallCommand } from "./message_recall.ts";
import { messageSendCommand } from "./message_send.ts";
import { messageTailCommand } from "./message_tail.ts";
import { messageTraceCommand } from "./message_trace.ts";

export const messageCommands = [
  messageSendCommand,
  messageTailCommand,
  ...messageFindCommands,
  messageTraceCommand,
  messageRecallCommand,
];
