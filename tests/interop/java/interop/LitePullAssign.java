// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Assigns two queues by hand, reads them, and goes back to offset 2 in the first of them. */
public final class LitePullAssign implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        run.sendAll(producer, run.messages("first", 1));
        List<MessageQueue> all = new ArrayList<>();
        run.await("the queues", 10_000, () -> all.addAll(producer.fetchPublishMessageQueues(run.topic())));
        for (int i = 0; i < 16; i++) {
            Message message = run.message("assigned", i);
            run.sent(producer.send(message, all.get(i % 4)), message);
        }
        DefaultLitePullConsumer consumer = run.litePullConsumer(run.group());
        consumer.start();
        Collection<MessageQueue> queues = consumer.fetchMessageQueues(run.topic());
        run.value("fetchedQueues", queues.size());
        List<MessageQueue> mine = List.of(all.get(1), all.get(2));
        consumer.assign(mine);
        poll(run, consumer, "assigned", countOf(consumer, mine.get(0), 0) + countOf(consumer, mine.get(1), 0));
        consumer.seek(mine.get(0), 2);
        run.value("assignedQueueIds", mine.get(0).getQueueId() + " " + mine.get(1).getQueueId());
        poll(run, consumer, "sought", countOf(consumer, mine.get(0), 2));
    }

    private static long countOf(DefaultLitePullConsumer consumer, MessageQueue queue, long from) throws Exception {
        return consumer.offsetForTimestamp(queue, System.currentTimeMillis() + 60_000) - from;
    }

    private static void poll(Run run, DefaultLitePullConsumer consumer, String name, long expected) throws Exception {
        Set<String> seen = new HashSet<>();
        run.await(expected + " messages, " + name, 30_000, () -> {
            for (MessageExt message : consumer.poll(200)) {
                run.received(name, message);
                seen.add(message.getMsgId());
            }
            return seen.size() >= expected;
        });
        for (MessageExt message : consumer.poll(500)) run.received(name, message);
    }
}
