// SPDX-License-Identifier: Apache-2.0
//! The sending side: event loops that keep windows full (closed loop) or follow a schedule (open
//! loop), and account for every message.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::clock::{SECOND, as_seconds, now};
use crate::conn::{Conn, Fill};
use crate::ledger;
use crate::meter::Meter;
use crate::payload::Stamp;
use crate::poll::{Poller, Ready};
use crate::stats::{Errors, Latencies};
use crate::template::{Generator, Marks};
use crate::wire::{self, Frame};

/// Housekeeping interval: timeouts, reconnecting, flushing the ledger, looking at the stop flag.
const TICK: u64 = SECOND / 20;
/// Nothing more is generated for a connection that has this much unsent.
const OUTBOX_LIMIT: usize = 1 << 20;
const INBOX: usize = 64 << 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Messages whose fate is not success are remembered one by one up to this number per thread.
const FAILED_LIMIT: usize = 1 << 20;

/// When a run is over.
#[derive(Clone, Copy)]
pub enum Limit {
    /// After so many nanoseconds of measured time.
    Time(u64),
    /// After so many messages.
    Messages(u64),
}

/// What to send, how fast and for how long.
pub struct Plan {
    pub addr: SocketAddr,
    pub generator: Generator,
    pub conns: usize,
    pub threads: usize,
    /// Requests outstanding per connection.
    pub window: usize,
    /// Messages per second in an open loop; none means closed loop.
    pub rate: Option<f64>,
    pub limit: Limit,
    pub warmup: u64,
    pub reconnect: bool,
    /// How long an answer may take before its message counts as lost to sight.
    pub timeout: u64,
    /// Pause after each round of a closed loop, so that work comes in larger portions.
    pub coalesce: u64,
    pub wall_offset: u64,
}

/// What the threads of a run share.
pub struct Control {
    /// Raised to end the run early.
    pub stop: std::sync::Arc<AtomicBool>,
    /// Monotonic time from which latencies count; `u64::MAX` until the warm-up is over.
    pub measure_from: AtomicU64,
}

/// A time in which no message could be delivered.
#[derive(Clone, Copy, serde::Serialize)]
pub struct Outage {
    /// Seconds from the begin of the measured time to the first failure.
    pub at_s: f64,
    /// Seconds from the first failure to the first success of a message sent afterwards; none if
    /// there was no success any more.
    pub lasted_s: Option<f64>,
}

impl Outage {
    fn new(measure_from: u64, since: u64, until: Option<u64>) -> Self {
        Self {
            at_s: as_seconds(since.saturating_sub(measure_from)),
            lasted_s: until.map(|until| as_seconds(until - since)),
        }
    }
}

/// A message that was sent, but not acknowledged with success.
#[derive(Clone, Copy)]
pub struct Failed {
    pub conn: u32,
    pub stream: u32,
    pub seq: u64,
}

/// The account of a run. Counts are messages, not requests.
pub struct Outcome {
    /// Sent at all, warm-up included.
    pub sent: u64,
    /// Acknowledged with success at all, warm-up included.
    pub acked: u64,
    /// Acknowledged (one-way: sent) in the measured time.
    pub measured: u64,
    /// Length of the measured time.
    pub measured_ns: u64,
    /// Intended send time to answer, of messages due in the measured time.
    pub latencies: Latencies,
    /// Intended send time to actual send time: how far behind its schedule the open loop was.
    pub lag: Latencies,
    pub errors: Errors,
    /// Sent, but whether they were stored is not known: connection lost, or no answer in time.
    pub unknown: u64,
    /// Due according to the open loop's schedule, but not sent before its end.
    pub backlog: u64,
    pub outages: Vec<Outage>,
    pub failed: Vec<Failed>,
    /// Messages per (connection, stream).
    pub sequences: HashMap<(u32, u32), u64>,
}

impl Outcome {
    fn new() -> Self {
        Self {
            sent: 0,
            acked: 0,
            measured: 0,
            measured_ns: 0,
            latencies: Latencies::new(),
            lag: Latencies::new(),
            errors: Errors::default(),
            unknown: 0,
            backlog: 0,
            outages: Vec::new(),
            failed: Vec::new(),
            sequences: HashMap::new(),
        }
    }

