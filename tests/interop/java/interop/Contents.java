// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/** Bodies that the client compresses, properties and keys with signs of many languages, a flag: all come back. */
public final class Contents implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        Message compressed = new Message(run.topic(), "TagA", "compressed", Run.pattern(60_000));
        Message noise = new Message(run.topic(), "TagA", "noise", Run.noise(100_000, 7));
        Message rich = new Message(run.topic(), "Étiquette", "rich", Run.bytes("Grüße, 消息 🚀"));
        rich.setFlag(0x7bcdef01);
        rich.putUserProperty("color", "dark blue = 1 & 2");
        rich.putUserProperty("名前", "値 🚀");
        rich.putUserProperty("long", "x".repeat(10_000));
        rich.setKeys("rich key-2 ключ");
        Message tiny = new Message(run.topic(), "", "tiny", new byte[] {0});
        for (Message message : new Message[] {compressed, noise, rich, tiny}) {
            byte[] body = message.getBody();
            run.print("WANTED", "key", message.getKeys(), "body", Run.summary(body), "flag", message.getFlag(),
                "tags", String.valueOf(message.getTags()), "user", user(message));
            producer.send(message);
        }
        Set<String> seen = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.subscribe(run.topic(), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (var message : messages) {
                if (!seen.add(message.getMsgId())) continue;
                run.print("GOT", "key", message.getKeys(), "body", Run.summary(message.getBody()), "flag", message.getFlag(),
                    "tags", String.valueOf(message.getTags()), "user", user(message),
                    "storedBytes", message.getStoreSize(), "bornHost", message.getBornHostString());
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        run.await("four messages", 30_000, () -> seen.size() == 4);
    }

    private static String user(Message message) {
        Map<String, String> user = new TreeMap<>();
        for (String name : new String[] {"color", "名前", "long"}) {
            String value = message.getProperty(name);
            if (value != null) user.put(name, Run.summary(Run.bytes(value)));
        }
        return user.toString();
    }
}
