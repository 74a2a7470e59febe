// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;

/** A producer and a consumer that write traces, and stay connected until they are released. */
public final class Traced implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQPushConsumer consumer = run.configure(new DefaultMQPushConsumer(run.group(), true, null));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        run.atEnd(consumer::shutdown);
        consumer.subscribe(run.topic(), "TagA || TagB");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> run.received("consumer", message));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        DefaultMQProducer producer = run.configure(new DefaultMQProducer("p_" + run.topic(), true, null));
        producer.setSendMsgTimeout(20_000);
        run.atEnd(producer::shutdown);
        producer.start();
        run.sendAll(producer, run.messages("traced", run.number("count", 2)));
        run.awaitRelease();
    }
}
