// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.common.message.MessageExt;

/** Looks up messages by the keys in {@code keys} (comma-separated). */
@SuppressWarnings("deprecation")
public final class QueryByKey implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQPullConsumer consumer = run.pullConsumer("g_" + run.topic());
        run.queues(consumer, run.topic());
        long now = System.currentTimeMillis();
        for (String key : run.text("keys").split(",")) {
            run.await("an answer for key " + key, 15_000, () -> {
                for (MessageExt message : consumer.queryMessage(run.topic(), key, 32, now - 3_600_000, now + 60_000).getMessageList()) {
                    run.received(key, message);
                }
                return true;
            });
        }
    }
}
