// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/** A body above the broker's limit, and properties above the format's; the client's own check is lifted. */
public final class TooLarge implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        producer.setMaxMessageSize(64 << 20);
        producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        run.sendAll(producer, run.messages("first", 1));
        Message longProperties = run.message("properties", 0);
        longProperties.putUserProperty("long", "x".repeat(40_000));
        attempt(run, producer, new Message(run.topic(), new byte[(4 << 20) + 1]));
        attempt(run, producer, longProperties);
        Message largest = new Message(run.topic(), Run.noise(4 << 20, 1));
        run.sent(producer.send(largest, 20_000), largest);
    }

    private static void attempt(Run run, DefaultMQProducer producer, Message message) throws Exception {
        try {
            run.sent(producer.send(message, 20_000), message);
        } catch (MQBrokerException e) {
            run.refused(e);
        }
    }
}
