// SPDX-License-Identifier: Apache-2.0
/**
 * A network in memory for byte pipes, driven step by step from a seed: it delays, cuts streams anywhere, loses
 * connections so that both, one or none of the ends is told, and keeps hosts apart. Within one direction bytes keep
 * their order, as in TCP.
 */
import { Buffer } from "node:buffer";
import type { BytePipe, Network, PipeListener, PipeServer } from "../../src/replication/pipe.ts";
import type { ManualClock } from "./manual_clock.ts";
import type { SeededRandom } from "./seeded_random.ts";

/** What a sender's kernel takes of a direction before the receiver has read it. */
const WINDOW_BYTES = 16 << 10;

/** One end's bytes on their way to the other. */
class Direction {
  readonly from: MemoryPipe;
  readonly to: MemoryPipe;
  /** Handed over, but not taken by the kernel. */
  readonly offered: { bytes: Buffer; onTaken: () => void }[] = [];
  #taken: Buffer[] = [];
  #takenBytes = 0;
  /** The sender has closed: what was taken still comes, then the end. */
  hasEnd = false;

  constructor(from: MemoryPipe, to: MemoryPipe) {
    this.from = from;
    this.to = to;
  }

  get canMove(): boolean {
    return this.#canTake || this.#takenBytes > 0 && this.to.isReading || this.hasEnd && this.to.isOpen;
  }

