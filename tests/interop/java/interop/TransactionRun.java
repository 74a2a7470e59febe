// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Transactions of every outcome, {@code count} of each, and a consumer. With {@code held}, the open ones are left
 * undecided until the scenario is released, and it goes on while the broker is killed and comes back.
 */
public final class TransactionRun implements Scenario {
    private final Set<String> seen = ConcurrentHashMap.newKeySet();

    @Override
    public void run(Run run) throws Exception {
        int count = run.number("count", 3);
        Transactions transactions = new Transactions(run);
        TransactionMQProducer producer = transactions.producer(run.text("transactionGroup", "tp_" + run.topic()));
        run.sendAll(run.producer(), run.messages("plain", 1));
        boolean isHeld = run.number("held", 0) == 1;
        if (!isHeld) consumer(run).start();
        for (String prefix : run.text("prefixes").split(",")) transactions.send(producer, prefix, count);
        int wanted = run.number("expect", 1);
        if (isHeld) {
            run.print("WAITING");
            run.awaitRelease();
            transactions.decideOpen = true;
            consumer(run).start();
        }
        run.await("what is committed", 60_000, () -> seen.size() >= wanted);
        run.await("all questions", 30_000, () -> transactions.questions.get() >= run.number("questions", 0));
    }

    private DefaultMQPushConsumer consumer(Run run) throws Exception {
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.subscribe(run.topic(), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                String body = Run.summary(message.getBody());
                run.print("RECV", "msgId", message.getMsgId(), "transactionId", String.valueOf(message.getTransactionId()),
                    "queueId", message.getQueueId(), "queueOffset", message.getQueueOffset(), "tags", message.getTags(),
                    "keys", message.getKeys(), "color", String.valueOf(message.getProperty("color")),
                    "reconsumeTimes", message.getReconsumeTimes(), "body", body);
                seen.add(body);
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        return consumer;
    }
}
