//! Three machines, their logs and hard states written by hand: every violation is
//! planted once, in bytes, and reported.

mod bench;

use self::bench::{Bench, SYNCED};
use super::{Medium, Taken};
use crate::check::Promise;
use crate::check::replicas::Media;
use crate::log::{IDENTITY_FILE, Position, Staged};
use crate::raft;
use crate::sim::disk::{ArmedFault, DiskFault, DiskModel, DiskSurvival};
use crate::sim::random::{Purpose, Stream};
use crate::sim::world::Inner;

#[test]
fn a_majority_s_syncs_commit() {
    let mut bench = Bench::new(SYNCED);
    bench.leads(0, 1);
    let staged = bench.write(&[0, 1], 1, b"one");
    bench.sync(&[0]);
    assert_eq!(bench.committed_end(), 0, "one of three");
    bench.sync(&[1]);
    assert_eq!(bench.committed_end(), staged.end_address);
    bench.answers(1, 0, 1, 1);
    bench.acknowledges(0, staged);
    assert_eq!(bench.findings(), []);
    let leader = bench.world.lock().tap.leader();
    assert_eq!(leader, Some(0));
}

#[test]
fn an_acknowledgement_before_a_majority_has_it_is_reported() {
    let mut bench = Bench::new(SYNCED);
    bench.leads(0, 1);
    let staged = bench.write(&[0, 1, 2], 1, b"one");
    bench.sync(&[0]);
    bench.acknowledges(0, staged);
    assert_eq!(bench.findings(), [Promise::Acknowledgement]);
    bench.answers(1, 0, 1, 1);
    assert_eq!(bench.findings(), [Promise::Acknowledgement], "a follower's");
}

#[test]
fn with_cached_acknowledgements_power_takes_and_waives() {
    let media = Media {
        log: Medium::Cached,
        hard_state: Medium::Cached,
    };
    let mut bench = Bench::new(media);
    bench.leads(0, 1);
    let staged = bench.write(&[0, 2], 1, b"one");
    bench.acknowledges(0, staged);
    assert_eq!(bench.findings(), []);
    bench.power_loss(0, DiskSurvival::None);
    assert_eq!(bench.committed_end(), staged.end_address, "it was");
    bench.open(0);
    bench.hard(0, 2, Some(1));
    bench.hard(1, 2, Some(1));
    bench.leads(1, 2);
    assert_eq!(bench.findings(), [], "nobody promised otherwise");
}

#[test]
fn a_leader_without_what_is_committed_is_reported() {
    let mut bench = Bench::new(SYNCED);
    bench.leads(0, 1);
    bench.write(&[0, 1], 1, b"one");
    bench.sync(&[0, 1]);
    bench.leads(2, 2);
    bench.leads(1, 2);
    assert_eq!(bench.findings(), [Promise::ElectionSafety]);
    bench.write(&[2], 2, b"in its place");
    assert_eq!(bench.findings()[0], Promise::LeaderCompleteness);
}

#[test]
fn a_cut_is_seen_and_what_it_breaks() {
    let mut bench = Bench::new(SYNCED);
    bench.leads(0, 1);
    bench.write(&[0, 1], 1, b"one");
    bench.sync(&[0, 1]);
    let second = bench.write(&[0], 1, b"two");
    bench.sync(&[0]);
    bench.hard(0, 2, None);
    bench.cut(0, second.address);
    assert_eq!(bench.findings(), [], "under a higher term");
    assert_eq!(bench.durable_end(0), second.address);
    let other = bench.write(&[0], 2, b"another");
    bench.sync(&[0]);
    assert_eq!(bench.durable_end(0), other.end_address);
    bench.answers(1, 0, 1, 1);
    bench.cut(1, 0);
    let all = [Promise::PromisesKept, Promise::LeaderCompleteness];
    assert_eq!(bench.findings(), all);
    bench.leads(1, 1);
}

