//! A minute of real processes under an operator's ordinary day. An hour of it, by
//! hand: `cargo run --release -p sim-tests --bin chaos -- --for-s 3600`.

use std::time::Duration;

use sim_tests::chaos::{Settings, run};

/// Nothing that was acknowledged is lost, no broker panics, and none ends unasked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_brokers_survive_a_minute_of_an_operator_s_ordinary_day() {
    let root = tempfile::tempdir().unwrap();
    let settings = Settings {
        seed: u64::from(std::process::id()),
        lasts: Duration::from_secs(60),
        program: env!("CARGO_BIN_EXE_zeroloss-child").into(),
        root: root.path().to_owned(),
        rate_per_s: 50,
    };
    let report = run(&settings).await.unwrap();
    for action in report.left_out() {
        eprintln!("SKIPPED: {action}: no small file system can be mounted here");
    }
    let fired: u64 = report.fired().map(|(_, times)| times).sum();
    if !report.is_clean() || fired < 10 || report.acknowledged() < 100 {
        let kept = root.keep();
        panic!("{report}\ndisks and logs are in {}", kept.display());
    }
}
