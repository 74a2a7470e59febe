// SPDX-License-Identifier: Apache-2.0
package interop;

import java.text.SimpleDateFormat;
import java.util.Date;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Where new groups begin in a topic of one queue whose oldest messages have been deleted: at what is left of the
 * beginning, at the end, or at a time. The broker must delete old files by itself within seconds.
 */
@SuppressWarnings("deprecation")
public final class ConsumeFrom implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        var old = run.messages("old", 400);
        for (var message : old) {
            message.setBody(Run.noise(8192, message.getKeys().hashCode()));
            producer.send(message);
        }
        DefaultMQPullConsumer admin = run.pullConsumer("g_" + run.topic());
        MessageQueue queue = run.queues(admin, run.topic()).iterator().next();
        run.await("deletion of the oldest messages", 60_000, () -> admin.minOffset(queue) > 0);

        Thread.sleep(1100 - System.currentTimeMillis() % 1000); // timestamps of groups are in whole seconds
        String timestamp = new SimpleDateFormat("yyyyMMddHHmmss").format(new Date());
        run.sendAll(producer, run.messages("timed", 3));

        Set<String> first = start(run, "FIRST", ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET, null);
        Set<String> last = start(run, "LAST", ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET, null);
        Set<String> time = start(run, "TIMESTAMP", ConsumeFromWhere.CONSUME_FROM_TIMESTAMP, timestamp);
        Thread.sleep(2000); // the groups have asked for their offsets
        run.sendAll(producer, run.messages("new", 3));
        run.await("messages from the end", 60_000, () -> last.size() >= 3);
        run.await("messages from a time", 60_000, () -> time.size() >= 6);
        long end = admin.maxOffset(queue);
        run.await("messages from the beginning", 60_000, () -> first.contains(String.valueOf(end - 1)));
        run.value("min", admin.minOffset(queue));
        run.value("max", end);
        Thread.sleep(500);
    }

    private static Set<String> start(Run run, String name, ConsumeFromWhere where, String timestamp) throws Exception {
        Set<String> offsets = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group() + "_" + name);
        consumer.setConsumeFromWhere(where);
        if (timestamp != null) consumer.setConsumeTimestamp(timestamp);
        consumer.subscribe(run.topic(), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (var message : messages) {
                run.received(name, message);
                offsets.add(String.valueOf(message.getQueueOffset()));
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return offsets;
    }
}
