// SPDX-License-Identifier: Apache-2.0
// Writes docs/commands.md (`deno task docs`). A test checks that the page is the current one.
import { writeFileSync } from "node:fs";
import { commandsPage } from "./documentation.ts";

writeFileSync(new URL("../../../docs/commands.md", import.meta.url), await commandsPage());
