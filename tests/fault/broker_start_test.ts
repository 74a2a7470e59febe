// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { startBroker } from "../../src/broker/broker.ts";
import { liveConfig } from "../../src/cli/live_config.ts";
import { loadBrokerConfiguration } from "../../src/config/broker_config.ts";
import { sourceOfPairs } from "../../src/config/sources.ts";
import { BrokerParts } from "../harness/broker_parts.ts";
import { MemoryFiles } from "../harness/memory_files.ts";

const OFFSETS = "/store/config/consumerOffset.json";

async function start(files: MemoryFiles) {
  const { configuration } = loadBrokerConfiguration({
    overriding: [sourceOfPairs("test", [
      "listenPort=0",
      "bindAddress=127.0.0.1",
      "brokerIP1=127.0.0.1",
      "brokerName=broker-a",
      "storePathRootDir=/store",
      "mappedFileSizeCommitLog=1048576",
      "mappedFileSizeConsumeQueue=2000",
      "maxHashSlotNum=100",
      "maxIndexNum=400",
    ])],
  });
  return await startBroker({
    settings: () => configuration.settings,
    config: liveConfig(configuration, () => Date.now()),
    configBlackList: configuration.blackList,
    files,
  });
}

test("an offset that is cut to its queue's end is written so before anybody is served", async () => {
  const files = new MemoryFiles();
  const parts = await BrokerParts.open({ files });
  parts.createTopic("Orders");
  for (let count = 0; count < 3; count++) await parts.send({ topic: "Orders" });
  parts.offsets.commit("readers", "Orders", 0, 50);
  await parts.close();
  const broker = await start(files);
  try {
    const { offsetTable } = JSON.parse(new TextDecoder().decode(files.read(OFFSETS)));
    assert.deepEqual(offsetTable, { "Orders@readers": { 0: 3 } });
  } finally {
    await broker.stop();
  }
});
