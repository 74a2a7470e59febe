// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PopCallback;
import org.apache.rocketmq.client.consumer.PopResult;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageRequestMode;
import org.apache.rocketmq.remoting.protocol.header.PopMessageRequestHeader;

/** POP in two requests: the mode of a group, and a pop itself. Meanwhile a consumer of the group pulls. */
public final class Pop implements Scenario {
    private interface Request {
        void send() throws Exception;
    }

    private volatile boolean received;

    @Override
    public void run(Run run) throws Exception {
        Message message = run.message("first", 0);
        SendResult sent = run.producer().send(message);
        run.sent(sent, message);
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.subscribe(run.topic(), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(found -> run.received("consumer", found));
            received = true;
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        var factory = consumer.getDefaultMQPushConsumerImpl().getmQClientFactory();
        MQClientAPIImpl api = factory.getMQClientAPIImpl();
        String brokerName = sent.getMessageQueue().getBrokerName();
        String address = factory.findBrokerAddressInPublish(brokerName);

        attempt(run, "setMessageRequestMode", () -> api.setMessageRequestMode(
            address, run.topic(), run.group(), MessageRequestMode.POP, 0, 5000));
        attempt(run, "pop", () -> pop(run, api, brokerName, address));
        run.await("the message by pulling", 20_000, () -> received);
    }

    private static void pop(Run run, MQClientAPIImpl api, String brokerName, String address) throws Exception {
        PopMessageRequestHeader header = new PopMessageRequestHeader();
        header.setConsumerGroup(run.group());
        header.setTopic(run.topic());
        header.setQueueId(-1);
        header.setMaxMsgNums(8);
        header.setInvisibleTime(10_000);
        header.setPollTime(1000);
        header.setBornTime(System.currentTimeMillis());
        header.setInitMode(0);
        header.setExpType("TAG");
        header.setExp("*");
        CompletableFuture<PopResult> answer = new CompletableFuture<>();
        api.popMessageAsync(brokerName, address, header, 10_000, new PopCallback() {
            @Override
            public void onSuccess(PopResult result) {
                answer.complete(result);
            }

            @Override
            public void onException(Throwable e) {
                answer.completeExceptionally(e);
            }
        });
        answer.get(15, TimeUnit.SECONDS);
    }

    private static void attempt(Run run, String name, Request request) {
        run.value("request", name);
        try {
            request.send();
            run.value("accepted", name);
        } catch (Exception e) {
            run.refused(e);
        }
    }
}
