// SPDX-License-Identifier: Apache-2.0
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;

/** Many messages in one request: they are stored in one queue, one behind the other, or not at all. */
public final class Batch {
    private static final String TOPIC = "BatchExample";
    private static final int COUNT = 100;

    public static void main(String[] args) throws Exception {
        String nameServers = args.length > 0 ? args[0] : "127.0.0.1:9876";
        long start = System.currentTimeMillis();

        DefaultMQProducer producer = new DefaultMQProducer("batch-example-java");
        producer.setNamesrvAddr(nameServers);
        producer.start();
        List<Message> messages = new ArrayList<>();
        for (int i = 0; i < COUNT; i++) {
            messages.add(new Message(TOPIC, "", "key-" + i, ("message " + i).getBytes(StandardCharsets.UTF_8)));
        }
        SendResult sent = producer.send(messages);
        System.out.println(sent.getSendStatus() + ": " + COUNT + " messages in queue " + sent.getMessageQueue().getQueueId());

        List<String> bodies = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch all = new CountDownLatch(COUNT);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("batch-example-java-" + start);
        consumer.setNamesrvAddr(nameServers);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(1); // several threads would finish in any order
        consumer.setConsumeThreadMax(1);
        consumer.subscribe(TOPIC, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (received, context) -> {
            for (var message : received) {
                if (message.getBornTimestamp() < start) continue; // of an earlier run
                bodies.add(new String(message.getBody(), StandardCharsets.UTF_8));
                all.countDown();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        all.await();
        boolean isInOrder = true;
        for (int i = 0; i < COUNT; i++) isInOrder &= bodies.get(i).equals("message " + i);
        System.out.println("received " + bodies.size() + ", " + (isInOrder ? "in their order" : "out of order"));
        consumer.shutdown();
        producer.shutdown();
    }
}
