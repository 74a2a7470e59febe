// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;

/** Reads a topic completely, without a group's offsets; with {@code expect}, waits until that much is there. */
@SuppressWarnings("deprecation")
public final class PullAll implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQPullConsumer consumer = run.pullConsumer("g_" + run.topic());
        int expected = run.number("expect", 0);
        run.await(expected + " messages in " + run.topic(), 30_000, () -> {
            long stored = 0;
            for (var queue : run.queues(consumer, run.topic())) stored += consumer.maxOffset(queue) - consumer.minOffset(queue);
            return stored >= expected;
        });
        for (var queue : run.queues(consumer, run.topic())) {
            run.print("QUEUE", "queueId", queue.getQueueId(), "brokerName", queue.getBrokerName(),
                "min", consumer.minOffset(queue), "max", consumer.maxOffset(queue));
        }
        run.pullAll(consumer, run.topic());
    }
}
