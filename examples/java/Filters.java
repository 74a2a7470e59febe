// SPDX-License-Identifier: Apache-2.0
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;

/**
 * Consumers that want some messages of a topic only: by tags, and by a condition over properties (SQL92), which needs
 * {@code enablePropertyFilter=true} at the broker.
 */
public final class Filters {
    private static final String TOPIC = "FiltersExample";
    private static final long START = System.currentTimeMillis();
    private static String nameServers = "127.0.0.1:9876";

    public static void main(String[] args) throws Exception {
        if (args.length > 0) nameServers = args[0];
        DefaultMQProducer producer = new DefaultMQProducer("filters-example-java");
        producer.setNamesrvAddr(nameServers);
        producer.start();
        producer.send(order("ten books", "books", "north", 10));
        producer.send(order("two lamps", "lamps", "north", 2));
        producer.send(order("forty lamps", "lamps", "south", 40));
        producer.send(new Message(TOPIC, "paper", bytes("a catalogue")));

        consume("tags", MessageSelector.byTag("books || paper"), 2);
        consume("condition", MessageSelector.bySql("region = 'south' OR amount BETWEEN 5 AND 20"), 2);
        try {
            consume("mistake", MessageSelector.bySql("amount > 'many'"), 0);
        } catch (MQClientException e) {
            System.out.println("refused: " + e.getErrorMessage());
        }
        producer.shutdown();
    }

    private static void consume(String name, MessageSelector wanted, int count) throws Exception {
        CountDownLatch all = new CountDownLatch(count);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("filters-example-java-" + name + "-" + START);
        consumer.setNamesrvAddr(nameServers);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(TOPIC, wanted);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (var message : messages) {
                if (message.getBornTimestamp() < START) continue; // of an earlier run
                System.out.println(name + ": " + new String(message.getBody(), StandardCharsets.UTF_8));
                all.countDown();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        try {
            consumer.start();
            all.await();
        } finally {
            consumer.shutdown();
        }
    }

    private static Message order(String body, String tag, String region, int amount) {
        Message message = new Message(TOPIC, tag, bytes(body));
        message.putUserProperty("region", region);
        message.putUserProperty("amount", String.valueOf(amount));
        return message;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
