// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import process from "node:process";
import { getLogger } from "@logtape/logtape";

const logger = getLogger(["rmq", "cli"]);

/**
 * Tells systemd, where it has started us (`Type=notify`), that what was asked for is ready now. By its own program:
 * neither runtime opens the datagram sockets that it listens on.
 */
export function notifyReady(status: string): void {
  if (process.env.NOTIFY_SOCKET === undefined) return;
  const child = spawn("systemd-notify", ["--ready", `--pid=${process.pid}`, `--status=${status}`], {
    stdio: "ignore",
  });
  child.on(
    "error",
    (error) => logger.warn("systemd could not be told that rmq is ready: {error}", { error }),
  );
  child.unref();
}
