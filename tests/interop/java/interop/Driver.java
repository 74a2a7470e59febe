// SPDX-License-Identifier: Apache-2.0
package interop;

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * Runs scenarios and mqadmin commands in one JVM, because starting one costs more than most of them.
 *
 * <pre>
 * java interop.Driver                                   reads commands from the standard input until it ends:
 *   ID RUN Scenario key=value ...                       runs a scenario, several at a time
 *   ID ADMIN subcommand -x value ...                    runs an mqadmin command, one after the other
 *   ID RELEASE                                          lets a scenario go on that waits to be told so
 * java interop.Driver Scenario key=value ...            runs one scenario; the exit code is 1 when it fails
 * </pre>
 *
 * Arguments are URL-encoded. Every line printed is {@code ID KIND field=value ...}, values URL-encoded; the last one
 * of a command is {@code DONE} or {@code FAILED reason=...}.
 */
public final class Driver {
    private static final PrintStream LINES = System.out;
    private static final ExecutorService THREADS = Executors.newCachedThreadPool();
    private static final ThreadGroup ADMIN_THREADS = new ThreadGroup("admin");
    /** One thread, as mqadmin's commands share static state; what they start is in the same group. */
    private static final ExecutorService ADMIN = Executors.newSingleThreadExecutor(
        command -> new Thread(ADMIN_THREADS, command, "admin"));
    private static final Map<String, Run> RUNS = new ConcurrentHashMap<>();
    private static final ThreadLocal<OutputStream> CAPTURE = new ThreadLocal<>();

    public static void main(String[] args) throws Exception {
        PrintStream routed = new PrintStream(new Routed(System.err), true, StandardCharsets.UTF_8);
        System.setOut(routed); // what libraries print is no result
        System.setErr(routed);
        if (args.length > 0) {
            boolean done = runScenario("0", args[0], parse(Arrays.asList(args).subList(1, args.length)));
            System.exit(done ? 0 : 1);
        }
        hurryAdminShutdowns();
        print("0", "READY", Map.of());
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            List<String> words = Arrays.stream(line.split(" "))
                .map(word -> URLDecoder.decode(word, StandardCharsets.UTF_8)).collect(Collectors.toList());
            String id = words.get(0);
            List<String> rest = words.subList(2, words.size());
            switch (words.get(1)) {
                case "RUN":
                    THREADS.submit(() -> runScenario(id, rest.get(0), parse(rest.subList(1, rest.size()))));
                    break;
                case "ADMIN":
                    ADMIN.submit(() -> runAdmin(id, rest.toArray(new String[0])));
                    break;
                default:
                    RUNS.get(id).release();
            }
        }
        System.exit(0);
    }

    /**
     * A 5.x client that shuts down waits for its event thread, which sleeps up to three seconds in its queue; an
     * interrupt makes it look again. Only mqadmin's own clients are hurried: another one's thread might be working.
     */
    private static void hurryAdminShutdowns() {
        Thread thread = new Thread(() -> {
            while (true) {
                Thread[] threads = new Thread[64];
                int count = ADMIN_THREADS.enumerate(threads);
                boolean shutsDown = false;
                for (int i = 0; i < count; i++) shutsDown |= isIn(threads[i], "ServiceThread", "shutdown");
                for (int i = 0; i < count && shutsDown; i++) {
                    boolean sleeps = isIn(threads[i], "LinkedBlockingQueue", "poll");
                    if (sleeps && threads[i].getName().startsWith("NettyEventExecutor")) threads[i].interrupt();
                }
                try {
                    Thread.sleep(50);
                } catch (InterruptedException e) {
                    return;
                }
            }
        }, "hurry-admin-shutdowns");
        thread.setDaemon(true);
        thread.start();
    }

    private static boolean isIn(Thread thread, String simpleClassName, String method) {
        return Arrays.stream(thread.getStackTrace())
            .anyMatch(frame -> frame.getClassName().endsWith('.' + simpleClassName) && frame.getMethodName().equals(method));
    }

    private static boolean runScenario(String id, String name, Map<String, String> args) {
        long limitSeconds = Long.parseLong(args.getOrDefault("limitSeconds", "60"));
        ExecutorService thread = Executors.newSingleThreadExecutor();
        try (Run run = new Run(id, args)) {
            RUNS.put(id, run);
            Scenario scenario = (Scenario) Class.forName("interop." + name).getDeclaredConstructor().newInstance();
            Future<?> end = thread.submit(() -> {
                scenario.run(run);
                return null;
            });
            try {
                end.get(limitSeconds, TimeUnit.SECONDS);
            } catch (TimeoutException e) {
                throw new IllegalStateException("not finished within " + limitSeconds + " s; waits for " + run.waitsFor());
            }
        } catch (Throwable e) {
            print(id, "FAILED", Map.of("reason", describe(e)));
            return false;
        } finally {
            RUNS.remove(id);
            thread.shutdownNow();
        }
        print(id, "DONE", Map.of());
        return true;
    }

    /** The outputs are captured whole: mqadmin prints errors to them and ends with 0. */
    private static void runAdmin(String id, String[] args) {
        ByteArrayOutputStream captured = new ByteArrayOutputStream();
        CAPTURE.set(captured);
        try {
            forgetCommands();
            MQAdminStartup.main0(args, null);
        } catch (Throwable e) {
            e.printStackTrace();
        } finally {
            CAPTURE.remove();
        }
        print(id, "OUTPUT", Map.of("text", captured.toString(StandardCharsets.UTF_8)));
        print(id, "DONE", Map.of());
    }

    /** Some commands keep a client that they have shut down; main0 adds new ones to the list, and takes the first of a name. */
    private static void forgetCommands() throws ReflectiveOperationException {
        for (Field field : MQAdminStartup.class.getDeclaredFields()) {
            if (!List.class.isAssignableFrom(field.getType())) continue;
            field.setAccessible(true);
            ((List<?>) field.get(null)).clear();
        }
    }

    /** What a thread that runs an mqadmin command prints goes to its capture, everything else to the given stream. */
    private static final class Routed extends OutputStream {
        private final OutputStream otherwise;

        Routed(OutputStream otherwise) {
            this.otherwise = otherwise;
        }

        @Override
        public void write(int b) throws IOException {
            write(new byte[] {(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            OutputStream capture = CAPTURE.get();
            (capture == null ? otherwise : capture).write(bytes, offset, length);
        }

        @Override
        public void flush() throws IOException {
            otherwise.flush();
        }
    }

    static void print(String id, String kind, Map<String, ?> fields) {
        StringBuilder line = new StringBuilder(id).append(' ').append(kind);
        fields.forEach((key, value) -> line.append(' ').append(key).append('=').append(Run.encode(String.valueOf(value))));
        synchronized (LINES) {
            LINES.println(line);
            LINES.flush();
        }
    }

    private static Map<String, String> parse(List<String> words) {
        Map<String, String> args = new HashMap<>();
        for (String word : words) args.put(word.substring(0, word.indexOf('=')), word.substring(word.indexOf('=') + 1));
        return args;
    }

    private static String describe(Throwable error) {
        StringBuilder text = new StringBuilder();
        for (Throwable e = error; e != null; e = e.getCause()) {
            text.append(text.length() == 0 ? "" : "; caused by ").append(e);
            for (StackTraceElement frame : e.getStackTrace()) {
                if (!frame.getClassName().startsWith("interop.") || frame.getClassName().equals("interop.Driver")) continue;
                text.append(" at ").append(frame.getFileName()).append(':').append(frame.getLineNumber());
                break;
            }
        }
        return text.toString();
    }
}
