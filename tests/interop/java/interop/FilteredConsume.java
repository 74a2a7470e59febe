// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;

/** Consumes what an expression or a tag selects, until so many have come, and a little longer. */
public final class FilteredConsume implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        Set<String> seen = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        String expression = run.text("expression", "");
        if (expression.isEmpty()) consumer.subscribe(run.topic(), run.text("tag"));
        else consumer.subscribe(run.topic(), MessageSelector.bySql(expression));
        consumer.registerMessageListener((MessageListenerConcurrently) (batch, context) -> {
            batch.forEach(message -> {
                run.received("consumer", message);
                seen.add(message.getMsgId());
            });
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        int expected = run.number("expect", 1);
        run.await(expected + " messages", 40_000, () -> seen.size() >= expected);
        Thread.sleep(700);
    }
}
