// SPDX-License-Identifier: Apache-2.0
import { loadBrokerConfiguration } from "../../config/broker_config.ts";
import { wrap } from "../store_text.ts";
import { adminCommand } from "./command.ts";
import { clusterChecks } from "./doctor_cluster.ts";
import { machineChecks } from "./doctor_machine.ts";
import { sentenceOf } from "./sentences.ts";

/** What a look at one thing found. */
export interface Check {
  readonly check: string;
  readonly state: "ok" | "warning" | "problem";
  readonly finding: string;
  /** What to do about it. */
  readonly advice?: string;
}

const COLOURS = { ok: "green", warning: "yellow", problem: "red" } as const;

export const doctorCommand = adminCommand({
  name: "doctor",
  summary: "Look for what is wrong with this machine and its cluster",
  help:
    "It changes nothing. Without --configFile a broker with Apache's defaults is assumed. The exit status is 1 " +
    "where there is a problem.",
  options: {
    configFile: { short: "c", value: "FILE", help: "The configuration of the broker of this machine" },
    local: { help: "This machine only: ask no name server" },
  },
  examples: [
    ["doctor", "this machine, the name server at 127.0.0.1:9876, and its brokers"],
    ["doctor -c /etc/rmq/broker-a.properties -n 10.0.0.1:9876", "before a broker is started"],
  ],
  json: `{"checks": [{"check", "state": ok|warning|problem, "finding", "advice"}], "problems", "warnings"}`,
  async run({ cluster, given, out, surroundings }) {
    const checks: Check[] = [];
    try {
      const { settings, warnings } = loadBrokerConfiguration({ file: given.configFile }).configuration;
      for (const warning of given.configFile === undefined ? [] : warnings) {
        checks.push({ check: "configuration", state: "warning", finding: warning });
      }
      checks.push(...await machineChecks(settings));
    } catch (error) {
      checks.push({
        check: "configuration",
        state: "problem",
        finding: sentenceOf(error),
        advice: "A broker does not start with this configuration.",
      });
    }
    if (!given.local) checks.push(...await clusterChecks(cluster));
    const problems = checks.filter(({ state }) => state === "problem").length;
    const warnings = checks.filter(({ state }) => state === "warning").length;
    // What could not be asked is among the checks.
    cluster.failures.length = 0;
    if (out.isJson) {
      await out.json({ checks: checks.map((one) => ({ advice: null, ...one })), problems, warnings });
    } else {
      const lineChars = Math.max(60, surroundings.terminal?.columns ?? 110);
      const width = Math.max(...checks.map(({ check }) => check.length));
      for (const { check, state, finding, advice } of checks) {
        const word = out.colour(state.padEnd(7), COLOURS[state]);
        const indent = " ".repeat(7 + 2 + width + 2);
        const lines = wrap(finding, indent, lineChars).trimStart();
        await out.line(`${word}  ${check.padEnd(width)}  ${lines}`);
        if (advice !== undefined) await out.line(out.colour(wrap(advice, indent, lineChars), "dim"));
      }
      await out.line();
      await out.line(
        problems + warnings === 0
          ? "Nothing is wrong."
          : `${count(problems, "problem")}, ${count(warnings, "warning")}.`,
      );
    }
    return problems > 0 ? 1 : 0;
  },
});

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}
