// SPDX-License-Identifier: Apache-2.0
/** Java consumers whose next message has expired and was deleted: they are moved to the queue's start, and go on. */
import assert from "node:assert/strict";
import { readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Driver } from "./driver.ts";
import { newBrokerSite, startBroker, startNameServer, underTest, Workspace } from "./servers.ts";
import { interopTest, VERSIONS } from "./suite.ts";

const HOURS = Array.from({ length: 24 }, (_, hour) => String(hour).padStart(2, "0")).join(";");
const COUNT = 400;

for (const version of VERSIONS) {
  const name = `client ${version}: a consumer goes on at the queue's start when its next message was deleted`;
  interopTest(name, { needs: [version] }, async () => {
    const workspace = await Workspace.create();
    const driver = await Driver.start(version, workspace);
    const nameServer = await startNameServer(underTest, workspace);
    const namesrv = nameServer.address;
    const site = await newBrokerSite(workspace, {
      name: "old",
      cluster: "ClusterO",
      namesrv,
      properties: {
        mappedFileSizeCommitLog: 1 << 20,
        mappedFileSizeConsumeQueue: 20 * 50,
        deleteWhen: HOURS,
        fileReservedTime: 1,
        cleanResourceInterval: 200,
        flushIntervalConsumeQueue: 100,
        flushConsumeQueueThoroughInterval: 200,
      },
    });
    const broker = await startBroker(underTest, site, workspace);
    try {
      await driver.mustRun("AwaitQueues", { namesrv, topic: "old", count: 1 });
      const topic = "Expiring";
      const args = { namesrv, topic, group: "late" };
      await driver.admin("updateTopic", "-n", namesrv, "-b", site.address, "-t", topic, "-r", "1", "-w", "1");
      await driver.mustRun("SendMany", { ...args, prefix: "first", count: 5 });
      await driver.mustRun("ConsumeSome", { ...args, expect: 5 });
      await driver.mustRun("SendMany", {
        ...args,
        prefix: "many",
        count: COUNT,
        bytes: 4096,
        compressOver: 1 << 20,
      });
      const log = join(site.storePath, "commitlog");
      const [oldest, ...rest] = readdirSync(log).sort();
      assert.ok(rest.length >= 1);
      utimesSync(join(log, oldest), 1, 1);
      for (let tries = 0; readdirSync(log).includes(oldest); tries++) {
        assert.ok(tries < 300, "the oldest file is still there");
        await delay(50);
      }
      let min = 0;
      let max = 0;
      // the queue follows a moment later
      for (let tries = 0; min === 0; tries++) {
        assert.ok(tries < 30, "the queue still begins at 0");
        const [queue] = (await driver.mustRun("PullAll", { namesrv, topic, group: "lookers" })).all("QUEUE");
        [min, max] = [Number(queue.min), Number(queue.max)];
      }
      assert.ok(min > 5, `the queue begins at ${min}`);
      assert.equal(max, COUNT + 5);
      const consumed = await driver.mustRun("ConsumeSome", { ...args, expect: max - min });
      const offsets = consumed.column("RECV", "queueOffset").map(Number).sort((a, b) => a - b);
      assert.deepEqual([...new Set(offsets)], Array.from({ length: max - min }, (_, i) => min + i));
    } finally {
      await driver.stop();
      await broker.stop();
      await nameServer.child.stop();
      await workspace.remove();
    }
  });
}
