// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * A consumer that pulls few messages ahead and takes {@code pauseMs} for each, so that most of them are still at the
 * broker while something happens to it; with {@code orderly=1} in the order of the queues. Ends after {@code expect} different messages, with its offsets committed.
 */
public final class ConsumeSlowly implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        int pauseMs = run.number("pauseMs", 50);
        Set<String> seen = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.setPullThresholdForQueue(2);
        consumer.setPullBatchSize(1);
        consumer.subscribe(run.topic(), "*");
        if (run.number("orderly", 0) == 1) {
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                take(run, messages, seen, pauseMs);
                return ConsumeOrderlyStatus.SUCCESS;
            });
        } else {
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                take(run, messages, seen, pauseMs);
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
        }
        consumer.start();
        run.print("STARTED");
        int expected = run.number("expect", 1);
        run.await(expected + " messages", 60_000, () -> seen.size() >= expected);
        Thread.sleep(1000);
    }

    private static void take(Run run, List<MessageExt> messages, Set<String> seen, int pauseMs) {
        for (MessageExt message : messages) {
            run.received("consumer", message);
            seen.add(message.getMsgId());
        }
        try {
            Thread.sleep(pauseMs);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        if (seen.size() >= run.number("tellAfter", Integer.MAX_VALUE)) run.print("REACHED");
    }
}
