// SPDX-License-Identifier: Apache-2.0
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Message trace: a producer that writes down what it has sent, in {@code RMQ_SYS_TRACE_TOPIC}. The broker needs
 * {@code traceTopicEnable=true}, or {@code autoCreateTopicEnable}; {@code traceOn=false} there switches it off.
 */
public final class Trace {
    public static void main(String[] args) throws Exception {
        String nameServers = args.length > 0 ? args[0] : "127.0.0.1:9876";
        long start = System.currentTimeMillis();
        DefaultMQProducer producer = new DefaultMQProducer("trace-example-java");
        producer.setNamesrvAddr(nameServers);
        producer.setEnableTrace(true);
        producer.start();
        SendResult sent = producer.send(new Message("TraceExample", "hello".getBytes(StandardCharsets.UTF_8)));

        CountDownLatch found = new CountDownLatch(1);
        DefaultMQPushConsumer reader = new DefaultMQPushConsumer("trace-example-java-" + start);
        reader.setNamesrvAddr(nameServers);
        reader.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        reader.subscribe("RMQ_SYS_TRACE_TOPIC", "*");
        reader.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                if (!message.getKeys().contains(sent.getMsgId())) continue; // of others
                String[] fields = new String(message.getBody(), StandardCharsets.UTF_8).split("\u0001");
                System.out.println(String.join(" ", Arrays.asList(fields[0], "of", fields[3], "to", fields[4])));
                found.countDown();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        reader.start();
        found.await();
        reader.shutdown();
        producer.shutdown();
    }
}
