// SPDX-License-Identifier: Apache-2.0
import { resolve as absolute } from "node:path";
import { brokerKeys } from "./broker_config.ts";
import { Configuration } from "./configuration.ts";
import type { Area, ValuesOf } from "./key.ts";
import { controllerArea, controllerKeys } from "./keys/controller.ts";
import {
  nameServerArea,
  nameServerFileArea,
  nameServerFileKeys,
  nameServerKeys,
  nameServerLookupArea,
  nameServerLookupKeys,
  nameServerNetworkArea,
  nameServerNetworkKeys,
} from "./keys/name_server.ts";
import { tlsArea, tlsKeys } from "./keys/security.ts";
import { thisMachine } from "./machine.ts";
import type { NameServerSettings } from "./name_server_settings.ts";
import { type Role, textOfKey } from "./resolve.ts";
import { chosenFile, type LoadOptions, sourceOfKey } from "./sources.ts";

/** In the order of the documentation. */
export const nameServerAreas: readonly Area[] = [
  nameServerNetworkArea,
  nameServerArea,
  nameServerFileArea,
  nameServerLookupArea,
  tlsArea,
  controllerArea,
];

export const nameServerRoleKeys = {
  ...nameServerNetworkKeys,
  ...nameServerKeys,
  ...nameServerFileKeys,
  ...nameServerLookupKeys,
  ...tlsKeys,
  ...controllerKeys,
};

type NameServerValues = ValuesOf<typeof nameServerRoleKeys>;

const nameServerRole: Role<typeof nameServerRoleKeys> = {
  title: "name servers",
  keys: nameServerRoleKeys,
  foreign: {
    title: "brokers",
    names: Object.keys(brokerKeys).filter((name) => !Object.hasOwn(nameServerRoleKeys, name)),
  },
};

/** Never changed over the network, whatever `configBlackList` says. */
const UNCHANGEABLE = ["configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"];

/**
 * A name server's configuration from defaults, the file, and what overrides it. Without a named file the one at
 * `configStorePath` is read, if an earlier run wrote changed keys there.
 *
 * @returns also the file that was read, if any
 * @throws ConfigError with everything that is wrong; nothing on disk was touched
 */
export function loadNameServerConfiguration(options: LoadOptions = {}): {
  configuration: Configuration<NameServerSettings>;
  readFile: string | undefined;
} {
  const { presets, file: named, overriding = [], machine = thisMachine() } = options;
  const below = presets === undefined ? [] : [presets];
  const written = textOfKey(nameServerRoleKeys, "configStorePath", [...below, ...overriding], machine) ?? "";
  const fromFile = chosenFile(named, written);
  const file = absolute(named ?? written);
  const configuration = new Configuration({
    role: nameServerRole,
    sources: [
      ...below,
      ...(fromFile ? [fromFile] : []),
      ...overriding,
      sourceOfKey("-c", "configStorePath", file),
    ],
    overriding,
    machine,
    file,
    unchangeable: UNCHANGEABLE,
    toSettings: nameServerSettings,
  });
  return { configuration, readFile: fromFile?.name };
}

/** Apache's values become settings with units in their names. */
export function nameServerSettings(values: NameServerValues): NameServerSettings {
  return {
    bindAddress: values.bindAddress,
    listenPort: values.listenPort,
    connectionMaxIdleMs: values.serverChannelMaxIdleTimeSeconds * 1000 || Infinity,
    kvTableFile: absolute(values.kvConfigPath),
    configFile: absolute(values.configStorePath),
    orderConfigInRoutes: values.orderMessageEnable,
    orderConfigToBrokers: values.returnOrderTopicConfigToBroker,
    brokerScanIntervalMs: values.scanNotActiveBrokerInterval,
    allTopicList: values.enableAllTopicList,
    topicLists: values.enableTopicList,
    routeHoldMs: values.needWaitForService ? values.waitSecondsForService * 1000 : 0,
    deleteTopicsByRegistration: values.deleteTopicWithBrokerRegistration,
    actingMaster: values.supportActingMaster,
    notifyMinBrokerIdChanged: values.notifyMinBrokerIdChanged,
    nsaddrHttpPort: values.nsaddrHttpPort,
    nsaddrHttpAddresses: values.nsaddrHttpAddresses,
  };
}
