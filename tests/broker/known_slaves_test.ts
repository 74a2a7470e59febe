// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { JsonFile } from "../../src/broker/json_file.ts";
import { KnownSlaves } from "../../src/broker/known_slaves.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";

function directory() {
  const clock = new ManualClock();
  const files = new MemoryFiles({ nowMs: () => clock.nowMs() });
  files.makeDirectory("/rmq");
  return {
    files,
    open: (bootId: string | undefined) =>
      new KnownSlaves(new JsonFile(files, clock, "/rmq/slaves.json"), bootId),
  };
}

test("slaves are remembered, and whether the machine was started since", () => {
  const { open } = directory();
  open("boot-1").keep(["10.0.0.3:10911", "10.0.0.2:10911"]);
  const same = open("boot-1");
  assert.deepEqual(same.addresses, ["10.0.0.2:10911", "10.0.0.3:10911"]);
  assert.equal(same.machineWasRestarted, false);
  const next = open("boot-2");
  assert.equal(next.machineWasRestarted, true);
  next.keep(next.addresses);
  assert.equal(open("boot-2").machineWasRestarted, false);
});

test("where the system does not tell, or nothing is kept, the machine may have been restarted", () => {
  const { open } = directory();
  assert.equal(open("boot-1").machineWasRestarted, true);
  open(undefined).keep(["10.0.0.2:10911"]);
  assert.equal(open(undefined).machineWasRestarted, true);
});

test("a master without slaves writes nothing, and nothing is written twice", () => {
  const { files, open } = directory();
  const slaves = open("boot-1");
  slaves.keep([]);
  assert.equal(files.stat("/rmq/slaves.json"), undefined);
  slaves.keep(["10.0.0.2:10911"]);
  files.remove("/rmq/slaves.json");
  slaves.keep(["10.0.0.2:10911"]);
  assert.equal(files.stat("/rmq/slaves.json"), undefined);
});
