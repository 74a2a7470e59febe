// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.common.message.MessageQueue;

/** The offsets that a group has committed. */
@SuppressWarnings("deprecation")
public final class Committed implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQPullConsumer consumer = run.pullConsumer(run.group());
        for (MessageQueue queue : run.queues(consumer, run.topic())) {
            run.print("COMMITTED", "queueId", queue.getQueueId(), "offset", consumer.fetchConsumeOffset(queue, true),
                "max", consumer.maxOffset(queue));
        }
    }
}
