// SPDX-License-Identifier: Apache-2.0
//! The reading side: event loops that keep one pull per queue outstanding.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::clock::{SECOND, now};
use crate::conn::{Conn, Fill};
use crate::poll::{Poller, Ready};
use crate::record::Record;
use crate::stats::{Errors, Latencies};
use crate::wire::{self, Frame, Header, Request, Serialize};

const TICK: u64 = SECOND / 20;
const INBOX: usize = 1 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after an error answer, as the Java client makes it.
const RETRY: u64 = SECOND;
/// When reading up to the end, a queue is given up after so many errors in a row.
const MAX_FAILURES: u32 = 5;
/// sysFlag: hold the request until there is something / the subscription is in the request.
const SUSPEND: u32 = 2;
const SUBSCRIPTION: u32 = 4;
const SUSPEND_MILLIS: &str = "15000";

/// How to pull.
pub struct PullPlan {
    pub addr: SocketAddr,
    pub conns: usize,
    pub group: String,
    /// Most messages per pull.
    pub batch: u32,
    pub serialize: Serialize,
    pub broker_name: String,
    /// Wait for new messages at the end of a queue; otherwise the end of a queue ends its reading.
    pub tail: bool,
}

/// A queue and where to read on.
#[derive(Clone)]
pub struct Queue {
    pub topic: String,
    pub topic_index: u16,
    pub id: u32,
    pub next: u64,
}

/// Takes the messages of one thread's queues.
pub trait Reader {
    /// A message of queue number `queue`, received at `now`.
    fn record(&mut self, queue: usize, record: &Record, now: u64);
}

/// Seen by all threads of a run.
#[derive(Default)]
pub struct Progress {
    pub messages: AtomicU64,
    /// When messages last arrived.
    pub last_arrival: AtomicU64,
}

/// What a thread counted.
pub struct Pulled {
    pub messages: u64,
    /// Pulls that brought messages, and such that did not.
    pub found: u64,
    pub empty: u64,
    /// Queue offsets that are missing between two messages, or came again.
    pub offset_holes: u64,
    pub offset_repeats: u64,
    /// Request to answer, of pulls that brought messages; waiting for the messages included.
    pub latencies: Latencies,
    pub errors: Errors,
}

impl Pulled {
    pub fn new() -> Self {
        Self {
            messages: 0,
            found: 0,
            empty: 0,
            offset_holes: 0,
            offset_repeats: 0,
            latencies: Latencies::new(),
            errors: Errors::default(),
        }
    }

    pub fn merge(&mut self, other: Self) {
        self.messages += other.messages;
        self.found += other.found;
        self.empty += other.empty;
        self.offset_holes += other.offset_holes;
        self.offset_repeats += other.offset_repeats;
        self.latencies.add(&other.latencies);
        self.errors.add(other.errors);
    }
}

/// A queue being read.
struct Cursor {
    queue: Queue,
    lane: usize,
    generation: u32,
    state: State,
    asked: u64,
    failures: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be asked, at this time.
    Due(u64),
    Asked,
    Done,
}

/// One event loop.
pub struct Puller<'a, R> {
    plan: &'a PullPlan,
    progress: &'a Progress,
    poller: Poller,
    lanes: Vec<Option<Conn>>,
    cursors: Vec<Cursor>,
    pub reader: R,
    pub pulled: Pulled,
}

impl<'a, R: Reader> Puller<'a, R> {
    pub fn new(
        plan: &'a PullPlan,
        queues: Vec<Queue>,
        reader: R,
        progress: &'a Progress,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        let mut lanes = Vec::new();
        for token in 0..plan.conns.min(queues.len()) {
            let conn = Conn::connect(plan.addr, CONNECT_TIMEOUT, INBOX).map_err(|e| {
                io::Error::new(e.kind(), format!("cannot connect to {}: {e}", plan.addr))
            })?;
            poller.add(&conn.socket, token)?;
            lanes.push(Some(conn));
        }
        let count = lanes.len();
        let cursor = |(index, queue)| Cursor {
            queue,
            lane: index % count,
            generation: 0,
            state: State::Due(0),
            asked: 0,
            failures: 0,
        };
        let cursors = queues.into_iter().enumerate().map(cursor).collect();
        Ok(Self { plan, progress, poller, lanes, cursors, reader, pulled: Pulled::new() })
    }

