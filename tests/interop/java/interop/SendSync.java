// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.List;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/** Sends to a topic nobody created, then reads all of it with a pull consumer. */
public final class SendSync implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        run.value("queuesBefore", countQueues(producer, run.topic()));
        List<Message> messages = run.messages("sync", run.number("count", 8));
        run.sendAll(producer, messages.subList(0, 1));
        run.value("queuesAfterFirst", countQueues(producer, run.topic()));
        run.sendAll(producer, messages.subList(1, messages.size()));
        run.pullAll(run.pullConsumer("g_" + run.topic()), run.topic());
    }

    private static int countQueues(DefaultMQProducer producer, String topic) {
        try {
            return producer.fetchPublishMessageQueues(topic).size();
        } catch (MQClientException e) {
            return 0;
        }
    }
}
