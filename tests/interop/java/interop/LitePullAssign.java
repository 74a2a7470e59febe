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

/** Assigns two queues by hand and seeks in one of them. */
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
        long begin = 2;
        consumer.seek(mine.get(0), begin);
        run.value("seekQueueId", mine.get(0).getQueueId());
        run.value("seekOffset", begin);
        run.value("otherQueueId", mine.get(1).getQueueId());
        Set<String> seen = new HashSet<>();
        run.await("the messages of two queues", 30_000, () -> {
            for (MessageExt message : consumer.poll(200)) {
                run.received("assigned", message);
                seen.add(message.getMsgId());
            }
            return seen.size() >= run.number("expect", 6);
        });
        for (MessageExt message : consumer.poll(500)) run.received("assigned", message);
    }
}
