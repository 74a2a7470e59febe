// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { DataVersion } from "../../../src/protocol/bodies/data_version.ts";
import { parseJson, stringifyJson } from "../../../src/protocol/java_json.ts";

test("a table that was never changed has the counter 0 and its time", () => {
  assert.deepEqual(DataVersion.initial(7).toJson(), { counter: 0, stateVersion: 0, timestamp: 7 });
});

test("next() counts, takes the time and keeps the state version unless told", () => {
  const version = new DataVersion(4, 100, 2);
  assert.deepEqual(version.next(200).toJson(), { counter: 3, stateVersion: 4, timestamp: 200 });
  assert.deepEqual(version.next(200, 5).toJson(), { counter: 3, stateVersion: 5, timestamp: 200 });
  assert.equal(version.counter, 2);
});

test("equals() needs all three numbers", () => {
  const version = new DataVersion(1, 2, 3);
  assert.ok(version.equals(new DataVersion(1, 2, 3)));
  assert.ok(!version.equals(new DataVersion(0, 2, 3)));
  assert.ok(!version.equals(new DataVersion(1, 0, 3)));
  assert.ok(!version.equals(new DataVersion(1, 2, 0)));
  assert.ok(!version.equals(undefined));
});

test("compare() looks at the state version, then the counter, then the time", () => {
  const version = new DataVersion(1, 5, 5);
  assert.ok(version.compare(new DataVersion(2, 0, 0)) < 0);
  assert.ok(version.compare(new DataVersion(1, 0, 6)) < 0);
  assert.ok(version.compare(new DataVersion(1, 4, 5)) > 0);
  assert.equal(version.compare(new DataVersion(1, 5, 5)), 0);
});

test("JSON gives the same version back, in the order of Apache's members", () => {
  const version = new DataVersion(1, 1_700_000_000_000, 3);
  const text = stringifyJson(version.toJson());
  assert.equal(text, '{"counter":3,"stateVersion":1,"timestamp":1700000000000}');
  assert.ok(DataVersion.fromJson(parseJson(text)).equals(version));
});

test("fromJson() takes what is absent, null or no object for 0", () => {
  assert.ok(DataVersion.fromJson({ counter: 1, timestamp: 2 }).equals(new DataVersion(0, 2, 1)));
  assert.ok(DataVersion.fromJson({ counter: null, timestamp: "2" }).equals(new DataVersion(0, 2, 0)));
  assert.ok(DataVersion.fromJson(null).equals(DataVersion.ZERO));
  assert.ok(DataVersion.fromJson([]).equals(DataVersion.ZERO));
});
