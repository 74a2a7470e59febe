// SPDX-License-Identifier: Apache-2.0
//! `consume`: pulls and checks.

use std::io::{self, Error};
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;

use crate::checker::{Checker, LocalClock};
use crate::cli::{ConsumeCommand, From};
use crate::clock::{SECOND, now, seconds, wall_offset};
use crate::meter::Meter;
use crate::payload;
use crate::puller::{Progress, PullPlan, Pulled, Puller, Queue};
use crate::report::{ReceiveReport, Report};
use crate::rpc::Client;

use super::{control, find_broker};

const DEFAULT_IDLE: f64 = 3.0;
/// How often the cost is read while messages come, so that an idle end does not count.
const METER_INTERVAL: u64 = SECOND / 10;

pub fn run(args: &ConsumeCommand) -> io::Result<Report> {
    let broker = find_broker(&args.broker)?;
    let control = control()?;
    let meter = Meter::new(args.output.pid);
    let queues = start(broker.addr, &args.topics.names(), args.topics.queues, args.from)?;
    let plan = PullPlan {
        addr: broker.addr,
        conns: args.conns as usize,
        group: args.pull.group.clone(),
        batch: args.pull.batch_size,
        serialize: args.broker.serialize,
        broker_name: broker.name,
        tail: true,
    };
    let wall_offset = wall_offset();
    let clock =
        LocalClock { run: payload::new_run(0), wall_offset, measure_from: &control.measure_from };

    let idle = match (args.until_idle, args.count, args.duration) {
        (None, None, None) => Some(DEFAULT_IDLE),
        (idle, ..) => idle,
    };
    let began = now();
    let (idle, count) = (idle.map_or(u64::MAX, seconds), args.count.unwrap_or(u64::MAX));
    let until = args.duration.map_or(u64::MAX, |duration| began + seconds(duration));
    let progress = Progress::default();
    progress.last_arrival.store(began, Relaxed);
    control.measure_from.store(began, Relaxed);
    meter.begin();
    let mut metered = (0, 0);
    let (seen, control, gauge) = (&progress, &control, &meter);
    let over = move |leader: bool, now: u64| {
        let (messages, arrival) = (seen.messages.load(Relaxed), seen.last_arrival.load(Relaxed));
        if leader && now >= metered.0 + METER_INTERVAL && messages > metered.1 {
            gauge.end();
            metered = (now, messages);
        }
        now >= until
            || messages >= count
            || now.saturating_sub(arrival) >= idle
            || control.stop.load(Relaxed)
    };
    let from_zero = matches!(args.from, From::Min);
    let (checker, pulled) =
        read(&plan, queues, args.threads as usize, from_zero, clock, &progress, over)?;
    let arrival = progress.last_arrival.load(Relaxed);
    if args.duration.is_some() || arrival + 2 * METER_INTERVAL >= now() {
        meter.end();
    }

    let span = match args.duration {
        Some(_) => now() - began,
        None => arrival - began,
    };
    let receive = ReceiveReport::new(&plan, &checker, &pulled, span);
    let cost = meter.cost(pulled.messages);
    let mut report = Report::new("consume", broker.addr, cost, pulled.errors);
    report.succeeded = pulled.messages > 0;
    report.sound = receive.checks.is_sound(now().saturating_sub(arrival) >= idle);
    report.receive = Some(receive);
    Ok(report)
}

/// Lists all queues with the offsets to begin at.
pub fn start(
    addr: SocketAddr,
    topics: &[String],
    count: u32,
    from: From,
) -> io::Result<Vec<Queue>> {
    let mut client = Client::connect(addr)?;
    let mut queues = Vec::new();
    for (topic_index, topic) in topics.iter().enumerate() {
        for id in 0..count {
            let next = match from {
                From::Min => client.min_offset(topic, id)?,
                From::Max => client.max_offset(topic, id)?,
                From::Offset(offset) => offset,
            };
            queues.push(Queue { topic: topic.clone(), topic_index: topic_index as u16, id, next });
        }
    }
    Ok(queues)
}

/// Reads with several threads, each with its share of the queues; `over(leader, now)` ends it.
pub fn read<'a>(
    plan: &PullPlan,
    queues: Vec<Queue>,
    threads: usize,
    from_zero: bool,
    clock: LocalClock<'a>,
    progress: &Progress,
    over: impl FnMut(bool, u64) -> bool + Send + Clone,
) -> io::Result<(Checker<'a>, Pulled)> {
    let threads = threads.min(queues.len());
    let share = |index: usize| -> Vec<Queue> {
        queues.iter().skip(index).step_by(threads).cloned().collect()
    };
    let pullers = (0..threads)
        .map(|index| {
            let queues = share(index);
            let checker = Checker::new(&queues, from_zero, clock);
            Puller::new(plan, queues, checker, progress)
        })
        .collect::<io::Result<Vec<_>>>()?;
    let parts = std::thread::scope(|scope| {
        let running: Vec<_> = pullers
            .into_iter()
            .enumerate()
            .map(|(index, puller)| {
                let mut over = over.clone();
                scope.spawn(move || puller.run(|now| over(index == 0, now)))
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect::<io::Result<Vec<_>>>()
    })?;
    let merged = parts.into_iter().reduce(|(mut checker, mut pulled), part| {
        checker.merge(part.0);
        pulled.merge(part.1);
        (checker, pulled)
    });
    merged.ok_or_else(|| Error::other("no queues to read"))
}
