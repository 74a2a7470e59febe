// SPDX-License-Identifier: Apache-2.0
package interop;

import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Leaves transactions behind: committed, rolled back and open ones; ends when the broker has noted those that are settled. */
@SuppressWarnings("deprecation")
public final class LeaveTransactions implements Scenario {
    private static final String OPS = "RMQ_SYS_TRANS_OP_HALF_TOPIC";

    @Override
    public void run(Run run) throws Exception {
        int count = run.number("count", 3);
        TransactionMQProducer producer = new Transactions(run).producer(run.text("producerGroup"));
        String prefix = run.text("prefix");
        for (String outcome : new String[] {"commit", "open", "rollback"}) {
            new Transactions(run).send(producer, outcome + "-" + prefix, count);
        }
        DefaultMQPullConsumer reader = run.pullConsumer("g_" + run.topic());
        MessageQueue ops = new MessageQueue(OPS, run.text("broker"), 0);
        int settled = run.number("settled", 2 * count);
        run.await("the notes of settled transactions", 20_000, () -> settledHalves(reader, ops).size() >= settled);
        run.value("settled", settledHalves(reader, ops).size());
    }

    private static Set<String> settledHalves(DefaultMQPullConsumer reader, MessageQueue ops) throws Exception {
        Set<String> offsets = new TreeSet<>();
        for (long at = reader.minOffset(ops), end = reader.maxOffset(ops); at < end;) {
            PullResult result;
            try {
                result = reader.pull(ops, "*", at, 32);
            } catch (MQBrokerException e) {
                offsets.add("note " + at++); // 4.9 does not show the topic, and writes one note for each
                continue;
            }
            if (result.getPullStatus() == PullStatus.FOUND) {
                for (MessageExt message : result.getMsgFoundList()) {
                    for (String text : new String(message.getBody(), StandardCharsets.UTF_8).split(",")) offsets.add(text);
                }
            }
            at = Math.max(at + 1, result.getNextBeginOffset());
        }
        return offsets;
    }
}
