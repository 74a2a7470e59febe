// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;

/** Two concurrent consumers of one group; {@code model} is CLUSTERING or BROADCASTING. */
public class Clustering implements Scenario {
    private final Set<String> seen = ConcurrentHashMap.newKeySet();

    @Override
    public void run(Run run) throws Exception {
        boolean broadcasting = run.text("model").equals("BROADCASTING");
        run.sendAll(run.producer(), run.messages("first", 4)); // one in each queue
        DefaultMQPushConsumer first = consumer(run, "first");
        DefaultMQPushConsumer second = consumer(run, "second");
        first.start();
        second.start();
        int share = broadcasting ? 4 : 2;
        run.await("the queues of both", 30_000, () -> queues(first, run) == share && queues(second, run) == share);
        run.await("the first messages", 30_000, () -> seen.size() >= (broadcasting ? 8 : 4));
        int before = seen.size();
        run.sendAll(run.producer(), run.messages("shared", 40));
        run.await("all deliveries", 30_000, () -> seen.size() >= before + (broadcasting ? 80 : 40));
        Thread.sleep(500); // whoever gets more than its share does so now
    }

    /** For variants of this scenario. */
    protected void configure(DefaultMQPushConsumer consumer) {
    }

    private DefaultMQPushConsumer consumer(Run run, String name) throws Exception {
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        var model = consumer.getMessageModel(); // the type has moved between the versions
        consumer.setMessageModel(Enum.valueOf(model.getDeclaringClass(), run.text("model")));
        configure(consumer);
        consumer.subscribe(run.topic(), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (var message : messages) {
                run.received(name, message);
                seen.add(name + message.getMsgId());
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        return consumer;
    }

    private static long queues(DefaultMQPushConsumer consumer, Run run) {
        return consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet().stream()
            .filter(queue -> queue.getTopic().equals(run.topic())).count();
    }
}
