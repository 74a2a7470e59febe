// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/**
 * Some clients, each of which picks one of the name servers, send; they wait (a name server ends meanwhile) and send to a
 * topic whose route they have not asked for yet.
 */
public final class SendAround implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        List<DefaultMQProducer> producers = new ArrayList<>();
        for (Message before : run.messages("before", run.number("clients", 6))) {
            DefaultMQProducer producer = run.producer();
            run.sent(producer.send(before), before);
            producers.add(producer);
        }
        run.print("HALFWAY");
        run.awaitRelease();
        for (DefaultMQProducer producer : producers) {
            Message after = new Message(run.text("otherTopic"), Run.bytes("after " + producers.indexOf(producer)));
            run.await("a route from the other name server", 20_000, () -> {
                run.sent(producer.send(after), after);
                return true;
            });
        }
    }
}
