// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** A transactional send between two plain ones; the consumer sees what was delivered. */
public final class Transaction implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        AtomicInteger executed = new AtomicInteger();
        TransactionMQProducer producer = run.configure(new TransactionMQProducer("tp_" + run.topic()));
        producer.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
                executed.incrementAndGet();
                return LocalTransactionState.UNKNOW;
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt message) {
                return LocalTransactionState.UNKNOW;
            }
        });
        run.atEnd(producer::shutdown);
        producer.start();
        DefaultMQProducer plain = run.producer();
        run.sendAll(plain, run.messages("before", 1));
        try {
            Message half = run.message("half", 0);
            run.sent(producer.sendMessageInTransaction(half, null), half);
        } catch (MQClientException e) {
            run.refused(e);
        }
        run.value("executed", executed.get());
        run.sendAll(plain, run.messages("after", 1));

        Set<String> seen = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.subscribe(run.topic(), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (var message : messages) {
                run.received("consumer", message);
                seen.add(Run.summary(message.getBody()));
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        run.await("the plain messages", 30_000, () -> seen.contains("before 0") && seen.contains("after 0"));
        Thread.sleep(1000);
    }
}
