// SPDX-License-Identifier: Apache-2.0
/** How long requests take, by code and by what came of them. [RMQ RemotingMetricsManager] */
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { RequestObserver } from "../../remoting/dispatch.ts";
import { Buckets } from "./buckets.ts";
import type { Family } from "./family.ts";

const BOUNDS_MS = [1, 3, 5, 7, 10, 100, 1000, 2000, 3000];
/** Codes that are not ours are what anybody sends. */
const MAX_KEYS = 4096;

const REQUEST_NAMES = namesOf(RequestCode);
const RESPONSE_NAMES = namesOf(ResponseCode);

interface Counted {
  labels: Record<string, string>;
  buckets: Buckets;
}

export function requestMetrics(): { observe: RequestObserver; families: Family[] } {
  const counted = new Map<number, Counted>();
  const observe: RequestObserver = ({ requestCode, responseCode, isOneway, wasHeld, ms }) => {
    const key = ((requestCode * 4096 + responseCode) * 2 + Number(isOneway)) * 2 + Number(wasHeld);
    let entry = counted.get(key);
    if (entry === undefined) {
      if (counted.size >= MAX_KEYS) return;
      const labels = {
        protocol_type: "remoting",
        is_long_polling: String(wasHeld),
        request_code: REQUEST_NAMES.get(requestCode) ?? String(requestCode),
        response_code: RESPONSE_NAMES.get(responseCode) ?? String(responseCode),
        result: isOneway ? "oneway" : "success",
      };
      counted.set(key, entry = { labels, buckets: new Buckets(BOUNDS_MS) });
    }
    entry.buckets.add(ms);
  };
  const family: Family = {
    name: "rocketmq_rpc_latency_milliseconds",
    help: "How long requests took",
    type: "histogram",
    *samples() {
      for (const { labels, buckets } of counted.values()) yield* buckets.samples(labels);
    },
  };
  return { observe, families: [family] };
}

function namesOf(codes: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(codes).map(([name, code]) => [code, name.toLowerCase()]));
}
