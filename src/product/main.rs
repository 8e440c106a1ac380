//! The broker's command line.

use std::process::ExitCode;

use clap::Parser;
use zeroloss_broker::operator::{Ending, Operation, call_program};

/// A message broker in the manner of RocketMQ that never loses an acknowledged message.
#[derive(Debug, Parser)]
#[command(name = "zeroloss-broker", version, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 as expected, 1 input or output failed, 2 usage or a directory that is \
not for this,\n15 a replica that its operator must decide about."
)]
struct Cli {
    #[command(subcommand)]
    operation: Operation,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    call_program("zeroloss-broker");
    let ending = match cli.operation.execute(&mut std::io::stdout()) {
        Ok(()) => Ending::Done,
        Err(error) => {
            if !error.is_broken_pipe() {
                eprintln!("{error}");
            }
            error.ending()
        }
    };
    ExitCode::from(ending.code())
}
