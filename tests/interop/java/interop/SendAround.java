// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/** Sends, waits (a name server ends meanwhile), and sends to a topic whose route this client has not asked for yet. */
public final class SendAround implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        Message before = run.message("before", 0);
        run.sent(producer.send(before), before);
        run.print("HALFWAY");
        run.awaitRelease();
        run.await("a route from the other name server", 20_000, () -> {
            Message after = new Message(run.text("otherTopic"), Run.bytes("after 0"));
            run.sent(producer.send(after), after);
            return true;
        });
    }
}
