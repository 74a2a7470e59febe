// SPDX-License-Identifier: Apache-2.0
import { groupChangeCommands } from "./group_change.ts";
import { groupClientCommand } from "./group_client.ts";
import { groupLagCommand } from "./group_lag.ts";
import { groupShowCommands } from "./group_show.ts";

export const groupCommands = [
  ...groupShowCommands,
  groupClientCommand,
  groupLagCommand,
  ...groupChangeCommands,
];
