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
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;

/** Broadcasting: every consumer of the group gets every message, and keeps its offsets itself. */
public final class Broadcast {
    private static final String TOPIC = "BroadcastExample";

    public static void main(String[] args) throws Exception {
        String nameServers = args.length > 0 ? args[0] : "127.0.0.1:9876";
        long start = System.currentTimeMillis();
        DefaultMQProducer producer = new DefaultMQProducer("broadcast-example-java");
        producer.setNamesrvAddr(nameServers);
        producer.start();
        for (int i = 1; i <= 3; i++) producer.send(new Message(TOPIC, ("news " + i).getBytes(StandardCharsets.UTF_8)));

        CountDownLatch all = new CountDownLatch(6);
        DefaultMQPushConsumer[] consumers = {consumer("first", nameServers, start, all), consumer("second", nameServers, start, all)};
        all.await();
        for (DefaultMQPushConsumer consumer : consumers) consumer.shutdown();
        producer.shutdown();
    }

    private static DefaultMQPushConsumer consumer(String name, String nameServers, long start, CountDownLatch all)
        throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("broadcast-example-java-" + start);
        consumer.setNamesrvAddr(nameServers);
        consumer.setInstanceName(name); // two consumers of a group in one process
        consumer.setMessageModel(MessageModel.BROADCASTING);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(TOPIC, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                if (message.getBornTimestamp() < start) continue; // of an earlier run
                System.out.println(name + ": " + new String(message.getBody(), StandardCharsets.UTF_8));
                all.countDown();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return consumer;
    }
}
