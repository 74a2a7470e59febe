// SPDX-License-Identifier: Apache-2.0
package interop;

import java.io.PrintWriter;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.HashMap;
import java.util.Map;
import org.apache.rocketmq.filter.FilterFactory;
import org.apache.rocketmq.filter.expression.EvaluationContext;
import org.apache.rocketmq.filter.expression.Expression;

/**
 * What Apache's filter says: for each line of a file (an expression and sets of properties) one line with "refused", or
 * a character per set: T delivered, F false, N null, E an exception. A broker delivers at T only.
 */
public final class FilterVerdicts implements Scenario {
    @Override
    public void run(Run run) throws Exception {
        try (PrintWriter out = new PrintWriter(run.text("verdicts"), "UTF-8")) {
            for (String line : Files.readAllLines(Paths.get(run.text("corpus")), StandardCharsets.UTF_8)) {
                String[] parts = line.split("\t", -1);
                out.println(verdict(decode(parts[0]), parts));
            }
        }
    }

    private static String verdict(String text, String[] parts) {
        Expression expression;
        try {
            expression = FilterFactory.INSTANCE.get("SQL92").compile(text);
        } catch (Throwable e) {
            return "refused";
        }
        StringBuilder verdicts = new StringBuilder();
        for (int i = 1; i < parts.length; i++) verdicts.append(verdict(expression, properties(parts[i])));
        return verdicts.toString();
    }

    private static char verdict(Expression expression, Map<String, Object> properties) {
        EvaluationContext context = new EvaluationContext() {
            @Override
            public Object get(String name) {
                return properties.get(name);
            }

            @Override
            public Map<String, Object> keyValues() {
                return properties;
            }
        };
        try {
            Object result = expression.evaluate(context);
            return result == null ? 'N' : !(result instanceof Boolean) ? 'E' : (Boolean) result ? 'T' : 'F';
        } catch (Throwable e) {
            return 'E';
        }
    }

    private static Map<String, Object> properties(String text) {
        Map<String, Object> properties = new HashMap<>();
        for (String item : text.split("&")) {
            if (item.isEmpty()) continue;
            int equals = item.indexOf('=');
            properties.put(decode(item.substring(0, equals)), decode(item.substring(equals + 1)));
        }
        return properties;
    }

    private static String decode(String text) {
        try {
            return URLDecoder.decode(text, "UTF-8");
        } catch (java.io.UnsupportedEncodingException e) {
            throw new IllegalStateException(e);
        }
    }
}
