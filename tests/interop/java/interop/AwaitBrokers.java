// SPDX-License-Identifier: Apache-2.0
package interop;

import java.util.List;
import java.util.TreeSet;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** Waits until the name server knows exactly the brokers named in {@code brokers} (comma-separated). */
public final class AwaitBrokers implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        DefaultMQAdminExt admin = run.configure(new DefaultMQAdminExt(5000));
        run.atEnd(admin::shutdown);
        admin.start();
        TreeSet<String> wanted = new TreeSet<>(List.of(run.text("brokers").split(",")));
        wanted.remove("");
        TreeSet<String> known = new TreeSet<>();
        try {
            run.await("brokers " + wanted, 40_000, () -> {
                var brokers = admin.examineBrokerClusterInfo().getBrokerAddrTable();
                known.clear();
                if (brokers != null) known.addAll(brokers.keySet());
                return known.equals(wanted);
            });
        } finally {
            run.value("known", String.join(",", known));
        }
    }
}
