// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.HashSet;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;

/** Polls a subscription, commits, and goes on after a restart of the consumer. */
public final class LitePullSubscribe implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        run.sendAll(producer, run.messages("one", 10));
        poll(run, "first", 10);
        run.sendAll(producer, run.messages("two", 5));
        poll(run, "second", 5);
    }

    private static void poll(Run run, String name, int expected) throws Exception {
        DefaultLitePullConsumer consumer = run.litePullConsumer(run.group());
        consumer.setAutoCommit(false);
        consumer.subscribe(run.topic(), "*");
        consumer.start();
        Set<String> seen = new HashSet<>();
        run.await(expected + " messages at the " + name, 30_000, () -> {
            for (MessageExt message : consumer.poll(200)) {
                run.received(name, message);
                seen.add(message.getMsgId());
            }
            return seen.size() >= expected;
        });
        for (MessageExt message : consumer.poll(500)) run.received(name, message);
        commit(run, consumer);
        consumer.shutdown();
    }

    @SuppressWarnings("deprecation")
    private static void commit(Run run, DefaultLitePullConsumer consumer) throws Exception {
        consumer.commitSync();
        run.await("committed offsets", 10_000, () -> {
            long committed = 0;
            for (var queue : consumer.fetchMessageQueues(run.topic())) committed += Math.max(0, consumer.committed(queue));
            return committed == 10 || committed == 15;
        });
    }
}
