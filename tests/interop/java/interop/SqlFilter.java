// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;

/** A consumer that wants to filter by an SQL92 expression. */
public final class SqlFilter implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        run.sendAll(run.producer(), run.messages("first", 1));
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.subscribe(run.topic(), MessageSelector.bySql(run.text("expression", "color = 'blue' AND weight > 3")));
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> run.received("consumer", message));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        try {
            consumer.start();
        } catch (MQClientException e) {
            run.refused(e);
        }
        Thread.sleep(1000); // 4.x runs on after the refusal
    }
}
