// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.compression.CompressionType;
import org.apache.rocketmq.common.compression.CompressorFactory;
import org.apache.rocketmq.common.message.Message;

/** {@link Kinds} and what only 5.x clients can send: other compressions, batches that the client gathers by itself. */
public final class Kinds5 extends Kinds {
    @Override
    protected void sendMore(Run run, DefaultMQProducer producer) throws Exception {
        for (CompressionType type : CompressionType.values()) {
            producer.setCompressType(type);
            producer.setCompressLevel(5);
            send(run, producer, new Message(run.topic(), "compressed " + type, "big", Run.pattern(50_000)));
        }
        producer.setCompressType(CompressionType.ZLIB);

        DefaultMQProducer gathering = run.configure(new DefaultMQProducer("p_auto_" + run.topic()));
        run.atEnd(gathering::shutdown);
        gathering.setAutoBatch(true);
        gathering.batchMaxDelayMs(30);
        gathering.start();
        int count = 60;
        CountDownLatch left = new CountDownLatch(count);
        for (int i = 0; i < count; i++) {
            Message message = run.message("auto", i);
            gathering.send(message, new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    run.sent(result, message);
                    left.countDown();
                }

                @Override
                public void onException(Throwable error) {
                    run.refused(error);
                    left.countDown();
                }
            });
        }
        if (!left.await(20, TimeUnit.SECONDS)) throw new IllegalStateException("no answer to all sends");
    }
}
