// SPDX-License-Identifier: Apache-2.0
// Makes the single executable from src/main.ts. Runs on Deno (`deno task build`) and on Bun (`bun build.ts`).
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HELP = `Makes the single executable dist/rmq from src/main.ts.

  deno task build [options]     or     bun build.ts [options]

By default Bun compiles: it copies itself and the bundled program into one file, and needs no network.
\`bun\` is taken from the PATH; without it, npx fetches bun@BUN_VERSION from the npm registry.

  --deno            Let Deno compile instead. It downloads its runtime (denort) from dl.deno.land first,
                    so a machine without that access can't. Slower at run time than the Bun executable.
  --target TARGET   For another platform, as the compiler names it (bun-linux-arm64, aarch64-unknown-linux-gnu).
                    Both compilers download the other platform's runtime.
  --out FILE        Instead of dist/rmq
`;

/** The versions that the project is tested with. */
const BUN_VERSION = "1.4.5";
const DENO_VERSION = "2.9.6";

const root = dirname(fileURLToPath(import.meta.url));

/**
 * Bun: byte code halves the time to start, source maps keep file names and lines in logged stack traces,
 * splitting keeps what is imported lazily out of the way (without it, Bun wraps every module that a lazy one
 * shares with the servers), and a server must not take settings from a stray .env or bunfig.toml in the directory it is started in.
 * Not minified: that gains no time and loses the function names.
 */
const BUN_COMPILE = [
  "build",
  "--compile",
  "--bytecode",
  "--format=esm",
  "--sourcemap=inline",
  "--splitting",
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
];

function main(): number {
  const { values } = parseArgs({
    options: {
      deno: { type: "boolean", default: false },
      target: { type: "string" },
      out: { type: "string", default: join(root, "dist", "rmq") },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(HELP.replace("BUN_VERSION", BUN_VERSION));
    return 0;
  }
  const out = resolve(values.out);
  mkdirSync(dirname(out), { recursive: true });
  installDependencies();

  // Beside its place, because a running executable can't be written to, but its name can be given to another
  // file; in a directory, because Bun puts a copy of the source map beside the executable.
  const workshop = mkdtempSync(`${out}-`);
  try {
    const made = join(workshop, basename(out));
    const compiler = values.deno ? findDeno() : findBun();
    const args = values.deno
      ? ["compile", "--allow-all", ...option("--target", values.target), "--output", made]
      : [...BUN_COMPILE, ...option("--target", values.target), "--outfile", made];
    console.log(`Compiling src/main.ts with ${values.deno ? "Deno" : "Bun"} ${versionOf(compiler)}`);
    if (run([...compiler, ...args, "src/main.ts"]) !== 0) {
      console.error(values.deno ? "deno compile failed. (It must reach dl.deno.land.)" : "bun build failed.");
      return 1;
    }
    renameSync(made, out);
  } finally {
    rmSync(workshop, { recursive: true, force: true });
  }
  const megabytes = (statSync(out).size / 1e6).toFixed(1);
  console.log(`${relative(process.cwd(), out) || out}: ${megabytes} MB`);
  return 0;
}

/** Bun finds packages in node_modules only, which `deno install` makes from the imports in deno.json. */
function installDependencies(): void {
  const { imports } = JSON.parse(readFileSync(join(root, "deno.json"), "utf8"));
  if (Object.keys(imports).every((name) => existsSync(join(root, "node_modules", name)))) return;
  const install = [...findDeno(), "install"];
  console.log("Installing the dependencies");
  if (run(install) !== 0) throw new Error(`failed: ${install.join(" ")}`);
}

function findBun(): string[] {
  if (process.versions.bun) return [process.execPath];
  return isOnPath("bun") ? ["bun"] : ["npx", "-y", `bun@${BUN_VERSION}`];
}

function findDeno(): string[] {
  if (process.versions.deno) return [process.execPath];
  return isOnPath("deno") ? ["deno"] : ["npx", "-y", `deno@${DENO_VERSION}`];
}

function isOnPath(program: string): boolean {
  return spawnSync(program, ["--version"]).status === 0;
}

function versionOf([program, ...args]: string[]): string {
  const { stdout, error } = spawnSync(program, [...args, "--version"], { encoding: "utf8" });
  if (error) throw error;
  return stdout.split("\n")[0].replace(/^deno /, "");
}

function run([program, ...args]: string[]): number {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: "inherit" });
  if (error) throw error;
  return status ?? 1;
}

function option(name: string, value: string | undefined): string[] {
  return value === undefined ? [] : [`${name}=${value}`];
}

process.exit(main());
