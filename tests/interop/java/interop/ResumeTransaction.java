// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** A transaction that is given up after so many questions; an operator has its producer asked again, and now it commits. */
@SuppressWarnings("deprecation")
public final class ResumeTransaction implements Scenario {
    private static final String GIVEN_UP = "TRANS_CHECK_MAX_TIME_TOPIC";

    @Override
    public void run(Run run) throws Exception {
        Transactions transactions = new Transactions(run);
        transactions.send(transactions.producer("tp_" + run.topic()), "open", 1);
        DefaultMQPullConsumer reader = run.pullConsumer("g_" + run.topic());
        MessageExt[] givenUp = new MessageExt[1];
        run.await("the transaction among those given up", 40_000, () -> {
            givenUp[0] = find(reader, new MessageQueue(GIVEN_UP, run.text("broker"), 0), "tp_" + run.topic());
            return givenUp[0] != null;
        });
        run.print("GIVEN_UP", "body", Run.summary(givenUp[0].getBody()), "topic", givenUp[0].getTopic(),
            "realTopic", givenUp[0].getProperty("REAL_TOPIC"), "times", givenUp[0].getProperty("TRANSACTION_CHECK_TIMES"));
        transactions.decideOpen = true;
        DefaultMQAdminExt admin = run.configure(new DefaultMQAdminExt());
        run.atEnd(admin::shutdown);
        admin.start();
        String offsetId = ((org.apache.rocketmq.common.message.MessageClientExt) givenUp[0]).getOffsetMsgId();
        run.value("resumed", admin.resumeCheckHalfMessage(GIVEN_UP, offsetId));
        run.await("the committed message", 30_000, () -> {
            for (var queue : run.queues(reader, run.topic())) if (reader.maxOffset(queue) > 0) return true;
            return false;
        });
        run.pullAll(reader, run.topic());
    }

    private static MessageExt find(DefaultMQPullConsumer reader, MessageQueue queue, String group) throws Exception {
        for (long at = reader.minOffset(queue), end = reader.maxOffset(queue); at < end;) {
            PullResult result = reader.pull(queue, "*", at, 32);
            if (result.getMsgFoundList() != null) {
                for (MessageExt message : result.getMsgFoundList()) {
                    if (group.equals(message.getProperty("PGROUP"))) return message;
                }
            }
            at = Math.max(at + 1, result.getNextBeginOffset());
        }
        return null;
    }
}
