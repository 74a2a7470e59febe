// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { NameServerLookup } from "../../src/broker/name_server_lookup.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { until } from "../harness/until.ts";

describe("name servers looked up over HTTP", () => {
  let server: Server;
  let answer: { status: number; text: string };
  let asked = 0;
  let url: string;

  before(async () => {
    server = createServer((_, response) => {
      asked++;
      response.writeHead(answer.status).end(answer.text);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/rocketmq/nsaddr`;
  });

  after(() => {
    server.closeAllConnections();
    server.close();
  });

  async function lookup(text: string, status = 200) {
    answer = { status, text };
    const clock = new ManualClock();
    const found: (readonly string[])[] = [];
    const lookup = new NameServerLookup({ url, clock, onFound: (addresses) => found.push(addresses) });
    await lookup.start();
    return { clock, found, lookup };
  }

  test("the first line is taken apart at semicolons", async () => {
    const { found, lookup: started } = await lookup(" 10.0.0.1:9876;10.0.0.2:9876;\nmore\n");
    assert.deepEqual(found, [["10.0.0.1:9876", "10.0.0.2:9876"]]);
    started.stop();
  });

  test("a list is handed on again only when it has changed", async () => {
    const { clock, found, lookup: started } = await lookup("a:1");
    const before = asked;
    clock.advance(10_000);
    await until(() => asked === before + 1);
    answer = { status: 200, text: "b:2" };
    clock.advance(10_000);
    await until(() => found.length === 2);
    assert.deepEqual(found, [["a:1"], ["b:2"]]);
    started.stop();
    assert.equal(clock.timerCount, 0);
  });

  test("what is no list, or no success, changes nothing", async () => {
    for (const [text, status] of [["", 200], ["no port", 200], ["a:1", 404], ["a:99999", 200]] as const) {
      const { found, lookup: started } = await lookup(text, status);
      assert.deepEqual(found, []);
      started.stop();
    }
  });
});
