// SPDX-License-Identifier: Apache-2.0
/** NATS JetStream with file storage, as a second opinion on what the machine can do. */
import { spawnSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child, runToEnd } from "../interop/child.ts";
import { freePort } from "../interop/ports.ts";
import type { Figures } from "./figures.ts";
import { lineOf, processMemory } from "./machine.ts";
import { NATS_WORKLOADS, type Workload } from "./workloads.ts";

export interface Nats {
  readonly version: string;
  readonly server: string;
  readonly driver: string;
}

const driverSource = fileURLToPath(new URL("nats", import.meta.url));

/**
 * Builds the server and the driver with Go, which fetches them by its proxy.
 * @throws where that is impossible here; the message says why
 */
export async function findNats(): Promise<Nats> {
  if (spawnSync("go", ["version"]).status !== 0) {
    throw new Error("NATS is not measured: `go` is not on the PATH");
  }
  const directory = join(homedir(), ".cache", "rmq-bench");
  const server = join(directory, "nats-server");
  const driver = join(directory, "nats-load");
  try {
    await mkdir(directory, { recursive: true });
    const install = ["install", "github.com/nats-io/nats-server/v2@latest"];
    if (!existsSync(server)) await runToEnd("go", install, { name: "go", env: { GOBIN: directory } });
    await runToEnd("go", ["build", "-o", driver, "."], { name: "go", cwd: driverSource });
  } catch (error) {
    const why = (error as Error).message.split("\n").slice(0, 3).join(" ");
    throw new Error(`NATS is not measured: Go could not build it: ${why}`, { cause: error });
  }
  return {
    server,
    driver,
    version: `NATS ${lineOf(server, ["--version"]).replace("nats-server: v", "")}, JetStream on files`,
  };
}

/** The driver sends single messages and knows no flush modes; everything else is left out. */
export function suitsNats(workload: Workload): boolean {
  return NATS_WORKLOADS.includes(workload.name);
}

/** Starts a server on an empty store, and measures `workloads` on it. */
export async function measureNats(
  nats: Nats,
  workloads: readonly Workload[],
  directory: string,
  seconds: number,
  take: (workload: Workload, figures: Figures) => void,
): Promise<void> {
  const port = await freePort();
  const args = ["-a", "127.0.0.1", "-p", `${port}`, "-js", "-sd", directory];
  const server = new Child(nats.server, args, { name: "nats-server" });
  try {
    await server.waitForLine(/Server is ready/, 20_000);
    for (const workload of workloads.filter(suitsNats)) {
      const { connections, window, bodyBytes } = workload;
      const load = ["-conns", `${connections}`, "-window", `${window}`, "-size", `${bodyBytes}`];
      const target = ["-url", `nats://127.0.0.1:${port}`, "-pid", `${server.pid}`, "-json"];
      const report = JSON.parse(
        lineOf(nats.driver, [...target, ...load, "-seconds", `${Math.ceil(seconds)}`]),
      );
      const { residentBytes, anonymousBytes } = processMemory(server.pid);
      take(workload, {
        messagesPerSecond: report.msgs_per_s,
        cpuMicrosPerMessage: report.cpu_us_per_msg,
        residentBytes,
        anonymousBytes,
      });
    }
  } finally {
    await server.stop();
  }
}
