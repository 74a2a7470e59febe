// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.common.message.Message;

/** A producer that is asked about what was left open, and commits it; then everything in the topic is read. */
@SuppressWarnings("deprecation")
public final class DecideTransactions implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        Transactions transactions = new Transactions(run);
        transactions.decideOpen = true;
        // brokers hear of a producer when it has sent something
        transactions.producer(run.text("producerGroup")).send(new Message(run.text("broker"), Run.bytes("hello")));
        run.await("questions about all open transactions", 45_000,
            () -> transactions.questions.get() >= run.number("questions", 3));
        DefaultMQPullConsumer reader = run.pullConsumer("g_" + run.topic());
        int expect = run.number("expect", 6);
        run.await("all committed messages", 30_000, () -> {
            long count = 0;
            for (var queue : run.queues(reader, run.topic())) count += reader.maxOffset(queue) - reader.minOffset(queue);
            return count >= expect;
        });
        run.pullAll(reader, run.topic());
    }
}
