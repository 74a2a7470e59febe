// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.RequestTimeoutException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.RequestCallback;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Requests as messages, and replies to them: synchronous, asynchronous, and one to which nobody replies. */
public final class RequestReply implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQProducer replier = run.configure(new DefaultMQProducer("r_" + run.topic()));
        run.atEnd(replier::shutdown);
        replier.start();
        DefaultMQPushConsumer consumer = run.pushConsumer(run.group());
        consumer.subscribe(run.topic(), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) reply(run, replier, message);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        DefaultMQProducer requester = run.producer();
        // a client whose first heartbeat is late is found a little later
        run.await("a first reply", 20_000, () -> requester.request(run.message("question-of-warming", 0), 1000) != null);
        for (int i = 0; i < 3; i++) {
            Message reply = requester.request(run.message("question", i), 30_000);
            answered(run, "sync", reply);
        }
        for (int i = 3; i < 6; i++) {
            CompletableFuture<Message> later = new CompletableFuture<>();
            requester.request(run.message("question", i), new RequestCallback() {
                @Override
                public void onSuccess(Message message) {
                    if (message != null) later.complete(message); // clients call it once for the send as well
                }

                @Override
                public void onException(Throwable error) {
                    later.completeExceptionally(error);
                }
            }, 30_000);
            answered(run, "async", later.get(30, TimeUnit.SECONDS));
        }
        try {
            requester.request(run.message("silence", 1), 1000);
        } catch (RequestTimeoutException e) {
            run.value("timedOut", true);
        }
    }

    private static void reply(Run run, DefaultMQProducer replier, MessageExt message) {
        String body = Run.summary(message.getBody());
        if (!body.startsWith("question")) return;
        try {
            Message reply = MessageUtil.createReplyMessage(message, Run.bytes("answer to " + body));
            reply.putUserProperty("color", "green");
            run.sent(replier.send(reply), reply);
        } catch (Exception e) {
            run.refused(e);
        }
    }

    private static void answered(Run run, String by, Message reply) {
        run.print("ANSWER", "by", by, "body", Run.summary(reply.getBody()), "color", reply.getProperty("color"),
            "topic", reply.getTopic());
    }
}
