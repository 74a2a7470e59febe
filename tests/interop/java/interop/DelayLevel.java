// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/** Messages with the delay levels 0 (none), 1 and 2; prints how long after the send each was delivered. */
public final class DelayLevel implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        Set<String> seen = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.subscribe(run.topic(), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            long now = System.currentTimeMillis();
            for (var message : messages) {
                if (!seen.add(message.getMsgId())) continue;
                if (message.getKeys().equals("warm")) continue;
                run.print("DELIVERY", "level", message.getKeys(), "topic", message.getTopic(),
                    "tags", String.valueOf(message.getTags()), "color", String.valueOf(message.getProperty("color")),
                    "body", Run.summary(message.getBody()), "msgId", message.getMsgId(),
                    "afterMs", now - Long.parseLong(message.getProperty("sentAt")));
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        DefaultMQProducer producer = run.producer();
        producer.send(new Message(run.topic(), "TagA", "warm", Run.bytes("the topic exists from here on")));
        consumer.start();
        run.await("a delivery", 30_000, () -> seen.size() == 1);
        for (int level = 0; level <= 2; level++) {
            Message message = new Message(run.topic(), "TagA", String.valueOf(level), Run.bytes("level " + level));
            message.putUserProperty("color", "red");
            message.putUserProperty("sentAt", String.valueOf(System.currentTimeMillis()));
            if (level > 0) message.setDelayTimeLevel(level);
            run.sent(producer.send(message), message);
        }
        run.await("all deliveries", 30_000, () -> seen.size() == 4);
    }
}
