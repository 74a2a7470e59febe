// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;

/**
 * A consumer that pulls few messages ahead and takes {@code pauseMs} for each, so that most of them are still at the
 * broker while something happens to it. Ends after {@code expect} different messages, with its offsets committed.
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
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> {
                run.received("consumer", message);
                seen.add(message.getMsgId());
            });
            try {
                Thread.sleep(pauseMs);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            if (seen.size() >= run.number("tellAfter", Integer.MAX_VALUE)) run.print("REACHED");
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        run.print("STARTED");
        int expected = run.number("expect", 1);
        run.await(expected + " messages", 60_000, () -> seen.size() >= expected);
        Thread.sleep(1000);
    }
}
