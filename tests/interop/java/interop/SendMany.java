// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/** Sends {@code count} messages named by {@code prefix}, each {@code bytes} long when given, with {@code delayLevel}. */
public final class SendMany implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        producer.setCompressMsgBodyOverHowmuch(run.number("compressOver", 4096));
        for (Message message : run.messages(run.text("prefix"), run.number("count", 10))) {
            int bytes = run.number("bytes", 0);
            if (bytes > 0) message.setBody(Run.noise(bytes, message.getKeys().hashCode()));
            int delayLevel = run.number("delayLevel", 0);
            if (delayLevel > 0) message.setDelayTimeLevel(delayLevel);
            run.sent(producer.send(message), message);
        }
    }
}
