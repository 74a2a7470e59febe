// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.List;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

/** Sends many messages in one request. */
public final class SendBatch implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        run.sendAll(producer, run.messages("single", 1));
        List<Message> messages = run.messages("batch", run.number("count", 20));
        SendResult result = producer.send(messages);
        run.print("BATCH", "status", result.getSendStatus(), "msgIds", result.getMsgId(),
            "offsetMsgIds", result.getOffsetMsgId(), "queueId", result.getMessageQueue().getQueueId(),
            "queueOffset", result.getQueueOffset());
        run.pullAll(run.pullConsumer("g_" + run.topic()), run.topic());
    }
}
