// SPDX-License-Identifier: Apache-2.0
import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageRequestMode;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * POP: two push consumers of a group share messages one by one, whichever queue they are in. A message that one of them
 * wants later comes again after ten seconds, for either of them. Besides the client this needs {@code rocketmq-tools},
 * which lets the group pop; {@code mqadmin setConsumeMode} does the same.
 */
public final class Pop {
    private static final String TOPIC = "PopExampleJava";

    public static void main(String[] args) throws Exception {
        String nameServers = args.length > 0 ? args[0] : "127.0.0.1:9876";
        long run = System.currentTimeMillis();
        String group = "pop-example-java-" + run;

        DefaultMQProducer producer = new DefaultMQProducer("pop-example-java");
        producer.setNamesrvAddr(nameServers);
        producer.start();
        Set<String> open = ConcurrentHashMap.newKeySet();
        for (int number = 1; number <= 8; number++) {
            String job = "job " + number + " of " + run;
            producer.send(new Message(TOPIC, job.getBytes(StandardCharsets.UTF_8)));
            open.add(job);
        }
        letPop(nameServers, group);

        CountDownLatch all = new CountDownLatch(open.size());
        DefaultMQPushConsumer ann = member(nameServers, group, "Ann", open, all);
        DefaultMQPushConsumer bob = member(nameServers, group, "Bob", open, all);
        all.await();
        ann.shutdown();
        bob.shutdown();
        producer.shutdown();
        System.exit(0); // threads of the client that consume pops are left
    }

    private static void letPop(String nameServers, String group) throws Exception {
        DefaultMQAdminExt admin = new DefaultMQAdminExt();
        admin.setNamesrvAddr(nameServers);
        admin.setInstanceName("admin-" + group);
        admin.start();
        for (BrokerData broker : admin.examineTopicRouteInfo(TOPIC).getBrokerDatas()) {
            admin.setMessageRequestMode(broker.selectBrokerAddr(), TOPIC, group, MessageRequestMode.POP, 0, 5000);
        }
        admin.shutdown();
    }

    private static DefaultMQPushConsumer member(String nameServers, String group, String name, Set<String> open,
        CountDownLatch all) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(nameServers);
        consumer.setInstanceName(name + group);
        consumer.setClientRebalance(false); // the broker says what to consume, and so whether to pop
        consumer.setPopInvisibleTime(10_000); // how long a job may take: then it is given to someone else
        consumer.setPopBatchNums(1);
        consumer.subscribe(TOPIC, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (var message : messages) {
                String job = new String(message.getBody(), StandardCharsets.UTF_8);
                if (!open.contains(job)) continue; // of an earlier run
                if (job.startsWith("job 3 ") && message.getReconsumeTimes() == 0) {
                    System.out.println(name + ": failed at job 3");
                    return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                }
                boolean again = message.getReconsumeTimes() > 0;
                System.out.println(name + ": did " + job.split(" of ")[0] + (again ? ", at last" : ""));
                open.remove(job);
                all.countDown();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return consumer;
    }
}
