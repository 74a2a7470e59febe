// SPDX-License-Identifier: Apache-2.0
import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Request and reply: a producer sends a message and waits for what a consumer answers. */
public final class RequestReply {
    private static final String TOPIC = "RequestExample";

    public static void main(String[] args) throws Exception {
        String nameServers = args.length > 0 ? args[0] : "127.0.0.1:9876";
        DefaultMQProducer replier = producer("reply-example-java", "replier", nameServers);
        DefaultMQProducer requester = producer("request-example-java", "requester", nameServers);

        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("reply-example-java");
        consumer.setNamesrvAddr(nameServers);
        consumer.subscribe(TOPIC, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                if (!text(message).endsWith("?")) continue;
                try {
                    String answer = '"' + text(message) + "\" is a good question";
                    replier.send(MessageUtil.createReplyMessage(message, answer.getBytes(StandardCharsets.UTF_8)));
                } catch (Exception e) {
                    System.out.println("not replied: " + e.getMessage()); // who asked has gone
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        replier.send(new Message(TOPIC, "hello".getBytes(StandardCharsets.UTF_8))); // makes the topic
        consumer.start();

        for (String question : new String[] {"who is there?", "what time is it?"}) {
            Message reply = requester.request(new Message(TOPIC, question.getBytes(StandardCharsets.UTF_8)), 40_000);
            System.out.println(question + ' ' + text(reply));
        }
        consumer.shutdown();
        requester.shutdown();
        replier.shutdown();
    }

    /** With an instance, and so a connection, of its own. */
    private static DefaultMQProducer producer(String group, String instance, String nameServers) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer(group);
        producer.setNamesrvAddr(nameServers);
        producer.setInstanceName(instance + '-' + System.nanoTime());
        producer.start();
        return producer;
    }

    private static String text(Message message) {
        return new String(message.getBody(), StandardCharsets.UTF_8);
    }
}
