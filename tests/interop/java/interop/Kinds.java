// SPDX-License-Identifier: Apache-2.0
package interop;

import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Batches, compressed bodies, messages with every reserved property, messages in light queues: sent, and read back after
 * a release, before which the broker may have died.
 */
public class Kinds implements Scenario {
    /** With these, a broker or client does something of its own. */
    private static final Set<String> ACTED_ON = Set.of("KEYS", "TAGS", "WAIT", "DELAY", "TRAN_MSG", "POP_CK", "INNER_NUM",
        "INNER_MULTI_DISPATCH", "INNER_MULTI_QUEUE_OFFSET", "TIMER_DELAY_SEC", "TIMER_DELAY_MS", "TIMER_DELIVER_MS",
        "TIMER_DEL_UNIQKEY", "TIMER_OUT_MS", "MSG_REGION", "TRACE_ON", "CLUSTER", "UNIQ_KEY", "MIN_OFFSET", "MAX_OFFSET",
        "_SYS_MSG_PRIORITY_", "__CRC32#", "__transactionId__");

    @Override
    @SuppressWarnings("deprecation")
    public final void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        send(run, producer);
        run.print("HALF");
        run.awaitRelease();
        DefaultMQPullConsumer consumer = run.pullConsumer("g_" + run.topic());
        String brokerName = null;
        for (MessageQueue queue : run.queues(consumer, run.topic())) {
            brokerName = queue.getBrokerName();
            read(run, consumer, queue, consumer.maxOffset(queue));
        }
        for (String name : new String[] {"one", "two"}) {
            MessageQueue light = new MessageQueue("%LMQ%" + run.topic() + "_" + name, brokerName, 0);
            read(run, consumer, light, consumer.maxOffset(light));
        }
    }

    /** What only some clients can send. */
    protected void sendMore(Run run, DefaultMQProducer producer) throws Exception {
    }

    private void send(Run run, DefaultMQProducer producer) throws Exception {
        List<Message> batch = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            Message message = run.message("batch", i);
            message.putUserProperty("i", String.valueOf(i));
            batch.add(message);
        }
        SendResult result = producer.send(batch);
        run.print("BATCH", "status", result.getSendStatus(), "queueId", result.getMessageQueue().getQueueId(),
            "queueOffset", result.getQueueOffset(), "ids", result.getMsgId());

        send(run, producer, new Message(run.topic(), "compressed zlib", "big", Run.pattern(60_000)));

        Message reserved = new Message(run.topic(), "TagR", "reserved", Run.bytes("reserved"));
        Map<String, String> given = new TreeMap<>();
        for (String name : reservedNames()) {
            given.put(name, "value of " + name);
            MessageAccessor.putProperty(reserved, name, given.get(name));
        }
        run.print("GIVEN", "properties", given.toString(), "count", given.size());
        send(run, producer, reserved);

        for (int i = 0; i < 6; i++) {
            Message light = new Message(run.topic(), Run.bytes("light " + i));
            String one = "%LMQ%" + run.topic() + "_one";
            String two = "%LMQ%" + run.topic() + "_two";
            MessageAccessor.putProperty(light, "INNER_MULTI_DISPATCH", i % 2 == 0 ? one + "," + two : two);
            send(run, producer, light);
        }
        sendMore(run, producer);
    }

    protected static void send(Run run, DefaultMQProducer producer, Message message) throws Exception {
        run.sent(producer.send(message), message);
    }

    private static List<String> reservedNames() throws Exception {
        List<String> names = new ArrayList<>();
        for (Field field : MessageConst.class.getFields()) {
            if (field.getType() != String.class) continue;
            String name = (String) field.get(null);
            boolean isProperty = field.getName().startsWith("PROPERTY_") || field.getName().equals("DUP_INFO");
            if (isProperty && !ACTED_ON.contains(name) && !name.startsWith("__RMQ.TRANSIENT")) names.add(name);
        }
        return names;
    }

    @SuppressWarnings("deprecation")
    private static void read(Run run, DefaultMQPullConsumer consumer, MessageQueue queue, long end) throws Exception {
        for (long offset = 0; offset < end;) {
            PullResult result = consumer.pull(queue, "*", offset, 32);
            if (result.getPullStatus() == PullStatus.FOUND) {
                for (MessageExt message : result.getMsgFoundList()) {
                    run.received(queue.getTopic(), message);
                    if (!"reserved".equals(message.getKeys())) continue;
                    Map<String, String> found = new TreeMap<>(message.getProperties());
                    found.keySet().retainAll(reservedNames());
                    run.print("FOUND", "properties", found.toString());
                }
            }
            if (result.getNextBeginOffset() <= offset) throw new IllegalStateException("no progress: " + result);
            offset = result.getNextBeginOffset();
        }
    }
}
