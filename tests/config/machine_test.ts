// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseLocalAddress, thisMachine } from "../../src/config/machine.ts";

const ipv4 = (address: string, internal = false) => ({ address, family: "IPv4", internal });
const loopback = [ipv4("127.0.0.1", true)];
const noBridge = () => false;

test("the local address is the first that is not of a home or office network", () => {
  const interfaces = {
    lo: loopback,
    eth0: [ipv4("192.168.1.5")],
    eth1: [ipv4("10.1.2.3"), ipv4("10.1.2.4")],
  };
  assert.equal(chooseLocalAddress(interfaces, noBridge), "10.1.2.3");
});

test("with such addresses only it is the last", () => {
  const interfaces = { eth0: [ipv4("192.168.1.5")], eth1: [ipv4("192.168.2.5")] };
  assert.equal(chooseLocalAddress(interfaces, noBridge), "192.168.2.5");
});

test("bridges, IPv6 and loopback don't count", () => {
  const ipv6 = { address: "fe80::1", family: "IPv6", internal: false };
  const interfaces = { lo: loopback, docker0: [ipv4("172.17.0.1")], eth0: [ipv6], absent: undefined };
  assert.equal(chooseLocalAddress(interfaces, (name) => name === "docker0"), "127.0.0.1");
  assert.equal(chooseLocalAddress({ docker0: [ipv4("172.17.0.1")] }, noBridge), "172.17.0.1");
});

test("this machine has what defaults need", () => {
  const machine = thisMachine();
  assert.ok(machine.processors >= 1);
  assert.notEqual(machine.hostName, "");
  assert.match(machine.localAddress, /^\d+\.\d+\.\d+\.\d+$/);
});
