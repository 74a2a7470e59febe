// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Messages for later by milliseconds, seconds and time of day, as 5.x brokers with a timer wheel take them; some for the
 * same second, one for a time that is over, one that is taken back, and some that can't be. Prints what comes when.
 */
public final class Timer implements Scenario {
    private static final int SAME_SECOND = 20;

    @Override
    public void run(Run run) throws Exception {
        Set<String> seen = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.subscribe(run.topic(), "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            for (var message : messages) {
                if (message.getKeys().equals("warm") || !seen.add(message.getMsgId())) continue;
                long due = Long.parseLong(message.getProperty("due"));
                run.print("CAME", "name", message.getKeys(), "topic", message.getTopic(), "queueId", message.getQueueId(),
                    "tags", String.valueOf(message.getTags()), "body", Run.summary(message.getBody()),
                    "msgId", message.getMsgId(), "queueOffset", message.getQueueOffset(),
                    "lateMs", message.getStoreTimestamp() - due);
            }
            return ConsumeOrderlyStatus.SUCCESS;
        });
        DefaultMQProducer producer = run.producer();
        SendResult warm = producer.send(new Message(run.topic(), "TagA", "warm", Run.bytes("the topic exists from here on")));
        MessageQueue first = warm.getMessageQueue();
        MessageQueue queue = new MessageQueue(run.topic(), first.getBrokerName(), (first.getQueueId() + 1) % 4);
        run.value("queueId", queue.getQueueId());
        consumer.start();

        Message over = message(run, "over", -1000);
        over.setDeliverTimeMs(Long.parseLong(over.getProperty("due")));
        send(run, producer, over, queue);
        Message millis = message(run, "millis", 1300);
        millis.setDelayTimeMs(1300);
        send(run, producer, millis, queue);
        Message seconds = message(run, "seconds", 2000);
        seconds.setDelayTimeSec(2);
        send(run, producer, seconds, queue);
        long later = System.currentTimeMillis() + 4500;
        List<SendResult> same = new ArrayList<>();
        for (int i = 0; i < SAME_SECOND; i++) {
            Message message = message(run, "same-" + i, later - System.currentTimeMillis());
            message.setDeliverTimeMs(later);
            same.add(send(run, producer, message, queue));
        }
        run.value("recalled", producer.recallMessage(run.topic(), same.get(7).getRecallHandle()));
        run.value("recalledId", same.get(7).getMsgId());

        Message far = message(run, "far", 0);
        far.setDelayTimeSec(4 * 24 * 3600);
        refused(run, () -> producer.send(far, queue));
        refused(run, () -> producer.recallMessage(run.topic(), "bm8gaGFuZGxl"));
        run.await("all deliveries", 30_000, () -> seen.size() >= 3 + SAME_SECOND - 1);
        Thread.sleep(1500);
        run.value("count", seen.size());
    }

    private static Message message(Run run, String name, long delayMs) {
        Message message = new Message(run.topic(), "TagB", name, Run.bytes("body of " + name));
        message.putUserProperty("due", String.valueOf(System.currentTimeMillis() + delayMs));
        return message;
    }

    private static SendResult send(Run run, DefaultMQProducer producer, Message message, MessageQueue queue) throws Exception {
        SendResult result = producer.send(message, queue);
        run.print("TIMED", "name", message.getKeys(), "msgId", result.getMsgId(), "status", result.getSendStatus(),
            "queueId", result.getMessageQueue().getQueueId(), "hasHandle", result.getRecallHandle() != null);
        return result;
    }

    private interface Attempt {
        Object make() throws Exception;
    }

    private static void refused(Run run, Attempt attempt) {
        try {
            run.value("notRefused", attempt.make());
        } catch (Exception e) {
            run.refused(e);
        }
    }
}
