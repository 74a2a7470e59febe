// SPDX-License-Identifier: Apache-2.0
/**
 * Kinds of messages that a broker has to pass on as they are: batches, compressed bodies, every reserved property; and
 * messages in light queues. They are read back after the broker was killed.
 */
import assert from "node:assert/strict";
import process from "node:process";
import type { ApacheVersion } from "./apache.ts";
import type { Child } from "./child.ts";
import { Driver, type Held, type Result } from "./driver.ts";
import {
  type Make,
  type NameServer,
  newBrokerSite,
  startBroker,
  startNameServer,
  underTest,
  Workspace,
} from "./servers.ts";
import { interopTest, lazily, presentVersions, VERSIONS } from "./suite.ts";

/** Who has the store after the kill. */
const SECOND = (process.env.INTEROP_SECOND ?? underTest) as Make;

interface World {
  readonly workspace: Workspace;
  readonly nameServer: NameServer;
  readonly broker: Child;
  readonly drivers: readonly Driver[];
  readonly results: ReadonlyMap<ApacheVersion, Promise<Result>>;
}

async function startWorld(): Promise<World> {
  const workspace = await Workspace.create();
  const nameServer = await startNameServer(underTest, workspace);
  const namesrv = nameServer.address;
  const site = await newBrokerSite(workspace, {
    ...{ name: "broker-kinds", cluster: "ClusterKinds", namesrv },
    properties: { enableLmq: true, enableMultiDispatch: true },
  });
  const [first, ...drivers] = await Promise.all([
    startBroker(underTest, site, workspace),
    ...presentVersions().map((version) => Driver.start(version, workspace)),
  ]);
  await drivers[0].mustRun("AwaitBrokers", { namesrv, brokers: site.name });
  const results = new Map<ApacheVersion, Promise<Result>>();
  const held: Held[] = [];
  for (const driver of drivers) {
    const topic = `Kinds_${driver.version.replaceAll(".", "_")}`;
    const scenario = driver.version.startsWith("5.") ? "Kinds5" : "Kinds";
    const run = driver.hold(scenario, { namesrv, topic, group: `group_${topic}`, limitSeconds: 90 });
    held.push(run);
    results.set(driver.version, run.result);
  }
  await Promise.all(held.map((run) => run.printed("HALF")));
  await first.kill();
  const broker = await startBroker(SECOND, site, workspace);
  for (const run of held) run.release();
  return { workspace, nameServer, broker, drivers, results };
}

const world = lazily(startWorld);

async function resultOf(version: ApacheVersion): Promise<Result> {
  const result = await (await world.get()).results.get(version)!;
  assert.equal(result.failure, undefined);
  return result;
}

const topicOf = (version: ApacheVersion) => `Kinds_${version.replaceAll(".", "_")}`;

for (const version of VERSIONS) {
  interopTest(`client ${version}: a batch is in one queue, in its order`, { needs: [version] }, async () => {
    const result = await resultOf(version);
    const [batch] = result.all("BATCH");
    assert.equal(batch.status, "SEND_OK");
    const found = result.all("RECV", { by: topicOf(version) }).filter(({ body }) =>
      body.startsWith("batch ")
    );
    assert.deepEqual(
      found.map(({ body, queueId, queueOffset, keys }) => [body, queueId, Number(queueOffset), keys]),
      Array.from({ length: 50 }, (_, i) => [
        `batch ${i}`,
        batch.queueId,
        Number(batch.queueOffset) + i,
        `batch-${i}`,
      ]),
    );
    assert.deepEqual(batch.ids.split(","), found.map(({ msgId }) => msgId));
  });

  interopTest(`client ${version}: compressed bodies come as they were`, { needs: [version] }, async () => {
    const result = await resultOf(version);
    const sent = result.all("SENT").filter(({ body }) => / bytes, crc /.test(body));
    assert.equal(sent.length, version.startsWith("5.") ? 4 : 1);
    for (const { msgId, body, queueId, queueOffset } of sent) {
      const [found] = result.all("RECV", { by: topicOf(version), msgId });
      assert.deepEqual([found.body, found.queueId, found.queueOffset], [body, queueId, queueOffset]);
      assert.match(found.tags, /^compressed/);
    }
  });

  interopTest(
    `client ${version}: every reserved property comes as it was given`,
    { needs: [version] },
    async () => {
      const result = await resultOf(version);
      const [given] = result.all("GIVEN");
      const [found] = result.all("FOUND");
      assert.ok(Number(given.count) > 15, given.count);
      assert.deepEqual(found.properties.split(", "), given.properties.split(", "));
    },
  );

  interopTest(
    `client ${version}: a message is in its own queue and in the light ones that it names`,
    { needs: [version] },
    async () => {
      const result = await resultOf(version);
      const bodies = (topic: string) => result.column("RECV", "body", { by: topic });
      const light = [0, 1, 2, 3, 4, 5].map((i) => `light ${i}`);
      assert.deepEqual(
        bodies(topicOf(version)).filter((body) => body.startsWith("light")).sort(),
        light,
      );
      assert.deepEqual(bodies(`%LMQ%${topicOf(version)}_one`), ["light 0", "light 2", "light 4"]);
      assert.deepEqual(bodies(`%LMQ%${topicOf(version)}_two`), light);
    },
  );
}

interopTest(
  "client 5.4.0: batches that the client gathers are stored once each",
  { needs: ["5.4.0"] },
  async () => {
    const result = await resultOf("5.4.0");
    const found = result.all("RECV", { by: topicOf("5.4.0") }).filter(({ body }) => body.startsWith("auto "));
    assert.deepEqual(
      found.map(({ body }) => body).sort(),
      Array.from({ length: 60 }, (_, i) => `auto ${i}`).sort(),
    );
    assert.deepEqual(result.all("REFUSED"), []);
  },
);

interopTest("the kinds' servers end when they are told to", { needs: VERSIONS }, async () => {
  const started = await world.started();
  if (!started) return;
  for (const driver of started.drivers) await driver.stop();
  await started.broker.stop();
  await started.nameServer.child.stop();
  await started.workspace.remove();
});
