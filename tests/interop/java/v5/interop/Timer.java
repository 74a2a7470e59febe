// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/** A message with a delay in milliseconds, as 5.x brokers with a timer wheel take it. */
public final class Timer implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        run.sendAll(producer, run.messages("first", 1));
        Message message = run.message("timed", 0);
        message.setDelayTimeMs(2000);
        try {
            run.sent(producer.send(message), message);
        } catch (MQBrokerException e) {
            run.refused(e);
        }
        run.pullAll(run.pullConsumer("g_" + run.topic()), run.topic());
    }
}
