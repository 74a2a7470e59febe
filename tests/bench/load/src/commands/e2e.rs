// SPDX-License-Identifier: Apache-2.0
//! `e2e`: sends and consumes at the same time, in one process.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::checker::{Checker, LocalClock};
use crate::cli::{E2eCommand, From};
use crate::clock::{now, seconds};
use crate::meter::Meter;
use crate::puller::{Progress, PullPlan};
use crate::report::{ReceiveReport, Report, SendReport};
use crate::sender::{self, Outcome, Plan};

use super::{consume, control, create_topics, find_broker, plan};

/// Head start of the consumer, so that its pulls are waiting when the first message comes.
const HEAD_START: Duration = Duration::from_millis(300);

pub fn run(args: &E2eCommand) -> io::Result<Report> {
    let broker = find_broker(&args.load.broker)?;
    create_topics(&broker, &args.load)?;
    let plan = plan(&args.load, &broker);
    let shape = plan.generator.shape();
    let control = control()?;
    let meter = Meter::new(args.output.pid);
    let queues = consume::start(broker.addr, &shape.topics, shape.queues, From::Max)?;
    let pull_plan = PullPlan {
        addr: broker.addr,
        conns: args.consume_conns.unwrap_or(args.load.conns) as usize,
        group: args.pull.group.clone(),
        batch: args.pull.batch_size,
        serialize: args.load.broker.serialize,
        broker_name: broker.name.clone(),
        tail: true,
    };
    let measure_from = &control.measure_from;
    let clock = LocalClock { run: shape.run, wall_offset: plan.wall_offset, measure_from };

    let progress = Progress::default();
    let sent_until = AtomicU64::new(u64::MAX);
    let expected = AtomicU64::new(u64::MAX);
    let failed = AtomicBool::new(false);
    let grace = seconds(args.grace);
    let over = |_, now: u64| {
        let last = progress.last_arrival.load(Relaxed).max(sent_until.load(Relaxed));
        let complete = progress.messages.load(Relaxed) >= expected.load(Relaxed);
        complete || now.saturating_sub(last) >= grace || failed.load(Relaxed)
    };
    let (outcome, received) = std::thread::scope(|scope| {
        let receiving = scope.spawn(|| {
            let threads = args.load.threads as usize;
            consume::read(&pull_plan, queues, threads, false, clock, &progress, over)
        });
        std::thread::sleep(HEAD_START);
        let outcome = sender::run(&plan, None, &meter, &control);
        match &outcome {
            Ok(outcome) => {
                let all = if shape.oneway { outcome.sent } else { outcome.acked };
                expected.store(all, Relaxed);
                sent_until.store(now(), Relaxed);
            }
            Err(_) => failed.store(true, Relaxed),
        }
        (outcome, receiving.join().unwrap())
    });
    let (outcome, (checker, pulled)) = (outcome?, received?);

    let measured_from = control.measure_from.load(Relaxed);
    let span = progress.last_arrival.load(Relaxed).saturating_sub(measured_from);
    let mut receive = ReceiveReport::new(&pull_plan, &checker, &pulled, span);
    receive.checks.lost = lost(&plan, &outcome, &checker);
    let send = SendReport::new(&plan, &outcome, None);
    let mut errors = outcome.errors;
    errors.add(pulled.errors);
    let mut report = Report::new("e2e", broker.addr, meter.cost(outcome.measured), errors);
    report.succeeded = pulled.messages > 0 && (outcome.acked > 0 || shape.oneway);
    report.sound = receive.checks.is_sound(true);
    report.send = Some(send);
    report.receive = Some(receive);
    Ok(report)
}

/// How many messages were acknowledged, but did not arrive.
fn lost(plan: &Plan, outcome: &Outcome, checker: &Checker) -> u64 {
    let shape = plan.generator.shape();
    let sequence = |conn: u32, stream: u32| {
        let (topic, queue) = shape.place(stream as usize);
        checker.sequence(topic, queue, (shape.run, conn))
    };
    let missing = outcome.sequences.iter().map(|(&(conn, stream), &sent)| {
        sequence(conn, stream).map_or(sent, |found| found.missing_until(sent))
    });
    let failed: HashSet<_> = outcome.failed.iter().map(|f| (f.conn, f.stream, f.seq)).collect();
    let excused = failed.iter().filter(|&&(conn, stream, seq)| {
        sequence(conn, stream).is_none_or(|found| found.lacks(seq))
    });
    missing.sum::<u64>().saturating_sub(excused.count() as u64)
}
