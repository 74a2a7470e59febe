// SPDX-License-Identifier: Apache-2.0
//! Checks consumed messages: intact, in the right queue, in order, once, and how old.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use crate::payload::{self, Flaw, Stamp};
use crate::puller::{Pulled, Queue, Reader};
use crate::record::Record;
use crate::stats::Latencies;
use crate::tracker::{Arrival, Sequence};

/// Identifies one sequence inside a queue: run and connection.
type Source = (u64, u32);

/// A queue under check.
struct Watched {
    queue: Queue,
    /// Sequences are expected from 0 on, as the queue is read from its very beginning.
    from_zero: bool,
    sources: HashMap<Source, Sequence>,
}

/// Checks the queues of one thread.
pub struct Checker<'a> {
    queues: Vec<Watched>,
    clock: LocalClock<'a>,
    pub tally: Tally,
    /// Messages received since measuring began, and their bytes.
    pub measured: (u64, u64),
    /// From the intended send time to reception, where clock and time are comparable.
    pub latencies: Latencies,
}

/// Decides whose latencies can be measured: sent on this machine and since measuring began.
#[derive(Clone, Copy)]
pub struct LocalClock<'a> {
    /// Any run id of this machine.
    pub run: u64,
    pub wall_offset: u64,
    pub measure_from: &'a AtomicU64,
}

impl LocalClock<'_> {
    fn age(&self, stamp: &Stamp, now: u64) -> Option<u64> {
        let sent = stamp.sent.wrapping_sub(self.wall_offset);
        let comparable = payload::is_local(stamp.run, self.run)
            && sent >= self.measure_from.load(Relaxed)
            && sent <= now;
        comparable.then(|| now - sent)
    }
}

/// Counts of messages.
#[derive(Clone, Default, Serialize)]
pub struct Tally {
    pub bytes: u64,
    /// Written by this tool and intact.
    pub own: u64,
    /// Written by others: only the broker's checksum was checked.
    pub foreign: u64,
    pub corrupt: u64,
    /// In another queue or topic than they were sent to.
    pub misplaced: u64,
    pub duplicates: u64,
    pub out_of_order: u64,
    /// Sequence numbers that did not come though higher ones did.
    pub lost: u64,
    pub offset_holes: u64,
    pub offset_repeats: u64,
}

impl<'a> Checker<'a> {
    pub fn new(queues: &[Queue], from_zero: bool, clock: LocalClock<'a>) -> Self {
        let watched = |queue: &Queue| Watched {
            from_zero: from_zero && queue.next == 0,
            queue: queue.clone(),
            sources: HashMap::new(),
        };
        Self {
            queues: queues.iter().map(watched).collect(),
            clock,
            tally: Tally::default(),
            measured: (0, 0),
            latencies: Latencies::new(),
        }
    }

    /// Adds what another thread counted, and that thread's queues.
    pub fn merge(&mut self, other: Self) {
        let (to, from) = (&mut self.tally, other.tally);
        to.bytes += from.bytes;
        to.own += from.own;
        to.foreign += from.foreign;
        to.corrupt += from.corrupt;
        to.misplaced += from.misplaced;
        to.duplicates += from.duplicates;
        to.out_of_order += from.out_of_order;
        self.measured.0 += other.measured.0;
        self.measured.1 += other.measured.1;
        self.latencies.add(&other.latencies);
        self.queues.extend(other.queues);
    }

    /// The final counts.
    pub fn total(&self, pulled: &Pulled) -> Tally {
        let sequences = self.queues.iter().flat_map(|queue| queue.sources.values());
        Tally {
            lost: sequences.map(Sequence::missing).sum(),
            offset_holes: pulled.offset_holes,
            offset_repeats: pulled.offset_repeats,
            ..self.tally.clone()
        }
    }

    /// The sequence of a connection in a queue, if anything of it arrived.
    pub fn sequence(&self, topic: u16, queue: u32, source: Source) -> Option<&Sequence> {
        let watched =
            self.queues.iter().find(|w| (w.queue.topic_index, w.queue.id) == (topic, queue));
        watched?.sources.get(&source)
    }
}

impl Reader for Checker<'_> {
    fn record(&mut self, queue: usize, record: &Record, now: u64) {
        let watched = &mut self.queues[queue];
        let tally = &mut self.tally;
        let bytes = record.body.len() as u64;
        tally.bytes += bytes;
        if now >= self.clock.measure_from.load(Relaxed) {
            self.measured = (self.measured.0 + 1, self.measured.1 + bytes);
        }
        let elsewhere = record.queue_id as u32 != watched.queue.id
            || record.topic != watched.queue.topic.as_bytes();
        let stamp = match payload::read(record.body, record.body_crc) {
            Ok(stamp) => stamp,
            Err(Flaw::Corrupt) => return tally.corrupt += 1,
            Err(Flaw::Foreign) => {
                tally.misplaced += u64::from(elsewhere);
                return tally.foreign += 1;
            }
        };
        tally.own += 1;
        if elsewhere || u32::from(stamp.queue) != watched.queue.id {
            return tally.misplaced += 1;
        }
        let base = if watched.from_zero { 0 } else { stamp.seq };
        let source = watched.sources.entry((stamp.run, stamp.conn));
        match source.or_insert_with(|| Sequence::new(base)).arrive(stamp.seq) {
            Arrival::Ahead => {}
            Arrival::Late => tally.out_of_order += 1,
            Arrival::Duplicate => tally.duplicates += 1,
        }
        if let Some(age) = self.clock.age(&stamp, now) {
            self.latencies.record(age);
        }
    }
}

impl Tally {
    /// Whether nothing is wrong; `complete` says that reading came to the end of the queues, so
    /// that what is missing will not come any more.
    pub fn is_sound(&self, complete: bool) -> bool {
        let lost = if complete { self.lost } else { 0 };
        self.corrupt + self.misplaced + self.duplicates + self.offset_repeats + lost == 0
    }
}
