// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { Groups, type GroupsOptions } from "../../src/broker/groups.ts";
import { ConfigFileError } from "../../src/broker/json_file.ts";
import { groupConfig } from "../../src/protocol/bodies/subscription_group.ts";
import { RemotingError } from "../../src/remoting/remoting_error.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";

const DIRECTORY = "/store/config";
const PATH = `${DIRECTORY}/subscriptionGroup.json`;

/** Counts how often the table is written. */
class CountingFiles extends MemoryFiles {
  writeCount = 0;

  override replace(path: string, content: Uint8Array, backup?: string): void {
    if (path === PATH) this.writeCount++;
    super.replace(path, content, backup);
  }
}

function setUp(golden?: string, given: Partial<GroupsOptions> = {}) {
  const files = new CountingFiles();
  files.makeDirectory(DIRECTORY);
  if (golden !== undefined) {
    files.replace(
      PATH,
      readFileSync(new URL(`../golden/config/${golden}/subscriptionGroup.json`, import.meta.url)),
    );
  }
  files.writeCount = 0;
  const clock = new ManualClock();
  const settings = { autoCreateGroup: true, createSystemGroups: true };
  const options = { files, directory: DIRECTORY, clock, settings: () => settings, ...given };
  const reopen = () => Groups.open(options);
  return { files, clock, settings, reopen, groups: reopen() };
}

describe("Groups.open()", () => {
  test("has the built-in groups of a 5.4.0 broker", () => {
    const { groups } = setUp();
    const golden = setUp("5.4.0").groups;
    const own = ["GroupA", "GroupExp", "GroupCus"];
    assert.deepEqual(
      [...groups.table.groups.keys()].sort(),
      [...golden.table.groups.keys()].filter((name) => !own.includes(name)).sort(),
    );
    for (const [name, config] of groups.table.groups) assert.deepEqual(config, golden.get(name));
  });

  test("reads the files of 5.4.0 and 4.9.7", () => {
    const new_ = setUp("5.4.0").groups;
    assert.deepEqual(new_.dataVersion.toJson(), { counter: 4, stateVersion: 0, timestamp: 1795261623619 });
    assert.equal(new_.get("GroupA")!.retryMaxTimes, 5);
    assert.equal(new_.isReadForbidden("GroupA", "TopicA"), true);
    const old = setUp("4.9.7").groups;
    assert.deepEqual(old.dataVersion.toJson(), { counter: 3, stateVersion: 0, timestamp: 1795261580529 });
    assert.equal(old.get("GroupA")!.retryMaxTimes, 5);
    assert.equal(old.has("CID_RMQ_SYS_TRANS"), true, "which 4.9 does not have");
  });

  test("reads what it wrote", () => {
    for (const version of ["5.4.0", "4.9.7"]) {
      const { groups, reopen } = setUp(version);
      groups.update(groupConfig("New", { unknown: { some: { thing: [1] } } }));
      assert.deepEqual(reopen().table, groups.table);
      assert.deepEqual(reopen().get("New")!.unknown, { some: { thing: [1] } });
    }
  });

  test("fails where the table can't be read", () => {
    const { files, reopen } = setUp();
    files.replace(PATH, new TextEncoder().encode(`{"subscriptionGroupTable":"x"}`));
    assert.throws(reopen, ConfigFileError);
  });
});

describe("Groups.find()", () => {
  test("makes a group with defaults, written at the end of the turn", () => {
    const { groups, clock, files, reopen } = setUp();
    assert.deepEqual(groups.find("g1"), groupConfig("g1"));
    groups.find("g2");
    assert.equal(groups.find("g1"), groups.get("g1"));
    assert.equal(groups.dataVersion.counter, 2);
    assert.equal(files.writeCount, 0);
    clock.advance(0);
    assert.equal(files.writeCount, 1);
    assert.equal(reopen().has("g1") && reopen().has("g2"), true);
  });

  test("makes none where that is forbidden, but those of the system", () => {
    const { groups, settings } = setUp();
    settings.autoCreateGroup = false;
    assert.equal(groups.find("g"), undefined);
    assert.notEqual(groups.find("CID_RMQ_SYS_x"), undefined);
    assert.notEqual(groups.find("TOOLS_CONSUMER"), undefined);
    settings.createSystemGroups = false;
    assert.equal(groups.find("CID_RMQ_SYS_y"), undefined);
    assert.notEqual(groups.find("CID_RMQ_SYS_x"), undefined);
  });

  test("makes none with a name that no group may have", () => {
    const { groups } = setUp();
    for (const name of ["", " ", "bad name", "g".repeat(121)]) assert.equal(groups.find(name), undefined);
    assert.notEqual(groups.find("g".repeat(120)), undefined);
  });

  test("stops at a number that no one reaches but by malice, which administrators may pass", () => {
    const { groups } = setUp(undefined, { maxAutoCreated: 10 });
    const made = Array.from({ length: 5 }, (_, i) => groups.find(`g${i}`));
    assert.equal(groups.table.groups.size, 10);
    assert.equal(made.at(-1), undefined);
    groups.update(groupConfig("wanted"));
    assert.equal(groups.table.groups.size, 11);
  });

  test("is not asked by get() and has()", () => {
    const { groups } = setUp();
    assert.equal(groups.get("g"), undefined);
    assert.equal(groups.has("g"), false);
  });
});

