// SPDX-License-Identifier: Apache-2.0
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.apache.rocketmq.store.index.IndexFile;

/**
 * Writes index_files.json: what keys went into two small index files that follow each other, the files' bytes as
 * Apache RocketMQ's own class writes them, and what it finds in them.
 *
 *   java --add-exports=java.base/jdk.internal.ref=ALL-UNNAMED --add-exports=java.base/sun.nio.ch=ALL-UNNAMED \
 *     --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED \
 *     -cp 'jars of Apache RocketMQ 5.4.0' IndexFiles.java index_files.json
 */
public class IndexFiles {
    static final int SLOTS = 7;
    static final int ENTRIES = 12;
    static final long BEGIN = 1_700_000_000_000L;

    public static void main(String[] args) throws IOException {
        Path directory = Files.createTempDirectory("index");
        List<String> puts = new ArrayList<>();
        List<String> files = new ArrayList<>();
        List<String> queries = new ArrayList<>();
        // The last one hashes to Integer.MIN_VALUE, the one before it to a negative number.
        String[] keys = {"t#a", "t#b", "t#a", "topic-with-a-longer-name#7F0000010D1D18B4AAC2A0B1C2D30000",
            "\u4e3b\u9898#\u952e \ud83d\ude00", "t#AaAa", "t#BBBB", "DESIGNING WORKHOUSES#x", "t#achssxlk"};
        IndexFile previous = null;
        long offset = 3_000_000_000L;
        long timestamp = BEGIN;
        int put = 0;
        for (int number = 0; number < 2; number++) {
            Path path = directory.resolve("2023111422132000" + number);
            IndexFile file = new IndexFile(path.toString(), SLOTS, ENTRIES,
                previous == null ? 0 : previous.getEndPhyOffset(), previous == null ? 0 : previous.getEndTimestamp());
            while (number == 0 ? !file.isWriteFull() : put < 17) {
                String key = keys[put % keys.length];
                if (!file.putKey(key, offset, timestamp)) throw new IllegalStateException(key);
                puts.add(String.format("{ \"key\": %s, \"physicalOffset\": %d, \"storeTimestampMs\": %d }",
                    quote(key), offset, timestamp));
                put++;
                offset += 200 + put * 7;
                timestamp += put % 3 == 0 ? 0 : 1234L * put;
            }
            file.flush();
            files.add(HexFormat.of().formatHex(Files.readAllBytes(path)));
            for (String key : keys) {
                List<Long> found = new ArrayList<>();
                file.selectPhyOffset(found, key, 64, 0, Long.MAX_VALUE);
                queries.add(String.format("{ \"file\": %d, \"key\": %s, \"found\": %s }", number, quote(key), found));
            }
            previous = file;
        }
        Files.writeString(Path.of(args[0]), String.format(
            "{%n  \"slotCount\": %d,%n  \"entryCount\": %d,%n  \"puts\": [%n    %s%n  ],%n  \"files\": [%n    \"%s\"%n  ],%n"
                + "  \"queries\": [%n    %s%n  ]%n}%n",
            SLOTS, ENTRIES, String.join(",\n    ", puts), String.join("\",\n    \"", files),
            String.join(",\n    ", queries)));
        System.exit(0);
    }

    static String quote(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char c : text.toCharArray()) quoted.append(c < 128 ? String.valueOf(c) : String.format("\\u%04x", (int) c));
        return quoted.append('"').toString();
    }
}
