// SPDX-License-Identifier: Apache-2.0
package interop;

import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.zip.CRC32;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** What one run of a scenario was given, prints, and has to shut down. */
public final class Run implements AutoCloseable {
    /** Something that may throw and may not be true yet. */
    public interface Condition {
        boolean holds() throws Exception;
    }

    private static final AtomicInteger INSTANCES = new AtomicInteger();

    private final String id;
    private final Map<String, String> args;
    private final Deque<Runnable> closers = new ArrayDeque<>();
    private final CountDownLatch released = new CountDownLatch(1);
    private volatile String waitsFor = "its own code";

    Run(String id, Map<String, String> args) {
        this.id = id;
        this.args = args;
    }

    /** Waits until the one who started the run says to go on. */
    public void awaitRelease() throws InterruptedException {
        waitsFor = "being released";
        released.await();
    }

    void release() {
        released.countDown();
    }

    // ---- arguments

    public String text(String name) {
        String value = args.get(name);
        if (value == null) throw new IllegalArgumentException("argument " + name + " is missing");
        return value;
    }

    public String text(String name, String otherwise) {
        return args.getOrDefault(name, otherwise);
    }

    public int number(String name, int otherwise) {
        return Integer.parseInt(args.getOrDefault(name, String.valueOf(otherwise)));
    }

    public String namesrv() {
        return text("namesrv");
    }

    public String topic() {
        return text("topic");
    }

    public String group() {
        return text("group");
    }

    // ---- results

    public void print(String kind, Object... namesAndValues) {
        Map<String, Object> fields = new LinkedHashMap<>();
        for (int i = 0; i < namesAndValues.length; i += 2) fields.put((String) namesAndValues[i], namesAndValues[i + 1]);
        Driver.print(id, kind, fields);
    }

    /** {@code VALUE name=... value=...} */
    public void value(String name, Object value) {
        print("VALUE", "name", name, "value", value);
    }

    public void sent(SendResult result, Message message) {
        print("SENT", "msgId", result.getMsgId(), "offsetMsgId", result.getOffsetMsgId(), "status", result.getSendStatus(),
            "queueId", result.getMessageQueue().getQueueId(), "queueOffset", result.getQueueOffset(),
            "brokerName", result.getMessageQueue().getBrokerName(), "body", summary(message.getBody()));
    }

    public void received(String by, MessageExt message) {
        print("RECV", "by", by, "topic", message.getTopic(), "msgId", message.getMsgId(), "queueId", message.getQueueId(),
            "queueOffset", message.getQueueOffset(), "reconsumeTimes", message.getReconsumeTimes(),
            "tags", nullToEmpty(message.getTags()), "keys", nullToEmpty(message.getKeys()),
            "body", summary(message.getBody()));
    }

    /** The refusal of a request: the response code and remark of the broker, or the client's own code. */
    public void refused(Throwable error) {
        for (Throwable e = error; e != null; e = e.getCause()) {
            if (e instanceof MQBrokerException) {
                MQBrokerException broker = (MQBrokerException) e;
                print("REFUSED", "code", broker.getResponseCode(), "by", "broker", "remark", broker.getErrorMessage());
                return;
            }
        }
        int code = error instanceof MQClientException ? ((MQClientException) error).getResponseCode() : -1;
        print("REFUSED", "code", code, "by", "client", "remark", error);
    }

    // ---- clients, shut down at the end in reverse order

    /** Its own instance, and short periods, so that nothing waits for a 30 s poll. */
    public <T extends ClientConfig> T configure(T client) {
        client.setNamesrvAddr(namesrv());
        client.setInstanceName("interop-" + id + "-" + INSTANCES.incrementAndGet());
        client.setPollNameServerInterval(1000);
        client.setHeartbeatBrokerInterval(5000); // a first one that got lost is a matter of seconds
        client.setPersistConsumerOffsetInterval(500);
        return client;
    }

    public void atEnd(Runnable closer) {
        synchronized (closers) {
            closers.push(closer);
        }
    }

    public DefaultMQProducer producer() throws MQClientException {
        DefaultMQProducer producer = configure(new DefaultMQProducer(text("producerGroup", "p_" + topic())));
        producer.setSendMsgTimeout(20_000); // a retry after a timeout would store a message twice
        atEnd(producer::shutdown);
        producer.start();
        return producer;
    }

    /** Not started: the scenario subscribes and registers its listener first. */
    public DefaultMQPushConsumer pushConsumer(String group) {
        DefaultMQPushConsumer consumer = configure(new DefaultMQPushConsumer(group));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(2);
        consumer.setConsumeThreadMax(4);
        atEnd(consumer::shutdown);
        return consumer;
    }

