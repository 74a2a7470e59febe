// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Reads a topic until {@code expect} (separated by commas) are all there, and prints everything that is. */
@SuppressWarnings("deprecation")
public final class TimerArrivals implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQPullConsumer consumer = run.pullConsumer(run.group());
        Set<String> missing = new HashSet<>(Set.of(run.text("expect").split(",")));
        Map<MessageQueue, Long> offsets = new HashMap<>();
        run.await("the timed messages", 60_000, () -> {
            for (MessageQueue queue : run.queues(consumer, run.topic())) {
                while (true) {
                    long offset = offsets.getOrDefault(queue, 0L);
                    PullResult result = consumer.pull(queue, "*", offset, 32);
                    if (result.getPullStatus() != PullStatus.FOUND) break;
                    for (MessageExt message : result.getMsgFoundList()) {
                        missing.remove(message.getKeys());
                        run.print("CAME", "name", message.getKeys(), "body", Run.summary(message.getBody()),
                            "msgId", message.getMsgId(),
                            "lateMs", message.getStoreTimestamp() - Long.parseLong(message.getProperty("due")));
                    }
                    offsets.put(queue, result.getNextBeginOffset());
                }
            }
            return missing.isEmpty();
        });
    }
}
