// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Offsets of one queue by time, its ends, and the time of its first message. */
@SuppressWarnings("deprecation")
public final class OffsetsByTime implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        MessageQueue queue = null;
        for (Message message : run.messages("timed", 6)) {
            if (queue == null) queue = producer.send(message).getMessageQueue();
            else producer.send(message, queue);
            Thread.sleep(30);
        }
        MessageQueue timed = queue;
        DefaultMQPullConsumer consumer = run.pullConsumer("g_" + run.topic());
        run.queues(consumer, run.topic());
        run.await("six messages", 10_000, () -> consumer.maxOffset(timed) == 6);
        List<MessageExt> messages = new ArrayList<>();
        while (messages.size() < 6) {
            PullResult result = consumer.pull(timed, "*", messages.size(), 32);
            messages.addAll(result.getMsgFoundList());
        }
        long last = 0;
        for (MessageExt message : messages) {
            last = message.getStoreTimestamp();
            run.print("TIMED", "queueOffset", message.getQueueOffset(),
                "atItsTime", consumer.searchOffset(timed, last), "justAfter", consumer.searchOffset(timed, last + 1));
        }
        run.value("atZero", consumer.searchOffset(timed, 0));
        run.value("inTheFuture", consumer.searchOffset(timed, last + 60_000));
        run.value("min", consumer.minOffset(timed));
        run.value("max", consumer.maxOffset(timed));
        long first = messages.get(0).getStoreTimestamp();
        run.value("earliestMinusFirst", consumer.earliestMsgStoreTime(timed) - first);
    }
}
