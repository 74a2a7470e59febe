// SPDX-License-Identifier: Apache-2.0
import { acts, type Area, type KeyTable, notYet } from "../key.ts";
import { bytes, count, flag, int, long, ms, name, port, seconds, text } from "../kinds.ts";

/** Keys of Netty that both roles know; rmq has no Netty, so nearly all are without effect. */
export const nettyKeys = {
  bindAddress: acts(name("address"), "0.0.0.0", "Address of this machine that the ports are opened on."),
  serverChannelMaxIdleTimeSeconds: acts(
    seconds(),
    120,
    "A connection on which nothing came or went for so long is closed; 0: never.",
  ),
  serverWorkerThreads: notYet(count(), 8, "Netty threads that decode and encode frames."),
  serverCallbackExecutorThreads: notYet(
    count(),
    0,
    "Threads for callbacks and requests without a pool of their own.",
  ),
  serverSelectorThreads: notYet(count(), 3, "Netty threads that wait for socket events."),
  serverOnewaySemaphoreValue: notYet(count(), 256, "One-way requests that the server may have under way."),
  serverAsyncSemaphoreValue: notYet(count(), 64, "Asynchronous requests that the server may have under way."),
  serverSocketSndBufSize: notYet(bytes(), 0, "Send buffer of a socket; 0 leaves it to the system."),
  serverSocketRcvBufSize: notYet(bytes(), 0, "Receive buffer of a socket; 0 leaves it to the system."),
  serverSocketBacklog: notYet(count(), 1024, "Connections that may wait to be accepted."),
  serverNettyWorkerGroupEnable: notYet(flag(), true, "Run handlers in Netty's worker group."),
  serverPooledByteBufAllocatorEnable: notYet(flag(), true, "Take Netty's buffers from a pool."),
  useEpollNativeSelector: notYet(flag(), false, "Use Linux's epoll through native code."),
  enableShutdownGracefully: notYet(flag(), false, "Tell clients to go elsewhere before the server stops."),
  shutdownWaitTimeSeconds: notYet(seconds(), 30, "How long that stop waits for clients to leave."),
  writeBufferHighWaterMark: notYet(
    bytes(),
    0,
    "Unsent bytes above which a connection counts as not writable.",
  ),
  writeBufferLowWaterMark: notYet(bytes(), 0, "Unsent bytes below which it counts as writable again."),
  clientWorkerThreads: notYet(count(), 4, "Netty threads of connections that this process opens."),
  clientCallbackExecutorThreads: notYet(
    count(),
    { words: "processors", of: (machine) => String(machine.processors) },
    "Threads for callbacks of those connections.",
  ),
  clientOnewaySemaphoreValue: notYet(count(), 65535, "One-way requests that may be under way to others."),
  clientAsyncSemaphoreValue: notYet(count(), 65535, "Asynchronous requests that may be under way to others."),
  connectTimeoutMillis: notYet(ms(), 3000, "How long opening a connection to another process may take."),
  channelNotActiveInterval: notYet(long("ms"), 60000, "Unused."),
  isScanAvailableNameSrv: notYet(flag(), true, "Shown to tools: look for name servers that answer."),
  scanAvailableNameSrv: notYet(flag(), undefined, "Look for name servers that answer, in the background."),
  clientChannelMaxIdleTimeSeconds: notYet(
    seconds(),
    120,
    "An idle connection to another process is closed after so long.",
  ),
  clientSocketSndBufSize: notYet(bytes(), 0, "Send buffer of a socket to another process."),
  clientSocketRcvBufSize: notYet(bytes(), 0, "Receive buffer of a socket to another process."),
  clientPooledByteBufAllocatorEnable: notYet(
    flag(),
    false,
    "Take the buffers of those connections from a pool.",
  ),
  clientCloseSocketIfTimeout: notYet(flag(), true, "Close a connection on which a request timed out."),
  useTLS: notYet(flag(), false, "Speak TLS to other processes."),
  socksProxyConfig: notYet(text("JSON"), "{}", "SOCKS proxies by target address."),
  disableCallbackExecutor: notYet(flag(), false, "Run callbacks in Netty's threads."),
  disableNettyWorkerGroup: notYet(flag(), false, "Run handlers of those connections in Netty's event loop."),
  maxReconnectIntervalTimeSeconds: notYet(long("s"), 60, "Longest pause between attempts to reconnect."),
  enableReconnectForGoAway: notYet(flag(), true, "Reconnect when a server says that it goes away."),
} satisfies KeyTable;

export const networkKeys = {
  listenPort: acts(
    port(),
    10911,
    'Port for clients. The port two below it is opened too, for older clients\' "VIP channel".',
    { important: true },
  ),
  haListenPort: acts(
    int("port", -1, 65535),
    { words: "listenPort + 1", of: (_, textOf) => String(portAbove(Number(textOf("listenPort")))) },
    "Port for slaves; 0 or less means the default.",
  ),
  brokerIP1: acts(
    name("address"),
    { words: "this machine's address", of: (machine) => machine.localAddress },
    "Address that clients are given by the name server. Set it where a machine has several, or in a container.",
    { important: true },
  ),
  brokerIP2: acts(
    name("address"),
    { words: "this machine's address", of: (machine) => machine.localAddress },
    "Address that slaves are given.",
  ),
  ...nettyKeys,
} satisfies KeyTable;

/** The next port; 0 where there is none, or where the system chooses. */
export function portAbove(port: number): number {
  return port > 0 && port < 65535 ? port + 1 : 0;
}

export const networkArea: Area = {
  title: "Network",
  about:
    "Ports and addresses of the broker. The keys of Netty's threads and buffers are known but mean nothing here.",
  keys: networkKeys,
};
