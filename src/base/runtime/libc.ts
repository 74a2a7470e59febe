// SPDX-License-Identifier: Apache-2.0
/**
 * The one call that `node:fs` does not offer: `fcntl` with a record lock, by way of each runtime's foreign
 * function interface.
 */
import process from "node:process";
import { runtimeName } from "./name.ts";

/** `fcntl(descriptor, command, lock)`: 0, or -1 when the system refuses. `lock` is read and written. */
export type Fcntl = (descriptor: number, command: number, lock: Uint8Array) => number;

/** glibc; musl under the name that Alpine gives it. */
const LIBRARIES: Record<string, readonly string[]> = {
  linux: ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`],
  darwin: ["/usr/lib/libSystem.B.dylib"],
};

/**
 * Apple's arm64 passes the variable arguments of a C function on the stack only; six idle ones fill the
 * registers, so that the lock goes where `fcntl` looks for it.
 */
const idleArguments = process.platform === "darwin" && process.arch === "arm64" ? 6 : 0;

let fcntl: Promise<Fcntl> | undefined;

/** Finds `fcntl` of the C library that this process uses. @throws where there is none that we know */
export function loadFcntl(): Promise<Fcntl> {
  fcntl ??= load();
  return fcntl;
}

async function load(): Promise<Fcntl> {
  const names = LIBRARIES[process.platform];
  if (names === undefined) {
    throw new Error(`files can't be locked on ${process.platform} yet, only on Linux and macOS`);
  }
  const errors: unknown[] = [];
  for (const name of names) {
    try {
      return runtimeName === "deno" ? openOnDeno(name) : await openOnBun(name);
    } catch (error) {
      errors.push(error);
    }
  }
  throw new AggregateError(errors, `the C library can't be called: ${errors.map(String).join("; ")}`);
}

function openOnDeno(name: string): Fcntl {
  const idle = Array<"u64">(idleArguments).fill("u64");
  const library = Deno.dlopen(name, {
    fcntl: { parameters: ["i32", "i32", ...idle, "buffer"], result: "i32" },
  });
  const call = library.symbols.fcntl as (...values: unknown[]) => number;
  const zeros = idle.map(() => 0n);
  return (descriptor, command, lock) => call(descriptor, command, ...zeros, lock);
}

async function openOnBun(name: string): Promise<Fcntl> {
  // A name in a variable: Deno would look for the module when it checks types.
  const module = "bun:ffi";
  const { dlopen } = await import(module);
  const idle = Array<"u64">(idleArguments).fill("u64");
  const { symbols } = dlopen(name, { fcntl: { args: ["i32", "i32", ...idle, "ptr"], returns: "i32" } });
  const zeros = idle.map(() => 0n);
  return (descriptor, command, lock) => symbols.fcntl(descriptor, command, ...zeros, lock);
}
