// SPDX-License-Identifier: Apache-2.0
import { getLogger } from "@logtape/logtape";
import { systemClock } from "../base/clock.ts";
import type { LiveConfig as BrokerLiveConfig } from "../broker/handlers/admin_config.ts";
import { type ConfigChange, type Configuration, parseChanges } from "../config/configuration.ts";
import type { LiveConfig as NameServerLiveConfig } from "../namesrv/handlers/config.ts";
import { DataVersion } from "../protocol/bodies/data_version.ts";

const logger = getLogger(["rmq", "config"]);

/** The configuration as administrators of a broker or a name server see and change it. */
export function liveConfig<S>(
  configuration: Configuration<S>,
  nowMs: () => number = systemClock.nowMs,
): BrokerLiveConfig & NameServerLiveConfig {
  let version = DataVersion.initial(nowMs());
  return {
    get version() {
      return version;
    },
    values: () => configuration.publicEntries(),
    parse: parseChanges,
    blackList: configuration.blackList,
    update(changes) {
      const change = configuration.update(changes);
      version = version.next(nowMs());
      logChange(change);
      return change.atNextStart.length === 0
        ? undefined
        : `From the next start: ${change.atNextStart.join(", ")}.`;
    },
  };
}

function logChange({ applied, atNextStart, ignored, warnings }: ConfigChange): void {
  if (applied.length > 0) logger.info("changed: {keys}", { keys: applied.join(", ") });
  if (atNextStart.length > 0) {
    logger.warn("changed from the next start on: {keys}", { keys: atNextStart.join(", ") });
  }
  if (ignored.length > 0) {
    logger.warn("unknown keys in a change, ignored: {keys}", { keys: ignored.join(", ") });
  }
  for (const warning of warnings) logger.warn("{warning}", { warning });
}
