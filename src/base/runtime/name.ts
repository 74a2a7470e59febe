// SPDX-License-Identifier: Apache-2.0

/** What runs this program. `node:` APIs are the same on both; what differs is kept in this directory. */
export const runtimeName: "bun" | "deno" = "Deno" in globalThis ? "deno" : "bun";
