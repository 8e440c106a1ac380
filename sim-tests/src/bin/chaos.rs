//! `cargo run --release -p sim-tests --bin chaos -- --for-s 3600`: three real broker
//! processes under clients, killed, stopped, restarted, wiped, starved and filled up.
//!
//! Exit codes: 0 where nothing was lost, no promise broken and no broker ended
//! unasked; 10 otherwise, and then the folder with disks and logs is kept; 1 the
//! testbed's own input or output.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use sim_tests::chaos::{Settings, run};

/// Three brokers on loopback, and an hour of an operator's ordinary mistakes.
#[derive(Parser)]
struct Arguments {
    /// Decides which actions come, and when.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Seconds of actions; healing, reading and judging come on top.
    #[arg(long, value_name = "N", default_value_t = 60)]
    for_s: u64,
    /// Messages that each producer sends in a second.
    #[arg(long, value_name = "N", default_value_t = 100)]
    rate_per_s: u64,
    /// An empty folder for disks and logs; a temporary one by default.
    #[arg(long)]
    dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    match chaos(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(10),
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(1)
        }
    }
}

/// Whether all is well.
fn chaos(arguments: Arguments) -> std::io::Result<bool> {
    let temporary = tempfile::Builder::new()
        .prefix("zeroloss-chaos")
        .tempdir()?;
    let root = arguments.dir.unwrap_or_else(|| temporary.path().to_owned());
    let settings = Settings {
        seed: arguments.seed,
        lasts: Duration::from_secs(arguments.for_s),
        program: std::env::current_exe()?.with_file_name("zeroloss-child"),
        root,
        rate_per_s: arguments.rate_per_s,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let report = runtime.block_on(run(&settings))?;
    print!("{report}");
    if !report.is_clean() {
        eprintln!("disks and logs are in {}", settings.root.display());
        let _kept = temporary.keep();
    }
    Ok(report.is_clean())
}