describe("Groups.update()", () => {
  test("is durable and moves the version", () => {
    const { groups, reopen } = setUp();
    groups.update(groupConfig("a", { retryMaxTimes: 3 }), groupConfig("b"));
    assert.equal(groups.dataVersion.counter, 1);
    assert.equal(reopen().get("a")!.retryMaxTimes, 3);
    assert.equal(reopen().has("b"), true);
    groups.update();
    assert.equal(groups.dataVersion.counter, 1);
  });

  test("keeps attributes that are not named, and refuses unknown ones", () => {
    const { groups } = setUp();
    groups.update(groupConfig("a", { attributes: new Map([["+priority.factor", "7"]]) }));
    groups.update(groupConfig("a", { retryMaxTimes: 3 }));
    assert.deepEqual(groups.get("a")!.attributes, new Map([["priority.factor", "7"]]));
    const wrong = groupConfig("c", { attributes: new Map([["+colour", "red"]]) });
    assert.throws(() => groups.update(groupConfig("b"), wrong), RemotingError);
    assert.equal(groups.has("b"), false);
  });

  test("changes nothing when it can't be written", () => {
    const { groups, files } = setUp("5.4.0");
    const before = groups.dataVersion;
    files.fail({ operation: "create", code: "ENOSPC", times: Infinity });
    assert.throws(
      () => groups.update(groupConfig("GroupA", { retryMaxTimes: 99 }), groupConfig("b")),
      RemotingError,
    );
    assert.throws(() => groups.delete("GroupA"), RemotingError);
    assert.throws(() => groups.setReadForbidden("GroupA", "TopicA", false), RemotingError);
    assert.equal(groups.get("GroupA")!.retryMaxTimes, 5);
    assert.equal(groups.has("b"), false);
    assert.equal(groups.isReadForbidden("GroupA", "TopicA"), true);
    assert.equal(groups.dataVersion, before);
  });
});

describe("Groups.delete()", () => {
  test("is durable and takes along what was forbidden", () => {
    const { groups, reopen } = setUp("5.4.0");
    assert.equal(groups.delete("GroupA"), true);
    assert.equal(groups.delete("GroupA"), false);
    assert.equal(reopen().has("GroupA"), false);
    assert.equal(reopen().isReadForbidden("GroupA", "TopicA"), false);
    assert.equal(reopen().table.forbidden.size, 0);
  });
});

describe("Groups.setReadForbidden()", () => {
  test("concerns one topic of a group, and is durable", () => {
    const { groups, reopen } = setUp();
    assert.equal(groups.isReadForbidden("g", "a"), false);
    groups.setReadForbidden("g", "a", true);
    groups.setReadForbidden("g", "b", true);
    assert.equal(reopen().isReadForbidden("g", "a"), true);
    assert.equal(reopen().isReadForbidden("g", "c"), false);
    assert.equal(reopen().isReadForbidden("h", "a"), false);
    groups.setReadForbidden("g", "a", false);
    assert.equal(reopen().isReadForbidden("g", "a"), false);
    assert.equal(reopen().isReadForbidden("g", "b"), true, "Apache forgets it here");
    groups.setReadForbidden("g", "b", false);
    assert.equal(groups.table.forbidden.size, 0);
  });

  test("changes nothing where it is so already", () => {
    const { groups, files } = setUp();
    groups.setReadForbidden("g", "a", false);
    groups.setReadForbidden("g", "a", true);
    groups.setReadForbidden("g", "a", true);
    assert.equal(files.writeCount, 1);
    assert.equal(groups.dataVersion.counter, 1);
  });

  test("leaves bits alone that it does not know", () => {
    const { files, reopen } = setUp();
    files.replace(
      PATH,
      new TextEncoder().encode(`{"subscriptionGroupTable":{},"forbiddenTable":{"g":{"a":3}}}`),
    );
    const groups = reopen();
    groups.setReadForbidden("g", "a", true);
    assert.equal(groups.table.forbidden.get("g")!.get("a"), 7);
    groups.setReadForbidden("g", "a", false);
    assert.equal(reopen().table.forbidden.get("g")!.get("a"), 3);
  });
});