    /// Reads until `over` says so (asked about every 50 ms and after every arrival), or until all
    /// queues are done.
    pub fn run(mut self, mut over: impl FnMut(u64) -> bool) -> io::Result<(R, Pulled)> {
        let mut ready = Vec::new();
        let mut next_tick = 0;
        loop {
            let now = now();
            if now >= next_tick {
                next_tick = now + TICK;
                self.ask_due(now);
            }
            if over(now) || self.cursors.iter().all(|cursor| cursor.state == State::Done) {
                return Ok((self.reader, self.pulled));
            }
            self.poller.wait(now, next_tick, &mut ready)?;
            ready.iter().for_each(|&event| self.serve(event));
        }
    }

    /// Sends every pull whose time has come.
    fn ask_due(&mut self, now: u64) {
        for index in 0..self.cursors.len() {
            if matches!(self.cursors[index].state, State::Due(at) if at <= now) {
                self.ask(index, now);
            }
        }
        (0..self.lanes.len()).for_each(|lane| self.flush(lane));
    }

    /// Appends a pull to the output buffer of the queue's connection.
    fn ask(&mut self, index: usize, now: u64) {
        let Self { plan, lanes, cursors, .. } = self;
        let cursor = &mut cursors[index];
        let Some(conn) = &mut lanes[cursor.lane] else {
            cursor.state = State::Done;
            return;
        };
        cursor.generation = cursor.generation.wrapping_add(1);
        cursor.state = State::Asked;
        cursor.asked = now;
        let sys_flag = SUBSCRIPTION | if plan.tail { SUSPEND } else { 0 };
        let ext = [
            ("consumerGroup", &*plan.group),
            ("topic", &cursor.queue.topic),
            ("queueId", &cursor.queue.id.to_string()),
            ("queueOffset", &cursor.queue.next.to_string()),
            ("maxMsgNums", &plan.batch.to_string()),
            ("sysFlag", &sys_flag.to_string()),
            ("commitOffset", "0"),
            ("suspendTimeoutMillis", SUSPEND_MILLIS),
            ("subscription", "*"),
            ("subVersion", "0"),
            ("expressionType", "TAG"),
            ("bname", &plan.broker_name),
        ];
        let opaque = wire::opaque(index, cursor.generation);
        Request { code: wire::PULL_MESSAGE, flag: 0, opaque, ext: &ext }.encode(
            plan.serialize,
            0,
            &mut conn.outbox.buffer,
        );
    }

    fn flush(&mut self, lane: usize) {
        let written = self.lanes[lane].as_mut().map_or(Ok(()), Conn::flush);
        if let Err(error) = written {
            self.disconnected(lane, &error.to_string());
        }
    }

    fn serve(&mut self, event: Ready) {
        let lane = event.token;
        loop {
            let Some(conn) = &mut self.lanes[lane] else { return };
            let filled = conn.inbox.fill(&conn.socket, event.hangup);
            let result = filled.and_then(|fill| self.take_answers(lane).map(|()| fill));
            match result {
                Ok(Fill::More) => {}
                Ok(Fill::Drained) => break,
                Ok(Fill::Closed) => return self.disconnected(lane, "closed by the broker"),
                Err(error) => return self.disconnected(lane, &error.to_string()),
            }
        }
        self.flush(lane);
    }

