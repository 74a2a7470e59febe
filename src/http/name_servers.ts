// SPDX-License-Identifier: Apache-2.0

export interface NameServerLookupSettings {
  /** `nsaddrHttpPort`: where the list of name servers is served; 0: nowhere. */
  readonly nsaddrHttpPort: number;
  /** `nsaddrHttpAddresses` as `host:port` items; empty: the name server of this process alone. */
  readonly nsaddrHttpAddresses: readonly string[];
}

/**
 * The list for `HttpViews.nameServers`. Where none is given, clients reach the name server of this process at
 * the address at which they reached this one.
 * @param ownPort of the name server of this process
 */
export function nameServerList(
  { nsaddrHttpAddresses }: NameServerLookupSettings,
  ownPort: number,
): (localHost: string) => readonly string[] {
  if (nsaddrHttpAddresses.length > 0) return () => nsaddrHttpAddresses;
  return (localHost) => [localHost.includes(":") ? `[${localHost}]:${ownPort}` : `${localHost}:${ownPort}`];
}
