// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  groupNameProblem,
  isForbiddenToSend,
  isRetryTopic,
  requireGroupName,
  requireTopicName,
  retryTopicOf,
  SystemTopic,
  topicNameProblem,
} from "../../src/broker/topic_name.ts";
import { ResponseCode } from "../../src/protocol/response_code.ts";
import { RemotingError } from "../../src/remoting/remoting_error.ts";

// The sentences were taken from answers of a 5.4.0 broker.
describe("topicNameProblem()", () => {
  test("takes letters, digits, %, |, - and _ up to 127 characters", () => {
    for (const topic of ["a", "Topic_1-x|y%z", "a".repeat(127)]) {
      assert.equal(topicNameProblem(topic), undefined);
    }
  });

  test("refuses blank names", () => {
    for (const topic of ["", " ", "\t\n"]) {
      assert.equal(topicNameProblem(topic), "The specified topic is blank.");
    }
  });

  test("refuses other characters", () => {
    for (const topic of ["bad name", "bad.name", "é", "a/b", "a@b", "a\n"]) {
      assert.equal(
        topicNameProblem(topic),
        `The specified topic: ${topic}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$`,
      );
    }
  });

  test("refuses more than 127 characters", () => {
    const topic = "a".repeat(128);
    assert.equal(
      topicNameProblem(topic),
      `The specified topic: ${topic}, is longer than topic max length: 127`,
    );
  });

  test("takes up to 255 characters for topics of retries and dead letters", () => {
    for (const prefix of ["%RETRY%", "%DLQ%"]) {
      assert.equal(topicNameProblem(prefix.padEnd(255, "g")), undefined);
      const topic = prefix.padEnd(256, "g");
      assert.equal(
        topicNameProblem(topic),
        `The specified topic is DLQ or Retry topic: ${topic}, and it's longer than topic max length: 255`,
      );
    }
  });

  test("does not repeat a name of any length", () => {
    assert.ok(topicNameProblem("é".repeat(1_000_000))!.length < 1000);
    assert.ok(topicNameProblem("a".repeat(1_000_000))!.length < 1000);
  });
});

describe("groupNameProblem()", () => {
  test("takes up to 120 characters, so that the retry topic's name is legal for older brokers", () => {
    const group = "g".repeat(120);
    assert.equal(groupNameProblem(group), undefined);
    assert.equal(retryTopicOf(group).length, 127);
    assert.equal(
      groupNameProblem(`${group}g`),
      `The specified group: ${group}g, is longer than group max length: 120`,
    );
  });

  test("refuses blank names and other characters", () => {
    assert.equal(groupNameProblem(" "), "The specified group is blank.");
    assert.match(groupNameProblem("a b")!, /^The specified group: a b, contains illegal characters/);
  });
});

test("requireTopicName() and requireGroupName() throw INVALID_PARAMETER", () => {
  const isInvalid = (error: unknown) =>
    error instanceof RemotingError && error.code === ResponseCode.INVALID_PARAMETER;
  assert.throws(() => requireTopicName("bad name"), isInvalid);
  assert.throws(() => requireGroupName("bad name"), isInvalid);
  requireTopicName("good");
  requireGroupName("good");
});

test("clients may not send to topics where the broker keeps its own messages", () => {
  const forbidden = Object.values(SystemTopic).filter(isForbiddenToSend).sort();
  assert.deepEqual(forbidden, [
    "OFFSET_MOVED_EVENT",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "SCHEDULE_TOPIC_XXXX",
    "SELF_TEST_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
  ]);
  assert.equal(isForbiddenToSend("TopicA"), false);
});

test("a retry topic is told by its prefix", () => {
  assert.equal(isRetryTopic(retryTopicOf("g")), true);
  assert.equal(isRetryTopic("%DLQ%g"), false);
});
