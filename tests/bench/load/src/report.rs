// SPDX-License-Identifier: Apache-2.0
//! The report: one JSON object or a short table.

use std::fmt::Write;
use std::net::SocketAddr;

use serde::Serialize;

use crate::checker::{Checker, Tally};
use crate::commands::verify::VerifyReport;
use crate::meter::{Cost, Target};
use crate::puller::{PullPlan, Pulled};
use crate::sender::{Outage, Outcome, Plan};
use crate::stats::{Errors, LatencySummary, Throughput};

/// Everything that a run found out.
#[derive(Serialize)]
pub struct Report {
    pub command: &'static str,
    pub addr: SocketAddr,
    /// Whether anything succeeded at all.
    pub succeeded: bool,
    /// Whether all checks passed.
    pub sound: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<SendReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive: Option<ReceiveReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifyReport>,
    pub error_count: u64,
    pub errors: Errors,
    pub cost: Cost,
}

/// The sending side.
#[derive(Serialize)]
pub struct SendReport {
    /// Hexadecimal, as it occurs in message bodies.
    pub run: String,
    pub topics: usize,
    pub queues: u32,
    pub conns: usize,
    pub threads: usize,
    pub window: usize,
    pub size: usize,
    pub batch: usize,
    pub oneway: bool,
    pub rate: Option<f64>,
    pub coalesce_us: u64,
    /// Acknowledged messages in the measured time (one-way: handed to the sockets).
    pub throughput: Throughput,
    /// From the intended send time to the acknowledgement.
    pub latency: Option<LatencySummary>,
    /// Open loop: from the intended to the actual send time.
    pub lag: Option<LatencySummary>,
    /// Counts of messages, warm-up included.
    pub sent: u64,
    pub acked: u64,
    pub unknown: u64,
    /// Open loop: due, but not sent before the end.
    pub backlog: u64,
    /// One-way: by how much the queues grew.
    pub stored: Option<u64>,
    pub outages: Vec<Outage>,
}

impl SendReport {
    pub fn new(plan: &Plan, outcome: &Outcome, stored: Option<u64>) -> Self {
        let shape = plan.generator.shape();
        let bytes = outcome.measured * shape.size as u64;
        Self {
            run: format!("{:016x}", shape.run),
            topics: shape.topics.len(),
            queues: shape.queues,
            conns: plan.conns,
            threads: plan.threads.min(plan.conns),
            window: plan.window,
            size: shape.size,
            batch: shape.batch,
            oneway: shape.oneway,
            rate: plan.rate,
            coalesce_us: plan.coalesce / 1000,
            throughput: Throughput::new(outcome.measured, bytes, outcome.measured_ns),
            latency: outcome.latencies.summary(),
            lag: outcome.lag.summary(),
            sent: outcome.sent,
            acked: outcome.acked,
            unknown: outcome.unknown,
            backlog: outcome.backlog,
            stored,
            outages: outcome.outages.clone(),
        }
    }
}

/// The receiving side.
#[derive(Serialize)]
pub struct ReceiveReport {
    pub conns: usize,
    pub batch_size: u32,
    pub throughput: Throughput,
    /// From the intended send time to reception; only of messages sent since measuring began, on
    /// this machine.
    pub end_to_end: Option<LatencySummary>,
    /// From pull to answer, of pulls that brought messages; waiting for the messages included.
    pub pull: Option<LatencySummary>,
    pub pulls_found: u64,
    pub pulls_empty: u64,
    pub checks: Tally,
}

impl ReceiveReport {
    pub fn new(plan: &PullPlan, checker: &Checker, pulled: &Pulled, span_ns: u64) -> Self {
        let checks = checker.total(pulled);
        let (messages, bytes) = checker.measured;
        Self {
            conns: plan.conns,
            batch_size: plan.batch,
            throughput: Throughput::new(messages, bytes, span_ns),
            end_to_end: checker.latencies.summary(),
            pull: pulled.latencies.summary(),
            pulls_found: pulled.found,
            pulls_empty: pulled.empty,
            checks,
        }
    }
}

impl Report {
    pub fn new(command: &'static str, addr: SocketAddr, cost: Cost, errors: Errors) -> Self {
        Self {
            command,
            addr,
            succeeded: false,
            sound: true,
            send: None,
            receive: None,
            verify: None,
            error_count: errors.total(),
            errors,
            cost,
        }
    }

    /// The process's exit status.
    pub fn status(&self) -> u8 {
        match (self.succeeded, self.sound) {
            (false, _) => 1,
            (true, false) => 3,
            (true, true) => 0,
        }
    }

    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("reports have only plain keys")
    }

    pub fn table(&self) -> String {
        let mut table = Table(format!("{} {}\n", self.command, self.addr));
        if let Some(send) = &self.send {
            table.send(send);
        }
        if let Some(receive) = &self.receive {
            table.receive(receive);
        }
        if let Some(verify) = &self.verify {
            table.verify(verify);
        }
        table.errors(&self.errors);
        table.cost(&self.cost);
        table.0
    }
}

struct Table(String);

impl Table {
    fn row(&mut self, label: &str, text: impl AsRef<str>) {
        let _ = writeln!(self.0, "  {label:<12} {}", text.as_ref());
    }

    fn throughput(&mut self, label: &str, t: &Throughput) {
        let (rate, count) = (grouped(t.msgs_per_s as u64), grouped(t.messages));
        let text =
            format!("{rate} msgs/s  {:.2} MB/s  ({count} in {:.2} s)", t.mb_per_s, t.seconds);
        self.row(label, text);
    }

