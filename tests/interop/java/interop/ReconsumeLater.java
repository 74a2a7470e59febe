// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.message.Message;

/** A consumer refuses each message twice; it comes back through the group's retry topic. */
public final class ReconsumeLater implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        Set<String> consumed = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.subscribe(run.topic(), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (var message : messages) {
                run.print("DELIVERY", "body", Run.summary(message.getBody()), "topic", message.getTopic(),
                    "msgId", message.getMsgId(), "reconsumeTimes", message.getReconsumeTimes(),
                    "color", String.valueOf(message.getProperty("color")), "keys", String.valueOf(message.getKeys()),
                    "tags", String.valueOf(message.getTags()), "atMs", System.currentTimeMillis());
                if (message.getReconsumeTimes() < 2) return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                consumed.add(message.getMsgId());
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        var producer = run.producer();
        for (int i = 0; i < 3; i++) {
            Message message = run.message("retry", i);
            message.putUserProperty("color", "blue");
            run.sent(producer.send(message), message);
        }
        run.await("three consumed messages", 55_000, () -> consumed.size() == 3);
    }
}
