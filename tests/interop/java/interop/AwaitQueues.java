// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.producer.DefaultMQProducer;

/** Waits until the name server knows {@code count} queues of a topic that can be written to. */
public final class AwaitQueues implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        int[] queues = {0};
        try {
            run.await("the queues of " + run.topic(), 40_000, () -> {
                queues[0] = producer.fetchPublishMessageQueues(run.topic()).size();
                return queues[0] == run.number("count", 1);
            });
        } finally {
            run.value("queues", queues[0]);
        }
    }
}
