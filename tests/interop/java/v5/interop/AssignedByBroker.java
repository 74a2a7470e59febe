// SPDX-License-Identifier: Apache-2.0
package interop;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;

/** {@link Clustering} with consumers that ask the broker which queues are theirs. */
public final class AssignedByBroker extends Clustering {
    @Override
    protected void configure(DefaultMQPushConsumer consumer) {
        consumer.setClientRebalance(false);
    }
}
