// SPDX-License-Identifier: Apache-2.0
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Messages in order: what belongs together goes to one queue, and an orderly consumer gets the messages of a queue one
 * after the other, in their order, even if one of them has to be tried again.
 */
public final class Ordered {
    private static final String TOPIC = "OrderedExample";

    public static void main(String[] args) throws Exception {
        String nameServers = args.length > 0 ? args[0] : "127.0.0.1:9876";
        long start = System.currentTimeMillis();
        DefaultMQProducer producer = new DefaultMQProducer("ordered-example-java");
        producer.setNamesrvAddr(nameServers);
        producer.start();
        for (String step : new String[] {"ordered", "paid", "packed", "sent"}) {
            for (int order = 1; order <= 3; order++) {
                Message message = new Message(TOPIC, ("order " + order + ": " + step).getBytes(StandardCharsets.UTF_8));
                producer.send(message, (queues, sent, key) -> queues.get((Integer) key % queues.size()), order);
            }
        }

        CountDownLatch all = new CountDownLatch(12);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("ordered-example-java-" + start);
        consumer.setNamesrvAddr(nameServers);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeMessageBatchMaxSize(1);
        consumer.subscribe(TOPIC, "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            for (MessageExt message : messages) {
                if (message.getBornTimestamp() < start) continue; // of an earlier run
                String text = new String(message.getBody(), StandardCharsets.UTF_8);
                if (text.equals("order 2: paid") && message.getReconsumeTimes() == 0) {
                    System.out.println("once more: " + text);
                    context.setSuspendCurrentQueueTimeMillis(100);
                    return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
                }
                System.out.println(text);
                all.countDown();
            }
            return ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        all.await();
        consumer.shutdown();
        producer.shutdown();
        System.exit(0); // a thread of the consumer would unlock its queues in 20 seconds
    }
}
