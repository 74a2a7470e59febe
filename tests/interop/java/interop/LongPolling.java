// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullCallback;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** A pull at the end of a queue is held: until a message arrives, or until its time is over. */
@SuppressWarnings("deprecation")
public final class LongPolling implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        run.sendAll(producer, run.messages("first", 1));
        DefaultMQPullConsumer consumer = run.pullConsumer("g_" + run.topic());
        MessageQueue queue = run.queues(consumer, run.topic()).iterator().next();
        long end = consumer.maxOffset(queue);

        CompletableFuture<PullResult> answer = pull(consumer, queue, end);
        Thread.sleep(1500);
        run.value("answeredBeforeArrival", answer.isDone());
        Message message = run.message("late", 0);
        long sentAt = System.nanoTime();
        run.sent(producer.send(message, queue), message);
        PullResult result = answer.get(25, TimeUnit.SECONDS);
        run.value("answeredAfterSendMs", TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - sentAt));
        run.value("status", result.getPullStatus());
        if (result.getPullStatus() == PullStatus.FOUND) {
            for (MessageExt found : result.getMsgFoundList()) run.received("held", found);
        }

        consumer.setBrokerSuspendMaxTimeMillis(1000);
        long heldFrom = System.nanoTime();
        PullResult empty = pull(consumer, queue, end + 1).get(25, TimeUnit.SECONDS);
        run.value("emptyHeldMs", TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - heldFrom));
        run.value("emptyStatus", empty.getPullStatus());
        run.value("emptyNextOffset", empty.getNextBeginOffset() - end);
    }

    private static CompletableFuture<PullResult> pull(DefaultMQPullConsumer consumer, MessageQueue queue, long offset)
        throws Exception {
        CompletableFuture<PullResult> answer = new CompletableFuture<>();
        consumer.pullBlockIfNotFound(queue, "*", offset, 32, new PullCallback() {
            @Override
            public void onSuccess(PullResult result) {
                answer.complete(result);
            }

            @Override
            public void onException(Throwable e) {
                answer.completeExceptionally(e);
            }
        });
        return answer;
    }
}
