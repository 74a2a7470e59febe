// SPDX-License-Identifier: Apache-2.0
//! The sub-commands: from arguments to a report.

pub mod consume;
pub mod e2e;
pub mod send;
pub mod sink;
pub mod verify;

use std::io::{self, Error};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use crate::cli::{BrokerArgs, LoadArgs, OnDisconnect};
use crate::clock::{SECOND, now, seconds, wall_offset};
use crate::payload;
use crate::rpc::Client;
use crate::sender::{Control, Limit, Plan};
use crate::template::{Generator, Shape};

/// The broker to talk to.
struct Broker {
    addr: SocketAddr,
    name: String,
}

/// Broker name where nothing better is known; brokers treat it as informational.
const DEFAULT_BROKER_NAME: &str = "broker-a";
/// How long a fresh topic may take to show up at the name server.
const ROUTE_ATTEMPTS: u32 = 50;
const ROUTE_PAUSE: Duration = Duration::from_millis(100);
/// A topic that every broker registers.
const ANY_TOPIC: &str = "TBW102";

/// Finds the broker, asking the name server if there is one.
fn find_broker(args: &BrokerArgs) -> io::Result<Broker> {
    let Some(namesrv) = args.namesrv else {
        let addr = args.addr.expect("clap requires --addr without --namesrv");
        let name = args.broker_name.clone().unwrap_or_else(|| DEFAULT_BROKER_NAME.into());
        return Ok(Broker { addr, name });
    };
    let masters = Client::connect(namesrv)?.route(ANY_TOPIC)?;
    let wanted = |(name, addr): &&(String, String)| match (&args.broker_name, args.addr) {
        (Some(broker), _) => name == broker,
        (None, Some(given)) => addr.parse() == Ok(given),
        (None, None) => true,
    };
    let (name, addr) = masters
        .iter()
        .find(wanted)
        .ok_or_else(|| Error::other(format!("name server {namesrv} knows no such broker")))?;
    let found = addr.parse().map_err(|_| Error::other(format!("bad broker address {addr}")))?;
    Ok(Broker { addr: args.addr.unwrap_or(found), name: name.clone() })
}

/// Creates the topics, and with a name server waits until it knows them.
fn create_topics(broker: &Broker, args: &LoadArgs) -> io::Result<()> {
    if args.no_create {
        return Ok(());
    }
    let mut client = Client::connect(broker.addr)?;
    let topics = args.topics.names();
    for topic in &topics {
        client.create_topic(topic, args.topics.queues)?;
    }
    let Some(namesrv) = args.broker.namesrv else { return Ok(()) };
    let mut client = Client::connect(namesrv)?;
    for topic in &topics {
        let mut attempts = (0..ROUTE_ATTEMPTS).map(|i| {
            std::thread::sleep(ROUTE_PAUSE * u32::from(i > 0));
            client.route(topic)
        });
        if !attempts.any(|route| route.is_ok_and(|masters| !masters.is_empty())) {
            return Err(Error::other(format!("name server {namesrv} does not learn of {topic}")));
        }
    }
    Ok(())
}

/// Turns arguments into a plan.
fn plan(args: &LoadArgs, broker: &Broker) -> Plan {
    let wall_offset = wall_offset();
    let shape = Shape {
        topics: args.topics.names(),
        queues: args.topics.queues,
        size: args.size,
        batch: args.batch as usize,
        oneway: args.oneway,
        tags: args.tags.clone(),
        more: args.property.clone(),
        keys: args.keys,
        wait_store: args.sync_props,
        serialize: args.broker.serialize,
        broker_name: broker.name.clone(),
        run: payload::new_run(now() + wall_offset),
    };
    let default_window = if args.rate.is_some() { 1024 } else { 1 };
    Plan {
        addr: broker.addr,
        generator: Generator::new(shape),
        conns: args.conns as usize,
        threads: args.threads as usize,
        window: args.window.unwrap_or(default_window) as usize,
        rate: args.rate,
        limit: match args.count {
            Some(count) => Limit::Messages(count),
            None => Limit::Time(seconds(args.duration.unwrap_or(10.0))),
        },
        warmup: seconds(args.warmup),
        reconnect: args.on_disconnect == OnDisconnect::Reconnect,
        timeout: seconds(args.timeout),
        coalesce: args.coalesce_us * (SECOND / 1_000_000),
        wall_offset,
    }
}

/// Control over a run that SIGINT and SIGTERM end early, but with a report.
fn control() -> io::Result<Control> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // A second signal ends the process at once.
        signal_hook::flag::register_conditional_shutdown(signal, 1, stop.clone())?;
        signal_hook::flag::register(signal, stop.clone())?;
    }
    Ok(Control { stop, measure_from: AtomicU64::new(u64::MAX) })
}
