// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.common.message.MessageQueue;

/** How many messages the first queue of each topic has at one broker, as soon as it has {@code expect}. */
@SuppressWarnings("deprecation")
public final class TopicCounts implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQPullConsumer reader = run.pullConsumer("g_" + run.topic());
        for (String topic : run.text("topics").split(",")) {
            MessageQueue queue = new MessageQueue(topic, run.text("broker"), 0);
            run.await(topic, 20_000, () -> reader.maxOffset(queue) >= run.number("expect", 1));
            run.print("COUNT", "topic", topic, "min", reader.minOffset(queue), "max", reader.maxOffset(queue));
        }
    }
}
