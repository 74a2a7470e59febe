// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** What a pull without waiting answers at the end, beyond it, and when no tag matches. */
@SuppressWarnings("deprecation")
public final class PullStates implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        var producer = run.producer();
        run.sendAll(producer, run.messages("first", 1));
        DefaultMQPullConsumer consumer = run.pullConsumer("g_" + run.topic());
        MessageQueue queue = run.queues(consumer, run.topic()).iterator().next();
        long last = -1;
        while (last < 2) {
            Message message = run.message("more", 0);
            last = producer.send(message, queue).getQueueOffset();
        }
        run.await("three messages", 10_000, () -> consumer.maxOffset(queue) == 3);
        print(run, "atEnd", consumer.pull(queue, "*", 3, 32));
        print(run, "beyondEnd", consumer.pull(queue, "*", 100, 32));
        PullResult noTagMatches = consumer.pull(queue, "NoSuchTag", 0, 32);
        while (noTagMatches.getPullStatus() == PullStatus.NO_MATCHED_MSG && noTagMatches.getNextBeginOffset() < 3) {
            noTagMatches = consumer.pull(queue, "NoSuchTag", noTagMatches.getNextBeginOffset(), 32);
        }
        print(run, "noTagMatches", noTagMatches);
        print(run, "one", consumer.pull(queue, "TagA", 1, 1));
    }

    private static void print(Run run, String name, PullResult result) {
        int found = result.getMsgFoundList() == null ? 0 : result.getMsgFoundList().size();
        run.print("PULL", "name", name, "status", result.getPullStatus(), "found", found,
            "next", result.getNextBeginOffset(), "min", result.getMinOffset(), "max", result.getMaxOffset());
    }
}