    fn merge(&mut self, other: Self) {
        self.sent += other.sent;
        self.acked += other.acked;
        self.measured += other.measured;
        self.measured_ns = self.measured_ns.max(other.measured_ns);
        self.latencies.add(&other.latencies);
        self.lag.add(&other.lag);
        self.errors.add(other.errors);
        self.unknown += other.unknown;
        self.backlog += other.backlog;
        self.outages.extend(other.outages);
        self.failed.extend(other.failed);
        self.sequences.extend(other.sequences);
    }
}

/// Runs a plan to its end.
pub fn run(
    plan: &Plan,
    ledger: Option<ledger::Writer>,
    meter: &Meter,
    control: &Control,
) -> io::Result<Outcome> {
    let threads = plan.threads.min(plan.conns);
    let mut workers = (0..threads)
        .map(|index| Worker::new(plan, index, threads, ledger.clone(), meter, control))
        .collect::<io::Result<Vec<_>>>()?;
    let barrier = Barrier::new(threads);
    let outcomes = std::thread::scope(|scope| {
        let running: Vec<_> = workers
            .drain(..)
            .map(|worker| {
                scope.spawn(|| {
                    barrier.wait();
                    worker.run()
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect::<io::Result<Vec<_>>>()
    })?;
    let mut total = Outcome::new();
    outcomes.into_iter().for_each(|outcome| total.merge(outcome));
    Ok(total)
}

/// One request on its way.
#[derive(Clone, Default)]
struct Slot {
    generation: u32,
    busy: bool,
    stream: u32,
    seq: u64,
    /// When the request should have been sent, and when it was.
    due: u64,
    sent: u64,
}

/// One connection and what is outstanding on it.
struct Lane {
    id: u32,
    conn: Option<Conn>,
    slots: Vec<Slot>,
    free: Vec<u16>,
    /// Where in the rotation over all streams this lane stands.
    turn: usize,
    sequences: Vec<u64>,
    marks: Marks,
}

impl Lane {
    fn new(id: u32, plan: &Plan) -> Self {
        let shape = plan.generator.shape();
        let slots = if shape.oneway { 0 } else { plan.window };
        Self {
            id,
            conn: None,
            slots: vec![Slot::default(); slots],
            free: (0..slots as u16).rev().collect(),
            turn: id as usize % shape.streams(),
            sequences: vec![0; shape.streams()],
            marks: Marks::new(shape.run, id),
        }
    }

    fn connect(&mut self, plan: &Plan, poller: &Poller, token: usize) -> io::Result<()> {
        let conn = Conn::connect(plan.addr, CONNECT_TIMEOUT, INBOX)?;
        poller.add(&conn.socket, token)?;
        self.conn = Some(conn);
        Ok(())
    }

    fn can_send(&self, oneway: bool) -> bool {
        let room = |conn: &Conn| conn.outbox.pending() < OUTBOX_LIMIT;
        (oneway || !self.free.is_empty()) && self.conn.as_ref().is_some_and(room)
    }

    /// Appends the next request of the rotation to the output buffer.
    fn push(&mut self, plan: &Plan, due: u64, now: u64) {
        let Some(conn) = &mut self.conn else { return };
        let shape = plan.generator.shape();
        let stream = self.turn;
        self.turn = if stream + 1 == shape.streams() { 0 } else { stream + 1 };
        let seq = self.sequences[stream];
        self.sequences[stream] += shape.batch as u64;
        let opaque = match self.free.pop() {
            Some(index) => {
                let slot = &mut self.slots[index as usize];
                let generation = slot.generation.wrapping_add(1);
                let stream = stream as u32;
                *slot = Slot { generation, busy: true, stream, seq, due, sent: now };
                wire::opaque(index as usize, generation)
            }
            None => wire::OPAQUE_BASE,
        };
        let (topic, queue) = shape.place(stream);
        let sent = due + plan.wall_offset;
        let first = Stamp { run: shape.run, conn: self.id, topic, queue: queue as u16, seq, sent };
        plan.generator.append(stream, opaque, first, &mut self.marks, &mut conn.outbox.buffer);
    }

    fn outstanding(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether nothing is left to be written or answered.
    fn quiet(&self) -> bool {
        let unsent = self.conn.as_ref().map_or(0, |conn| conn.outbox.pending());
        self.outstanding() == 0 && unsent == 0
    }
}

#[derive(PartialEq, Eq)]
enum Phase {
    Warmup,
    Measure,
    /// Nothing new is sent; answers are awaited.
    Drain,
}

/// One event loop.
struct Worker<'a> {
    plan: &'a Plan,
    control: &'a Control,
    meter: &'a Meter,
    /// Whether this loop marks the begin of the measured time for all.
    leader: bool,
    ledger: Option<ledger::Writer>,
    poller: Poller,
    lanes: Vec<Lane>,
    phase: Phase,
    started: u64,
    measure_from: u64,
    drain_until: u64,
    /// Messages that may still be sent.
    budget: u64,
    schedule: Option<Schedule>,
    /// A closed-loop lane could take more at once, without waiting for an event.
    hungry: bool,
    next_tick: u64,
    /// Since when nothing succeeds.
    down_since: Option<u64>,
    out: Outcome,
}

/// The send times of an open loop.
struct Schedule {
    start: f64,
    interval: f64,
    issued: u64,
    /// The lane to try first.
    turn: usize,
}

impl Schedule {
    fn due(&self) -> u64 {
        (self.start + self.interval * self.issued as f64) as u64
    }
}

impl<'a> Worker<'a> {
    fn new(
        plan: &'a Plan,
        index: usize,
        threads: usize,
        ledger: Option<ledger::Writer>,
        meter: &'a Meter,
        control: &'a Control,
    ) -> io::Result<Self> {
        let ids = (index..plan.conns).step_by(threads);
        let mut lanes: Vec<_> = ids.map(|id| Lane::new(id as u32, plan)).collect();
        let poller = Poller::new()?;
        for (token, lane) in lanes.iter_mut().enumerate() {
            lane.connect(plan, &poller, token).map_err(|e| {
                io::Error::new(e.kind(), format!("cannot connect to {}: {e}", plan.addr))
            })?;
        }
        let budget = match plan.limit {
            Limit::Time(_) => u64::MAX,
            Limit::Messages(count) => {
                count / threads as u64 + u64::from((index as u64) < count % threads as u64)
            }
        };
        let requests_per_s = |rate: f64| rate / plan.generator.shape().batch as f64;
        let schedule = plan.rate.map(|rate| {
            let interval = SECOND as f64 * threads as f64 / requests_per_s(rate);
            Schedule {
                start: interval / threads as f64 * index as f64,
                interval,
                issued: 0,
                turn: 0,
            }
        });
        Ok(Self {
            plan,
            control,
            meter,
            leader: index == 0,
            ledger,
            poller,
            lanes,
            phase: Phase::Warmup,
            started: 0,
            measure_from: u64::MAX,
            drain_until: u64::MAX,
            budget,
            schedule,
            hungry: true,
            next_tick: 0,
            down_since: None,
            out: Outcome::new(),
        })
    }

    fn run(mut self) -> io::Result<Outcome> {
        if self.plan.rate.is_some() || self.plan.coalesce > 0 {
            // Short waits shall be as short as asked.
            rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
        }
        self.started = now();
        if let Some(schedule) = &mut self.schedule {
            schedule.start += self.started as f64;
        }
        let mut ready = Vec::new();
        loop {
            let now = now();
            self.advance(now);
            if self.finished(now) {
                break;
            }
            if now >= self.next_tick {
                self.tick(now);
            }
            if std::mem::take(&mut self.hungry) {
                (0..self.lanes.len()).for_each(|lane| self.refill(lane, now));
            }
            let wake = match self.release_due(now) {
                _ if self.hungry => now,
                Some(due) => due.min(self.next_event()),
                None => self.next_event(),
            };
            self.poller.wait(now, wake, &mut ready)?;
            for &event in &ready {
                self.serve(event);
            }
            if self.plan.coalesce > 0 && self.phase != Phase::Drain {
                std::thread::sleep(Duration::from_nanos(self.plan.coalesce));
            }
        }
        self.finish()
    }

    /// When to look up even if nothing arrives.
    fn next_event(&self) -> u64 {
        let boundary = match (&self.phase, self.plan.limit) {
            (Phase::Warmup, _) => self.started + self.plan.warmup,
            (Phase::Measure, Limit::Time(time)) => self.measure_from + time,
            (Phase::Measure, Limit::Messages(_)) => u64::MAX,
            (Phase::Drain, _) => self.drain_until,
        };
        boundary.min(self.next_tick)
    }

    /// Moves from phase to phase.
    fn advance(&mut self, now: u64) {
        if self.phase == Phase::Warmup && now >= self.started + self.plan.warmup {
            self.phase = Phase::Measure;
            self.measure_from = now;
            if self.leader {
                self.meter.begin();
                self.control.measure_from.store(now, Relaxed);
            }
        }
        let over = match self.plan.limit {
            Limit::Time(time) => now.saturating_sub(self.measure_from) >= time,
            Limit::Messages(_) => self.budget == 0 && self.lanes.iter().all(Lane::quiet),
        };
        if self.phase == Phase::Measure && over {
            self.close(now);
        }
    }

    /// Ends the measured time; from now on answers are only awaited.
    fn close(&mut self, now: u64) {
        if self.phase == Phase::Drain {
            return;
        }
        self.phase = Phase::Drain;
        self.drain_until = now + self.plan.timeout;
        self.out.measured_ns = now.saturating_sub(self.measure_from);
        self.meter.end();
        if let Some(schedule) = &self.schedule {
            let due = (now as f64 - schedule.start) / schedule.interval;
            let behind = (due.max(0.0) as u64).saturating_sub(schedule.issued);
            let messages = behind * self.plan.generator.shape().batch as u64;
            self.out.backlog = messages.min(self.budget);
        }
    }

    fn finished(&self, now: u64) -> bool {
        self.phase == Phase::Drain
            && (now >= self.drain_until || self.lanes.iter().all(Lane::quiet))
    }

    fn may_send(&self) -> bool {
        self.phase != Phase::Drain && self.budget > 0
    }

    /// Takes from the budget what the next request needs, if it may be sent at all.
    fn admit(&mut self, lane: usize) -> bool {
        let shape = self.plan.generator.shape();
        if !self.may_send() || !self.lanes[lane].can_send(shape.oneway) {
            return false;
        }
        let batch = shape.batch as u64;
        if self.phase == Phase::Measure && self.budget != u64::MAX {
            self.budget = self.budget.saturating_sub(batch);
        }
        self.out.sent += batch;
        if shape.oneway && self.phase == Phase::Measure {
            self.out.measured += batch;
        }
        true
    }

    /// Closed loop: fills a lane's window. Open loop: writes what is left to write.
    fn refill(&mut self, lane: usize, now: u64) {
        if self.schedule.is_none() {
            while self.admit(lane) {
                self.lanes[lane].push(self.plan, now, now);
            }
        }
        self.flush(lane);
        let oneway = self.plan.generator.shape().oneway;
        self.hungry |=
            self.may_send() && self.schedule.is_none() && self.lanes[lane].can_send(oneway);
    }

    fn flush(&mut self, lane: usize) {
        let written = self.lanes[lane].conn.as_mut().map_or(Ok(()), Conn::flush);
        if let Err(error) = written {
            self.disconnected(lane, &error.to_string());
        }
    }

    /// Open loop: sends what is due; says when the next request is, unless all windows are full.
    fn release_due(&mut self, now: u64) -> Option<u64> {
        let mut schedule = self.schedule.take()?;
        let lanes = self.lanes.len();
        let mut blocked = false;
        let mut touched = Vec::new();
        while schedule.due() <= now {
            let candidates = (0..lanes).map(|i| (schedule.turn + i) % lanes);
            let Some(lane) = candidates.into_iter().find(|&lane| self.admit(lane)) else {
                blocked = true;
                break;
            };
            let due = schedule.due();
            self.lanes[lane].push(self.plan, due, now);
            if due >= self.measure_from {
                self.out.lag.record(now - due);
            }
            schedule.issued += 1;
            schedule.turn = (lane + 1) % lanes;
            if !touched.contains(&lane) {
                touched.push(lane);
            }
        }
        let next = (!blocked).then(|| schedule.due());
        self.schedule = Some(schedule);
        touched.into_iter().for_each(|lane| self.flush(lane));
        next
    }

    /// Handles what the poller reports for a lane.
    fn serve(&mut self, event: Ready) {
        let lane = event.token;
        let now = loop {
            let Some(conn) = &mut self.lanes[lane].conn else { return };
            let filled = conn.inbox.fill(&conn.socket, event.hangup);
            let now = now();
            let result = filled.and_then(|fill| self.take_answers(lane, now).map(|()| fill));
            match result {
                Ok(Fill::More) => {}
                Ok(Fill::Drained) => break now,
                Ok(Fill::Closed) => return self.disconnected(lane, "closed by the broker"),
                Err(error) => return self.disconnected(lane, &error.to_string()),
            }
        };
        self.refill(lane, now);
    }

    fn take_answers(&mut self, index: usize, now: u64) -> io::Result<()> {
        let Self { lanes, out, plan, ledger, phase, measure_from, down_since, .. } = self;
        let Lane { id, conn: Some(conn), slots, free, .. } = &mut lanes[index] else {
            return Ok(());
        };
        let shape = plan.generator.shape();
        let batch = shape.batch as u64;
        while let Some(frame) = conn.inbox.next_frame()? {
            let Some(slot_index) = answered_slot(&frame, slots) else {
                out.errors.other("unexpected frame", 1, || {
                    let header = &frame.header;
                    format!("code {}, flag {}, opaque {}", header.code, header.flag, header.opaque)
                });
                continue;
            };
            let slot = &mut slots[slot_index];
            slot.busy = false;
            free.push(slot_index as u16);
            let (topic, queue) = shape.place(slot.stream as usize);
            let verdict = verdict(&frame, queue, batch);
            match &verdict {
                Verdict::Stored { .. } => {
                    out.acked += batch;
                    if *phase == Phase::Measure {
                        out.measured += batch;
                    }
                    if slot.due >= *measure_from {
                        out.latencies.record(now.saturating_sub(slot.due));
                    }
                    if let Some(since) = down_since.filter(|&since| slot.sent >= since) {
                        *down_since = None;
                        out.outages.push(Outage::new(*measure_from, since, Some(now)));
                    }
                }
                Verdict::Degraded { .. } | Verdict::Refused => {
                    out.errors.answer(&frame.header, batch);
                }
                Verdict::Nonsense(why) => out.errors.other("malformed answer", batch, || {
                    format!("{why}: code {} {}", frame.header.code, frame.header.remark_text())
                }),
            }
            if !matches!(verdict, Verdict::Stored { .. }) {
                note_failed(&mut out.failed, *id, slot, batch);
            }
            if let (Verdict::Stored { offset } | Verdict::Degraded { offset }, Some(ledger)) =
                (verdict, ledger.as_mut())
            {
                let status = frame.header.code as u8;
                let (conn, seq, id) = (*id, slot.seq, Box::default());
                let entry = ledger::Entry { status, topic, queue, conn, offset, seq, id };
                let ids = frame.header.msg_id.split(|&byte| byte == b',');
                if let Err(error) = ledger.add(&entry, ids) {
                    out.errors.other("ledger", batch, || error.to_string());
                }
            }
        }
        Ok(())
    }

    /// Gives up a connection and everything outstanding on it.
    fn disconnected(&mut self, index: usize, why: &str) {
        let now = now();
        let batch = self.plan.generator.shape().batch as u64;
        let lane = &mut self.lanes[index];
        lane.conn = None;
        let mut lost = 0;
        for (index, slot) in lane.slots.iter_mut().enumerate().filter(|(_, slot)| slot.busy) {
            slot.busy = false;
            lane.free.push(index as u16);
            note_failed(&mut self.out.failed, lane.id, slot, batch);
            lost += batch;
        }
        self.out.unknown += lost;
        self.out.errors.other("disconnected", 1, || why.to_owned());
        self.down_since.get_or_insert(now);
        if !self.plan.reconnect {
            self.control.stop.store(true, Relaxed);
            self.close(now);
        }
    }

    /// Housekeeping.
    fn tick(&mut self, now: u64) {
        self.next_tick = now + TICK;
        if self.control.stop.load(Relaxed) {
            self.close(now);
        }
        if let Some(Err(error)) = self.ledger.as_mut().map(ledger::Writer::flush) {
            self.out.errors.other("ledger", 1, || error.to_string());
        }
        self.expire(now);
        if self.phase != Phase::Drain && self.lanes.iter().any(|lane| lane.conn.is_none()) {
            self.reconnect(now);
        }
    }

    /// Writes off requests that were not answered in time.
    fn expire(&mut self, now: u64) {
        let batch = self.plan.generator.shape().batch as u64;
        for index in 0..self.lanes.len() {
            let lane = &mut self.lanes[index];
            let before = lane.free.len();
            for (index, slot) in lane.slots.iter_mut().enumerate() {
                if slot.busy && now.saturating_sub(slot.sent) >= self.plan.timeout {
                    slot.busy = false;
                    lane.free.push(index as u16);
                    note_failed(&mut self.out.failed, lane.id, slot, batch);
                }
            }
            let expired = (lane.free.len() - before) as u64 * batch;
            if expired > 0 {
                self.out.unknown += expired;
                self.out.errors.other("no answer in time", expired, String::new);
                self.down_since.get_or_insert(now);
                self.refill(index, now);
            }
        }
    }

    /// Tries to restore lost connections, one failure being enough for this tick.
    fn reconnect(&mut self, now: u64) {
        for index in 0..self.lanes.len() {
            if self.lanes[index].conn.is_some() {
                continue;
            }
            match self.lanes[index].connect(self.plan, &self.poller, index) {
                Ok(()) => self.refill(index, now),
                Err(error) => {
                    self.out.errors.other("cannot reconnect", 1, || error.to_string());
                    return;
                }
            }
        }
    }

    /// Settles the account.
    fn finish(mut self) -> io::Result<Outcome> {
        if let Some(since) = self.down_since.take() {
            self.out.outages.push(Outage::new(self.measure_from, since, None));
        }
        self.expire(u64::MAX); // whatever is still outstanding is lost to sight
        if let Some(ledger) = &mut self.ledger {
            ledger.flush()?;
        }
        for lane in &self.lanes {
            let sent = lane.sequences.iter().enumerate().filter(|(_, count)| **count > 0);
            let keyed = sent.map(|(stream, count)| ((lane.id, stream as u32), *count));
            self.out.sequences.extend(keyed);
        }
        Ok(self.out)
    }
}

/// What an answer says about its request.
enum Verdict {
    Stored {
        offset: u64,
    },
    /// Stored, but not flushed or replicated as asked: 10, 11, 12.
    Degraded {
        offset: u64,
    },
    Refused,
    Nonsense(&'static str),
}

fn verdict(frame: &Frame, queue: u32, batch: u64) -> Verdict {
    let header = &frame.header;
    if !matches!(header.code, wire::SUCCESS | 10..=12) {
        return Verdict::Refused;
    }
    let offset = match header.queue_offset.map(u64::try_from) {
        Some(Ok(offset)) => offset,
        _ => return Verdict::Nonsense("no queue offset"),
    };
    if header.queue_id != Some(i64::from(queue)) {
        return Verdict::Nonsense("not the queue that was asked for");
    }
    if header.msg_id.iter().filter(|&&byte| byte == b',').count() as u64 + 1 != batch
        || header.msg_id.is_empty()
    {
        return Verdict::Nonsense("not one message id per message");
    }
    match header.code {
        wire::SUCCESS => Verdict::Stored { offset },
        _ => Verdict::Degraded { offset },
    }
}

/// The slot of the request that a frame answers.
fn answered_slot(frame: &Frame, slots: &[Slot]) -> Option<usize> {
    let index = wire::slot_of(frame.header.opaque).filter(|_| frame.is_response())?;
    let slot = slots.get(index).filter(|slot| slot.busy)?;
    (wire::opaque(index, slot.generation) as i32 == frame.header.opaque).then_some(index)
}

fn note_failed(failed: &mut Vec<Failed>, conn: u32, slot: &Slot, batch: u64) {
    let seqs = slot.seq..slot.seq + batch;
    let room = FAILED_LIMIT.saturating_sub(failed.len());
    failed.extend(seqs.take(room).map(|seq| Failed { conn, stream: slot.stream, seq }));
}
