// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.MessageQueueSelector;
import org.apache.rocketmq.common.message.Message;

/** Two orderly consumers of one group; the second joins while the first holds the locks of all queues. */
public final class Orderly implements Scenario {
    private final Map<Integer, AtomicInteger> busy = new ConcurrentHashMap<>();
    private final Set<String> seen = ConcurrentHashMap.newKeySet();
    private final AtomicInteger overlaps = new AtomicInteger();

    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        send(run, producer, "before", 40);
        DefaultMQPushConsumer first = consumer(run, "first");
        first.start();
        run.await("all messages at the first consumer", 45_000, () -> seen.size() == 40);
        DefaultMQPushConsumer second = consumer(run, "second");
        second.start();
        run.await("two locked queues for each", 60_000, () -> queues(first, run) == 2 && queues(second, run) == 2);
        send(run, producer, "after", 40);
        run.await("all messages at the two consumers", 45_000, () -> seen.size() == 80);
        run.value("overlaps", overlaps.get());
    }

    private void send(Run run, DefaultMQProducer producer, String prefix, int count) throws Exception {
        MessageQueueSelector byNumber = (queues, message, number) -> queues.get((Integer) number % queues.size());
        List<Message> messages = run.messages(prefix, count);
        for (int i = 0; i < count; i++) run.sent(producer.send(messages.get(i), byNumber, i), messages.get(i));
    }

    private DefaultMQPushConsumer consumer(Run run, String name) throws Exception {
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.subscribe(run.topic(), "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            AtomicInteger users = busy.computeIfAbsent(context.getMessageQueue().getQueueId(), id -> new AtomicInteger());
            if (users.incrementAndGet() > 1) overlaps.incrementAndGet();
            messages.forEach(message -> {
                if (seen.size() == 80) return; // the run is over; what a shutdown hands over may come again
                run.received(name, message);
                seen.add(message.getMsgId());
            });
            pause();
            users.decrementAndGet();
            return ConsumeOrderlyStatus.SUCCESS;
        });
        return consumer;
    }

    private static void pause() {
        try {
            Thread.sleep(3);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static long queues(DefaultMQPushConsumer consumer, Run run) {
        return consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet().stream()
            .filter(queue -> queue.getTopic().equals(run.topic())).count();
    }
}
