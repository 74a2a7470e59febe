// SPDX-License-Identifier: Apache-2.0
/** What can be wrong with the machine that a broker is to run on. */
import { accessSync, constants, existsSync, readdirSync, readFileSync, statfsSync } from "node:fs";
import { connect } from "node:net";
import { freemem, networkInterfaces, totalmem } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { runtimeName } from "../../base/runtime/name.ts";
import type { BrokerSettings } from "../../config/broker_settings.ts";
import { descriptorLimit } from "../../remoting/descriptor_limit.ts";
import { processOf } from "../running.ts";
import { formatBytes } from "../store_text.ts";
import { VERSION } from "../version.ts";
import type { Check } from "./doctor.ts";
import { sentenceOf } from "./sentences.ts";

/** Each connection takes a descriptor, and so does each file of a store that is read. */
const ENOUGH_DESCRIPTORS = 65_535;
const ENOUGH_MEMORY_BYTES = 512 << 20;
const PORT_TIMEOUT_MS = 1000;

/** Magic numbers of file systems where a store is in danger. [Linux statfs(2)] */
const RISKY_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS, whose locks and syncs can't be trusted"],
  [0x01021994, "tmpfs: messages are gone with the next start of the machine"],
  [0xff534d42, "CIFS, whose locks and syncs can't be trusted"],
]);

export async function machineChecks(settings: BrokerSettings): Promise<Check[]> {
  return [
    versionCheck(),
    descriptorCheck(),
    memoryCheck(),
    ...diskChecks(settings),
    await storeCheck(settings.storeDirectory),
    ...await portChecks(settings),
    addressCheck(settings),
    clockCheck(),
  ];
}

function versionCheck(): Check {
  const runtime = runtimeName === "bun" ? `Bun ${process.versions.bun}` : `Deno ${process.versions.deno}`;
  const finding = `rmq ${VERSION} on ${runtime}, ${process.platform} ${process.arch}`;
  if (process.platform === "linux") return { check: "version", state: "ok", finding };
  return { check: "version", state: "warning", finding, advice: "Only Linux is tried." };
}

function descriptorCheck(): Check {
  const limit = descriptorLimit();
  if (limit >= ENOUGH_DESCRIPTORS) return { check: "open files", state: "ok", finding: `${limit} allowed` };
  return {
    check: "open files",
    state: "warning",
    finding: `${limit} allowed`,
    advice:
      `Connections and files of the store may run out: LimitNOFILE=${ENOUGH_DESCRIPTORS} in a systemd unit, or ` +
      `ulimit -n ${ENOUGH_DESCRIPTORS}.`,
  };
}

function memoryCheck(): Check {
  const finding = `${formatBytes(freemem())} free of ${formatBytes(totalmem())}`;
  if (freemem() >= ENOUGH_MEMORY_BYTES) return { check: "memory", state: "ok", finding };
  return {
    check: "memory",
    state: "warning",
    finding,
    advice: "A broker takes 100 to 200 MB, and is faster with room for the system's cache of its files.",
  };
}

function diskChecks(settings: BrokerSettings): Check[] {
  const { storeDirectory, commitLogDirectory } = settings;
  const directories = new Map([[existingPart(commitLogDirectory), "disk of the log"]]);
  if (!directories.has(existingPart(storeDirectory))) {
    directories.set(existingPart(storeDirectory), "disk of the store");
  }
  return [...directories].flatMap(([directory, check]) => diskCheck(directory, check, settings));
}

/** The directory, or the nearest one above it that exists already. */
function existingPart(directory: string): string {
  let path = directory;
  while (!existsSync(path) && dirname(path) !== path) path = dirname(path);
  return path;
}

function diskCheck(directory: string, check: string, settings: BrokerSettings): Check[] {
  const { bavail, bfree, blocks, bsize, type } = statfsSync(directory);
  const free = bavail * bsize;
  const used = blocks - bfree;
  const percent = Math.ceil(used / (used + bavail) * 100);
  const finding = `${directory}: ${formatBytes(free)} free, ${percent}% used`;
  const checks: Check[] = [];
  if (percent >= settings.diskWarningPercent) {
    const advice =
      `At diskSpaceWarningLevelRatio=${settings.diskWarningPercent} a broker takes nothing more: make room.`;
    checks.push({ check, state: "problem", finding, advice });
  } else if (percent >= settings.diskMaxUsedPercent) {
    const advice = `Above diskMaxUsedSpaceRatio=${settings.diskMaxUsedPercent} expired files go at any hour.`;
    checks.push({ check, state: "warning", finding, advice });
  } else checks.push({ check, state: "ok", finding });
  const risk = RISKY_FILE_SYSTEMS.get(type);
  if (risk !== undefined) {
    checks.push({
      check,
      state: "warning",
      finding: `${directory} is on ${risk}`,
      advice: "Use a disk of this machine.",
    });
  }
  try {
    accessSync(directory, constants.W_OK);
  } catch {
    const advice = "A broker runs as the user that owns its store.";
    checks.push({ check, state: "problem", finding: `${directory} can't be written by this user`, advice });
  }
  return checks;
}

