// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/** Messages with a number, a color and one of two tags, to filter by. */
public final class ColoredSend implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        int from = run.number("from", 0);
        for (int i = from; i < from + run.number("count", 0); i++) {
            Message message = new Message(run.topic(), "Tag" + i % 2, Run.bytes("message " + i));
            message.putUserProperty("i", String.valueOf(i));
            message.putUserProperty("color", i % 4 == 1 ? "blue" : "red");
            run.sent(producer.send(message), message);
        }
    }
}
