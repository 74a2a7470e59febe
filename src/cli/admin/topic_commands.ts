// SPDX-License-Identifier: Apache-2.0
import { topicChangeCommands } from "./topic_change.ts";
import { topicListCommand } from "./topic_list.ts";
import { topicShowCommands } from "./topic_show.ts";

export const topicCommands = [topicListCommand, ...topicShowCommands, ...topicChangeCommands];
