// SPDX-License-Identifier: Apache-2.0
/** Checksums over whole records: Apache checks those that we have written. The other way: store_tool_test.ts. */
import assert from "node:assert/strict";
import { Driver } from "./driver.ts";
import { type Make, newBrokerSite, startBroker, startNameServer, Workspace } from "./servers.ts";
import { interopTest } from "./suite.ts";

const PROPERTIES = { enabledAppendPropCRC: true, forceVerifyPropCRC: true };
const COUNT = 100;

interopTest(
  "Apache recovers a log of ours that was killed, checking every record",
  { needs: ["5.4.0"] },
  async () => {
    const workspace = await Workspace.create();
    const [driver, nameServer] = await Promise.all([
      Driver.start("5.4.0", workspace),
      startNameServer("rmq", workspace),
    ]);
    const namesrv = nameServer.address;
    const site = await newBrokerSite(workspace, {
      name: "crc",
      cluster: "ClusterC",
      namesrv,
      properties: PROPERTIES,
    });
    const args = { namesrv, topic: "TopicCrc", group: "GroupCrc" };
    const served = async (make: Make, use: () => Promise<void>) => {
      const broker = await startBroker(make, site, workspace);
      try {
        await driver.mustRun("AwaitQueues", { namesrv, topic: site.name, count: 1 });
        await use();
      } finally {
        await broker.kill();
      }
    };
    try {
      await served("rmq", async () => {
        await driver.admin("updateTopic", "-t", args.topic, "-n", namesrv, "-b", site.address);
        await driver.mustRun("SendMany", { ...args, prefix: "one", count: COUNT, bytes: 200 });
        await driver.mustRun("SendBatch", { ...args, topic: "BatchCrc" });
      });
      // To Apache a record that lacks its checksum, or does not fit it, is the end of the log.
      await served("apache-5.4.0", async () => {
        const pulled = await driver.mustRun("PullAll", { ...args, expect: COUNT });
        assert.equal(pulled.all("RECV").length, COUNT);
        await driver.mustRun("SendMany", { ...args, prefix: "two", count: COUNT, bytes: 200 });
      });
      await served("rmq", async () => {
        const pulled = await driver.mustRun("PullAll", { ...args, expect: 2 * COUNT });
        assert.equal(pulled.all("RECV").length, 2 * COUNT);
      });
    } finally {
      await driver.stop();
      await nameServer.child.stop();
      await workspace.remove();
    }
  },
);