    fn take_answers(&mut self, lane: usize) -> io::Result<()> {
        let now = now();
        let Some(mut conn) = self.lanes[lane].take() else { return Ok(()) };
        let mut asked = Vec::new();
        let result = loop {
            match conn.inbox.next_frame() {
                Ok(Some(frame)) => asked.extend(self.answer(&frame, now)),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.lanes[lane] = Some(conn);
        asked.into_iter().for_each(|index| self.ask(index, now));
        result
    }

    /// Handles one answer; names the queue if it is to be pulled again at once.
    fn answer(&mut self, frame: &Frame, now: u64) -> Option<usize> {
        let header = &frame.header;
        let Some(index) = self.asked_cursor(frame) else {
            self.pulled.errors.other("unexpected frame", 1, || {
                format!("code {}, flag {}, opaque {}", header.code, header.flag, header.opaque)
            });
            return None;
        };
        let outcome = match header.code {
            wire::SUCCESS => self.found(index, frame, now),
            wire::PULL_NOT_FOUND | wire::PULL_RETRY_IMMEDIATELY => self.nothing(index, header),
            wire::PULL_OFFSET_MOVED => {
                self.pulled.errors.answer(header, 1);
                self.nothing(index, header)
            }
            _ => {
                self.pulled.errors.answer(header, 1);
                Err(())
            }
        };
        let plan = self.plan;
        let cursor = &mut self.cursors[index];
        cursor.state = match outcome {
            Ok(state) => {
                cursor.failures = 0;
                state
            }
            Err(()) if !plan.tail && cursor.failures + 1 == MAX_FAILURES => State::Done,
            Err(()) => {
                cursor.failures += 1;
                State::Due(now + RETRY)
            }
        };
        (cursor.state == State::Due(0)).then_some(index)
    }

    fn asked_cursor(&self, frame: &Frame) -> Option<usize> {
        let index = wire::slot_of(frame.header.opaque).filter(|_| frame.is_response())?;
        let cursor = self.cursors.get(index).filter(|cursor| cursor.state == State::Asked)?;
        let opaque = wire::opaque(index, cursor.generation) as i32;
        (opaque == frame.header.opaque).then_some(index)
    }

    /// Takes the messages of an answer.
    fn found(&mut self, index: usize, frame: &Frame, now: u64) -> Result<State, ()> {
        let cursor = &mut self.cursors[index];
        let asked_for = cursor.queue.next;
        let mut rest = frame.body;
        let mut count = 0;
        while !rest.is_empty() {
            let record = match Record::cut(&mut rest) {
                Ok(record) => record,
                Err(why) => {
                    self.pulled.errors.other("malformed record", 1, || why.to_owned());
                    break;
                }
            };
            count += 1;
            let offset = record.queue_offset as u64;
            if offset < cursor.queue.next {
                self.pulled.offset_repeats += 1;
            } else {
                self.pulled.offset_holes += offset - cursor.queue.next;
                cursor.queue.next = offset + 1;
            }
            self.reader.record(index, &record, now);
        }
        if count > 0 {
            self.pulled.messages += count;
            self.pulled.found += 1;
            self.pulled.latencies.record(now - cursor.asked);
            self.progress.messages.fetch_add(count, Relaxed);
            self.progress.last_arrival.store(now, Relaxed);
        }
        let Some(next) = frame.header.next_begin_offset else {
            self.pulled.errors.other("malformed answer", 1, || "no nextBeginOffset".into());
            return Err(());
        };
        if count == 0 || (next as u64) < cursor.queue.next || cursor.queue.next == asked_for {
            self.pulled.errors.other("malformed answer", 1, || {
                format!("{count} messages from {asked_for}, nextBeginOffset {next}")
            });
            return Err(());
        }
        self.pulled.offset_holes += next as u64 - cursor.queue.next;
        cursor.queue.next = next as u64;
        Ok(State::Due(0))
    }

    /// An answer without messages: goes where the broker says, or ends at the end of the queue.
    fn nothing(&mut self, index: usize, header: &Header) -> Result<State, ()> {
        self.pulled.empty += 1;
        let cursor = &mut self.cursors[index];
        let (Some(next), Some(max)) = (header.next_begin_offset, header.max_offset) else {
            self.pulled.errors.other("malformed answer", 1, || "no offsets".into());
            return Err(());
        };
        let next = next as u64;
        let moved = next != cursor.queue.next;
        self.pulled.offset_holes += next.saturating_sub(cursor.queue.next);
        cursor.queue.next = next;
        let not_found = header.code == wire::PULL_NOT_FOUND;
        let at_end = next >= max as u64 && header.code != wire::PULL_RETRY_IMMEDIATELY;
        match self.plan.tail {
            false if at_end => Ok(State::Done),
            true if not_found => Ok(State::Due(0)),
            _ if moved => Ok(State::Due(0)),
            _ => Err(()),
        }
    }

    /// Gives up a connection and all its queues.
    fn disconnected(&mut self, lane: usize, why: &str) {
        self.lanes[lane] = None;
        self.pulled.errors.other("disconnected", 1, || why.to_owned());
        for cursor in self.cursors.iter_mut().filter(|cursor| cursor.lane == lane) {
            cursor.state = State::Done;
        }
    }
}
