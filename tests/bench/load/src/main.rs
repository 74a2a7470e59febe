// SPDX-License-Identifier: Apache-2.0
//! Load generator and checker for Apache-RocketMQ-compatible brokers.

mod checker;
mod cli;
mod clock;
mod commands;
mod conn;
mod ledger;
mod meter;
mod payload;
mod poll;
mod puller;
mod record;
mod report;
mod rpc;
mod sender;
mod stats;
mod template;
mod tracker;
mod wire;

use std::process::ExitCode;

use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse_checked();
    let (result, output) = match &cli.command {
        Command::Send(args) => (commands::send::run(args), &args.output),
        Command::Consume(args) => (commands::consume::run(args), &args.output),
        Command::E2e(args) => (commands::e2e::run(args), &args.output),
        Command::Verify(args) => (commands::verify::run(args), &args.output),
        Command::Sink(args) => {
            let Err(error) = commands::sink::run(args);
            return fail(&error);
        }
    };
    match result {
        Ok(report) => {
            match output.json {
                true => println!("{}", report.json()),
                false => print!("{}", report.table()),
            }
            ExitCode::from(report.status())
        }
        Err(error) => fail(&error),
    }
}

fn fail(error: &std::io::Error) -> ExitCode {
    eprintln!("rmq-load: {error}");
    ExitCode::FAILURE
}
