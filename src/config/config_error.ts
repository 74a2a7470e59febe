// SPDX-License-Identifier: Apache-2.0
/** One thing wrong with the configuration. */
export interface ConfigProblem {
  /** Where it stands: `broker.conf:12`, `--set`, `-n`, …; undefined where no place is to blame. */
  readonly place: string | undefined;
  readonly key: string | undefined;
  readonly message: string;
}

/** Everything that is wrong with a configuration, at once. Nothing was started or changed. */
export class ConfigError extends Error {
  override name = "ConfigError";

  constructor(readonly problems: readonly ConfigProblem[], options?: { cause?: unknown }) {
    super(
      problems.map(({ place, message }) => (place ? `${place}: ${message}` : message)).join("\n"),
      options,
    );
  }
}

/** A change over the network touches a key that may not be changed so. Nothing was changed. */
export class ConfigBlackListError extends Error {
  override name = "ConfigBlackListError";

  constructor(readonly keys: readonly string[]) {
    super("Can not update config in black list.");
  }
}
