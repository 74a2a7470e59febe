// SPDX-License-Identifier: Apache-2.0
//! What is counted while running, in the form in which it is reported.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::clock::as_seconds;
use crate::wire::Header;

/// Latencies in nanoseconds, 1 us to 10 min, three significant digits.
#[derive(Clone)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1_000, 600_000_000_000, 3);
        Self(histogram.expect("constant bounds are valid"))
    }

    pub fn record(&mut self, nanos: u64) {
        self.0.saturating_record(nanos);
    }

    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all histograms have the same bounds");
    }

    /// The percentiles, unless nothing was recorded.
    pub fn summary(&self) -> Option<LatencySummary> {
        let micros = |quantile| self.0.value_at_quantile(quantile) as f64 / 1e3;
        (!self.0.is_empty()).then(|| LatencySummary {
            samples: self.0.len(),
            mean_us: self.0.mean() / 1e3,
            p50_us: micros(0.5),
            p90_us: micros(0.9),
            p99_us: micros(0.99),
            p999_us: micros(0.999),
            max_us: self.0.max() as f64 / 1e3,
        })
    }
}

#[derive(Serialize)]
pub struct LatencySummary {
    pub samples: u64,
    pub mean_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
}

/// Messages over time; MB are 10^6 bytes of message bodies.
#[derive(Serialize)]
pub struct Throughput {
    pub messages: u64,
    pub seconds: f64,
    pub msgs_per_s: f64,
    pub mb_per_s: f64,
}

impl Throughput {
    pub fn new(messages: u64, bytes: u64, nanos: u64) -> Self {
        let seconds = as_seconds(nanos.max(1));
        Self {
            messages,
            seconds,
            msgs_per_s: messages as f64 / seconds,
            mb_per_s: bytes as f64 / seconds / 1e6,
        }
    }
}

/// Everything that went wrong, by kind.
#[derive(Clone, Default, Serialize)]
pub struct Errors {
    /// Answers with a code other than success.
    pub by_code: BTreeMap<i32, CodeCount>,
    /// Everything else: unexpected or malformed frames, timeouts, lost connections, ...
    pub other: BTreeMap<&'static str, CodeCount>,
}

/// How often an error occurred, and what was said the first time.
#[derive(Clone, Serialize)]
pub struct CodeCount {
    pub count: u64,
    pub first_remark: String,
}

impl CodeCount {
    fn bump(&mut self, count: u64) {
        self.count += count;
    }
}

impl Errors {
    /// Counts a failing answer that concerned `count` messages.
    pub fn answer(&mut self, header: &Header, count: u64) {
        self.by_code
            .entry(header.code)
            .or_insert_with(|| CodeCount { count: 0, first_remark: header.remark_text() })
            .bump(count);
    }

    /// Counts any other mishap.
    pub fn other(&mut self, kind: &'static str, count: u64, detail: impl FnOnce() -> String) {
        self.other
            .entry(kind)
            .or_insert_with(|| CodeCount { count: 0, first_remark: detail() })
            .bump(count);
    }

    pub fn add(&mut self, other: Self) {
        for (code, entry) in other.by_code {
            self.by_code.entry(code).and_modify(|e| e.bump(entry.count)).or_insert(entry);
        }
        for (kind, entry) in other.other {
            self.other.entry(kind).and_modify(|e| e.bump(entry.count)).or_insert(entry);
        }
    }

    pub fn total(&self) -> u64 {
        let codes = self.by_code.values().map(|entry| entry.count);
        codes.chain(self.other.values().map(|entry| entry.count)).sum()
    }
}