#[test]
fn one_index_and_term_with_two_entries_is_reported() {
    let mut bench = Bench::new(SYNCED);
    bench.write(&[0], 1, b"one");
    bench.write(&[1], 1, b"other");
    bench.sync(&[0, 1]);
    assert_eq!(bench.findings(), [Promise::LogMatching]);
}

#[test]
fn terms_and_votes_that_change_are_reported() {
    let mut bench = Bench::new(SYNCED);
    bench.hard(0, 3, Some(1));
    bench.says(0, 1, 3, raft::Message::VoteAnswer { granted: true });
    assert_eq!(bench.findings(), []);
    bench.says(0, 2, 3, raft::Message::VoteAnswer { granted: true });
    let both = [Promise::Acknowledgement, Promise::PromisesKept];
    assert_eq!(bench.findings(), both, "not stored, and given to another");
    bench.hard(0, 3, Some(2));
    bench.hard(0, 2, None);
    assert_eq!(
        bench.findings(),
        [Promise::PromisesKept, Promise::PromisesKept]
    );
    // A vote that is only cached is no vote yet.
    bench.damage(1, Taken::Cache, |disk| {
        disk.power_loss(DiskSurvival::None, &mut Stream::new(7, Purpose::Survival));
    });
    assert_eq!(bench.findings(), []);
}

#[test]
fn the_account_is_the_truth_over_rolls_cuts_kills_and_power_losses() {
    let mut bench = Bench::new(SYNCED);
    for life in 0..9_u64 {
        let mut cut_at = 0;
        for number in 0..12 {
            let staged = bench.write(&[0], life + 1, &[7; 900][..100 + 60 * number]);
            if number == 9 {
                cut_at = staged.address;
            }
            if number % 3 == 2 {
                bench.sync(&[0]);
            }
            let held = {
                let inner = bench.world.lock();
                inner.tap.held_now(&inner.disks[0])
            };
            assert_eq!(bench.durable_end(0), held, "life {life}, entry {number}");
        }
        bench.cut(0, cut_at);
        bench.write(&[0], life + 1, b"written and not synced");
        let survival =
            [DiskSurvival::None, DiskSurvival::All, DiskSurvival::Prefix][life as usize % 3];
        bench.power_loss(0, survival);
        bench.open(0);
        assert_eq!(
            bench.durable_end(0),
            bench.logs[0].as_ref().expect("open").flushed().address
        );
    }
    // The same bytes again, in the same term, after a cut: R16 of the mutants.
    assert!(
        bench
            .findings()
            .iter()
            .all(|found| *found == Promise::LogMatching)
    );
}

#[test]
fn a_blank_disk_is_outstanding_and_not_a_broken_promise() {
    let mut bench = Bench::new(SYNCED);
    bench.leads(0, 1);
    bench.write(&[0, 1], 1, b"one");
    bench.sync(&[0, 1]);
    bench.damage(1, Taken::Disk, DiskModel::replace);
    assert_eq!(bench.outstanding(), [1]);
    assert_eq!(bench.durable_end(1), 0);
    bench.format(1, 99);
    bench.hard(1, 1, None);
    bench.open(1);
    assert_eq!(bench.outstanding(), [1], "until it is promoted");
    assert!(bench.committed_end() > 0, "what was committed stays");
    assert_eq!(bench.findings(), []);
}

#[test]
fn a_name_whose_sector_goes_bad_before_it_is_durable_is_durable_all_the_same() {
    let voted = || raft::Message::VoteAnswer { granted: false };
    let mut bench = Bench::new(SYNCED);
    bench.damage(1, Taken::Disk, DiskModel::replace);
    let names = ArmedFault::next(DiskFault::DirSyncError, IDENTITY_FILE, 1);
    bench.world.lock().disks[1].model.arm(names);
    bench
        .begin_to_format(1, 99)
        .expect_err("its name may be lost");
    bench.renames_identity(1);
    bench.says(1, 0, 1, voted());
    assert_eq!(bench.findings(), [Promise::PromisesKept], "not durable yet");
    bench.spoil_file(1, IDENTITY_FILE, 0);
    bench.says(1, 0, 1, voted());
    assert_eq!(bench.findings(), [Promise::PromisesKept], "nor now");
    bench.syncs_names(1);
    bench.says(1, 0, 1, voted());
    assert_eq!(bench.findings(), []);
}

