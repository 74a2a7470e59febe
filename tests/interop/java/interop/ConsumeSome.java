// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;

/**
 * A consumer of a group that ends after {@code expect} different messages and half a second of silence; its offsets are
 * committed when it shuts down. {@code from}: FIRST (default), LAST or TIMESTAMP with {@code timestamp}. With
 * {@code sendBefore} it sends that many messages first.
 */
public final class ConsumeSome implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        int sendBefore = run.number("sendBefore", 0);
        if (sendBefore > 0) run.sendAll(run.producer(), run.messages("young", sendBefore));
        Set<String> seen = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        switch (run.text("from", "FIRST")) {
            case "LAST":
                consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET);
                break;
            case "TIMESTAMP":
                consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_TIMESTAMP);
                consumer.setConsumeTimestamp(run.text("timestamp"));
                break;
            default:
                consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        }
        consumer.subscribe(run.topic(), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> {
                run.received("consumer", message);
                seen.add(message.getMsgId());
            });
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        run.print("STARTED");
        int expected = run.number("expect", 1);
        run.await(expected + " messages", 45_000, () -> seen.size() >= expected);
        Thread.sleep(500);
    }
}
