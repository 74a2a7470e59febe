// SPDX-License-Identifier: Apache-2.0
/** Consumers that filter by SQL92 expressions, against a broker that allows them; the broker is killed half-way. */
import assert from "node:assert/strict";
import type { ApacheVersion } from "./apache.ts";
import type { Child } from "./child.ts";
import { Driver, type Held, type Result } from "./driver.ts";
import {
  type BrokerSite,
  type NameServer,
  newBrokerSite,
  startBroker,
  startNameServer,
  underTest,
  Workspace,
} from "./servers.ts";
import { interopTest, lazily, presentVersions, VERSIONS } from "./suite.ts";

/** Messages of each half; they come in a cycle of colors, weights and such that are no number. */
const HALF = 40;
const COLORS = ["blue", "red", undefined, "light blue"];

interface Given {
  readonly index: number;
  readonly color: string | undefined;
  readonly weight: number | undefined;
  readonly tag: string;
}

const GIVEN: readonly Given[] = Array.from({ length: 2 * HALF }, (_, index) => ({
  index,
  color: COLORS[index % COLORS.length],
  weight: index % 3 === 0 ? undefined : index % 10,
  tag: `Tag${index % 2}`,
}));

interface Case {
  readonly name: string;
  readonly expression: string;
  readonly wants: (given: Given) => boolean;
}

const CASES: readonly Case[] = [
  {
    name: "AndOrder",
    expression: "color = 'blue' AND weight > 3",
    wants: ({ color, weight }) => color === "blue" && weight !== undefined && weight > 3,
  },
  {
    name: "NullNotIn",
    expression: "color IS NULL OR color NOT IN ('blue', 'red') AND TAGS = 'Tag1'",
    wants: ({ color, tag }) => color === undefined || (color === "light blue" && tag === "Tag1"),
  },
  {
    name: "Between",
    expression: "(weight BETWEEN 2 AND 4 OR weight = 9) AND NOT (color = 'red')",
    wants: ({ color, weight }) =>
      weight !== undefined && ((weight >= 2 && weight <= 4) || weight === 9) &&
      color !== "red" && color !== undefined,
  },
];

const wantedOf = (item: Case, end: number) => GIVEN.slice(0, end).filter(item.wants);

interface Session {
  readonly driver: Driver;
  readonly filtered: ReadonlyMap<string, Promise<Result>>;
  readonly pulled: Promise<Result>;
  readonly refused: Promise<Result>;
}

interface World {
  readonly workspace: Workspace;
  readonly nameServer: NameServer;
  readonly site: BrokerSite;
  broker: Child;
  readonly sessions: Map<ApacheVersion, Session>;
}

async function startWorld(): Promise<World> {
  const workspace = await Workspace.create();
  const nameServer = await startNameServer(underTest, workspace);
  const namesrv = nameServer.address;
  const site = await newBrokerSite(workspace, {
    ...{ name: "broker-filters", cluster: "ClusterFilters", namesrv },
    properties: { enablePropertyFilter: true },
  });
  const [broker, ...drivers] = await Promise.all([
    startBroker(underTest, site, workspace),
    ...presentVersions().map((version) => Driver.start(version, workspace)),
  ]);
  const world: World = { workspace, nameServer, site, broker, sessions: new Map() };
  await drivers[0].mustRun("AwaitBrokers", { namesrv, brokers: site.name });
  const held: Held[] = [];
  for (const driver of drivers) {
    const suffix = driver.version.replaceAll(".", "_");
    const named = (name: string) => ({
      namesrv,
      topic: `${name}_${suffix}`,
      group: `group_${name}_${suffix}`,
    });
    const filtered = new Map(CASES.map((item) => {
      const scenario = driver.hold("FilterBySql", {
        ...named(item.name),
        ...{ expression: item.expression, half: HALF, limitSeconds: 150 },
        expectFirst: wantedOf(item, HALF).length,
        expectAll: wantedOf(item, 2 * HALF).length,
      });
      held.push(scenario);
      return [item.name, scenario.result];
    }));
    world.sessions.set(driver.version, {
      ...{ driver, filtered },
      pulled: driver.run("FilterBySqlPull", named("Pull")),
      refused: driver.run("SqlFilter", {
        ...named("Refused"),
        expression: "color = 'blue' AND weight > 'many'",
      }),
    });
  }
  const others = [...world.sessions.values()].flatMap(({ pulled, refused }) => [pulled, refused]);
  await Promise.all([...held.map((scenario) => scenario.printed("HALF")), ...others]);
  await world.broker.kill();
  world.broker = await startBroker(underTest, site, workspace);
  for (const scenario of held) scenario.release();
  return world;
}

const world = lazily(startWorld);

const session = async (version: ApacheVersion) => (await world.get()).sessions.get(version)!;

for (const version of VERSIONS) {
  for (const item of CASES) {
    interopTest(
      `client ${version}: ${item.expression} gives what it says, before and after the broker was killed`,
      { needs: [version] },
      async () => {
        const result = await (await session(version)).filtered.get(item.name)!;
        assert.equal(result.failure, undefined);
        const sent = new Map(result.all("SENT").map((fields) => [fields.msgId, fields]));
        const received = result.all("RECV");
        for (const { msgId, body, queueId, queueOffset } of received) {
          const acknowledged = sent.get(msgId)!;
          assert.deepEqual(
            [body, queueId, queueOffset],
            [acknowledged.body, acknowledged.queueId, acknowledged.queueOffset],
          );
        }
        const bodies = new Set(received.map(({ body }) => body));
        assert.deepEqual(
          [...bodies].sort(),
          wantedOf(item, 2 * HALF).map(({ index }) => `message ${index}`).sort(),
        );
        // Only what was not committed when the broker died may come twice.
        assert.ok(received.length <= bodies.size + wantedOf(item, HALF).length);
        assert.ok(Number(result.value("offsetsAtEndAfterMs")) >= 0);
      },
    );
  }

  interopTest(
    `client ${version}: a consumer that pulls is given what its expression says`,
    { needs: [version] },
    async () => {
      const { pulled } = await session(version);
      const result = await pulled;
      assert.equal(result.failure, undefined);
      assert.deepEqual(
        result.column("RECV", "body").sort(),
        [10, 11, 12, 13, 14].map((i) => `message ${i}`),
      );
    },
  );

  interopTest(
    `client ${version}: an expression that can't be is refused at the start`,
    { needs: [version] },
    async () => {
      const result = await (await session(version)).refused;
      const [refusal] = result.all("REFUSED");
      assert.equal(refusal.code, underTest === "rmq" ? "23" : refusal.code);
      if (underTest === "rmq") assert.match(refusal.remark, /at character 29: strings have no order/);
      assert.deepEqual(result.all("RECV"), []);
    },
  );
}

interopTest("the filters' servers end when they are told to", { needs: VERSIONS }, async () => {
  const started = await world.started();
  if (!started) return;
  for (const { driver } of started.sessions.values()) await driver.stop();
  await started.broker.stop();
  await started.nameServer.child.stop();
  await started.workspace.remove();
});