#[test]
fn rot_is_outstanding_and_what_was_said_is_the_ledger_s() {
    let mut bench = Bench::new(SYNCED);
    let staged = bench.write(&[1], 1, &[7; 600]);
    bench.sync(&[1]);
    bench.answers(1, 0, 1, 1);
    {
        let mut inner = bench.world.lock();
        let Inner {
            core, tap, disks, ..
        } = &mut *inner;
        let damaged = disks[1]
            .model
            .damage_some_sector(("commitlog/0", false), None, 3, 0);
        damaged.expect("a sector with data");
        tap.damaged(core, &disks[1], 1);
    }
    assert_eq!(bench.findings(), []);
    assert!(bench.durable_end(1) < staged.end_address);
    assert_eq!(bench.outstanding(), [1]);
}

#[test]
fn a_stored_base_counts_as_held_and_may_stand_for_expired_entries_only() {
    let mut bench = Bench::new(SYNCED);
    bench.leads(0, 1);
    let staged = bench.write(&[0, 1], 1, b"one");
    bench.sync(&[0, 1]);
    let end = bench.logs[0].as_ref().expect("open").flushed();
    bench.base(2, end);
    assert_eq!(bench.findings(), [Promise::PromisesKept], "nothing expired");
    assert_eq!(bench.durable_end(2), staged.end_address);
    bench.answers(2, 0, 1, 1);
    assert_eq!(bench.findings(), []);
    bench.base(1, Position { hash: 7, ..end });
    assert_eq!(bench.findings()[0], Promise::StateMachineSafety);
}

#[test]
fn a_lie_counts_as_held_until_the_power_goes() {
    let mut bench = Bench::new(SYNCED);
    bench.leads(0, 1);
    let lie = ArmedFault {
        times: u64::MAX,
        ..ArmedFault::next(DiskFault::LyingSync, "", 1)
    };
    bench.world.lock().disks[1].model.arm(lie);
    let staged = bench.write(&[0, 1], 1, b"one");
    bench.sync(&[0, 1]);
    bench.acknowledges(0, staged);
    assert_eq!(bench.findings(), []);
    assert_eq!(bench.durable_end(1), 0);
    bench.world.lock().disks[1].model.disarm();
    bench.power_loss(1, DiskSurvival::None);
    assert_eq!(bench.outstanding(), [1]);
    bench.leads(2, 2);
    assert_eq!(bench.findings(), [], "waived from here on");
}

/// Node 1 has entries 1 to 5 of term 1, synced, and has said so; 1 to 3 are
/// committed.
fn answered() -> (Bench, Vec<Staged>) {
    let mut bench = Bench::new(SYNCED);
    bench.leads(0, 1);
    let staged = (1..=5_u8).map(|body| {
        let nodes = if body <= 3 { &[1, 0][..] } else { &[1] };
        let staged = bench.write(nodes, 1, &[body; 600]);
        bench.sync(nodes);
        staged
    });
    let staged = staged.collect();
    bench.answers(1, 0, 1, 5);
    (bench, staged)
}

#[test]
fn entries_behind_a_bad_sector_are_still_there() {
    for (spoilt, held) in [(Some(2), 1), (None, 3)] {
        let (mut bench, staged) = answered();
        bench.spoil(1, spoilt);
        bench.hard(1, 2, None);
        bench.hard(0, 2, None);
        bench.leads(0, 2);
        // The log is read anew, with the bad sector in it.
        bench.meets(1, staged[1].address);
        bench.cut(1, staged[3].address);
        assert_eq!(bench.durable_end(1), staged[held].address, "the prefix");
        let next = bench.write(&[0, 1], 2, b"behind it");
        bench.sync(&[0, 1]);
        bench.answers(1, 0, 2, 4);
        bench.acknowledges(0, next);
        assert_eq!(bench.findings(), [], "{spoilt:?}");
        bench.answers(1, 0, 2, 5);
        assert_eq!(bench.findings(), [Promise::Acknowledgement], "cut off");
    }
}

