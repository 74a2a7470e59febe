// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

/**
 * Sends {@code prefix}-0, -1, ... to be delivered after {@code delaysMs} (separated by commas) each; with
 * {@code recall} the one of that number is taken back.
 */
public final class TimerSend implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        List<SendResult> results = new ArrayList<>();
        String[] delays = run.text("delaysMs").split(",");
        for (int i = 0; i < delays.length; i++) {
            Message message = run.message(run.text("prefix"), i);
            long due = System.currentTimeMillis() + Long.parseLong(delays[i]);
            message.putUserProperty("due", String.valueOf(due));
            message.setDeliverTimeMs(due);
            SendResult result = producer.send(message);
            results.add(result);
            run.sent(result, message);
        }
        int recall = run.number("recall", -1);
        if (recall >= 0) run.value("recalled", producer.recallMessage(run.topic(), results.get(recall).getRecallHandle()));
    }
}