async function storeCheck(storeDirectory: string): Promise<Check> {
  const check = "store";
  if (!existsSync(storeDirectory)) {
    return { check, state: "ok", finding: `${storeDirectory} does not exist yet: the first start makes it` };
  }
  const pid = await processOf(join(storeDirectory, "lock"));
  if (pid !== undefined) {
    return { check, state: "ok", finding: `${storeDirectory} is in use by process ${pid}` };
  }
  if (!existsSync(join(storeDirectory, "abort"))) {
    return { check, state: "ok", finding: `${storeDirectory} is not in use` };
  }
  return {
    check,
    state: "warning",
    finding: `${storeDirectory}: the last broker did not stop properly`,
    advice: "The next start recovers it; `rmq store verify` tells beforehand what it will find.",
  };
}

async function portChecks(settings: BrokerSettings): Promise<Check[]> {
  const { listenPort, storeDirectory } = settings;
  const pid = await processOf(join(storeDirectory, "lock")).catch(() => undefined);
  const ports: [number, string][] = [[listenPort, "broker"], [listenPort - 2, "broker, for older clients"]];
  return await Promise.all(ports.map(async ([port, what]): Promise<Check> => {
    const check = `port ${port}`;
    if (!await accepts(port)) return { check, state: "ok", finding: `free (${what})` };
    if (pid !== undefined) return { check, state: "ok", finding: `in use (${what}), and so is the store` };
    return {
      check,
      state: "warning",
      finding: `in use, but nobody has the store (${what})`,
      advice: "Another broker runs here? A second one needs a listenPort and a storePathRootDir of its own.",
    };
  }));
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", timeout: PORT_TIMEOUT_MS });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
    socket.once("timeout", () => end(false));
  });
}

function addressCheck({ advertisedHost }: BrokerSettings): Check {
  const check = "address";
  const own = Object.entries(networkInterfaces()).flatMap(([name, list]) =>
    (list ?? []).map(({ address }) => ({ name, address }))
  );
  const found = own.find(({ address }) => address === advertisedHost);
  const finding = `clients are told ${advertisedHost}${found ? ` (${found.name})` : ""}`;
  if (advertisedHost.startsWith("127.") || advertisedHost === "::1") {
    const advice = "Clients of other machines can't reach that: set brokerIP1.";
    return { check, state: "warning", finding, advice };
  }
  if (found === undefined) {
    const advice =
      "No interface of this machine has it: right behind a translating router or in a container, else not.";
    return { check, state: "warning", finding, advice };
  }
  if (/^(docker|br-|veth|virbr|cni|flannel)/.test(found.name)) {
    const advice = "That is a network within this machine: set brokerIP1 to the address that clients reach.";
    return { check, state: "warning", finding, advice };
  }
  return { check, state: "ok", finding };
}

/** Whether a daemon that keeps clocks right runs here; whether it succeeds only the kernel knows. */
function clockCheck(): Check {
  const check = "clock";
  const finding = `${new Date().toISOString()}, zone ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
  try {
    const daemons = /^(chronyd|ntpd|systemd-timesyn|openntpd|ptp4l)$/;
    const isKept = existsSync("/run/systemd/timesync/synchronized") ||
      runningNames().some((name) => daemons.test(name));
    if (isKept) return { check, state: "ok", finding };
  } catch (error) {
    return { check, state: "ok", finding: `${finding} (${sentenceOf(error)})` };
  }
  const advice =
    "Nothing seems to keep it right (chronyd, ntpd, systemd-timesyncd): delays and expiry depend on it.";
  return { check, state: "warning", finding, advice };
}

function runningNames(): string[] {
  return readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name)).flatMap((pid) => {
    try {
      return [readFileSync(`/proc/${pid}/comm`, "utf8").trim()];
    } catch {
      return [];
    }
  });
}
