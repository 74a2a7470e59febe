// SPDX-License-Identifier: Apache-2.0
/**
 * The real Apache RocketMQ from its release jars: its servers and any class of its class path, as child processes.
 *
 * The jars are fetched once with Maven and kept in `${APACHE_ROCKETMQ_CACHE:-$HOME/.cache/apache-rocketmq}/VERSION`; a
 * directory is whole when it holds `.complete`.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Child, runToEnd } from "./child.ts";

export type ApacheVersion = "5.4.0" | "4.9.7";

const here = fileURLToPath(new URL(".", import.meta.url));
const cache = process.env.APACHE_ROCKETMQ_CACHE ?? join(homedir(), ".cache", "apache-rocketmq");

/** Heap for the servers and drivers, and a JIT that favours a short life: most of these processes live for seconds. */
const SMALL = [
  "-Xms256m",
  "-Xmx512m",
  "-XX:MaxDirectMemorySize=512m",
  "-XX:+UseSerialGC",
  "-XX:TieredStopAtLevel=1",
];

/** What Apache's start scripts open to its store and to Netty. */
const OPENS = [
  "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
  "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
  "--add-opens=java.base/java.nio=ALL-UNNAMED",
  "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
];

/** Why tests against this version cannot run here, or undefined when they can. Fetches the jars when they are missing. */
export async function apacheMissing(version: ApacheVersion): Promise<string | undefined> {
  for (const tool of ["java", "javac", ...(isFetched(version) ? [] : ["mvn"])]) {
    if (!isOnPath(tool)) return `${tool} is not installed`;
  }
  try {
    await fetchRelease(version);
    return undefined;
  } catch (error) {
    const reason = (error as Error).message.split("\n").slice(0, 2).join(" ");
    return `the jars of Apache RocketMQ ${version} cannot be fetched: ${reason}`;
  }
}

export function classPath(version: ApacheVersion): string {
  return join(cache, version, "*");
}

/** Starts a Java class; `home` takes what Apache writes beside its store: logs, client offsets, generated settings. */
export async function startJava(
  version: ApacheVersion,
  mainClass: string,
  args: readonly string[],
  options: {
    name: string;
    home: string;
    classes?: string;
    systemProperties?: Record<string, string>;
    /** Options of the JVM itself, instead of those for a small and short life. */
    jvm?: readonly string[];
  },
): Promise<Child> {
  await writeHome(options.home);
  const path = options.classes ? `${options.classes}${delimiter}${classPath(version)}` : classPath(version);
  const properties = {
    // Whatever the locale of this machine: test data is in any script.
    "file.encoding": "UTF-8",
    "stdout.encoding": "UTF-8",
    "user.home": options.home,
    "java.io.tmpdir": options.home, // native libraries and keys that a killed JVM leaves behind
    "rmq.logback.configurationFile": join(options.home, "conf", "quiet.xml"),
    "rocketmq.client.logRoot": join(options.home, "logs"),
    ...options.systemProperties,
  };
  const defines = Object.entries(properties).map(([key, value]) => `-D${key}=${value}`);
  return new Child(
    "java",
    [...(options.jvm ?? SMALL), ...OPENS, ...defines, "-cp", path, mainClass, ...args],
    {
      name: options.name,
      // Some tools leave files where they are.
      cwd: options.home,
      env: { ROCKETMQ_HOME: options.home },
    },
  );
}

/** Compiles every `.java` file of the given directories against a version's class path. */
export async function compileJava(
  version: ApacheVersion,
  files: readonly string[],
  target: string,
): Promise<void> {
  const args = [
    "-nowarn",
    "-encoding",
    "UTF-8",
    "-XDuseUnsharedTable=true",
    "-proc:none",
    "-d",
    target,
    "-cp",
    classPath(version),
    ...files,
  ];
  await runToEnd("javac", ["-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", ...args], { name: "javac" });
}

/** Starts Apache's name server and waits for its boot line. */
export async function startApacheNameServer(
  version: ApacheVersion,
  file: string,
  home: string,
): Promise<Child> {
  const options = { name: `apache-${version}-namesrv`, home };
  const child = await startJava(version, "org.apache.rocketmq.namesrv.NamesrvStartup", ["-c", file], options);
  await child.waitForLine(/The Name Server boot success/, 60_000);
  return child;
}

/** Starts Apache's broker and waits for its boot line. */
export async function startApacheBroker(version: ApacheVersion, file: string, home: string): Promise<Child> {
  const options = { name: `apache-${version}-broker`, home };
  const child = await startJava(version, "org.apache.rocketmq.broker.BrokerStartup", ["-c", file], options);
  await child.waitForLine(/^The broker\[.*boot success/, 90_000);
  return child;
}

function isFetched(version: ApacheVersion): boolean {
  return existsSync(join(cache, version, ".complete"));
}

async function fetchRelease(version: ApacheVersion): Promise<void> {
  if (isFetched(version)) return;
  await mkdir(cache, { recursive: true });
  const directory = await mkdtemp(join(cache, `${version}-`));
  try {
    const goal = ["dependency:copy-dependencies", `-DoutputDirectory=${directory}`];
    const args = ["-q", "-B", "-f", join(here, "pom.xml"), `-Drocketmq.version=${version}`, ...goal];
    await runToEnd("mvn", args, { name: "mvn" });
    await writeFile(join(directory, ".complete"), "");
    if (isFetched(version)) return; // another test file was quicker
    await rm(join(cache, version), { recursive: true, force: true });
    await rename(directory, join(cache, version));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function isOnPath(tool: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((directory) => existsSync(join(directory, tool)));
}

/** A 4.x server ends at once without its logback files; 5.x fills the standard output without one. */
async function writeHome(home: string): Promise<void> {
  await mkdir(join(home, "conf"), { recursive: true });
  await mkdir(join(home, "logs"), { recursive: true });
  await writeFile(join(home, "conf", "quiet.xml"), `<configuration><root level="OFF"/></configuration>`);
  for (const role of ["namesrv", "broker", "tools"]) {
    const file = join(home, "logs", `${role}.log`);
    const text =
      `<configuration><appender name="F" class="ch.qos.logback.core.FileAppender"><file>${file}</file>
<encoder><pattern>%d{HH:mm:ss.SSS} %p %logger{0} - %m%n</pattern></encoder></appender>
<root level="WARN"><appender-ref ref="F"/></root></configuration>`;
    await writeFile(join(home, "conf", `logback_${role}.xml`), text);
  }
}
