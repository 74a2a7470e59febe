// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

/** Sends without waiting in between; the callbacks bring the results. */
public final class SendAsync implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        List<Message> messages = run.messages("async", run.number("count", 50));
        CountDownLatch left = new CountDownLatch(messages.size());
        for (Message message : messages) {
            producer.send(message, new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    run.sent(result, message);
                    left.countDown();
                }

                @Override
                public void onException(Throwable e) {
                    run.refused(e);
                    left.countDown();
                }
            });
        }
        run.value("allAnswered", left.await(20, TimeUnit.SECONDS));
        run.pullAll(run.pullConsumer("g_" + run.topic()), run.topic());
    }
}
