// SPDX-License-Identifier: Apache-2.0
// Writes docs/configuration.md (`deno task docs`). A test checks that the page is the current one.
import { writeFileSync } from "node:fs";
import { configurationPage } from "./documentation.ts";

writeFileSync(new URL("../../docs/configuration.md", import.meta.url), configurationPage());
