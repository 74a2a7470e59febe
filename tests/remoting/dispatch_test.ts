// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MalformedError } from "../../src/protocol/header.ts";
import type { Response } from "../../src/remoting/command.ts";
import { Dispatch, errorResponse } from "../../src/remoting/dispatch.ts";
import { RemotingError } from "../../src/remoting/remoting_error.ts";
import { type Handler, LATER, type Request } from "../../src/remoting/request.ts";
import { MemoryConnection } from "../harness/memory_connection.ts";

const table = (entries: Record<number, Handler>) =>
  new Map(Object.entries(entries).map(([code, handler]) => [Number(code), handler]));

describe("Dispatch", () => {
  test("answers what the handler returns", async () => {
    const dispatch = new Dispatch(table({ 10: (request) => ({ code: 0, fields: request.fields ?? {} }) }));
    const response = await new MemoryConnection().ask(dispatch, { code: 10, fields: { a: "b" } });
    assert.deepEqual(response, { code: 0, fields: { a: "b" } });
  });

  test("has answered synchronously when the handler did", () => {
    const connection = new MemoryConnection();
    new Dispatch(table({ 10: () => ({ code: 0 }) })).handle(connection.incoming({ code: 10 }));
    assert.equal(connection.responses.length, 1);
    assert.equal(connection.releasedCount, 1);
  });

  test("answers a promise when it resolves", async () => {
    const dispatch = new Dispatch(table({ 10: () => Promise.resolve({ code: 7 }) }));
    assert.equal((await new MemoryConnection().ask(dispatch, { code: 10 })).code, 7);
  });

  test("answers 3 to an unknown code, negative ones included", async () => {
    const connection = new MemoryConnection();
    for (const code of [0, 4711, -1]) {
      const response = await connection.ask(new Dispatch(), { code });
      assert.deepEqual(response, { code: 3, remark: ` request type ${code} not supported` });
    }
  });

  const failures: [string, unknown, Response][] = [
    ["a RemotingError", new RemotingError(17, "no such topic"), { code: 17, remark: "no such topic" }],
    [
      "a RemotingError with fields",
      new RemotingError(20, "again", { fields: { nextBeginOffset: "7" } }),
      { code: 20, remark: "again", fields: { nextBeginOffset: "7" } },
    ],
    ["a MalformedError", new MalformedError("bad field"), { code: 1, remark: "bad field" }],
    ["anything else", new TypeError("oops"), { code: 1, remark: "TypeError: oops" }],
    ["a thrown string", "oops", { code: 1, remark: "oops" }],
  ];
  for (const [name, error, expected] of failures) {
    test(`turns ${name} into code ${expected.code}, thrown or rejected`, async () => {
      const connection = new MemoryConnection();
      const thrown: Handler = () => {
        throw error;
      };
      assert.deepEqual(await connection.ask(thrown, { code: 10 }), expected);
      assert.deepEqual(await connection.ask(() => Promise.reject(error), { code: 10 }), expected);
      assert.equal(connection.releasedCount, 2);
    });
  }

  test("answers 1 when a handler returns nothing at all", async () => {
    const broken = (() => undefined) as unknown as Handler;
    assert.equal((await new MemoryConnection().ask(broken, { code: 10 })).code, 1);
  });

  test("waits for request.respond() after LATER", async () => {
    const connection = new MemoryConnection();
    const held: Request[] = [];
    const dispatch = new Dispatch(table({
      11: (request) => {
        held.push(request);
        return LATER;
      },
    }));
    const answer = connection.ask(dispatch, { code: 11 });
    assert.equal(connection.responses.length, 0);
    held[0].respond(errorResponse(new RemotingError(19, "later"), held[0]));
    held[0].respond({ code: 0 });
    assert.equal((await answer).code, 19);
    assert.equal(connection.responses.length, 1);
  });

  test("never answers a one-way request, not even with an error", async () => {
    const connection = new MemoryConnection();
    const dispatch = new Dispatch(table({
      10: () => ({ code: 0 }),
      12: () => Promise.reject(new RemotingError(1, "no")),
    }));
    const requests = [10, 12, 13].map((code) => connection.tell(dispatch, { code }));
    await Promise.resolve().then(() => {}).then(() => {});
    assert.deepEqual(requests.map((request) => request.isAnswered), [true, true, true]);
    assert.equal(connection.responses.length, 0);
    assert.equal(connection.releasedCount, 3);
  });

  test("refuses two handlers for one code", () => {
    assert.throws(() => new Dispatch(table({ 10: () => LATER }), table({ 10: () => LATER })), /code 10/);
  });

  test("without() serves fewer codes and leaves the original as it is", async () => {
    const both = new Dispatch(table({ 10: () => ({ code: 0 }) }), table({ 11: () => ({ code: 0 }) }));
    const vip = both.without(11, 99);
    const connection = new MemoryConnection();
    assert.deepEqual(vip.codes, [10]);
    assert.equal((await connection.ask(vip, { code: 11 })).code, 3);
    assert.equal((await connection.ask(vip, { code: 10 })).code, 0);
    assert.equal((await connection.ask(both, { code: 11 })).code, 0);
  });
});
