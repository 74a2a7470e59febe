// SPDX-License-Identifier: Apache-2.0
/**
 * Preloaded by the test task on Deno (`--preload`): an error that no test caught fails the file it came from.
 *
 * Once a file has registered a test with `node:test`, Deno 2.9 no longer reports what is thrown outside of tests:
 * neither by the file itself nor by a timer or event listener while a test runs. Bun reports both.
 */
const uncaught: unknown[] = [];

globalThis.addEventListener("error", (event) => {
  uncaught.push(event.error);
});
globalThis.addEventListener("unhandledrejection", (event) => {
  uncaught.push(event.reason);
});

Deno.test.afterAll(() => {
  if (uncaught.length > 0) throw new AggregateError(uncaught, "errors that no test caught");
});
