//! One transaction through the death of a leader, told for somebody who knows
//! nothing of the code.

use std::path::Path;

use zeroloss::scenario::{Scenario, load};
use zeroloss::sim;

/// Of so many seeds one has a leader that dies with a commit, and nobody has heard
/// of it.
const SEEDS: u64 = 200;

fn scenario() -> Scenario {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/transactions");
    load(&scenarios.join("leader-killed.toml")).expect("a valid scenario")
}

/// A run on a thread of its own: madsim's repeatability begins there.
#[expect(clippy::disallowed_methods, reason = "one thread for each simulation")]
fn transcript(seed: u64) -> Option<String> {
    let run = std::thread::spawn(move || sim::transcript_of(&scenario(), seed));
    run.join().expect("a run without a panic")
}

#[test]
fn a_commit_is_lost_with_its_leader_and_the_red_packet_comes() {
    let (seed, told) = (0..SEEDS)
        .find_map(|seed| Some((seed, transcript(seed)?)))
        .expect("a transaction that survived its leader");
    assert_eq!(
        transcript(seed).as_ref(),
        Some(&told),
        "equal seeds tell the same"
    );
    insta::assert_snapshot!(format!("{}, seed {seed}\n\n{told}", scenario().id));
}
