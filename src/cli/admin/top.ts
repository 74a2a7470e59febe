// SPDX-License-Identifier: Apache-2.0
import { setTimeout } from "node:timers/promises";
import { UsageError } from "../args.ts";
import { parseDuration } from "../time_text.ts";
import { adminCommand, brokerOptions, type Context, FAILURES } from "./command.ts";
import { TopScreen, type View } from "./top_screen.ts";
import { type Snapshot, takeSnapshot, type TopRates, topRates } from "./top_snapshot.ts";

const DEFAULT_INTERVAL_MS = 2000;
/** Over how long the rates of groups are measured: some of the intervals in which consumers commit. */
const GROUP_WINDOW_MS = 15_000;

const options = {
  ...brokerOptions,
  interval: { short: "i", value: "TIME", help: "Between two looks (default 2s)" },
  all: { short: "a", help: "Retry, dead-letter and system topics, and groups of tools, too" },
  once: { help: "Print once, as it does where the output is no terminal" },
} as const;

export const topCommand = adminCommand({
  name: "top",
  summary: "Show rates and lag of topics and groups as they change",
  help:
    "Rates of topics are counted between two looks at their queues' ends; those of groups over some 15 seconds, for " +
    "consumers commit every five. Keys: t topics only, g " +
    "groups only, b both, q or ctrl-c ends it. Not on a terminal it measures once, prints, and ends.",
  operands: [{ name: "PATTERN", isOptional: true, kind: "topic" }],
  options,
  examples: [
    ["top", "everything of users, the busiest topics and the furthest behind groups first"],
    ["top 'order*' -i 5s", "topics and groups whose names match, every five seconds"],
    ["top --json", "one measurement, for a program"],
  ],
  json: `{"inPerSecond", "outPerSecond", "lag", "measuredMs",
 "topics": [{"topic", "inPerSecond", "messages", "lastMessageMs"}],
 "groups": [{"group", "members", "lag", "outPerSecond", "lagPerSecond", "behindMs"}],
 ${FAILURES}}`,
  run: top,
});

async function top(context: Context<typeof options>): Promise<void> {
  const { given, out, surroundings } = context;
  const intervalMs = given.interval === undefined ? DEFAULT_INTERVAL_MS : parseDuration(given.interval);
  if (!intervalMs) throw new UsageError(`--interval takes a time such as 5s, not ${given.interval}.`);
  const { terminal, readKeys } = surroundings;
  if (out.isJson || given.once || terminal === undefined || readKeys === undefined) {
    return await once(context, intervalMs);
  }
  await live(context, intervalMs);
}

function look({ cluster, given, operands }: Context<typeof options>): Promise<Snapshot> {
  cluster.forget();
  return takeSnapshot(cluster, { ...given, pattern: operands[0] });
}

async function once(context: Context<typeof options>, intervalMs: number): Promise<void> {
  const { cluster, out } = context;
  const before = await look(context);
  await setTimeout(intervalMs);
  const rates = topRates(before, await look(context));
  if (out.isJson) return await out.json({ ...rates, failures: cluster.failures });
  const screen = new TopScreen(out);
  await out.write(screen.whole(rates));
}

/** A look asks brokers about every topic. Where that takes long, they are given time between two looks. */
const RESTS_PER_LOOK = 4;

const ALTERNATE_SCREEN = "\x1b[?1049h\x1b[?25l";
const NORMAL_SCREEN = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const ERASE_LINE_REST = "\x1b[K";
const ERASE_SCREEN_REST = "\x1b[J";

const VIEW_KEYS: Readonly<Record<string, View>> = { t: "topics", g: "groups", b: "both" };

async function live(context: Context<typeof options>, intervalMs: number): Promise<void> {
  const { cluster, out, surroundings } = context;
  // The first look tells on the normal screen what is wrong with the cluster.
  const looks = [await look(context)];
  let rates: TopRates | undefined;
  let lookMs = 0;
  let problem: string | undefined;
  let view: View = "both";
  let wake = () => {};
  let isStopped = false;
  const stop = () => {
    isStopped = true;
    wake();
  };
  void surroundings.stopRequested.then(stop);
  const screen = new TopScreen(out);
  const draw = async () => {
    const { columns, rows } = surroundings.terminal!;
    const failures = cluster.failures.map(({ peer, error }) => `${peer}: ${error}`);
    const notes = problem === undefined ? failures : [problem, ...failures];
    const lines = screen.lines(rates ?? topRates(looks[0], looks[0]), {
      view,
      columns,
      rows,
      notes,
      intervalMs,
    });
    const text = lines.map((line) => `${line}${ERASE_LINE_REST}`).join("\r\n");
    await out.write(`${HOME}${text}${ERASE_SCREEN_REST}`);
  };
  await out.write(ALTERNATE_SCREEN);
  const endKeys = surroundings.readKeys!((key) => {
    if (key === "q" || key === "\x03" || key === "\x04") return stop();
    if (VIEW_KEYS[key] === undefined) return;
    view = VIEW_KEYS[key];
    void draw().catch(stop);
  });
  try {
    while (!isStopped) {
      await draw();
      await new Promise<void>((resolve) => {
        const timer = globalThis.setTimeout(resolve, Math.max(intervalMs, lookMs * RESTS_PER_LOOK));
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      if (isStopped) break;
      cluster.failures.length = 0;
      try {
        const startMs = performance.now();
        const now = await look(context);
        lookMs = performance.now() - startMs;
        while (looks.length > 1 && now.takenMs - looks[1].takenMs >= GROUP_WINDOW_MS) looks.shift();
        rates = topRates(looks.at(-1)!, now, looks[0]);
        looks.push(now);
        problem = undefined;
      } catch (error) {
        // The cluster may come back: what was known stays on the screen.
        problem = error instanceof Error ? error.message : String(error);
      }
    }
  } finally {
    endKeys();
    await out.write(NORMAL_SCREEN).catch(() => {});
    cluster.failures.length = 0;
  }
}
