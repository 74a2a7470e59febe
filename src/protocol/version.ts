// SPDX-License-Identifier: Apache-2.0
/**
 * Version numbers of the remoting header are ordinals of an enumeration: since V4_9_0 = 393 each patch
 * release takes two (snapshot and release) and each minor version has ten patches. [RMQ MQVersion]
 */
export const Version = {
  V3_0_11: 37,
  V3_1_8_SNAPSHOT: 62,
  V3_4_9: 121,
  V4_9_0: 393,
  V4_9_4: 401,
  V5_0_0: 413,
  V5_3_1: 475,
  V5_4_0: 493,
} as const;

/** What we say of ourselves: the release whose behaviour we follow. */
export const CURRENT_VERSION: number = Version.V5_4_0;

/** The name that mqadmin prints for a version number, such as `V5_4_0`; the number itself where it is older than 4.9. */
export function versionName(version: number): string {
  const patches = Math.floor((version - Version.V4_9_0) / 2);
  if (version < Version.V4_9_0 || version > 612) return String(version);
  const snapshot = (version - Version.V4_9_0) % 2 === 1;
  const digits = 490 + patches + (snapshot ? 1 : 0);
  const name = `V${Math.floor(digits / 100)}_${Math.floor(digits / 10) % 10}_${digits % 10}`;
  return snapshot ? `${name}_SNAPSHOT` : name;
}
