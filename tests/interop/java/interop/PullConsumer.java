// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.common.message.MessageQueue;

/** The old pull consumer: reads queue by queue and keeps its offsets at the broker by itself. */
@SuppressWarnings("deprecation")
public final class PullConsumer implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        run.sendAll(run.producer(), run.messages("pulled", 12));
        DefaultMQPullConsumer consumer = run.pullConsumer(run.group());
        for (MessageQueue queue : run.queues(consumer, run.topic())) {
            long offset = 0;
            PullResult result = consumer.pull(queue, "*", offset, 2);
            while (result.getPullStatus() == PullStatus.FOUND) {
                result.getMsgFoundList().forEach(message -> run.received("pull", message));
                offset = result.getNextBeginOffset();
                result = consumer.pull(queue, "*", offset, 2);
            }
            run.value("endStatus", result.getPullStatus());
            consumer.updateConsumeOffset(queue, offset);
            consumer.getOffsetStore().persist(queue);
        }
        consumer.shutdown();
        DefaultMQPullConsumer again = run.pullConsumer(run.group());
        for (MessageQueue queue : run.queues(again, run.topic())) {
            run.await("the committed offset", 10_000, () -> again.fetchConsumeOffset(queue, true) > 0);
            run.print("COMMITTED", "queueId", queue.getQueueId(), "offset", again.fetchConsumeOffset(queue, true),
                "max", again.maxOffset(queue));
        }
    }
}
