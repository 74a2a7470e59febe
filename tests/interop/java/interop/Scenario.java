// SPDX-License-Identifier: Apache-2.0
package interop;

/** One thing a client does. It prints what it saw through {@link Run}; an exception is a failure. */
public interface Scenario {
    void run(Run run) throws Exception;
}
