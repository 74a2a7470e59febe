// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.consumer.store.ReadOffsetType;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * One {@code kind} of consumption, in the middle of which the broker is killed: the scenario says HALFWAY, waits for its
 * release, and goes on with the broker that is there then.
 */
@SuppressWarnings("deprecation")
public final class ThroughKill implements Scenario {
    private static final int COUNT = 24;
    private final Set<String> seen = ConcurrentHashMap.newKeySet();
    private final Set<String> again = ConcurrentHashMap.newKeySet();
    private Run run;

    @Override
    public void run(Run run) throws Exception {
        this.run = run;
        switch (run.text("kind")) {
            case "ordered":
                ordered();
                break;
            case "retry":
                retry();
                break;
            case "broadcast":
                broadcast();
                break;
            case "reset":
                reset();
                break;
            case "reply":
                reply();
                break;
            default:
                trace();
        }
    }

    private void halfway() throws InterruptedException {
        run.print("HALFWAY");
        run.awaitRelease();
    }

    /** Each queue in its order; every fifth message is tried again once, and holds up those behind it. */
    private void ordered() throws Exception {
        DefaultMQProducer producer = run.producer();
        send(producer, "before");
        for (String name : new String[] {"first", "second"}) {
            DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
            consumer.setConsumeMessageBatchMaxSize(1);
            consumer.subscribe(run.topic(), "*");
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                for (MessageExt message : messages) {
                    run.received(name, message);
                    boolean isNew = seen.add(body(message));
                    if (isNew && message.getQueueOffset() % 5 == 2) {
                        context.setSuspendCurrentQueueTimeMillis(100);
                        return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
                    }
                }
                pause(40);
                return ConsumeOrderlyStatus.SUCCESS;
            });
            consumer.start();
        }
        run.await("the first messages", 40_000, () -> seen.size() >= 6);
        halfway();
        send(producer, "after");
        run.await("all messages", 60_000, () -> seen.size() == 2 * COUNT);
    }

    /** All messages fail, twice each, and lie among the dead letters in the end. */
    private void retry() throws Exception {
        send(run.producer(), "poison");
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.setMaxReconsumeTimes(2);
        consumer.subscribe(run.topic(), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                run.received("consumer", message);
                seen.add(body(message) + ' ' + message.getReconsumeTimes());
            }
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        consumer.start();
        run.await("the first tries", 40_000, () -> seen.size() >= COUNT / 2);
        halfway();
        DefaultMQPullConsumer reader = run.pullConsumer("g_" + run.topic());
        String deadLetters = "%DLQ%" + run.group();
        Set<String> dead = ConcurrentHashMap.newKeySet();
        run.await("all dead letters", 80_000, () -> {
            for (var queue : reader.fetchSubscribeMessageQueues(deadLetters)) {
                for (long at = reader.minOffset(queue), end = reader.maxOffset(queue); at < end;) {
                    var result = reader.pull(queue, "*", at, 32);
                    if (result.getMsgFoundList() != null) result.getMsgFoundList().forEach(m -> dead.add(body(m)));
                    at = Math.max(at + 1, result.getNextBeginOffset());
                }
            }
            return dead.size() >= COUNT;
        });
        dead.forEach(body -> run.print("DEAD", "body", body));
    }

    /** Two consumers each get everything, and go on from the offsets that they keep themselves. */
    private void broadcast() throws Exception {
        DefaultMQProducer producer = run.producer();
        send(producer, "before");
        for (String name : new String[] {"first", "second"}) {
            DefaultMQPushConsumer consumer = listen(name, "BROADCASTING");
            consumer.start();
        }
        run.await("all messages at both", 40_000, () -> seen.size() == 2 * COUNT);
        halfway();
        send(producer, "after");
        run.await("all later messages at both", 60_000, () -> seen.size() == 4 * COUNT);
    }

    /** The group's offsets are set back while its consumer runs. */
    private void reset() throws Exception {
        send(run.producer(), "again");
        DefaultMQPushConsumer consumer = listen("first", "CLUSTERING");
        consumer.start();
        run.await("all messages", 40_000, () -> seen.size() == COUNT);
        run.await("committed offsets", 30_000, () -> {
            consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
            long committed = 0;
            for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(run.topic())) {
                committed += consumer.getDefaultMQPushConsumerImpl().getOffsetStore()
                    .readOffset(queue, ReadOffsetType.READ_FROM_STORE);
            }
            return committed == COUNT;
        });
        again.clear(); // what came twice because of a rebalance
        run.print("CONSUMED"); // the offsets are reset now
        run.await("a message again", 60_000, () -> !again.isEmpty());
        halfway();
        run.await("all messages again", 80_000, () -> again.size() == COUNT);
    }

    /** Requests before and after. */
    private void reply() throws Exception {
        DefaultMQProducer replier = run.configure(new DefaultMQProducer("r_" + run.topic()));
        run.atEnd(replier::shutdown);
        replier.start();
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.subscribe(run.topic(), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                try {
                    replier.send(MessageUtil.createReplyMessage(message, Run.bytes("answer to " + body(message))));
                } catch (Exception e) {
                    run.refused(e);
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        DefaultMQProducer requester = run.producer();
        ask(requester, "before");
        halfway();
        ask(requester, "after");
    }

    private void ask(DefaultMQProducer requester, String prefix) throws Exception {
        String[] answer = new String[1];
        run.await("a reply", 60_000, () -> {
            Message reply = requester.request(run.message(prefix, 0), 2000);
            answer[0] = Run.summary(reply.getBody());
            return true;
        });
        run.print("ANSWER", "body", answer[0]);
    }

    /** What is sent leaves its trace. */
    private void trace() throws Exception {
        DefaultMQProducer producer = run.configure(new DefaultMQProducer("p_" + run.topic(), true, null));
        run.atEnd(producer::shutdown);
        producer.start();
        DefaultMQPullConsumer reader = run.pullConsumer("g_" + run.topic());
        traced(producer, reader, "before");
        halfway();
        run.await("a send", 30_000, () -> {
            traced(producer, reader, "after");
            return true;
        });
    }

    private void traced(DefaultMQProducer producer, DefaultMQPullConsumer reader, String prefix) throws Exception {
        Message message = run.message(prefix, 0);
        SendResult sent = producer.send(message);
        run.value("traceOn", sent.isTraceOn());
        run.value("region", sent.getRegionId());
        run.await("the trace of " + prefix, 30_000, () -> {
            var found = reader.queryMessage("RMQ_SYS_TRACE_TOPIC", sent.getMsgId(), 8, 0, Long.MAX_VALUE);
            for (MessageExt trace : found.getMessageList()) {
                run.print("TRACE", "of", prefix, "keys", trace.getKeys(), "body", Run.summary(trace.getBody()));
            }
            return !found.getMessageList().isEmpty();
        });
    }

    private DefaultMQPushConsumer listen(String name, String model) throws Exception {
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        var known = consumer.getMessageModel(); // the type has moved between the versions
        consumer.setMessageModel(Enum.valueOf(known.getDeclaringClass(), model));
        consumer.subscribe(run.topic(), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                run.received(name, message);
                String key = (model.equals("BROADCASTING") ? name + ' ' : "") + body(message);
                if (!seen.add(key)) again.add(key);
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        return consumer;
    }

    private void send(DefaultMQProducer producer, String prefix) throws Exception {
        for (int i = 0; i < COUNT; i++) {
            Message message = run.message(prefix, i);
            run.sent(producer.send(message, (queues, sent, number) -> queues.get((Integer) number % queues.size()), i), message);
        }
    }

    private static String body(Message message) {
        return Run.summary(message.getBody());
    }

    private static void pause(long ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
