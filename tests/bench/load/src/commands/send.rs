// SPDX-License-Identifier: Apache-2.0
//! `send`: load, and an account of every message.

use std::io;
use std::time::Duration;

use crate::cli::SendCommand;
use crate::ledger;
use crate::meter::Meter;
use crate::report::{Report, SendReport};
use crate::rpc::max_offsets;
use crate::sender;

use super::{control, create_topics, find_broker, plan};

pub fn run(args: &SendCommand) -> io::Result<Report> {
    let broker = find_broker(&args.load.broker)?;
    create_topics(&broker, &args.load)?;
    let plan = plan(&args.load, &broker);
    let shape = plan.generator.shape();
    let control = control()?;
    let meter = Meter::new(args.output.pid);

    // One-way messages show only in the queues, and a ledger needs to know where it begins.
    let ends = || max_offsets(broker.addr, &shape.topics, shape.queues);
    let counted = args.ledger.is_some() || shape.oneway;
    let before = if counted { ends()? } else { Vec::new() };
    let ledger = match &args.ledger {
        Some(path) => {
            let (topics, size) = (shape.topics.clone(), shape.size);
            let meta = ledger::Meta::new(shape.run, topics, shape.queues, size, before.clone());
            Some(ledger::Writer::create(path, &meta)?)
        }
        None => None,
    };

    let outcome = sender::run(&plan, ledger, &meter, &control)?;
    let stored = match shape.oneway {
        true => Some(settle(ends)? - before.iter().sum::<u64>()),
        false => None,
    };
    let cost = meter.cost(outcome.measured);
    let send = SendReport::new(&plan, &outcome, stored);
    let mut report = Report::new("send", broker.addr, cost, outcome.errors);
    report.succeeded = match stored {
        Some(stored) => stored > 0,
        None => outcome.acked > 0,
    };
    report.send = Some(send);
    Ok(report)
}

/// The sum of all queue ends, once it no longer grows.
fn settle(ends: impl Fn() -> io::Result<Vec<u64>>) -> io::Result<u64> {
    let mut last = ends()?.iter().sum();
    loop {
        std::thread::sleep(Duration::from_millis(500));
        match ends()?.iter().sum() {
            sum if sum == last => return Ok(sum),
            sum => last = sum,
        }
    }
}
