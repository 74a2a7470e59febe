// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.store.OffsetStore;
import org.apache.rocketmq.client.consumer.store.ReadOffsetType;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Subscribes to some tags. "Aa" and "BB" have the same hash code, which is all the broker's queues know of a tag. The
 * last messages match nothing; the group's offsets must pass them all the same.
 */
public final class TagFilter implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        List<Message> messages = new ArrayList<>();
        for (String tag : List.of("TagA", "TagB", "TagC", "Aa", "BB", "TagA", "TagB", "TagC", "TagC", "TagC")) {
            messages.add(new Message(run.topic(), tag, Run.bytes(tag)));
        }
        messages.add(new Message(run.topic(), Run.bytes("no tag")));
        run.sendAll(producer, messages);

        Set<String> seen = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.subscribe(run.topic(), "TagA || TagB || Aa");
        consumer.registerMessageListener((MessageListenerConcurrently) (batch, context) -> {
            batch.forEach(message -> {
                run.received("consumer", message);
                seen.add(message.getMsgId());
            });
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        run.await("five matching messages", 20_000, () -> seen.size() >= 5);
        for (int i = 0; i < 4; i++) {
            Message message = new Message(run.topic(), "TagC", Run.bytes("held"));
            run.sent(producer.send(message), message);
        }
        OffsetStore offsets = consumer.getDefaultMQPushConsumerImpl().getOffsetStore();
        long took = run.await("offsets at the end of every queue", 30_000, () -> {
            for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(run.topic())) {
                if (offsets.readOffset(queue, ReadOffsetType.READ_FROM_STORE) < consumer.maxOffset(queue)) return false;
            }
            return true;
        });
        run.value("offsetsAtEndAfterMs", took);
    }
}
