// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { runNameServer } from "../../src/cli/namesrv.ts";
import { loadNameServerConfiguration } from "../../src/config/name_server_config.ts";
import { sourceOfPairs } from "../../src/config/sources.ts";

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function withNameServer(pairs: string[], check: (port: number, printed: string) => Promise<void>) {
  const directory = mkdtempSync(join(tmpdir(), "rmq-namesrv-"));
  const { configuration } = loadNameServerConfiguration({
    overriding: [sourceOfPairs("test", [
      "listenPort=0",
      "bindAddress=127.0.0.1",
      `kvConfigPath=${join(directory, "kvConfig.json")}`,
      `configStorePath=${join(directory, "namesrv.properties")}`,
      ...pairs,
    ])],
  });
  let printed = "";
  const print = (text: string) => void (printed += text);
  try {
    const nameServer = await runNameServer(configuration, { print });
    try {
      await check(nameServer.port, printed);
    } finally {
      await nameServer.stop();
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test("a name server says so when it serves, as Apache does", () =>
  withNameServer([], async (port, printed) => {
    const line = `The Name Server boot success. serializeType=JSON, address 127.0.0.1:${port}\n`;
    assert.equal(await Promise.resolve(printed), line);
  }));

test("with nsaddrHttpPort it tells clients over HTTP where it is", async () => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/rocketmq/nsaddr`;
  await withNameServer([`nsaddrHttpPort=${port}`], async (ownPort) => {
    assert.equal(await (await fetch(url)).text(), `127.0.0.1:${ownPort}`);
  });
  await withNameServer([`nsaddrHttpPort=${port}`, "nsaddrHttpAddresses=a:1;b:2"], async () => {
    assert.equal(await (await fetch(`${url}-unit?nofix=1`)).text(), "a:1;b:2");
  });
  await assert.rejects(() => fetch(url));
});
