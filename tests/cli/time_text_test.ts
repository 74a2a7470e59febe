// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDuration, parseMoment } from "../../src/cli/time_text.ts";

test("durations are numbers with units", () => {
  assert.deepEqual(
    ["500ms", "30s", "5m", "2h", "1d", "1h30m", "1.5h", "0s"].map(parseDuration),
    [500, 30_000, 300_000, 7_200_000, 86_400_000, 5_400_000, 5_400_000, 0],
  );
  for (const text of ["", "5", "h", "5 m", "-1h", "1w", "1h30"]) {
    assert.equal(parseDuration(text), undefined, text);
  }
});

test("a moment is a duration before now, or a time", () => {
  const now = new Date(2026, 10, 21, 12, 0, 0).getTime();
  assert.equal(parseMoment("2h", now), now - 7_200_000);
  assert.equal(parseMoment("@1795264200516", now), 1_795_264_200_516);
  assert.equal(parseMoment("04:30", now), new Date(2026, 10, 21, 4, 30).getTime());
  assert.equal(parseMoment("2026-11-20T04:30:15.5Z", now), Date.UTC(2026, 10, 20, 4, 30, 15, 500));
  for (const text of ["tomorrow", "2026-13-01", "25:00", ""]) {
    assert.equal(parseMoment(text, now), undefined, text);
  }
});