  get #canTake(): boolean {
    return this.offered.length > 0 && this.#takenBytes < WINDOW_BYTES && this.from.isOpen;
  }

  move(random: SeededRandom): void {
    if (this.#canTake && (this.#takenBytes === 0 || random.next() < 0.5)) return this.#take();
    if (this.#takenBytes > 0 && this.to.isReading) return this.#deliver(random);
    if (this.#canTake) return this.#take();
    if (this.hasEnd && this.#takenBytes === 0) this.to.ends("ended by the peer");
    else if (this.hasEnd && !this.to.isReading) this.to.ends("reset by the peer");
  }

  #take(): void {
    const { bytes, onTaken } = this.offered.shift()!;
    this.#taken.push(Buffer.from(bytes));
    this.#takenBytes += bytes.length;
    onTaken();
  }

  #deliver(random: SeededRandom): void {
    const all = Buffer.concat(this.#taken);
    const count = random.next() < 0.4 ? all.length : random.between(1, all.length);
    const bytes = Buffer.from(all.subarray(0, count));
    this.#taken = count < all.length ? [Buffer.from(all.subarray(count))] : [];
    this.#takenBytes = all.length - count;
    this.to.receives(bytes);
    // Whoever keeps bytes that it may not keep finds something else in them.
    bytes.fill(0xee);
  }
}

class MemoryPipe implements BytePipe {
  readonly remote: string;
  readonly host: string;
  readonly #isAlive: () => boolean;
  isOpen = true;
  #isPaused = false;
  #listener: PipeListener | undefined;
  outgoing!: Direction;

  constructor(host: string, isAlive: () => boolean, remote: string) {
    this.host = host;
    this.#isAlive = isAlive;
    this.remote = remote;
  }

  get isReading(): boolean {
    return this.isOpen && this.#isAlive() && !this.#isPaused && this.#listener !== undefined;
  }

  listen(listener: PipeListener): void {
    this.#listener = listener;
  }

  write(bytes: Buffer, onTaken: () => void): void {
    if (this.isOpen && this.#isAlive()) this.outgoing.offered.push({ bytes, onTaken });
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
  }

  close(): void {
    if (!this.isOpen) return;
    this.outgoing.hasEnd = true;
    this.ends("closed here");
  }

  /** Its host has died: nobody is told, and it says nothing more. */
  vanish(): void {
    this.isOpen = false;
    this.outgoing.offered.length = 0;
  }

  receives(bytes: Buffer): void {
    this.#listener!.onData(bytes);
  }

  ends(reason: string): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.outgoing.offered.length = 0;
    if (this.#isAlive()) this.#listener?.onClose(reason);
  }
}

interface Server {
  host: string;
  isAlive: () => boolean;
  onPipe: (pipe: BytePipe) => void;
}

interface Link {
  ends: readonly [MemoryPipe, MemoryPipe];
  directions: readonly [Direction, Direction];
  /** What is sent is lost, and nobody is told. */
  isBlackHole: boolean;
}

export class MemoryNetwork {
  readonly #random: SeededRandom;
  readonly #clock: ManualClock;
  readonly #servers = new Map<string, Server>();
  #links: Link[] = [];
  readonly #apart = new Set<string>();
  #lastPort = 0;

  constructor(random: SeededRandom, clock: ManualClock) {
    this.#random = random;
    this.#clock = clock;
  }

  /** The network as one host sees it, as long as it lives. `address` of a listener is `host:port`. */
  of(host: string, isAlive: () => boolean): Network {
    return {
      connect: (address, timeoutMs) => this.#connect(host, isAlive, address, timeoutMs),
      listen: (_, port, onPipe) => this.#listen({ host, isAlive, onPipe }, port),
    };
  }

  /** Connections that have not ended on both sides. */
  get linkCount(): number {
    return this.#links.length;
  }

  /** Moves some bytes of some connection. @returns false where nothing can move */
  step(): boolean {
    this.#links = this.#links.filter(({ ends, directions, isBlackHole }) =>
      ends.some((end) => end.isOpen) &&
      (isBlackHole || directions.some(({ hasEnd, to }) => !hasEnd || to.isOpen))
    );
    const movable = this.#links.filter((link) => !this.#isApart(link) && !link.isBlackHole)
      .flatMap(({ directions }) => directions).filter((direction) => direction.canMove);
    if (movable.length === 0) return false;
    movable[this.#random.between(0, movable.length - 1)].move(this.#random);
    return true;
  }

  /** Keeps two hosts apart: what is under way waits, and new connections are not answered. */
  separate(a: string, b: string): void {
    this.#apart.add(pairOf(a, b));
  }

  join(): void {
    this.#apart.clear();
  }

  areApart(a: string, b: string): boolean {
    return this.#apart.has(pairOf(a, b));
  }

  /** Breaks some connection: both ends are told, one, or none. */
  breakSome(): string | undefined {
    const open = this.#links.filter(({ isBlackHole }) => !isBlackHole);
    if (open.length === 0) return undefined;
    const link = open[this.#random.between(0, open.length - 1)];
    const [one, other] = this.#random.next() < 0.5 ? link.ends : [link.ends[1], link.ends[0]];
    link.isBlackHole = true;
    const told = this.#random.between(0, 2);
    if (told > 0) one.ends("cut");
    if (told > 1) other.ends("cut");
    return `${one.host}-${other.host}, ${told} of them told`;
  }

  /** A host dies; with `isSilent` its peers are not told. */
  kill(host: string, isSilent: boolean): void {
    for (const [address, server] of this.#servers) if (server.host === host) this.#servers.delete(address);
    for (const link of this.#links) {
      for (const end of link.ends) {
        if (end.host !== host || !end.isOpen) continue;
        end.vanish();
        if (isSilent) link.isBlackHole = true;
        else end.outgoing.hasEnd = true;
      }
    }
  }

  #connect(
    host: string,
    isAlive: () => boolean,
    address: string,
    timeoutMs: number,
  ): Promise<BytePipe> {
    const remoteHost = address.split(":")[0];
    const server = this.#servers.get(address);
    if (server === undefined || !server.isAlive()) return Promise.reject(new Error("connection refused"));
    if (this.areApart(host, remoteHost)) {
      return new Promise((_, reject) => this.#clock.after(timeoutMs, () => reject(new Error("no answer"))));
    }
    const near = new MemoryPipe(host, isAlive, address);
    const far = new MemoryPipe(remoteHost, server.isAlive, `${host}:${++this.#lastPort}`);
    const directions = [new Direction(near, far), new Direction(far, near)] as const;
    near.outgoing = directions[0];
    far.outgoing = directions[1];
    this.#links.push({ ends: [near, far], directions, isBlackHole: false });
    server.onPipe(far);
    return Promise.resolve(near);
  }

  #listen(server: Server, port: number): Promise<PipeServer> {
    const chosen = port || ++this.#lastPort;
    const address = `${server.host}:${chosen}`;
    this.#servers.set(address, server);
    return Promise.resolve({
      port: chosen,
      close: () => {
        if (this.#servers.get(address) === server) this.#servers.delete(address);
        return Promise.resolve();
      },
    });
  }

  #isApart({ ends }: Link): boolean {
    return this.areApart(ends[0].host, ends[1].host);
  }
}

function pairOf(a: string, b: string): string {
  return [a, b].sort().join(" ");
}