#[test]
fn a_bad_sector_excuses_no_cut_but_its_own() {
    let (mut bench, staged) = answered();
    bench.spoil(1, Some(4));
    bench.cut(1, staged[1].address);
    let both = [Promise::PromisesKept, Promise::LeaderCompleteness];
    assert_eq!(bench.findings(), both, "below the bad sector");
    let (mut bench, staged) = answered();
    bench.spoil(1, Some(2));
    bench.meets(1, staged[1].address);
    bench.cut(1, staged[3].address);
    bench.answers(1, 0, 1, 5);
    assert_eq!(bench.findings(), [Promise::Acknowledgement], "behind it");
}

#[test]
fn entries_that_a_newer_segment_replaces_are_not_behind_a_bad_sector() {
    let (mut bench, staged) = answered();
    for node in [1, 0] {
        bench.hard(node, 2, None);
    }
    bench.leads(0, 2);
    bench.cut(1, staged[3].address);
    bench.write(&[0, 1], 2, b"in place of the fourth");
    bench.sync(&[0, 1]);
    bench.answers(1, 0, 2, 4);
    // The old fourth, which chains to the third, stands behind it still.
    bench.spoil(1, Some(3));
    let fifth = bench.write(&[1], 2, b"the fifth");
    bench.cut(1, fifth.address);
    bench.write(&[0, 1], 2, b"the fifth");
    bench.sync(&[0, 1]);
    bench.answers(1, 0, 2, 5);
    assert_eq!(bench.findings(), []);
}

#[test]
fn the_end_that_a_power_loss_left_may_be_ambiguous() {
    let mut bench = Bench::new(SYNCED);
    bench.write(&[0, 1], 1, &[7; 3000]);
    bench.sync(&[0, 1]);
    assert!(!bench.is_ambiguous(1));
    bench.write(&[0, 1], 1, &[8; 3000]);
    bench.power_loss(0, DiskSurvival::None);
    bench.power_loss(1, DiskSurvival::Garbage);
    assert!(!bench.is_ambiguous(0), "nothing of it is left");
    assert!(bench.is_ambiguous(1));
    bench.open(1);
    assert!(!bench.is_ambiguous(1), "cut");
    bench.uncertain_tails(1);
    assert!(bench.is_ambiguous(1), "and it may have had it");
}

#[test]
fn a_segment_without_its_header_may_have_held_anything() {
    let mut bench = Bench::new(SYNCED);
    assert!(!bench.is_ambiguous(0));
    bench.spoil(0, None);
    assert!(bench.is_ambiguous(0), "though nothing was written yet");
}

#[test]
fn with_cached_acknowledgements_a_bad_sector_and_a_failed_sync_take_what_is_cut() {
    let media = Media {
        log: Medium::Cached,
        hard_state: Medium::Cached,
    };
    for is_taken in [false, true] {
        for by_a_sync in [false, true] {
            let mut bench = Bench::new(media);
            bench.leads(0, 1);
            let staged = [1, 2].map(|body| bench.write(&[1, 0], 1, &[body; 600]));
            if !by_a_sync {
                bench.sync(&[1]);
            }
            match (is_taken, by_a_sync) {
                (true, true) => bench.world.lock().tap.sync_failed(1),
                (true, false) => bench.spoil(1, Some(2)),
                (false, _) => {}
            }
            bench.cut(1, staged[1].address);
            let findings = bench.findings();
            assert_eq!(findings.is_empty(), is_taken, "{by_a_sync}: {findings:?}");
        }
    }
}