    fn latency(&mut self, label: &str, latency: &Option<LatencySummary>) {
        let Some(l) = latency else { return };
        let [p50, p90, p99, p999, max] =
            [l.p50_us, l.p90_us, l.p99_us, l.p999_us, l.max_us].map(duration);
        let count = grouped(l.samples);
        self.row(
            label,
            format!("p50 {p50}  p90 {p90}  p99 {p99}  p99.9 {p999}  max {max}  (n {count})"),
        );
    }

    fn send(&mut self, send: &SendReport) {
        let mode = match (send.rate, send.oneway) {
            (Some(rate), _) => format!("{rate} msgs/s, window {}", send.window),
            (None, true) => "one-way".into(),
            (None, false) => format!("window {}", send.window),
        };
        self.row(
            "load",
            format!(
                "{} x {} queues, {} conns, {mode}, {} B, batch {}, {} threads",
                send.topics, send.queues, send.conns, send.size, send.batch, send.threads
            ),
        );
        self.throughput(if send.oneway { "written" } else { "acked" }, &send.throughput);
        self.latency("ack latency", &send.latency);
        self.latency("send lag", &send.lag);
        let mut counts = format!(
            "sent {}  acked {}  unknown {}",
            grouped(send.sent),
            grouped(send.acked),
            grouped(send.unknown)
        );
        if send.rate.is_some() {
            let _ = write!(counts, "  backlog {}", grouped(send.backlog));
        }
        if let Some(stored) = send.stored {
            let _ = write!(counts, "  stored {}", grouped(stored));
        }
        self.row("messages", counts);
        for outage in &send.outages {
            let lasted = match outage.lasted_s {
                Some(lasted) => format!("no success for {lasted:.3} s"),
                None => "no success any more".into(),
            };
            self.row("outage", format!("at {:.3} s: {lasted}", outage.at_s));
        }
    }

    fn receive(&mut self, receive: &ReceiveReport) {
        self.throughput("received", &receive.throughput);
        self.latency("end to end", &receive.end_to_end);
        self.latency("pull", &receive.pull);
        self.row(
            "pulls",
            format!(
                "found {}  empty {}",
                grouped(receive.pulls_found),
                grouped(receive.pulls_empty)
            ),
        );
        let c = &receive.checks;
        self.row(
            "checks",
            format!(
                "own {}  foreign {}  corrupt {}  misplaced {}  lost {}  duplicates {}  out of order {}",
                grouped(c.own), grouped(c.foreign), c.corrupt, c.misplaced, c.lost, c.duplicates,
                c.out_of_order
            ),
        );
        self.row("offsets", format!("holes {}  repeats {}", c.offset_holes, c.offset_repeats));
    }

    fn verify(&mut self, verify: &VerifyReport) {
        for (status, fate) in &verify.by_status {
            let label = if *status == 0 { "acked".into() } else { format!("status {status}") };
            let [acked, present, missing, wrong] =
                [fate.acked, fate.present, fate.missing, fate.wrong].map(grouped);
            self.row(
                &label,
                format!("{acked}  present {present}  missing {missing}  wrong {wrong}"),
            );
        }
        for (why, count) in &verify.wrong_because {
            self.row("wrong", format!("{why}: {}", grouped(*count)));
        }
        if verify.moved > 0 {
            self.row("moved", format!("{} are at another offset", grouped(verify.moved)));
        }
        for example in &verify.examples {
            self.row("example", example);
        }
        self.row(
            "extra",
            format!(
                "unacked {} (duplicates {})  foreign {}  corrupt {}",
                verify.extra_unacked,
                verify.extra_duplicates,
                verify.extra_foreign,
                verify.extra_corrupt
            ),
        );
        let dense = if verify.dense { "dense" } else { "NOT dense" };
        let (holes, repeats) = (verify.offset_holes, verify.offset_repeats);
        self.row("offsets", format!("{dense}  holes {holes}  repeats {repeats}"));
        if let Some(read) = &verify.read {
            self.throughput("read", read);
        }
    }

    fn errors(&mut self, errors: &Errors) {
        if errors.total() == 0 {
            self.row("errors", "none");
        }
        for (code, entry) in &errors.by_code {
            self.row("error", format!("code {code}: {} x  {}", entry.count, entry.first_remark));
        }
        for (kind, entry) in &errors.other {
            self.row("error", format!("{kind}: {} x  {}", entry.count, entry.first_remark));
        }
    }

    fn cost(&mut self, cost: &Cost) {
        let per_message = |cpu: Option<f64>| cpu.map_or("-".into(), |us| format!("{us:.2} us/msg"));
        let own = per_message(cost.own_cpu_us_per_msg);
        self.row("own cpu", format!("{:.2} s  {own}", cost.own_cpu_s));
        let Some(target) = &cost.target else { return };
        match target {
            Target {
                pid,
                cpu_s: Some(cpu),
                cpu_us_per_msg,
                rss_bytes: Some(rss),
                peak_rss_bytes: Some(peak),
                read_bytes: Some(read),
                write_bytes: Some(written),
            } => {
                let [rss, peak, read, written] =
                    [rss, peak, read, written].map(|b| *b as f64 / 1e6);
                let per_message = per_message(*cpu_us_per_msg);
                self.row(
                    "target",
                    format!(
                        "pid {pid}  cpu {cpu:.2} s  {per_message}  rss {rss:.1} MB  peak {peak:.1} MB  \
                         read {read:.1} MB  written {written:.1} MB"
                    ),
                );
            }
            target => self.row("target", format!("pid {}: not readable", target.pid)),
        }
    }
}

/// A number with thousands separators.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Microseconds in the unit that suits them.
fn duration(micros: f64) -> String {
    match micros {
        us if us < 1e3 => format!("{us:.0} us"),
        us if us < 1e6 => format!("{:.2} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}
