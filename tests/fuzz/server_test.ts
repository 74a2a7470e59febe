// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import { Dispatch } from "../../src/remoting/dispatch.ts";
import type { Handler } from "../../src/remoting/request.ts";
import { RemotingServer } from "../../src/remoting/server.ts";
import { SeededRandom } from "../harness/seeded_random.ts";
import { RawPeer, requestFrame } from "../remoting/raw_peer.ts";
import { until } from "../harness/until.ts";

describe("RemotingServer", () => {
  test("serves well-behaved peers while others send rubbish, break frames and leave at any byte", async () => {
    const seed = Math.floor(Math.random() * 0x7fffffff);
    const random = new SeededRandom(seed);
    const echo: Handler = (request) => ({ code: 0, body: request.body ?? undefined });
    const dispatch = new Dispatch(new Map([[10, echo]]));
    const server = await RemotingServer.listen({ host: "127.0.0.1", port: 0, dispatch });
    const good = await RawPeer.connect(server.port);
    try {
      for (let round = 0; round < 60; round++) {
        const bad = await RawPeer.connect(server.port);
        const frames = Buffer.concat(
          [1, 2, 3].map((opaque) => requestFrame({ code: 10, opaque, body: Buffer.alloc(50) })),
        );
        for (let changes = random.between(0, 4); changes > 0; changes--) {
          frames[random.between(0, frames.length - 1)] = random.between(0, 255);
        }
        bad.write(frames.subarray(0, random.between(0, frames.length)));
        good.send({ code: 10, opaque: round, body: Buffer.from([round]) });
        const answers = await good.answers(round + 1);
        assert.deepEqual([answers[round].opaque, answers[round].body?.[0]], [round, round], `seed ${seed}`);
        if (random.next() < 0.5) bad.socket.destroy();
        else bad.socket.end();
      }
      await until(() => server.connections.size === 1);
    } finally {
      good.socket.destroy();
      await server.close();
    }
  });
});
