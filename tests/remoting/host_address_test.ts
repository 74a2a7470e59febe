// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatAddress } from "../../src/remoting/connection.ts";
import { hostAddress, parseAddress, parseIp } from "../../src/remoting/host_address.ts";

const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString("hex");

describe("hostAddress()", () => {
  test("gives mapped IPv4 as plain IPv4", () => {
    for (const text of ["::ffff:10.1.2.3", "::FFFF:a01:203", "0:0:0:0:0:ffff:10.1.2.3", "10.1.2.3"]) {
      const address = hostAddress(text, 9);
      assert.equal(address.host, "10.1.2.3");
      assert.equal(hex(address.ip), "0a010203");
      assert.equal(formatAddress(address), "10.1.2.3:9");
    }
  });

  test("gives 16 bytes for IPv6, with or without zone", () => {
    assert.equal(hex(parseIp("::1")), "00000000000000000000000000000001");
    assert.equal(hex(parseIp("::")), "00000000000000000000000000000000");
    assert.equal(hex(parseIp("2001:db8::ff:1:0")), "20010db800000000000000ff00010000");
    assert.equal(hex(parseIp("1:2:3:4:5:6:7:8")), "00010002000300040005000600070008");
    assert.equal(hex(parseIp("fe80::1%eth0")), "fe800000000000000000000000000001");
    assert.equal(formatAddress(hostAddress("2001:db8::1", 10911)), "[2001:db8::1]:10911");
  });

  test("refuses what is no IP address", () => {
    for (const text of ["", "localhost", "1.2.3", "1.2.3.4.5", "::1::2", "gggg::"]) {
      assert.equal(parseIp(text), undefined, text);
      assert.throws(() => hostAddress(text, 1), /not an IP address/);
    }
  });
});

describe("parseAddress()", () => {
  test("splits at the last colon", () => {
    assert.deepEqual(parseAddress("broker.example:10911"), { host: "broker.example", port: 10911 });
    assert.deepEqual(parseAddress("[::1]:9876"), { host: "::1", port: 9876 });
    assert.deepEqual(parseAddress("::1:9876"), { host: "::1", port: 9876 });
    assert.deepEqual(parseAddress(" 127.0.0.1:1 "), { host: "127.0.0.1", port: 1 });
  });

  test("refuses a missing host and ports that are none", () => {
    for (const text of ["", "host", ":80", "host:", "host:0", "host:65536", "host:-1", "host:8e1", "[]:80"]) {
      assert.throws(() => parseAddress(text), /host:port/, text);
    }
  });
});
