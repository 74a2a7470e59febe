// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** Where topics are not created automatically: a send to a topic nobody created. {@code known} is one that exists. */
public final class UnknownTopic implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        MessageQueue known = producer.fetchPublishMessageQueues(run.text("known")).get(0);
        Message first = new Message(known.getTopic(), Run.bytes("the topic exists"));
        run.sent(producer.send(first), first);
        Message message = run.message("nowhere", 0);
        try {
            run.sent(producer.send(message), message);
        } catch (MQClientException e) {
            run.refused(e);
        }
        try {
            run.sent(producer.send(message, new MessageQueue(run.topic(), known.getBrokerName(), 0)), message);
        } catch (MQBrokerException e) {
            run.refused(e);
        }
    }
}
