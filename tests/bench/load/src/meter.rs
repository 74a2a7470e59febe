// SPDX-License-Identifier: Apache-2.0
//! What the run cost: CPU of this process, and CPU, memory and disk traffic of the target process.

use std::fs;
use std::sync::{Arc, Mutex};

use serde::Serialize;

use crate::clock::{as_seconds, now, own_cpu};

/// Readings at one moment.
#[derive(Clone)]
struct Reading {
    at: u64,
    own_cpu: u64,
    target: Option<TargetReading>,
}

#[derive(Clone, Default)]
struct TargetReading {
    cpu_seconds: f64,
    /// Absent while the process is dying.
    rss_bytes: Option<u64>,
    peak_rss_bytes: Option<u64>,
    read_bytes: u64,
    write_bytes: u64,
}

/// Takes a reading when measuring begins and when it ends.
///
/// The event loop that leads a run holds a clone and takes the readings itself, right at the
/// boundaries of the measured time.
#[derive(Clone)]
pub struct Meter {
    pid: Option<u32>,
    readings: Arc<Mutex<(Option<Reading>, Option<Reading>)>>,
}

impl Meter {
    pub fn new(pid: Option<u32>) -> Self {
        Self { pid, readings: Arc::default() }
    }

    fn read(&self) -> Reading {
        Reading { at: now(), own_cpu: own_cpu(), target: self.pid.and_then(TargetReading::take) }
    }

    /// Marks the start of the measured time.
    pub fn begin(&self) {
        self.readings.lock().unwrap().0 = Some(self.read());
    }

    /// Marks its end; the last call counts. A target that died since keeps its last reading.
    pub fn end(&self) {
        let mut reading = self.read();
        let mut readings = self.readings.lock().unwrap();
        if reading.target.is_none() {
            reading.target = readings.1.take().and_then(|last| last.target);
        }
        readings.1 = Some(reading);
    }

    /// The cost of the measured time, in which `messages` were handled.
    pub fn cost(&self, messages: u64) -> Cost {
        let readings = self.readings.lock().unwrap();
        let (Some(begin), Some(end)) = &*readings else { return Cost::default() };
        let per_message = |cpu: f64| (messages > 0).then(|| cpu * 1e6 / messages as f64);
        let own = as_seconds(end.own_cpu - begin.own_cpu);
        let target = self.pid.map(|pid| match (&begin.target, &end.target) {
            (Some(before), Some(after)) => {
                let cpu = after.cpu_seconds - before.cpu_seconds;
                Target {
                    pid,
                    cpu_s: Some(cpu),
                    cpu_us_per_msg: per_message(cpu),
                    rss_bytes: after.rss_bytes.or(before.rss_bytes),
                    peak_rss_bytes: after.peak_rss_bytes.or(before.peak_rss_bytes),
                    read_bytes: Some(after.read_bytes.saturating_sub(before.read_bytes)),
                    write_bytes: Some(after.write_bytes.saturating_sub(before.write_bytes)),
                }
            }
            _ => Target { pid, ..Target::default() },
        });
        Cost {
            measured_s: as_seconds(end.at - begin.at),
            own_cpu_s: own,
            own_cpu_us_per_msg: per_message(own),
            target,
        }
    }
}

impl TargetReading {
    /// Reads /proc; `None` when the process is gone or not readable.
    fn take(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command name may hold spaces; utime and stime are fields 14 and 15.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks: u64 =
            fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        let per_second = rustix::param::clock_ticks_per_second();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        Some(Self {
            cpu_seconds: ticks as f64 / per_second as f64,
            rss_bytes: field(&status, "VmRSS:").map(|kib| kib * 1024),
            peak_rss_bytes: field(&status, "VmHWM:").map(|kib| kib * 1024),
            read_bytes: field(&io, "read_bytes:").unwrap_or(0),
            write_bytes: field(&io, "write_bytes:").unwrap_or(0),
        })
    }
}

/// The number that follows `name` at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse().ok()
}

#[derive(Default, Serialize)]
pub struct Cost {
    pub measured_s: f64,
    pub own_cpu_s: f64,
    pub own_cpu_us_per_msg: Option<f64>,
    pub target: Option<Target>,
}

#[derive(Default, Serialize)]
pub struct Target {
    pub pid: u32,
    pub cpu_s: Option<f64>,
    pub cpu_us_per_msg: Option<f64>,
    pub rss_bytes: Option<u64>,
    pub peak_rss_bytes: Option<u64>,
    pub read_bytes: Option<u64>,
    pub write_bytes: Option<u64>,
}
