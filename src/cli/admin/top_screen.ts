// SPDX-License-Identifier: Apache-2.0
import { type Column, cutTo, layOut } from "./columns.ts";
import { behindCell } from "./group_lag.ts";
import type { Output } from "./output.ts";
import { formatAge, formatDuration, formatRate } from "./text.ts";
import type { GroupRate, TopicRate, TopRates } from "./top_snapshot.ts";

export type View = "topics" | "groups" | "both";

export interface ScreenOptions {
  readonly view: View;
  readonly columns: number;
  readonly rows: number;
  /** What went wrong. */
  readonly notes: readonly string[];
  readonly intervalMs: number;
}

const TOPIC_COLUMNS: readonly Column[] = [
  { head: "TOPIC", isFlexible: true },
  { head: "IN/S", isNumber: true },
  { head: "MESSAGES", isNumber: true },
  { head: "LAST", isNumber: true },
];

const GROUP_COLUMNS: readonly Column[] = [
  { head: "GROUP", isFlexible: true },
  { head: "MEMBERS", isNumber: true },
  { head: "LAG", isNumber: true },
  { head: "CHANGE/S", isNumber: true },
  { head: "OUT/S", isNumber: true },
  { head: "BEHIND", isNumber: true },
];

/** What `rmq top` shows, as lines. */
export class TopScreen {
  readonly #out: Pick<Output, "colour">;

  constructor(out: Pick<Output, "colour">) {
    this.#out = out;
  }

  /** Everything, however long. */
  whole(rates: TopRates): string {
    const lines = [
      this.#summary(rates),
      "",
      ...this.#topics(rates, Infinity, undefined),
      "",
      ...this.#groups(rates, Infinity, undefined),
    ];
    return `${lines.join("\n")}\n`;
  }

  /** At most so many lines as the terminal has; the topics get what the groups leave, and the other way round. */
  lines(rates: TopRates, options: ScreenOptions): string[] {
    const { view, columns, rows, notes, intervalMs } = options;
    const colour = this.#out.colour.bind(this.#out);
    const keys = cutTo(`every ${formatDuration(intervalMs)}   t topics  g groups  b both  q quit`, columns);
    const head = [cutTo(this.#summary(rates), columns), colour(keys, "dim"), ""];
    const foot = notes.slice(0, 3).map((note) => colour(cutTo(note, columns), "red"));
    const room = Math.max(2, rows - head.length - foot.length);
    const body: string[] = [];
    if (view === "topics") body.push(...this.#topics(rates, room, columns));
    else if (view === "groups") body.push(...this.#groups(rates, room, columns));
    else {
      // Two headings, and an empty line between.
      const free = Math.max(2, room - 3);
      const half = Math.floor(free / 2);
      const groupCount = Math.min(rates.groups.length, Math.max(half, free - rates.topics.length));
      body.push(...this.#topics(rates, free - groupCount + 1, columns), "");
      body.push(...this.#groups(rates, groupCount + 1, columns));
    }
    return [...head, ...body, ...foot].slice(0, rows);
  }

  #summary(rates: TopRates): string {
    const { inPerSecond, outPerSecond, lag, measuredMs } = rates;
    const time = new Date().toTimeString().slice(0, 8);
    const flow = measuredMs === 0
      ? "measuring"
      : `in ${formatRate(inPerSecond)}/s  out ${formatRate(outPerSecond)}/s`;
    return `rmq top  ${time}  ${flow}  lag ${lag}  ${rates.topics.length} topics  ${rates.groups.length} groups`;
  }

  /** @param room lines, the heading among them */
  #topics({ topics, measuredMs }: TopRates, room: number, columns: number | undefined): string[] {
    if (topics.length === 0) return [this.#out.colour("no topics", "dim")];
    const nowMs = Date.now();
    return this.#table(
      TOPIC_COLUMNS,
      topics,
      ({ topic, inPerSecond, messages, lastMessageMs }: TopicRate) => [
        topic,
        measuredMs === 0 ? "-" : formatRate(inPerSecond),
        messages,
        formatAge(lastMessageMs, nowMs),
      ],
      room,
      columns,
    );
  }

  #groups({ groups, measuredMs }: TopRates, room: number, columns: number | undefined): string[] {
    if (groups.length === 0) return [this.#out.colour("no groups", "dim")];
    return this.#table(
      GROUP_COLUMNS,
      groups,
      ({ group, members, lag, lagPerSecond, outPerSecond, behindMs }: GroupRate) => [
        group,
        members === 0 && lag > 0 ? { text: "0", colour: "red" as const } : members,
        lag,
        measuredMs === 0 ? "-" : signed(lagPerSecond),
        measuredMs === 0 ? "-" : formatRate(outPerSecond),
        behindCell(behindMs ?? undefined),
      ],
      room,
      columns,
    );
  }

  #table<T>(
    columns: readonly Column[],
    items: readonly T[],
    cellsOf: (item: T) => Parameters<typeof layOut>[0]["rows"][number],
    room: number,
    terminalColumns: number | undefined,
  ): string[] {
    const rows = items.slice(0, Math.max(0, room - 1)).map(cellsOf);
    const paint = (text: string, ...how: Parameters<Output["colour"]>[1][]) => this.#out.colour(text, ...how);
    return layOut({ columns, rows }, terminalColumns, paint).trimEnd().split("\n");
  }
}

function signed(perSecond: number): string {
  if (perSecond === 0) return "0";
  return `${perSecond > 0 ? "+" : "-"}${formatRate(Math.abs(perSecond))}`;
}
