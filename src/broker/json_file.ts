// SPDX-License-Identifier: Apache-2.0
/**
 * One table of the broker as Apache keeps it: `config/<name>.json`, with the content before in `.bak`. Either
 * side reads what the other wrote. A table that can't be read is an error, never an empty table: a broker that
 * forgot its consumer offsets would skip or repeat everything.
 */
import { getLogger } from "@logtape/logtape";
import { dirname } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { Clock, Timer } from "../base/clock.ts";
import type { JsonObject } from "../protocol/bodies/json_fields.ts";
import { MalformedError } from "../protocol/header.ts";
import { parseJsonObject } from "../protocol/java_json.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import { RemotingError } from "../remoting/remoting_error.ts";
import type { Files } from "../store/files.ts";

const logger = getLogger(["rmq", "broker"]);

/** How long a write that failed waits for its next try. */
const RETRY_MS = 5000;

/** Neither the file nor its backup can be read. Nothing was changed. */
export class ConfigFileError extends Error {
  override name = "ConfigFileError";

  constructor(readonly path: string, message: string, options?: { cause?: unknown }) {
    super(`${path}: ${message}`, options);
  }
}

export class JsonFile {
  readonly #files: Files;
  readonly #clock: Clock;
  readonly #path: string;
  readonly #backup: string;
  /** Off while the backup holds the only readable content. */
  #replacesBackup = true;
  #pending: { content: () => unknown; timer: Timer } | undefined;

  constructor(files: Files, clock: Clock, path: string) {
    this.#files = files;
    this.#clock = clock;
    this.#path = path;
    this.#backup = `${path}.bak`;
  }

  /**
   * What `decode` makes of the file, or of its backup where the file is missing, empty or broken; undefined
   * where there is neither. A `MalformedError` thrown by `decode` counts as broken.
   * @throws ConfigFileError when there is something, but nothing that can be read
   */
  load<T>(decode: (object: JsonObject) => T): T | undefined {
    const main = this.#read(this.#path, decode);
    if (main.kind === "value") return main.value;
    const backup = this.#read(this.#backup, decode);
    if (backup.kind === "value") {
      this.#replacesBackup = false;
      const reason = main.kind === "broken" ? main.error.message : `it is ${main.kind}`;
      logger.warn("{path} can't be read ({reason}): its backup is used", { path: this.#path, reason });
      return backup.value;
    }
    const broken = main.kind === "broken" ? main : backup.kind === "broken" ? backup : undefined;
    if (broken !== undefined) {
      const message =
        `it can't be read, and neither can its .bak (${broken.error.message}); restore one of the two, ` +
        "or remove both to start with an empty table";
      throw new ConfigFileError(this.#path, message, { cause: broken.error });
    }
    if (main.kind === "empty" || backup.kind === "empty") {
      logger.warn("{path} is empty and so is the table", { path: this.#path });
    }
    return undefined;
  }

  /** Writes `value` (as for `stringifyJson`); durable on return. @throws RemotingError when it can't be written */
  write(value: unknown): void {
    const content = new TextEncoder().encode(formatJson(value));
    try {
      this.#files.replace(this.#path, content, this.#replacesBackup ? this.#backup : undefined);
    } catch (error) {
      throw new RemotingError(
        ResponseCode.SYSTEM_ERROR,
        `${this.#path} can't be written: ${messageOf(error)}`,
        {
          cause: error,
        },
      );
    }
    this.#replacesBackup = true;
    this.#pending?.timer.cancel();
    this.#pending = undefined;
  }

  /**
   * Writes soon what `content` gives then, once for all calls before; a failure is logged and tried again. For
   * changes that would come about again by themselves if they were lost.
   */
  writeSoon(content: () => unknown): void {
    if (this.#pending === undefined) this.#schedule(content, 0);
    else this.#pending.content = content;
  }

  /** Writes now what was to be written soon. @throws RemotingError when it can't be written */
  flush(): void {
    if (this.#pending !== undefined) this.write(this.#pending.content());
  }

  /**
   * Writes pieces of text, and leaves the loop free between them and while their bytes go to the device; only
   * the new name is synced at once. Durable when the promise resolves. Only one call at a time, and none of
   * `write` meanwhile.
   */
  async writeInPieces(pieces: Iterable<string>): Promise<void> {
    const temporary = `${this.#path}.tmp`;
    this.#files.remove(temporary);
    const file = this.#files.create(temporary, 0);
    try {
      let position = 0;
      for (const piece of pieces) {
        const bytes = new TextEncoder().encode(piece);
        file.writeAt(bytes, position);
        position += bytes.length;
        await setImmediate();
      }
      await file.sync();
    } finally {
      file.close();
    }
    if (this.#replacesBackup && this.#files.stat(this.#path) !== undefined) {
      this.#files.rename(this.#path, this.#backup);
    }
    this.#files.rename(temporary, this.#path);
    this.#files.syncDirectory(dirname(this.#path));
    this.#replacesBackup = true;
  }

  #schedule(content: () => unknown, delayMs: number): void {
    const timer = this.#clock.after(delayMs, () => {
      const { content } = this.#pending!;
      try {
        this.write(content());
      } catch (error) {
        logger.error("{error}; tried again in {seconds} s", { error, seconds: RETRY_MS / 1000 });
        this.#schedule(content, RETRY_MS);
      }
    });
    this.#pending = { content, timer };
  }

  #read<T>(path: string, decode: (object: JsonObject) => T): ReadOutcome<T> {
    let bytes: Uint8Array;
    try {
      bytes = this.#files.read(path);
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT") return { kind: "missing" };
      return { kind: "broken", error: error instanceof Error ? error : new Error(String(error)) };
    }
    if (bytes.length === 0) return { kind: "empty" };
    try {
      return { kind: "value", value: decode(parseJsonObject(bytes)) };
    } catch (error) {
      if (error instanceof MalformedError) return { kind: "broken", error };
      throw error;
    }
  }
}

type ReadOutcome<T> =
  | { kind: "value"; value: T }
  | { kind: "missing" }
  | { kind: "empty" }
  | { kind: "broken"; error: Error };

/** JSON text as Apache lays it out: one member a line, indented by tabs, absent members left out. */
export function formatJson(value: unknown, indent = ""): string {
  if (value === null || value === undefined || typeof value !== "object") {
    return JSON.stringify(value ?? null);
  }
  const inner = `${indent}\t`;
  const isArray = Array.isArray(value);
  const lines: string[] = [];
  if (isArray) {
    for (const item of value) lines.push(inner + formatJson(item, inner));
  } else {
    for (const [key, item] of value instanceof Map ? value : Object.entries(value)) {
      if (item === undefined || item === null) continue;
      lines.push(`${inner}${JSON.stringify(String(key))}:${formatJson(item, inner)}`);
    }
  }
  const [open, close] = isArray ? "[]" : "{}";
  return lines.length === 0 ? open + close : `${open}\n${lines.join(",\n")}\n${indent}${close}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
