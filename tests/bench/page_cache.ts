// SPDX-License-Identifier: Apache-2.0
/** Files out of the page cache, and how much of them is in it: without root's tools, for files that nobody maps. */
import { execFileSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/**
 * Asks the kernel (posix_fadvise, by coreutils' dd) to forget the pages of all files below `directory`; what is not
 * on the disk yet is written first. Pages that a process has mapped and touched stay.
 * @returns whether it could be asked
 */
export function dropFromPageCache(directory: string): boolean {
  execFileSync("sync");
  try {
    for (const { file } of filesBelow(directory)) {
      execFileSync("dd", [`if=${file}`, "iflag=nocache", "count=0", "status=none"], { stdio: "ignore" });
    }
    return true;
  } catch {
    return false;
  }
}

/** The share of these files' bytes that are in the page cache; undefined without util-linux's fincore. */
export function shareInPageCache(files: readonly StoredFile[]): number | undefined {
  if (files.length === 0) return 0;
  try {
    const printed = execFileSync(
      "fincore",
      ["-b", "-n", "-r", "-o", "RES", ...files.map(({ file }) => file)],
      {
        encoding: "utf8",
      },
    );
    const resident = printed.trim().split("\n").reduce((sum, line) => sum + Number(line), 0);
    return resident / files.reduce((sum, { bytes }) => sum + bytes, 0);
  } catch {
    return undefined;
  }
}

/** What a reader of figures must know about a log that was to be read from the disk; undefined where it was. */
export function warmth(dropped: boolean, share: number | undefined): string | undefined {
  if (!dropped) return "warm: nothing here can drop files from the page cache";
  if (share === undefined) return "how much was in the page cache is unknown";
  return share > COLD_SHARE ? `warm: ${(share * 100).toFixed(0)} % in the page cache` : undefined;
}

/** Also what a server reads of its log when it starts. */
const COLD_SHARE = 0.05;

export interface StoredFile {
  readonly file: string;
  readonly bytes: number;
}

/** Files that have blocks: preallocated ones that are empty don't count. */
export function filesBelow(directory: string): StoredFile[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const file = join(entry.parentPath, entry.name);
      const { size, blocks } = statSync(file);
      return { file, bytes: Math.min(size, blocks * 512) };
    })
    .filter(({ bytes }) => bytes > 0);
}
