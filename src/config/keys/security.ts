// SPDX-License-Identifier: Apache-2.0
import { type Area, fixed, type KeyTable, notYet } from "../key.ts";
import { count, flag, oneOf, seconds, text } from "../kinds.ts";

const NO_ACCESS_CONTROL = "access control is not built yet, and requests would pass unchecked";

/** Access control: lists of 4.x and 5.x, and users of 5.3. */
export const accessKeys = {
  aclEnable: fixed(flag(), false, "Check requests against plain_acl.yml (up to 5.3.2).", NO_ACCESS_CONTROL, {
    important: true,
  }),
  authenticationEnabled: fixed(flag(), false, "Ask every client who it is.", NO_ACCESS_CONTROL),
  authorizationEnabled: fixed(flag(), false, "Check what each user may do.", NO_ACCESS_CONTROL),
  authenticationProvider: notYet(text("class name"), undefined, "Java class that checks who a client is."),
  authenticationMetadataProvider: notYet(text("class name"), undefined, "Java class that keeps users."),
  authenticationStrategy: notYet(
    text("class name"),
    undefined,
    "Java class that decides when a client is checked again.",
  ),
  authenticationWhitelist: notYet(text("request codes"), undefined, "Requests that need no user."),
  initAuthenticationUser: notYet(text("JSON"), undefined, "The first user and its password.", {
    secret: true,
  }),
  innerClientAuthenticationCredentials: notYet(
    text("JSON"),
    undefined,
    "User and password between brokers.",
    {
      secret: true,
    },
  ),
  authorizationProvider: notYet(text("class name"), undefined, "Java class that checks what a user may do."),
  authorizationMetadataProvider: notYet(text("class name"), undefined, "Java class that keeps permissions."),
  authorizationStrategy: notYet(
    text("class name"),
    undefined,
    "Java class that decides when permissions are checked again.",
  ),
  authorizationWhitelist: notYet(text("request codes"), undefined, "Requests that need no permission."),
  migrateAuthFromV1Enabled: notYet(flag(), false, "Take over users from plain_acl.yml at the start."),
  userCacheMaxNum: notYet(count(), 1000, "Users kept in memory."),
  userCacheExpiredSecond: notYet(seconds(), 600, "How long a user is kept there unused."),
  userCacheRefreshSecond: notYet(seconds(), 60, "How often it is read again."),
  aclCacheMaxNum: notYet(count(), 1000, "Permissions kept in memory."),
  aclCacheExpiredSecond: notYet(seconds(), 600, "How long a permission is kept there unused."),
  aclCacheRefreshSecond: notYet(seconds(), 60, "How often it is read again."),
  statefulAuthenticationCacheMaxNum: notYet(count(), 10000, "Checked connections remembered."),
  statefulAuthenticationCacheExpiredSecond: notYet(seconds(), 60, "How long they are."),
  statefulAuthorizationCacheMaxNum: notYet(count(), 10000, "Checked permissions remembered."),
  statefulAuthorizationCacheExpiredSecond: notYet(seconds(), 60, "How long they are."),
  authConfigPath: notYet(text("path"), undefined, "Directory of users and permissions; follows the store."),
  configName: notYet(text(), undefined, "Name under which they are kept; follows brokerName."),
  clusterName: notYet(text(), undefined, "Cluster that permissions are for; follows brokerClusterName."),
} satisfies KeyTable;

/** System properties and `tls.properties` in Apache; both roles know them. */
export const tlsKeys = {
  "tls.server.mode": notYet(
    oneOf("disabled", "permissive", "enforcing"),
    "disabled",
    "TLS for clients: never, for those that ask, or for all. Clients that ask are refused today.",
    {
      refuse: (mode) =>
        mode === "enforcing" ? "TLS is not built yet, and clients would be served in the clear" : undefined,
    },
  ),
  "tls.enable": notYet(flag(), undefined, "Speak TLS to other processes."),
  "tls.config.file": notYet(text("path"), undefined, "File with the keys below."),
  "tls.test.mode.enable": notYet(flag(), undefined, "Use a certificate made up at the start."),
  "tls.server.need.client.auth": notYet(
    text(),
    undefined,
    "Whether clients need a certificate: none, optional, require.",
  ),
  "tls.server.keyPath": notYet(text("path"), undefined, "The server's private key."),
  "tls.server.keyPassword": notYet(text(), undefined, "Password of that key.", { secret: true }),
  "tls.server.certPath": notYet(text("path"), undefined, "The server's certificate."),
  "tls.server.authClient": notYet(flag(), undefined, "Check clients' certificates."),
  "tls.server.trustCertPath": notYet(text("path"), undefined, "Authorities trusted for that."),
  "tls.client.keyPath": notYet(text("path"), undefined, "Private key for connections to others."),
  "tls.client.keyPassword": notYet(text(), undefined, "Password of that key.", { secret: true }),
  "tls.client.certPath": notYet(text("path"), undefined, "Certificate for connections to others."),
  "tls.client.authServer": notYet(flag(), undefined, "Check servers' certificates."),
  "tls.client.trustCertPath": notYet(text("path"), undefined, "Authorities trusted for that."),
} satisfies KeyTable;

export const accessArea: Area = {
  title: "Access control",
  about: "Not built yet; keys that would promise it are refused.",
  keys: accessKeys,
};

export const tlsArea: Area = {
  title: "TLS",
  about:
    "Not built yet. Java reads these from its command line and from tls.properties; here they are keys like the others.",
  keys: tlsKeys,
};
