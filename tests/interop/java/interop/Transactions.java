// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * A transactional producer whose messages say by their body what is to become of them: "commit", "rollback", or
 * "check-commit", "check-rollback" when it is asked; "open" ones stay undecided until {@link #decideOpen}.
 */
final class Transactions implements TransactionListener {
    /** Questions that a producer has answered. */
    final AtomicInteger questions = new AtomicInteger();
    volatile boolean decideOpen;
    private final Run run;

    Transactions(Run run) {
        this.run = run;
    }

    TransactionMQProducer producer(String group) throws Exception {
        TransactionMQProducer producer = run.configure(new TransactionMQProducer(group));
        producer.setSendMsgTimeout(20_000);
        producer.setTransactionListener(this);
        run.atEnd(producer::shutdown);
        producer.start();
        return producer;
    }

    void send(TransactionMQProducer producer, String prefix, int count) throws Exception {
        for (Message message : run.messages(prefix, count)) {
            message.putUserProperty("color", "red");
            SendResult result = producer.sendMessageInTransaction(message, null);
            run.print("HALF", "msgId", result.getMsgId(), "status", result.getSendStatus(),
                "transactionId", result.getTransactionId(), "queueId", result.getMessageQueue().getQueueId(),
                "queueOffset", result.getQueueOffset(), "body", Run.summary(message.getBody()));
        }
    }

    @Override
    public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
        run.print("EXECUTED", "transactionId", message.getTransactionId(), "body", Run.summary(message.getBody()));
        String body = Run.summary(message.getBody());
        if (body.startsWith("commit")) return LocalTransactionState.COMMIT_MESSAGE;
        return body.startsWith("rollback") ? LocalTransactionState.ROLLBACK_MESSAGE : LocalTransactionState.UNKNOW;
    }

    @Override
    public LocalTransactionState checkLocalTransaction(MessageExt message) {
        String body = Run.summary(message.getBody());
        run.print("CHECKED", "offsetMsgId", message.getMsgId(), "transactionId", message.getTransactionId(),
            "topic", message.getTopic(), "queueId", message.getQueueId(), "queueOffset", message.getQueueOffset(),
            "times", message.getProperty("TRANSACTION_CHECK_TIMES"), "tags", message.getTags(),
            "color", message.getProperty("color"), "body", body);
        questions.incrementAndGet();
        if (body.matches("(check-)?commit.*") || decideOpen && body.startsWith("open")) {
            return LocalTransactionState.COMMIT_MESSAGE;
        }
        return body.matches("(check-)?rollback.*") ? LocalTransactionState.ROLLBACK_MESSAGE : LocalTransactionState.UNKNOW;
    }
}
