// SPDX-License-Identifier: Apache-2.0
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Transactions: a message that consumers get only if the work that it tells of was done. Of three orders one is paid, one
 * is not, and of one the producer does not know yet: the broker asks later.
 */
public final class Transaction {
    private static final String TOPIC = "TransactionExample";

    public static void main(String[] args) throws Exception {
        String nameServers = args.length > 0 ? args[0] : "127.0.0.1:9876";
        long start = System.currentTimeMillis();
        CountDownLatch all = new CountDownLatch(2);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("transaction-example-java-" + start);
        consumer.setNamesrvAddr(nameServers);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(TOPIC, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                if (message.getBornTimestamp() < start) continue; // of an earlier run
                System.out.println("delivered: " + text(message));
                all.countDown();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });

        TransactionMQProducer producer = new TransactionMQProducer("transaction-example-java");
        producer.setNamesrvAddr(nameServers);
        producer.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message message, Object state) {
                return (LocalTransactionState) state;
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt message) {
                System.out.println("asked about " + text(message));
                return LocalTransactionState.COMMIT_MESSAGE; // by now it is paid
            }
        });
        producer.start();
        order(producer, "the paid order", LocalTransactionState.COMMIT_MESSAGE);
        order(producer, "the unpaid order", LocalTransactionState.ROLLBACK_MESSAGE);
        order(producer, "the slow order", LocalTransactionState.UNKNOW);
        consumer.start();
        all.await();
        consumer.shutdown();
        producer.shutdown();
    }

    private static void order(TransactionMQProducer producer, String name, LocalTransactionState state) throws Exception {
        Message message = new Message(TOPIC, name.getBytes(StandardCharsets.UTF_8));
        producer.sendMessageInTransaction(message, state);
        System.out.println(name + ": " + state);
    }

    private static String text(Message message) {
        return new String(message.getBody(), StandardCharsets.UTF_8);
    }
}
