// SPDX-License-Identifier: Apache-2.0
import type { Machine } from "../../src/config/machine.ts";

/** The machine on which Apache's defaults were read; nothing of the one that runs the tests. */
export const testMachine: Machine = {
  processors: 2,
  hostName: "vm",
  homeDirectory: "/nowhere/root",
  localAddress: "192.0.2.2",
  environment: {},
};
