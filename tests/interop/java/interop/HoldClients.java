// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;

/** A producer and a consumer that stay connected while administrators look at them. */
public final class HoldClients implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        run.sendAll(producer, run.messages("held", 1));
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.subscribe(run.topic(), "TagA || TagB");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> run.received("consumer", message));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        run.print("STARTED");
        run.awaitRelease();
    }
}
