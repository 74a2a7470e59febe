// SPDX-License-Identifier: Apache-2.0
import { NameServerApi } from "../client/name_server_api.ts";
import type { RemotingClient } from "../remoting/client.ts";

export interface MembersOptions {
  client: RemotingClient;
  nameServers: readonly string[];
  brokerName: string;
}

/** A name server that does not answer holds up nobody for longer. */
const TIMEOUT_MS = 2000;

/** The addresses of a brokerName's slaves, as all name servers together know them; those that can't be asked are left out. */
export async function slaveAddresses({ client, nameServers, brokerName }: MembersOptions): Promise<string[]> {
  const infos = await Promise.allSettled(
    nameServers.map((address) => NameServerApi.at(client, address, TIMEOUT_MS).clusterInfo()),
  );
  const addresses = new Set<string>();
  for (const info of infos) {
    if (info.status === "rejected") continue;
    for (const [id, address] of info.value.brokerAddrTable.get(brokerName)?.brokerAddrs ?? []) {
      if (id !== 0) addresses.add(address);
    }
  }
  return [...addresses];
}
