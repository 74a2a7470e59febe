// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;

/**
 * A second consumer joins a group and leaves it again. Left to itself the first one looks for changes every 20 s; told
 * by the broker, it shares the queues at once.
 */
public final class GroupMembership implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        run.sendAll(run.producer(), run.messages("first", 1));
        DefaultMQPushConsumer first = consumer(run);
        first.start();
        run.await("all queues at the only consumer", 30_000, () -> queues(first, run) == 4);
        Thread.sleep(500); // heartbeats of the start are through

        DefaultMQPushConsumer second = consumer(run);
        long joinedAt = System.nanoTime();
        second.start();
        run.await("two queues for each", 30_000, () -> queues(first, run) == 2 && queues(second, run) == 2);
        run.value("sharedAfterMs", TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - joinedAt));

        Thread.sleep(500);
        long leftAt = System.nanoTime();
        second.shutdown();
        run.await("all queues back at the first", 30_000, () -> queues(first, run) == 4);
        run.value("takenBackAfterMs", TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - leftAt));
    }

    private static DefaultMQPushConsumer consumer(Run run) throws Exception {
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.subscribe(run.topic(), "*");
        consumer.registerMessageListener(
            (MessageListenerConcurrently) (messages, context) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
        return consumer;
    }

    private static long queues(DefaultMQPushConsumer consumer, Run run) {
        return consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet().stream()
            .filter(queue -> queue.getTopic().equals(run.topic())).count();
    }
}
