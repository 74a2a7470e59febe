// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  normalTopicOf,
  popRetryTopicV1,
  popRetryTopicV2,
  retryFlagOf,
  topicOfFlag,
} from "../../../src/broker/pop/retry_topic.ts";

test("each group and topic has a retry topic, in an old and a new form", () => {
  assert.equal(popRetryTopicV1("T", "G"), "%RETRY%G_T");
  assert.equal(popRetryTopicV2("T", "G"), "%RETRY%G+T");
});

test("the flag tells the kind of a topic, and leads back to it", () => {
  for (const [topic, flag] of [["T", "0"], ["%RETRY%G_T", "1"], ["%RETRY%G+T", "2"]]) {
    assert.equal(retryFlagOf(topic), flag);
    assert.equal(topicOfFlag("T", "G", flag), topic);
  }
  assert.equal(topicOfFlag("T", "G", "3"), undefined);
});

test("the topic of messages in a retry topic is found although both names may have underscores", () => {
  assert.equal(normalTopicOf("%RETRY%a_b_c_d", "a_b"), "c_d");
  assert.equal(normalTopicOf("%RETRY%a_b+c_d", "a_b"), "c_d");
  assert.equal(normalTopicOf("c_d", "a_b"), "c_d");
});
