// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** Sends without asking for an answer, until the broker's queues hold the messages. */
public final class SendOneway implements Scenario {
    @Override
    @SuppressWarnings("deprecation")
    public void run(Run run) throws Exception {
        int count = run.number("count", 10);
        DefaultMQProducer producer = run.producer();
        run.sendAll(producer, run.messages("first", 1)); // the topic exists from here on
        for (Message message : run.messages("oneway", count)) producer.sendOneway(message);
        DefaultMQPullConsumer consumer = run.pullConsumer("g_" + run.topic());
        run.await("all one-way messages", 15_000, () -> {
            long stored = 0;
            for (MessageQueue queue : run.queues(consumer, run.topic())) stored += consumer.maxOffset(queue);
            return stored == count + 1;
        });
        run.pullAll(consumer, run.topic());
    }
}
