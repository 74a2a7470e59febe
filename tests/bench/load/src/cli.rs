// SPDX-License-Identifier: Apache-2.0
//! Command-line arguments.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, value_parser};

use crate::payload;
use crate::wire::{MAX_FRAME, Serialize};

/// Load generator and checker for Apache-RocketMQ-compatible brokers.
///
/// Exit status: 0 success, 1 nothing succeeded or the run failed, 2 bad arguments, 3 a check found
/// messages lost, corrupt, duplicated or misplaced.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Send messages and measure acknowledgements.
    Send(SendCommand),
    /// Pull messages and check them.
    Consume(ConsumeCommand),
    /// Send and consume at once; measure latency from intended send to reception.
    E2e(E2eCommand),
    /// Read every message of a ledger back and check it.
    Verify(VerifyCommand),
    /// Answer every request with success, to find this tool's own ceiling.
    #[command(hide = true)]
    Sink(SinkCommand),
}

/// How to report.
#[derive(Args)]
pub struct Output {
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
    /// Report CPU, memory and disk traffic of this process (the broker's)
    #[arg(long, value_parser = value_parser!(u32).range(1..))]
    pub pid: Option<u32>,
}

/// Where the broker is.
#[derive(Args)]
pub struct BrokerArgs {
    /// The broker; may be left out if --namesrv is given
    #[arg(long, value_name = "HOST:PORT", value_parser = address, required_unless_present = "namesrv")]
    pub addr: Option<SocketAddr>,
    /// Ask this name server for the broker's name (and address)
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub namesrv: Option<SocketAddr>,
    /// Broker name to put into requests; with --namesrv: the broker to choose
    #[arg(long, value_name = "NAME")]
    pub broker_name: Option<String>,
    /// Form of request headers
    #[arg(long, value_enum, default_value = "json")]
    pub serialize: Serialize,
}

/// Topics and queues.
#[derive(Args)]
pub struct TopicArgs {
    /// Topic, or the common beginning of the names of several
    #[arg(long)]
    pub topic: String,
    /// Use topics <TOPIC>0 .. <TOPIC>(N-1) instead of <TOPIC>
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..))]
    pub topics: Option<u16>,
    /// Queues per topic
    #[arg(long, value_name = "Q", default_value = "8", value_parser = value_parser!(u32).range(1..=65536))]
    pub queues: u32,
}

impl TopicArgs {
    pub fn names(&self) -> Vec<String> {
        match self.topics {
            None => vec![self.topic.clone()],
            Some(count) => (0..count).map(|i| format!("{}{i}", self.topic)).collect(),
        }
    }
}

/// What to send and how.
#[derive(Args)]
pub struct LoadArgs {
    #[command(flatten)]
    pub broker: BrokerArgs,
    #[command(flatten)]
    pub topics: TopicArgs,
    /// Do not create or change the topics first
    #[arg(long)]
    pub no_create: bool,
    /// Connections
    #[arg(long, value_name = "C", default_value = "1", value_parser = value_parser!(u32).range(1..=65536))]
    pub conns: u32,
    /// Event-loop threads
    #[arg(long, value_name = "N", default_value = "1", value_parser = value_parser!(u32).range(1..=256))]
    pub threads: u32,
    /// Requests outstanding per connection [default: 1, with --rate 1024]
    #[arg(long, value_name = "W", value_parser = value_parser!(u32).range(1..=65535))]
    pub window: Option<u32>,
    /// Bytes per message body
    #[arg(long, value_name = "BYTES", default_value = "1024")]
    pub size: usize,
    /// Messages per request; more than 1 sends batches
    #[arg(long, value_name = "B", default_value = "1", value_parser = value_parser!(u32).range(1..=65536))]
    pub batch: u32,
    /// Send one-way: as fast as the socket takes it, without answers
    #[arg(long)]
    pub oneway: bool,
    /// Seconds to measure [default: 10]
    #[arg(long, value_name = "S", value_parser = seconds, conflicts_with = "count")]
    pub duration: Option<f64>,
    /// Messages to send after the warm-up, instead of --duration
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Open loop: messages per second, latency counted from the intended send time
    #[arg(long, value_name = "R", value_parser = rate)]
    pub rate: Option<f64>,
    /// Seconds to send before measuring begins
    #[arg(long, value_name = "S", default_value = "0", value_parser = seconds_or_zero)]
    pub warmup: f64,
    /// Give messages these tags in turn
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub tags: Vec<String>,
    /// Give every message a unique key
    #[arg(long)]
    pub keys: bool,
    /// Give every message this property; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = property)]
    pub property: Vec<(String, String)>,
    /// Property WAIT: true waits for flush and replica as configured (the Java default), false not
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true,
          default_missing_value = "true", action = clap::ArgAction::Set)]
    pub sync_props: bool,
    /// What to do when a connection is lost
    #[arg(long, value_enum, default_value = "stop")]
    pub on_disconnect: OnDisconnect,
    /// Seconds to wait for an answer before its message counts as unknown
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub timeout: f64,
    /// Closed loop: pause this long after each round, so that fewer, larger reads and writes are
    /// made; saves this tool's CPU and adds up to as much to latencies
    #[arg(long, value_name = "US", default_value = "0", conflicts_with = "rate")]
    pub coalesce_us: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnDisconnect {
    /// End the run with a report
    Stop,
    /// Reconnect and go on
    Reconnect,
}

