// SPDX-License-Identifier: Apache-2.0
/**
 * A store whose queue entries are extended by bit maps, in the hands of brokers of both makes in turn: tags and filters
 * are read from what the other has written, also for a group that was away when messages came.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { Driver, type Result } from "./driver.ts";
import {
  type Make,
  type NameServer,
  newBrokerSite,
  startBroker,
  startNameServer,
  underTest,
  Workspace,
} from "./servers.ts";
import { interopTest } from "./suite.ts";

const PROPERTIES = {
  ...{ enablePropertyFilter: true, enableConsumeQueueExt: true, enableCalcFilterBitMap: true },
  ...{ mappedFileSizeConsumeQueue: 20 * 40, mappedFileSizeConsumeQueueExt: 64 << 10 },
};
const APACHE: Make = "apache-5.4.0";
const ROUND = 120;
/** To and fro, with a kill, where there is time for it. */
const TURNS: readonly [Make, "stop" | "kill"][] = process.env.INTEROP_LONG === "1"
  ? [[underTest, "stop"], [APACHE, "stop"], [underTest, "kill"], [APACHE, "stop"]]
  : [[APACHE, "stop"], [underTest, "kill"]];
const BLUE = { group: "group_blue", expression: "color = 'blue' AND i > 4" };

const numbers = (from: number, end: number, isWanted: (i: number) => boolean) =>
  Array.from({ length: end - from }, (_, index) => from + index).filter(isWanted);
const isBlue = (i: number) => i % 4 === 1 && i > 4;
const received = (result: Result) => {
  const seen = new Set(result.column("RECV", "body"));
  return [...seen].map((body) => Number(body.split(" ")[1])).sort((a, b) => a - b);
};

interopTest(
  "extended entries and groups' filters go from one make to the other",
  { needs: ["5.4.0"] },
  async () => {
    const workspace = await Workspace.create();
    let driver: Driver | undefined;
    let nameServer: NameServer | undefined;
    try {
      nameServer = await startNameServer(underTest, workspace);
      const namesrv = nameServer.address;
      driver = await Driver.start("5.4.0", workspace);
      const site = await newBrokerSite(workspace, {
        ...{ name: "broker-ext", cluster: "ClusterExt", namesrv },
        properties: PROPERTIES,
      });
      const java = driver;
      const common = { namesrv, topic: "Colored" };
      let sent = 0;
      const send = async () => {
        await java.mustRun("ColoredSend", { ...common, from: sent, count: ROUND });
        sent += ROUND;
      };
      const consume = async (args: Record<string, string>, wanted: number[]) => {
        const result = await java.mustRun("FilteredConsume", { ...common, ...args, expect: wanted.length });
        assert.deepEqual(received(result), wanted);
      };
      const turn = async (make: Make, end: "stop" | "kill", work: () => Promise<void>) => {
        const broker = await startBroker(make, site, workspace);
        try {
          await java.mustRun("AwaitQueues", { namesrv, topic: site.name, count: 1 });
          if (sent === 0) {
            const place = ["-n", namesrv, "-b", site.address];
            await java.admin("updateTopic", "-t", common.topic, "-r", "2", "-w", "2", ...place);
          }
          await work();
          await (end === "stop" ? broker.stop() : broker.kill());
        } finally {
          if (broker.isRunning) await broker.kill();
        }
      };

      for (const [round, [make, end]] of TURNS.entries()) {
        await turn(make, end, async () => {
          const blueFrom = round === 0 ? 0 : sent - ROUND;
          if (round === 0) await send();
          // What came while the group was away, and the other make had the store.
          const all = { group: `group_all_${round}`, expression: "i IS NOT NULL" };
          const tag = { group: `group_tag_${round}`, tag: "Tag1" };
          await Promise.all([
            consume(BLUE, numbers(blueFrom, sent, isBlue)),
            consume(all, numbers(0, sent, () => true)),
            consume(tag, numbers(0, sent, (i) => i % 2 === 1)),
          ]);
          await send();
        });
      }

      const filters = JSON.parse(
        await readFile(join(site.storePath, "config", "consumerFilter.json"), "utf8"),
      );
      const { group_blue: blue } = filters.filterDataByTopic.Colored.groupFilterData;
      assert.equal(blue.expression, BLUE.expression);
      assert.deepEqual(blue.bloomFilterData.bitNum, 112);
    } finally {
      await driver?.stop();
      await nameServer?.child.stop();
      await workspace.remove();
    }
  },
);
