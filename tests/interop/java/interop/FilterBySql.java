// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.store.OffsetStore;
import org.apache.rocketmq.client.consumer.store.ReadOffsetType;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Consumes by an expression over the properties color and weight: messages stored before the consumer came, then, after a
 * release (in between the broker may have died), others while it waits. The last ones match nothing.
 */
public final class FilterBySql implements Scenario {
    private static final String[] COLORS = {"blue", "red", null, "light blue"};

    @Override
    public void run(Run run) throws Exception {
        int half = run.number("half", 40);
        int expectFirst = run.number("expectFirst", 0);
        int expectAll = run.number("expectAll", 0);
        DefaultMQProducer producer = run.producer();
        run.sendAll(producer, messages(run, 0, half));

        Set<String> seen = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.subscribe(run.topic(), MessageSelector.bySql(run.text("expression")));
        consumer.registerMessageListener((MessageListenerConcurrently) (batch, context) -> {
            batch.forEach(message -> {
                run.received("consumer", message);
                seen.add(message.getMsgId());
            });
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        run.await(expectFirst + " matching messages", 30_000, () -> seen.size() >= expectFirst);
        run.print("HALF");
        run.awaitRelease();
        for (Message message : messages(run, half, 2 * half)) {
            run.sent(producer.send(message), message);
        }
        run.await(expectAll + " matching messages", 60_000, () -> seen.size() >= expectAll);
        for (MessageQueue queue : producer.fetchPublishMessageQueues(run.topic())) {
            Message last = new Message(run.topic(), Run.bytes("wanted by nobody"));
            last.putUserProperty("color", "none");
            run.sent(producer.send(last, queue), last);
        }
        OffsetStore offsets = consumer.getDefaultMQPushConsumerImpl().getOffsetStore();
        long took = run.await("offsets at the end of every queue", 40_000, () -> {
            for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(run.topic())) {
                if (offsets.readOffset(queue, ReadOffsetType.READ_FROM_STORE) < consumer.maxOffset(queue)) return false;
            }
            return true;
        });
        run.value("offsetsAtEndAfterMs", took);
    }

    private static List<Message> messages(Run run, int from, int end) {
        List<Message> messages = new ArrayList<>();
        for (int i = from; i < end; i++) {
            String color = COLORS[i % COLORS.length];
            Message message = new Message(run.topic(), "Tag" + i % 2, Run.bytes("message " + i));
            if (color != null) message.putUserProperty("color", color);
            message.putUserProperty("weight", i % 3 == 0 ? "n/a" : String.valueOf(i % 10));
            messages.add(message);
        }
        return messages;
    }
}