/// How to consume.
#[derive(Args)]
pub struct PullArgs {
    /// Consumer group
    #[arg(long, default_value = "rmq-load-consumer")]
    pub group: String,
    /// Most messages per pull
    #[arg(long, value_name = "N", default_value = "32", value_parser = value_parser!(u32).range(1..))]
    pub batch_size: u32,
}

#[derive(Args)]
pub struct SendCommand {
    #[command(flatten)]
    pub load: LoadArgs,
    /// Record every stored message in this file, for verify
    #[arg(long, value_name = "FILE", conflicts_with = "oneway")]
    pub ledger: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args)]
pub struct ConsumeCommand {
    #[command(flatten)]
    pub broker: BrokerArgs,
    #[command(flatten)]
    pub topics: TopicArgs,
    #[command(flatten)]
    pub pull: PullArgs,
    /// Connections
    #[arg(long, value_name = "C", default_value = "1", value_parser = value_parser!(u32).range(1..=65536))]
    pub conns: u32,
    /// Event-loop threads
    #[arg(long, value_name = "N", default_value = "1", value_parser = value_parser!(u32).range(1..=256))]
    pub threads: u32,
    /// Where to begin in every queue: min, max or an offset
    #[arg(long, value_name = "min|max|OFFSET", default_value = "min", value_parser = from)]
    pub from: From,
    /// Stop after this many messages
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Stop after this many seconds
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub duration: Option<f64>,
    /// Stop when nothing came for this many seconds [default: 3, if no other limit is given]
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub until_idle: Option<f64>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args)]
pub struct E2eCommand {
    #[command(flatten)]
    pub load: LoadArgs,
    #[command(flatten)]
    pub pull: PullArgs,
    /// Connections of the consumer [default: as many as the sender's]
    #[arg(long, value_name = "C", value_parser = value_parser!(u32).range(1..=65536))]
    pub consume_conns: Option<u32>,
    /// Seconds without messages, after sending ended, until the missing ones count as lost
    #[arg(long, value_name = "S", default_value = "3", value_parser = seconds)]
    pub grace: f64,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args)]
pub struct VerifyCommand {
    /// The ledger that `send --ledger` wrote
    #[arg(long, value_name = "FILE")]
    pub ledger: PathBuf,
    #[command(flatten)]
    pub broker: BrokerArgs,
    #[command(flatten)]
    pub pull: PullArgs,
    /// Connections
    #[arg(long, value_name = "C", default_value = "1", value_parser = value_parser!(u32).range(1..=65536))]
    pub conns: u32,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args)]
pub struct SinkCommand {
    /// Where to listen
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub listen: SocketAddr,
}

/// Where consuming begins.
#[derive(Clone, Copy)]
pub enum From {
    Min,
    Max,
    Offset(u64),
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let mut found = text.to_socket_addrs().map_err(|e| e.to_string())?;
    found.next().ok_or_else(|| "no such host".into())
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 1e9 => Ok(value),
        _ => Err("not a positive number".into()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    positive(text)
}

fn rate(text: &str) -> Result<f64, String> {
    positive(text)
}

fn seconds_or_zero(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=1e9).contains(&value) => Ok(value),
        _ => Err("not a number of seconds".into()),
    }
}

fn from(text: &str) -> Result<From, String> {
    match text {
        "min" => Ok(From::Min),
        "max" => Ok(From::Max),
        _ => text.parse().map(From::Offset).map_err(|_| "not min, max or an offset".into()),
    }
}

/// Most (topic, queue) pairs: as many as opaques can tell apart.
const MAX_STREAMS: usize = 1 << 16;
/// `NAME=VALUE`, without the characters that separate properties.
fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !text.contains(['\u{1}', '\u{2}']) => {
            Ok((name.into(), value.into()))
        }
        _ => Err("not of the form NAME=VALUE".into()),
    }
}

/// More than the properties and the framing of a message take.
const OVERHEAD: usize = 256;

impl Cli {
    /// Parses the arguments; ends the process with status 2 if they make no sense.
    pub fn parse_checked() -> Self {
        let cli = Self::parse();
        if let Err(why) = cli.check() {
            Self::command().error(ErrorKind::ValueValidation, why).exit();
        }
        cli
    }

    fn check(&self) -> Result<(), String> {
        let (load, topics) = match &self.command {
            Command::Send(send) => (Some(&send.load), &send.load.topics),
            Command::E2e(e2e) => (Some(&e2e.load), &e2e.load.topics),
            Command::Consume(consume) => (None, &consume.topics),
            Command::Verify(_) | Command::Sink(_) => return Ok(()),
        };
        if topics.topic.is_empty() {
            return Err("--topic is empty".into());
        }
        if topics.names().len() * topics.queues as usize > MAX_STREAMS {
            return Err(format!("more than {MAX_STREAMS} queues in all topics together"));
        }
        let Some(load) = load else { return Ok(()) };
        if load.size < payload::MIN_SIZE {
            return Err(format!("--size must be at least {} bytes", payload::MIN_SIZE));
        }
        let frame = load.size.saturating_add(OVERHEAD).saturating_mul(load.batch as usize);
        if frame.saturating_add(1024) > MAX_FRAME {
            return Err(format!("--size times --batch exceeds a frame of {MAX_FRAME} bytes"));
        }
        let tag_chars =
            |tag: &String| !tag.is_empty() && tag.len() < 128 && !tag.contains(['\u{1}', '\u{2}']);
        if !load.tags.iter().all(tag_chars) {
            return Err("--tags holds an empty or unusable tag".into());
        }
        Ok(())
    }
}