    public DefaultLitePullConsumer litePullConsumer(String group) {
        DefaultLitePullConsumer consumer = configure(new DefaultLitePullConsumer(group));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setPullThreadNums(2);
        atEnd(consumer::shutdown);
        return consumer;
    }

    @SuppressWarnings("deprecation")
    public DefaultMQPullConsumer pullConsumer(String group) throws MQClientException {
        DefaultMQPullConsumer consumer = configure(new DefaultMQPullConsumer(group));
        atEnd(consumer::shutdown);
        consumer.start();
        return consumer;
    }

    // ---- common steps

    /** Messages with the bodies "PREFIX 0", "PREFIX 1", ... and the keys "PREFIX-0", ... */
    public List<Message> messages(String prefix, int count) {
        List<Message> messages = new ArrayList<>();
        for (int i = 0; i < count; i++) messages.add(message(prefix, i));
        return messages;
    }

    public Message message(String prefix, int number) {
        return new Message(topic(), "TagA", prefix + "-" + number, bytes(prefix + " " + number));
    }

    public void sendAll(DefaultMQProducer producer, List<Message> messages) throws Exception {
        for (Message message : messages) sent(producer.send(message), message);
    }

    /** Reads every queue of a topic from its minimum to its maximum offset and prints what is there. */
    @SuppressWarnings("deprecation")
    public int pullAll(DefaultMQPullConsumer consumer, String topic) throws Exception {
        int count = 0;
        for (MessageQueue queue : queues(consumer, topic)) {
            long offset = consumer.minOffset(queue);
            long end = consumer.maxOffset(queue);
            while (offset < end) {
                PullResult result = consumer.pull(queue, "*", offset, 32);
                if (result.getPullStatus() == PullStatus.FOUND) {
                    for (MessageExt message : result.getMsgFoundList()) received("pull", message);
                    count += result.getMsgFoundList().size();
                }
                if (result.getNextBeginOffset() <= offset) {
                    throw new IllegalStateException("no progress at " + queue + " offset " + offset + ": " + result);
                }
                offset = result.getNextBeginOffset();
            }
        }
        return count;
    }

    /** The queues of a topic by queueId, as soon as the name server knows it. */
    @SuppressWarnings("deprecation")
    public Iterable<MessageQueue> queues(DefaultMQPullConsumer consumer, String topic) throws Exception {
        Map<String, MessageQueue> sorted = new TreeMap<>();
        await("the route of " + topic, 15_000, () -> {
            Set<MessageQueue> queues = consumer.fetchSubscribeMessageQueues(topic);
            for (MessageQueue queue : queues) sorted.put(queue.getBrokerName() + '/' + queue.getQueueId(), queue);
            return !queues.isEmpty();
        });
        return sorted.values();
    }

    /** Polls until the condition holds; an exception counts as "not yet". Returns the milliseconds it took. */
    public long await(String what, long timeoutMs, Condition condition) throws Exception {
        long start = System.currentTimeMillis();
        String before = waitsFor;
        waitsFor = what;
        Exception last = null;
        while (System.currentTimeMillis() - start <= timeoutMs) {
            try {
                if (condition.holds()) {
                    waitsFor = before;
                    return System.currentTimeMillis() - start;
                }
                last = null;
            } catch (InterruptedException e) {
                throw e;
            } catch (Exception e) {
                last = e;
            }
            Thread.sleep(20);
        }
        throw new IllegalStateException("no " + what + " within " + timeoutMs + " ms", last);
    }

    String waitsFor() {
        return waitsFor;
    }

    // ---- text

    public static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** Short bodies as they are, long ones as length and checksum. */
    public static String summary(byte[] body) {
        if (body.length <= 200) return new String(body, StandardCharsets.UTF_8);
        CRC32 crc = new CRC32();
        crc.update(body);
        return body.length + " bytes, crc " + Long.toHexString(crc.getValue());
    }

    /** {@code length} bytes that do not compress well, the same for the same seed. */
    public static byte[] noise(int length, long seed) {
        byte[] body = new byte[length];
        new java.util.Random(seed).nextBytes(body);
        return body;
    }

    /** {@code length} bytes that compress well. */
    public static byte[] pattern(int length) {
        byte[] body = new byte[length];
        for (int i = 0; i < length; i++) body[i] = (byte) ('a' + i % 26);
        return body;
    }

    static String encode(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8);
    }

    private static String nullToEmpty(String text) {
        return text == null ? "" : text;
    }

    @Override
    public void close() {
        synchronized (closers) {
            while (!closers.isEmpty()) {
                try {
                    closers.pop().run();
                } catch (RuntimeException e) {
                    e.printStackTrace();
                }
            }
        }
    }
}
