// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Two push consumers of a group that the broker lets pop. Each message is refused as often as its property "refuse"
 * says; the run ends when {@code expect} different bodies have been consumed. {@code expression}: the tags wanted.
 */
public final class PopPush implements Scenario {
    private final Set<String> consumed = ConcurrentHashMap.newKeySet();
    private final Map<String, Integer> refusals = new ConcurrentHashMap<>();

    @Override
    public void run(Run run) throws Exception {
        DefaultMQPushConsumer first = consumer(run, "first");
        DefaultMQPushConsumer second = consumer(run, "second");
        first.start();
        second.start();
        run.await("both to pop", 30_000, () -> pops(first, run) && pops(second, run));
        run.print("POPPING");
        int expected = run.number("expect", 1);
        run.await(expected + " messages", 45_000, () -> consumed.size() >= expected);
        Thread.sleep(500); // acknowledgements are on their way, and what comes twice does so now
    }

    private DefaultMQPushConsumer consumer(Run run, String name) throws Exception {
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.setClientRebalance(false);
        consumer.setPopInvisibleTime(run.number("invisibleTime", 60_000));
        consumer.setPopBatchNums(4);
        consumer.setConsumeMessageBatchMaxSize(run.number("batch", 1));
        consumer.subscribe(run.topic(), run.text("expression", "*"));
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                run.received(name, message);
                String body = Run.summary(message.getBody());
                int wanted = Integer.parseInt(message.getProperties().getOrDefault("refuse", "0"));
                if (refusals.merge(body, 1, Integer::sum) <= wanted) return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                consumed.add(body);
            }
            try {
                Thread.sleep(20); // long enough for the other one to get its share
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        return consumer;
    }

    private static boolean pops(DefaultMQPushConsumer consumer, Run run) {
        return consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getPopProcessQueueTable().keySet().stream()
            .anyMatch(queue -> queue.getTopic().equals(run.topic()));
    }
}
