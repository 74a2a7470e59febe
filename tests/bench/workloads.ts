// SPDX-License-Identifier: Apache-2.0
/** What the peers are measured with: each workload is one run of the generator, on topics of its own. */

export type FlushMode = "ASYNC_FLUSH" | "SYNC_FLUSH";

/** What a client does, for the processor time that it costs the broker per message. */
export type ClientAct = "send" | "transaction" | "read" | "read-sql" | "pop";

export interface Workload {
  /** As in the table and for `--only`. */
  readonly name: string;
  readonly flush: FlushMode;
  /** How messages are sent, or read, while measuring. */
  readonly kind: "send" | "consume" | "e2e" | "client";
  /** Of `client`: what our own client does; the generator can't. */
  readonly act?: ClientAct;
  /** Of `consume`: after a restart, with the log out of the page cache. */
  readonly cold?: boolean;
  readonly connections: number;
  /** Requests in flight per connection. */
  readonly window: number;
  readonly bodyBytes: number;
  /** Messages per request. */
  readonly batch: number;
  /** What every message asks for beside being stored, such as a delay. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Messages per second; undefined: as fast as answers come. */
  readonly rate?: number;
}

/** Bodies unless a workload says otherwise. */
const BODY_BYTES = 256;

/** Requests that our own client keeps in flight, or queues that it reads at once. */
export const CLIENT_WINDOW = 8;

export const WORKLOADS: readonly Workload[] = [
  send("1x1", 1, 1),
  send("1x64", 1, 64),
  send("8x64", 8, 64),
  send("64x1", 64, 1),
  send("1000x1", 1000, 1),
  { ...send("8x64-1KiB", 8, 64), bodyBytes: 1024 },
  { ...send("8x8-64KiB", 8, 8), bodyBytes: 64 * 1024 },
  { ...send("batch-32", 8, 4), batch: 32 },
  // at a rate that both can deliver, so that the processor time is that of storing and of delivering
  { ...send("plain-5000", 1, 1024), rate: 5000 },
  { ...send("delay-level-5000", 1, 1024), rate: 5000, properties: { DELAY: "1" } },
  { ...send("timer-5000", 1, 1024), rate: 5000, properties: { TIMER_DELAY_MS: "1000" } },
  { ...send("backlog", 8, 1), kind: "consume" },
  { ...send("e2e-5000", 1, 1024), kind: "e2e", rate: 5000 },
  client("client-send", "send"),
  client("client-transaction", "transaction"),
  client("client-read", "read"),
  client("client-read-sql", "read-sql"),
  client("client-pop", "pop"),
  // the last of them, for the server is started again
  { ...send("backlog-disk", 8, 1), kind: "consume", cold: true },
  { ...send("sync-1x1", 1, 1), flush: "SYNC_FLUSH" },
  { ...send("sync-64x1", 64, 1), flush: "SYNC_FLUSH" },
  { ...send("sync-8x64", 8, 64), flush: "SYNC_FLUSH" },
];

function send(name: string, connections: number, window: number): Workload {
  return { name, flush: "ASYNC_FLUSH", kind: "send", connections, window, bodyBytes: BODY_BYTES, batch: 1 };
}

function client(name: string, act: ClientAct): Workload {
  return { ...send(name, 1, CLIENT_WINDOW), kind: "client", act };
}

/** The shapes that NATS is compared at. */
export const NATS_WORKLOADS: readonly string[] = ["1x1", "1x64", "8x64", "64x1"];

/** The workloads of these names, in the table's order; all without names. @throws where there is none of a name */
export function chooseWorkloads(names: readonly string[] | undefined): readonly Workload[] {
  for (const name of names ?? []) {
    if (WORKLOADS.some((workload) => workload.name === name)) continue;
    throw new Error(`no workload ${name}; there are ${WORKLOADS.map((known) => known.name).join(", ")}`);
  }
  return WORKLOADS.filter(({ name }) => names === undefined || names.includes(name));
}

/** Whether the generator's own limit can be found with a server that does nothing, which takes few connections. */
export function hasLimit({ kind, rate, flush, connections }: Workload): boolean {
  return kind === "send" && rate === undefined && flush === "ASYNC_FLUSH" && connections <= 100;
}

const ACTS: Readonly<Record<ClientAct, string>> = {
  send: "one sends",
  transaction: "one sends half messages and commits them",
  read: "one reads by pulls",
  "read-sql": "one reads by pulls with an SQL92 expression",
  pop: "one pops and acknowledges each",
};

/** What the table says about a workload. */
export function describe(workload: Workload): string {
  const { kind, connections, window, bodyBytes, batch, rate, flush, properties = {} } = workload;
  const size = bodyBytes % 1024 === 0 ? `${bodyBytes / 1024} KiB` : `${bodyBytes} B`;
  if (kind === "client") return `own client: ${ACTS[workload.act!]}, ${size}`;
  if (kind === "consume") {
    return `read a backlog${
      workload.cold ? " that is only on the disk" : ""
    }, ${connections} connections, ${size}`;
  }
  if (kind === "e2e") return `end to end at ${rate} msgs/s, ${size}`;
  if (rate !== undefined) {
    const asked = Object.entries(properties).map(([name, value]) => `${name}=${value}`).join(", ");
    return `${asked === "" ? "plain" : asked}, at ${rate} msgs/s, ${size}`;
  }
  const messages = batch === 1 ? size : `batches of ${batch} × ${size}`;
  return `${connections} × ${window}, ${messages}${flush === "SYNC_FLUSH" ? ", SYNC_FLUSH" : ""}`;
}
