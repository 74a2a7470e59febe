// SPDX-License-Identifier: Apache-2.0
import { existsSync } from "node:fs";
import { availableParallelism, homedir, hostname, networkInterfaces } from "node:os";
import process from "node:process";

/** What defaults depend on. */
export interface Machine {
  readonly processors: number;
  readonly hostName: string;
  readonly homeDirectory: string;
  /** The address that others are told when nothing else is configured. */
  readonly localAddress: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export function thisMachine(): Machine {
  return {
    processors: availableParallelism(),
    hostName: hostname() || "DEFAULT_BROKER",
    homeDirectory: homedir(),
    localAddress: chooseLocalAddress(networkInterfaces(), isBridge),
    environment: process.env,
  };
}

interface InterfaceAddress {
  address: string;
  family: string | number;
  internal: boolean;
}

/**
 * The address of this machine that peers most likely reach: the first IPv4 address that is not of a home or
 * office network (192.168), else the last IPv4 address, else 127.0.0.1. Bridges (of containers) don't count.
 * `[RMQ NetworkUtil.getLocalAddress]`
 */
export function chooseLocalAddress(
  interfaces: Readonly<Record<string, InterfaceAddress[] | undefined>>,
  isBridge: (interfaceName: string) => boolean,
): string {
  const addresses = Object.entries(interfaces)
    .filter(([interfaceName]) => !isBridge(interfaceName))
    .flatMap(([, list]) => list ?? [])
    .filter(({ family, internal }) => !internal && (family === "IPv4" || family === 4))
    .map(({ address }) => address);
  return addresses.find((address) => !/^(192\.168|127\.0|0)\./.test(address)) ?? addresses.at(-1) ??
    "127.0.0.1";
}

function isBridge(interfaceName: string): boolean {
  return process.platform === "linux" && existsSync(`/sys/class/net/${interfaceName}/bridge`);
}
