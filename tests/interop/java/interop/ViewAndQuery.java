// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.List;
import org.apache.rocketmq.client.QueryResult;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Finds single messages: by offset id, by unique key, by key, and none. */
@SuppressWarnings("deprecation")
public final class ViewAndQuery implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        long begin = System.currentTimeMillis() - 60_000;
        Message message = new Message(run.topic(), "TagQ", "order-1 customer-7", Run.bytes("looked for"));
        SendResult sent = producer.send(message);
        run.sent(sent, message);
        for (int i = 0; i < 3; i++) producer.send(new Message(run.topic(), "TagQ", "customer-7", Run.bytes("other " + i)));

        DefaultMQPullConsumer consumer = run.pullConsumer("g_" + run.topic());
        run.queues(consumer, run.topic());
        run.received("offsetId", consumer.viewMessage(run.topic(), sent.getOffsetMsgId()));
        long end = System.currentTimeMillis() + 60_000;
        run.await("index entries", 10_000, () -> query(consumer, run, "customer-7", begin, end).size() == 4);
        run.received("uniqueKey", consumer.viewMessage(run.topic(), sent.getMsgId()));
        for (MessageExt found : query(consumer, run, "order-1", begin, end)) run.received("key", found);
        for (MessageExt found : query(consumer, run, "customer-7", begin, end)) run.received("sharedKey", found);
        run.value("keyOfNobody", count(consumer, run, "customer-8", begin, end));
        run.value("keyInAnotherTime", count(consumer, run, "order-1", begin - 7_200_000, begin - 3_600_000));
    }

    private static List<MessageExt> query(DefaultMQPullConsumer consumer, Run run, String key, long begin, long end)
        throws Exception {
        QueryResult result = consumer.queryMessage(run.topic(), key, 32, begin, end);
        return result.getMessageList();
    }

    /** The client throws when nothing was found. */
    private static int count(DefaultMQPullConsumer consumer, Run run, String key, long begin, long end) throws Exception {
        try {
            return query(consumer, run, key, begin, end).size();
        } catch (org.apache.rocketmq.client.exception.MQClientException e) {
            if (e.getResponseCode() == 208) return 0; // NO_MESSAGE
            throw e;
        }
    }
}
