// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { nameServerList } from "../../src/http/name_servers.ts";

test("the list that is configured is given as it is", () => {
  const list = nameServerList({ nsaddrHttpPort: 8080, nsaddrHttpAddresses: ["a:1", "b:2"] }, 9876);
  assert.deepEqual(list("10.0.0.1"), ["a:1", "b:2"]);
});

test("without one, this process's name server is where the client came in", () => {
  const list = nameServerList({ nsaddrHttpPort: 8080, nsaddrHttpAddresses: [] }, 9876);
  assert.deepEqual(list("10.0.0.1"), ["10.0.0.1:9876"]);
  assert.deepEqual(list("fd00::1"), ["[fd00::1]:9876"]);
});
