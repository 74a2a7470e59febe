// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** A message that is refused too often goes to the group's dead-letter topic, where it can be read. */
@SuppressWarnings("deprecation")
public final class DeadLetter implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.setMaxReconsumeTimes(1);
        consumer.subscribe(run.topic(), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (var message : messages) run.received("consumer", message);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        consumer.start();
        Message message = run.message("poison", 0);
        message.putUserProperty("color", "green");
        run.sent(run.producer().send(message), message);

        DefaultMQPullConsumer reader = run.pullConsumer("g_" + run.topic());
        String deadLetters = "%DLQ%" + run.group();
        run.await("a dead letter", 55_000, () -> {
            for (MessageQueue queue : reader.fetchSubscribeMessageQueues(deadLetters)) {
                if (reader.maxOffset(queue) > 0) return true;
            }
            return false;
        });
        for (MessageQueue queue : reader.fetchSubscribeMessageQueues(deadLetters)) {
            PullResult result = reader.pull(queue, "*", 0, 32);
            for (MessageExt dead : result.getMsgFoundList()) {
                run.print("DEAD", "topic", dead.getTopic(), "body", Run.summary(dead.getBody()),
                    "keys", String.valueOf(dead.getKeys()), "tags", String.valueOf(dead.getTags()),
                    "color", String.valueOf(dead.getProperty("color")),
                    "retryTopic", String.valueOf(dead.getProperty("RETRY_TOPIC")),
                    "originMessageId", String.valueOf(dead.getProperty("ORIGIN_MESSAGE_ID")));
            }
        }
    }
}
