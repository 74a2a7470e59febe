// SPDX-License-Identifier: Apache-2.0
import { acts, type Area, type KeyTable, notYet } from "../key.ts";
import { count, flag, long, ms, name, nameServers } from "../kinds.ts";

export const registrationKeys = {
  namesrvAddr: acts(
    nameServers(),
    { words: "$NAMESRV_ADDR", of: (machine) => machine.environment.NAMESRV_ADDR ?? "" },
    "The name servers, host:port with ; between them. The broker registers with every one.",
    { important: true },
  ),
  fetchNamesrvAddrByAddressServer: acts(
    flag(),
    false,
    "Without namesrvAddr: ask a web server for the list of name servers.",
    { important: true },
  ),
  rmqAddressServerDomain: acts(
    name("address"),
    "jmenv.tbsite.net",
    "That web server; port 8080 unless the value names one.",
  ),
  rmqAddressServerSubGroup: acts(
    name(),
    "nsaddr",
    "Last part of the path that is asked for, after /rocketmq/.",
  ),
  fetchNamesrvAddrInterval: notYet(long("ms"), 10000, "How often that web server is asked."),
  fetchNameSrvAddrByDnsLookup: notYet(
    flag(),
    false,
    "Look up namesrvAddr's host name and use all its addresses.",
    { important: true },
  ),
  updateNameServerAddrPeriod: notYet(ms(), 120000, "How often namesrvAddr is read again."),
  registerNameServerPeriod: acts(ms(1), 30000, "Pause between registrations; held between 10000 and 60000."),
  registerBrokerTimeoutMills: acts(ms(1), 24000, "How long a registration waits for a name server's answer."),
  forceRegister: acts(
    flag(),
    true,
    "Register at every period; otherwise only when a name server has older data.",
  ),
  enableSingleTopicRegister: acts(flag(), false, "Tell name servers a changed topic alone, not all topics."),
  enableSplitRegistration: notYet(flag(), false, "Register in several requests when there are many topics."),
  splitRegistrationSize: notYet(count(1), 800, "Topics in one of those requests."),
  enableSplitMetadata: acts(
    flag(),
    true,
    "Give all topics or all groups in parts to a peer that asks for parts.",
    { live: true },
  ),
  splitMetadataSize: acts(count(1), 2000, "Topics or groups in one part, at most.", { live: true }),
  compressedRegister: notYet(flag(), false, "Compress registrations."),
  compatibleWithOldNameSrv: acts(
    flag(),
    true,
    "Send those heartbeats in a way that name servers of 4.x understand.",
  ),
  brokerHeartbeatInterval: acts(
    ms(1),
    1000,
    "Pause between heartbeats to name servers, with enableSlaveActingMaster.",
  ),
  sendHeartbeatTimeoutMillis: notYet(ms(), 1000, "How long such a heartbeat may take."),
  brokerNotActiveTimeoutMillis: acts(
    long("ms", 1),
    10000,
    "After how long without heartbeat a name server drops this broker, with enableSlaveActingMaster.",
  ),
} satisfies KeyTable;

export const registrationArea: Area = {
  title: "Name servers",
  about: "Where the broker makes itself known, and how often.",
  keys: registrationKeys,
};
