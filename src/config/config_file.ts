// SPDX-License-Identifier: Apache-2.0
import * as fs from "node:fs";
import { replaceFile } from "../base/replace_file.ts";
import { ConfigError } from "./config_error.ts";
import {
  bytesOfText,
  editProperties,
  parseProperties,
  PropertiesSyntaxError,
  textOfBytes,
  writeProperties,
} from "./properties_file.ts";
import type { Source } from "./resolve.ts";

/** A properties file as a source. @throws ConfigError if it can't be read as one */
export function readConfigFile(path: string): Source {
  const text = textOfBytes(readBytes(path));
  try {
    return { name: path, entries: parseProperties(text) };
  } catch (error) {
    if (!(error instanceof PropertiesSyntaxError)) throw error;
    const problem = { place: `${path}:${error.line}`, key: undefined, message: `${error.message}.` };
    throw new ConfigError([problem], { cause: error });
  }
}

function readBytes(path: string): Uint8Array {
  try {
    return fs.readFileSync(path);
  } catch (error) {
    const message = `The configuration file ${path} can't be read: ${(error as Error).message}.`;
    throw new ConfigError([{ place: undefined, key: undefined, message }], { cause: error });
  }
}

/**
 * Changes keys in a file and keeps everything else in it; the old file stays beside it as `.bak`. A file that
 * is missing is made, with its directory. After a crash there is the old or the new file. Durable on return.
 *
 * @throws errors of `node:fs`; the file is then as it was
 */
export function changeConfigFile(path: string, changes: ReadonlyMap<string, string>): void {
  if (!fs.existsSync(path)) return replaceFile(path, bytesOfText(writeProperties(changes)));
  // The link stays, its target changes.
  const target = fs.realpathSync(path);
  const edited = editProperties(textOfBytes(fs.readFileSync(target)), changes);
  replaceFile(target, bytesOfText(edited), `${target}.bak`);
}
