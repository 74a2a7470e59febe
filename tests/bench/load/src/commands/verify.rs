// SPDX-License-Identifier: Apache-2.0
//! `verify`: is every message of a ledger in the broker, where and as it was acknowledged?

use std::collections::{BTreeMap, HashMap};
use std::io;

use serde::Serialize;

use crate::cli::VerifyCommand;
use crate::clock::now;
use crate::ledger::{self, Entry, Meta};
use crate::meter::Meter;
use crate::payload::{self, Flaw, Stamp};
use crate::puller::{Progress, PullPlan, Puller, Queue, Reader};
use crate::record::Record;
use crate::report::Report;
use crate::stats::Throughput;

use super::{control, find_broker};

/// How many messages of each kind are named in the report.
const EXAMPLES: usize = 5;

/// What became of the messages with one send status.
#[derive(Default, Serialize)]
pub struct Fate {
    /// In the ledger.
    pub acked: u64,
    /// At their offset, with the right content.
    pub present: u64,
    /// Not at their offset: nothing is there.
    pub missing: u64,
    /// Something else, or damaged, at their offset.
    pub wrong: u64,
}

#[derive(Default, Serialize)]
pub struct VerifyReport {
    /// By send status: 0 is success, 10, 11 and 12 are stored but less durable than asked.
    pub by_status: BTreeMap<u8, Fate>,
    /// Why messages count as wrong.
    pub wrong_because: BTreeMap<&'static str, u64>,
    /// Missing or wrong messages that are stored at another offset of their queue.
    pub moved: u64,
    /// Messages of this run that are not in the ledger: stored, but never acknowledged.
    pub extra_unacked: u64,
    /// Of these, further copies of a message that is there already.
    pub extra_duplicates: u64,
    /// Messages of others in the same part of the queues.
    pub extra_foreign: u64,
    /// Messages with a checksum error among those not in the ledger.
    pub extra_corrupt: u64,
    /// Whether the queues have no holes from where the run began to their ends.
    pub dense: bool,
    pub offset_holes: u64,
    pub offset_repeats: u64,
    /// Everything read, and how fast.
    pub read: Option<Throughput>,
    pub examples: Vec<String>,
}

pub fn run(args: &VerifyCommand) -> io::Result<Report> {
    let (meta, entries) = ledger::read(&args.ledger)?;
    let broker = find_broker(&args.broker)?;
    let control = control()?;
    let meter = Meter::new(args.output.pid);
    let plan = PullPlan {
        addr: broker.addr,
        conns: args.conns as usize,
        group: args.pull.group.clone(),
        batch: args.pull.batch_size,
        serialize: args.broker.serialize,
        broker_name: broker.name,
        tail: false,
    };
    let total = entries.len();
    let (queues, verifier) = Verifier::new(&meta, entries);
    let progress = Progress::default();
    let began = now();
    meter.begin();
    let stopped = |_| control.stop.load(std::sync::atomic::Ordering::Relaxed);
    let (verifier, pulled) = Puller::new(&plan, queues, verifier, &progress)?.run(stopped)?;
    meter.end();

    let bytes = verifier.bytes;
    let mut verify = verifier.finish();
    verify.offset_holes = pulled.offset_holes;
    verify.offset_repeats = pulled.offset_repeats;
    verify.dense = pulled.offset_holes == 0 && pulled.offset_repeats == 0;
    verify.read = Some(Throughput::new(pulled.messages, bytes, now() - began));
    let cost = meter.cost(pulled.messages);
    let mut report = Report::new("verify", broker.addr, cost, pulled.errors);
    let fates = || verify.by_status.values();
    // A lost connection leaves the question open; anything else is an answer.
    report.succeeded = total > 0 && !report.errors.other.contains_key("disconnected");
    report.sound = fates().all(|fate| fate.present == fate.acked) && verify.dense;
    report.verify = Some(verify);
    Ok(report)
}

/// The entries of one queue, by offset.
struct Expected {
    entries: Vec<Entry>,
    /// The first one that was not passed yet.
    at: usize,
}

/// Compares what is read with what was acknowledged.
struct Verifier {
    run: u64,
    size: usize,
    expected: Vec<Expected>,
    /// Not found where they should be, and what is there instead.
    stray: Vec<(usize, Entry, &'static str)>,
    /// Messages of this run that are at no acknowledged offset: how often they came.
    extras: HashMap<(usize, u32, u64), u64>,
    bytes: u64,
    report: VerifyReport,
}

impl Verifier {
    fn new(meta: &Meta, entries: Vec<Entry>) -> (Vec<Queue>, Self) {
        let mut report = VerifyReport::default();
        report.by_status.entry(0).or_default();
        let mut expected: Vec<Vec<Entry>> = meta.base_offsets.iter().map(|_| Vec::new()).collect();
        for entry in entries {
            report.by_status.entry(entry.status).or_default().acked += 1;
            let stream = entry.topic as usize * meta.queues as usize + entry.queue as usize;
            expected[stream].push(entry);
        }
        let mut queues = Vec::new();
        for (stream, entries) in expected.iter_mut().enumerate() {
            entries.sort_by_key(|entry| entry.offset);
            let base = meta.base_offsets[stream];
            let topic_index = stream / meta.queues as usize;
            queues.push(Queue {
                topic: meta.topics[topic_index].clone(),
                topic_index: topic_index as u16,
                id: (stream % meta.queues as usize) as u32,
                next: entries.first().map_or(base, |entry| entry.offset.min(base)),
            });
        }
        let expected = expected.into_iter().map(|entries| Expected { entries, at: 0 }).collect();
        let (stray, extras) = (Vec::new(), HashMap::new());
        let (run, size) = (meta.run, meta.size);
        (queues, Self { run, size, expected, stray, extras, bytes: 0, report })
    }

