// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate } from "node:timers";
import { ConfigFileError, formatJson, JsonFile } from "../../src/broker/json_file.ts";
import { MalformedError } from "../../src/protocol/header.ts";
import { RemotingError } from "../../src/remoting/remoting_error.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";

const PATH = "/store/config/table.json";
const BACKUP = `${PATH}.bak`;

function setUp(content: Partial<Record<string, string>> = {}) {
  const files = new MemoryFiles();
  files.makeDirectory("/store/config");
  for (const [path, text] of Object.entries(content)) {
    if (text !== undefined) files.replace(path, new TextEncoder().encode(text));
  }
  const clock = new ManualClock();
  return { files, clock, file: new JsonFile(files, clock, PATH) };
}

const textOf = (files: MemoryFiles, path: string) => new TextDecoder().decode(files.read(path));
const fillDisk = (files: MemoryFiles) => files.fail({ operation: "create", code: "ENOSPC", times: Infinity });
const load = (file: JsonFile) => file.load((object) => object.a);

describe("JsonFile.load()", () => {
  test("gives nothing where there is neither file nor backup", () => {
    assert.equal(load(setUp().file), undefined);
  });

  test("reads what fastjson writes", () => {
    const { file } = setUp({ [PATH]: `{\n\t"a":{0:5,1:7\n\t}\n}` });
    assert.deepEqual(load(file), { 0: 5, 1: 7 });
  });

  test("reads the backup where the file is missing, empty or broken", () => {
    for (const broken of [undefined, "", "{", "\0\0\0\0", "[]", "7"]) {
      const { file } = setUp({ [PATH]: broken, [BACKUP]: `{"a":1}` });
      assert.equal(load(file), 1, JSON.stringify(broken));
    }
  });

  test("reads the backup where the file's content means nothing", () => {
    const { file } = setUp({ [PATH]: `{"a":"x"}`, [BACKUP]: `{"a":1}` });
    const value = file.load((object) => {
      if (typeof object.a !== "number") throw new MalformedError("a is no number");
      return object.a;
    });
    assert.equal(value, 1);
  });

  test("fails where something is there but nothing can be read", () => {
    for (
      const content of [
        { [PATH]: "{" },
        { [BACKUP]: "{" },
        { [PATH]: "{", [BACKUP]: "" },
        { [PATH]: "", [BACKUP]: "{" },
        { [PATH]: "{", [BACKUP]: "{" },
      ]
    ) {
      assert.throws(() => load(setUp(content).file), (error) => {
        assert.ok(error instanceof ConfigFileError);
        assert.match(error.message, /table\.json.*can't be read/);
        return true;
      });
    }
  });

  test("takes an empty file without backup for an empty table", () => {
    assert.equal(load(setUp({ [PATH]: "" }).file), undefined);
  });

  test("does not hide errors of its caller", () => {
    const { file } = setUp({ [PATH]: "{}" });
    assert.throws(() =>
      file.load(() => {
        throw new TypeError("a bug");
      }), TypeError);
  });
});

describe("JsonFile.write()", () => {
  test("keeps the content before as backup", () => {
    const { file, files } = setUp();
    file.write({ a: 1 });
    assert.equal(files.stat(BACKUP), undefined);
    file.write({ a: 2 });
    assert.equal(textOf(files, PATH), `{\n\t"a":2\n}`);
    assert.equal(textOf(files, BACKUP), `{\n\t"a":1\n}`);
  });

  test("keeps the backup while it is the only good content", () => {
    const { file, files } = setUp({ [PATH]: "broken", [BACKUP]: `{"a":1}` });
    assert.equal(load(file), 1);
    file.write({ a: 2 });
    assert.equal(textOf(files, BACKUP), `{"a":1}`);
    file.write({ a: 3 });
    assert.equal(textOf(files, BACKUP), `{\n\t"a":2\n}`);
  });

  test("fails with the name of the file, and keeps the content", () => {
    const { file, files } = setUp({ [PATH]: `{"a":1}` });
    fillDisk(files);
    assert.throws(() => file.write({ a: 2 }), (error) => {
      assert.ok(error instanceof RemotingError);
      assert.match(error.remark, /table\.json can't be written: ENOSPC/);
      return true;
    });
    assert.equal(load(file), 1);
  });
});

describe("JsonFile.writeSoon()", () => {
  test("writes once what there is at the end of the turn", () => {
    const { file, files, clock } = setUp();
    let value = 1;
    file.writeSoon(() => ({ a: value }));
    file.writeSoon(() => ({ a: value }));
    value = 2;
    assert.equal(files.stat(PATH), undefined);
    clock.advance(0);
    assert.equal(textOf(files, PATH), `{\n\t"a":2\n}`);
    assert.equal(clock.timerCount, 0);
  });

  test("tries again after a failure, with what there is then", () => {
    const { file, files, clock } = setUp();
    let value = 1;
    const full = fillDisk(files);
    file.writeSoon(() => ({ a: value }));
    clock.advance(0);
    assert.equal(files.stat(PATH), undefined);
    value = 2;
    full.remove();
    clock.advance(5000);
    assert.equal(textOf(files, PATH), `{\n\t"a":2\n}`);
    assert.equal(clock.timerCount, 0);
  });

  test("is done by flush() and by write()", () => {
    const { file, files, clock } = setUp();
    file.writeSoon(() => ({ a: 1 }));
    file.flush();
    assert.equal(textOf(files, PATH), `{\n\t"a":1\n}`);
    file.writeSoon(() => ({ a: 2 }));
    file.write({ a: 3 });
    assert.equal(clock.timerCount, 0);
    file.flush();
    assert.equal(textOf(files, PATH), `{\n\t"a":3\n}`);
  });

  test("is still owed after a write() that failed", () => {
    const { file, files, clock } = setUp();
    file.writeSoon(() => ({ a: 1 }));
    const full = fillDisk(files);
    assert.throws(() => file.write({ a: 2 }), RemotingError);
    full.remove();
    clock.advance(0);
    assert.equal(textOf(files, PATH), `{\n\t"a":1\n}`);
  });
});

describe("JsonFile.writeInPieces()", () => {
  test("joins the pieces and keeps the content before as backup", async () => {
    const { file, files } = setUp({ [PATH]: `{"a":1}` });
    await file.writeInPieces([`{"a":`, `"ü`, `"}`]);
    assert.equal(textOf(files, PATH), `{"a":"ü"}`);
    assert.equal(textOf(files, BACKUP), `{"a":1}`);
    assert.deepEqual(files.list("/store/config").sort(), ["table.json", "table.json.bak"]);
  });

  test("replaces what a crash left half written", async () => {
    const { file, files } = setUp({ [`${PATH}.tmp`]: "half" });
    assert.equal(load(file), undefined);
    await file.writeInPieces([`{"a":1}`]);
    assert.equal(load(file), 1);
    assert.deepEqual(files.list("/store/config"), ["table.json"]);
  });

  test("leaves the loop free between pieces", async () => {
    const { file } = setUp();
    const order: string[] = [];
    function* pieces() {
      order.push("first");
      yield "{";
      order.push("second");
      yield "}";
    }
    setImmediate(() => order.push("somebody else"));
    await file.writeInPieces(pieces());
    assert.deepEqual(order, ["first", "somebody else", "second"]);
  });

  test("keeps the backup while it is the only good content", async () => {
    const { file, files } = setUp({ [PATH]: "broken", [BACKUP]: `{"a":1}` });
    assert.equal(load(file), 1);
    await file.writeInPieces([`{"a":2}`]);
    assert.equal(textOf(files, BACKUP), `{"a":1}`);
    assert.equal(textOf(files, PATH), `{"a":2}`);
  });
});

test("formatJson() lays tables out as Apache does, without absent members", () => {
  const table = new Map<unknown, unknown>([["x", { list: [1, { b: true }], gone: undefined, none: null }], [
    7,
    new Map(),
  ]]);
  assert.equal(
    formatJson({ 'a"': "ü\n", table, empty: [] }),
    `{\n\t"a\\"":"ü\\n",\n\t"table":{\n\t\t"x":{\n\t\t\t"list":[\n\t\t\t\t1,\n\t\t\t\t{\n\t\t\t\t\t"b":true\n` +
      `\t\t\t\t}\n\t\t\t]\n\t\t},\n\t\t"7":{}\n\t},\n\t"empty":[]\n}`,
  );
});
