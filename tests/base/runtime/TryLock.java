// SPDX-License-Identifier: Apache-2.0
// Takes a store's lock as Apache RocketMQ takes it, says so, and keeps it until its input ends.
import java.io.RandomAccessFile;
import java.nio.channels.FileLock;

public class TryLock {
    public static void main(String[] args) throws Exception {
        RandomAccessFile file = new RandomAccessFile(args[0], "rw");
        FileLock lock = file.getChannel().tryLock(0, 1, false);
        if (lock == null || lock.isShared() || !lock.isValid()) {
            System.out.println("REFUSED");
            return;
        }
        System.out.println("LOCKED " + ProcessHandle.current().pid());
        while (System.in.read() >= 0) {
        }
    }
}