    /// Marks entries before `offset` as missing.
    fn pass(&mut self, queue: usize, offset: u64) {
        let Expected { entries, at } = &mut self.expected[queue];
        while let Some(entry) = entries.get(*at).filter(|entry| entry.offset < offset) {
            *at += 1;
            self.report.by_status.entry(entry.status).or_default().missing += 1;
            self.stray.push((queue, entry.clone(), "nothing"));
        }
    }

    /// Notes a message that is at no acknowledged offset.
    fn extra(&mut self, queue: usize, content: Result<Stamp, Flaw>) {
        match content {
            Ok(stamp) if stamp.run == self.run => {
                *self.extras.entry((queue, stamp.conn, stamp.seq)).or_default() += 1;
            }
            Ok(_) | Err(Flaw::Foreign) => self.report.extra_foreign += 1,
            Err(Flaw::Corrupt) => self.report.extra_corrupt += 1,
        }
    }

    /// Settles what is still open once all queues are read.
    fn finish(mut self) -> VerifyReport {
        for queue in 0..self.expected.len() {
            self.pass(queue, u64::MAX);
        }
        for (queue, entry, found) in &self.stray {
            let moved = self.extras.remove(&(*queue, entry.conn, entry.seq)).is_some();
            self.report.moved += u64::from(moved);
            if self.report.examples.len() < EXAMPLES {
                let moved = if moved { ", but it is at another offset" } else { "" };
                self.report.examples.push(format!(
                    "topic {} queue {} offset {} (connection {} seq {}): {found} there{moved}",
                    entry.topic, entry.queue, entry.offset, entry.conn, entry.seq
                ));
            }
        }
        let (mut copies, mut originals) = (self.extras.values().sum::<u64>(), self.extras.len());
        self.report.extra_unacked = copies;
        if originals > 0 {
            let keys = self.expected.iter().enumerate().flat_map(|(queue, expected)| {
                expected.entries.iter().map(move |entry| (queue, entry.conn, entry.seq))
            });
            originals -= keys.filter(|key| self.extras.contains_key(key)).count();
        }
        copies -= originals as u64;
        self.report.extra_duplicates = copies;
        self.report
    }
}

/// Why a stored message is not the one that an entry promises.
fn difference(
    entry: &Entry,
    record: &Record,
    content: Result<Stamp, Flaw>,
    run: u64,
    size: usize,
) -> Option<&'static str> {
    let stamp = match content {
        Ok(stamp) => stamp,
        Err(Flaw::Foreign) => return Some("foreign message"),
        Err(Flaw::Corrupt) => return Some("checksum error"),
    };
    let (topic, queue) = (entry.topic, entry.queue);
    if (stamp.run, stamp.conn, stamp.seq) != (run, entry.conn, entry.seq) {
        return Some("another message");
    }
    if (stamp.topic, u32::from(stamp.queue)) != (topic, queue) || record.queue_id as u32 != queue {
        return Some("another queue");
    }
    if record.body.len() != size {
        return Some("another size");
    }
    (!record.has_id(&entry.id)).then_some("another message id")
}

impl Reader for Verifier {
    fn record(&mut self, queue: usize, record: &Record, _now: u64) {
        self.bytes += record.body.len() as u64;
        let content = payload::read(record.body, record.body_crc);
        let offset = record.queue_offset as u64;
        self.pass(queue, offset);
        let Expected { entries, at } = &mut self.expected[queue];
        let mut matched = false;
        // More than one entry per offset would mean that an offset was given out twice.
        while let Some(entry) = entries.get(*at).filter(|entry| entry.offset == offset) {
            *at += 1;
            let fate = self.report.by_status.entry(entry.status).or_default();
            match difference(entry, record, content, self.run, self.size) {
                None if !matched => {
                    matched = true;
                    fate.present += 1;
                }
                why => {
                    fate.wrong += 1;
                    let why = why.unwrap_or("acknowledged twice");
                    *self.report.wrong_because.entry(why).or_default() += 1;
                    self.stray.push((queue, entry.clone(), why));
                }
            }
        }
        if !matched {
            self.extra(queue, content);
        }
    }
}
