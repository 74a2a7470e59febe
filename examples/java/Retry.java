// SPDX-License-Identifier: Apache-2.0
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Retry and dead letters: a message on which its consumer fails comes again after a while, with the tries counted, and
 * goes to the group's dead letters after the last one. There another consumer reads it.
 */
public final class Retry {
    private static final String TOPIC = "RetryExample";

    public static void main(String[] args) throws Exception {
        String nameServers = args.length > 0 ? args[0] : "127.0.0.1:9876";
        String group = "retry-example-java-" + System.currentTimeMillis();
        DefaultMQProducer producer = new DefaultMQProducer("retry-example-java");
        producer.setNamesrvAddr(nameServers);
        producer.start();
        Message poison = new Message(TOPIC, null, "poison-1", "poison".getBytes(StandardCharsets.UTF_8));
        producer.send(poison);

        CountDownLatch isDead = new CountDownLatch(3);
        DefaultMQPushConsumer consumer = consumer(group, TOPIC, nameServers);
        consumer.setMaxReconsumeTimes(2);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                if (!poison.getProperty("UNIQ_KEY").equals(message.getMsgId())) continue; // of an earlier run
                System.out.println("try " + (message.getReconsumeTimes() + 1) + " of: " + text(message));
                isDead.countDown();
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        isDead.await();
        consumer.shutdown(); // which waits for what is under way

        CountDownLatch isFound = new CountDownLatch(1);
        DefaultMQPushConsumer undertaker = consumer(group + "-dead", "%DLQ%" + group, nameServers);
        undertaker.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                System.out.println("dead: " + text(message) + ", key " + message.getKeys());
                isFound.countDown();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        undertaker.start();
        isFound.await();
        undertaker.shutdown();
        producer.shutdown();
    }

    private static DefaultMQPushConsumer consumer(String group, String topic, String nameServers) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(nameServers);
        consumer.setPollNameServerInterval(1000); // the topic of retries is made while the consumer runs
        consumer.setAwaitTerminationMillisWhenShutdown(5000);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        return consumer;
    }

    private static String text(Message message) {
        return new String(message.getBody(), StandardCharsets.UTF_8);
    }
}
