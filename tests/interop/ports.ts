// SPDX-License-Identifier: Apache-2.0
/** Free ports for server processes. */
import { createServer } from "node:net";

/**
 * A port P such that P + offset can be bound now for every given offset.
 *
 * Chosen below the range the kernel hands out to outgoing connections, so that a client's socket cannot take it while
 * the server is starting or being restarted.
 */
export async function freePort(offsets: readonly number[] = [0]): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = 15_000 + Math.floor(Math.random() * 8_500) * 2;
    if ((await Promise.all(offsets.map((offset) => isFree(port + offset)))).every(Boolean)) return port;
  }
  throw new Error("no free ports");
}

/** A port for a broker, with the one two below (fast listener) and the one above (replication) free as well. */
export function freeBrokerPort(): Promise<number> {
  return freePort([-2, 0, 1]);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
