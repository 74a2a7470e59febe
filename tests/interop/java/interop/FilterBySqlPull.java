// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.List;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** A consumer that pulls by itself sends its expression with every pull. */
public final class FilterBySqlPull implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        for (int i = 0; i < 30; i++) {
            Message message = new Message(run.topic(), Run.bytes("message " + i));
            message.putUserProperty("i", String.valueOf(i));
            run.sent(producer.send(message), message);
        }
        DefaultLitePullConsumer consumer = run.litePullConsumer(run.group());
        consumer.subscribe(run.topic(), MessageSelector.bySql("i BETWEEN 10 AND 14"));
        consumer.start();
        int[] count = {0};
        run.await("five messages", 30_000, () -> {
            List<MessageExt> found = consumer.poll(1000);
            found.forEach(message -> run.received("poll", message));
            return (count[0] += found.size()) >= 5;
        });
        for (MessageExt message : consumer.poll(1000)) run.received("poll", message);
    }
}
