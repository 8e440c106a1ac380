//! The consensus core in every order of a few replicas' steps: nothing is broken, and all
//! that can happen did.

use zeroloss::interleavings::{Bounds, Searched, search};

fn named(name: &str) -> Bounds {
    Bounds::named(name).expect("a preset")
}

fn assert_whole(searched: &Searched, states: u64, kinds: &[&str]) {
    assert_eq!(searched.found, None);
    assert!(searched.states >= states, "{} states", searched.states);
    for kind in kinds {
        let fired = searched.fired.get(kind);
        assert!(fired.is_some(), "no {kind}: {:?}", searched.fired);
    }
}

/// All kinds of faults, to a depth that takes seconds.
#[test]
fn three_replicas_keep_every_promise() {
    let searched = search(&named("gate"), || 0);
    let kinds = [
        "stand",
        "unheard",
        "again",
        "beat",
        "step-down",
        "propose",
        "deliver",
        "repeat",
        "sync",
        "crash",
        "crash-in-step",
        "tear",
        "rot",
        "wipe",
        "fetch",
        "ask",
        "announce",
        "change",
        "drop",
    ];
    assert_whole(&searched, 60_000, &kinds);
    assert!(searched.healed > 1_000, "{} healed", searched.healed);
}

/// Within these bounds nothing is left: elections and a crash, to the end.
#[test]
fn elections_and_a_crash_are_searched_to_the_end() {
    let searched = search(&named("elections"), || 0);
    assert_whole(
        &searched,
        70_000,
        &["stand", "crash", "crash-in-step", "ask"],
    );
    assert!(searched.is_exhausted);
}

/// A search that could find nothing would be worth nothing: where a majority loses what
/// was durable, it ends with the way to that.
#[test]
fn more_disks_than_a_minority_are_too_many() {
    let bounds = Bounds {
        entries: 1,
        crashes: 0,
        tears: 2,
        harmed_beyond: 1,
        ..named("elections")
    };
    let searched = search(&bounds, || 0);
    let found = searched.found.expect("two torn ends of three");
    assert!(found.depth <= 9, "{}", found.depth);
    assert!(found.transcript.len() <= 40, "{:#?}", found.transcript);
}
