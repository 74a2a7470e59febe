// SPDX-License-Identifier: Apache-2.0
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;

/**
 * Messages for later: by a delay level, after any time, at a moment; and one that is taken back before it comes. Taking
 * back needs {@code recallMessageEnable=true} at the broker; without it, the message comes.
 */
public final class Delayed {
    private static final String TOPIC = "DelayedExample";

    public static void main(String[] args) throws Exception {
        String nameServers = args.length > 0 ? args[0] : "127.0.0.1:9876";
        long start = System.currentTimeMillis();

        DefaultMQProducer producer = new DefaultMQProducer("delayed-example-java");
        producer.setNamesrvAddr(nameServers);
        producer.start();
        producer.send(message("at once"));

        Message level = message("level 1: after a second");
        level.setDelayTimeLevel(1);
        producer.send(level);
        Message after = message("after two seconds");
        after.setDelayTimeMs(2000);
        producer.send(after);
        Message at = message("at a moment");
        at.setDeliverTimeMs(start + 4000);
        producer.send(at);
        Message regretted = message("regretted");
        regretted.setDelayTimeSec(3);
        SendResult sent = producer.send(regretted);
        int expected = 5;
        try {
            producer.recallMessage(TOPIC, sent.getRecallHandle());
            System.out.println("taken back: regretted");
            expected--;
        } catch (MQBrokerException e) {
            System.out.println("not taken back: " + e.getErrorMessage());
        }

        CountDownLatch all = new CountDownLatch(expected);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("delayed-example-java-" + start);
        consumer.setNamesrvAddr(nameServers);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(TOPIC, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (var message : messages) {
                if (message.getBornTimestamp() < start) continue; // of an earlier run
                double seconds = (System.currentTimeMillis() - start) / 1000.0;
                System.out.printf("%.1f s: %s%n", seconds, new String(message.getBody(), StandardCharsets.UTF_8));
                all.countDown();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        all.await();
        consumer.shutdown();
        producer.shutdown();
    }

    private static Message message(String body) {
        return new Message(TOPIC, body.getBytes(StandardCharsets.UTF_8));
    }
}
