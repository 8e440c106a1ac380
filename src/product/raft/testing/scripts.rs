//! The stories that could go wrong, and how they do not: each a known way to lose an
//! acknowledged message (guarantee, section 7; Raft paper, figure 8), played against
//! the core up to the step at which it refuses.

use insta::assert_snapshot;

use super::script::Script;

/// Raft paper, figure 8: an entry of an old term on a majority is not
/// committed; only one of the leader's own term on top of it commits it. Chance
/// would need three elections in the right order, and 17 steps.
#[test]
fn figure_8() {
    let mut script = Script::new(5);
    script.say("(a) 0 leads term 1 and replicates its no-op to all; then an entry 2 to 1 only");
    script.elect(0, &[1, 2]);
    script.sync(0);
    for node in 1..5 {
        script.replicate(0, node);
    }
    script.lose_all();
    script.propose(0);
    script.sync(0);
    script.beat(0);
    script.replicate(0, 1);
    script.lose_all();
    script.say(
        "(b) 0 crashes; 4 leads term 2 with the votes of 2 and 3, and appends another entry 2",
    );
    script.crash(0);
    script.elect(4, &[2, 3]);
    script.sync(4);
    script.lose_all();
    script.say("(c) 4 crashes; 0 leads term 3, and brings its entry 2 to 2: a majority has it");
    script.crash(4);
    script.restart(0);
    script.try_elect(0, &[1, 2]);
    script.elect(0, &[1, 2]);
    script.arrive(0, 1);
    script.arrive(1, 0);
    script.replicate(0, 2);
    script.say("0, 1 and 2 have entry 2/1 durably; it is of term 1: not committed");
    script.assert_commit(0, 0);
    script.say("(d) 0 and 1 lose power; 4 can still win term 4, and replaces entry 2");
    script.lose_all();
    script.crash(0);
    script.crash(1);
    script.restart(1);
    script.restart(4);
    script.try_elect(4, &[1, 3]);
    script.elect(4, &[1, 3]);
    script.sync(4);
    script.replicate(4, 1);
    assert_snapshot!(script.told());
}

/// Guarantee, section 7: "a wiped voter under its old id". The disk's name
/// is part of the replica's: what comes back is somebody else.
#[test]
fn a_wiped_voter_is_another_replica() {
    let mut script = Script::new(3);
    script.say("0 leads term 1; its append to 2 is late");
    script.elect(0, &[1, 2]);
    script.sync(0);
    script.delay(0, 2);
    script.lose_all();
    script.say("1 stands for term 2, 2 votes for it; the vote is late");
    for _ in 0..2 {
        script.timeout(1);
        script.arrive(1, 2);
        script.arrive(2, 1);
        script.save(1);
    }
    script.arrive(1, 2);
    script.save(2);
    script.delay(2, 1);
    script.lose_all();
    script.say("2's disk is destroyed; it comes back empty, and 0's append reaches it");
    script.replace(2, 99);
    script.arrive_late(0, 2);
    script.say("it was meant for the disk that is gone. The new one announces itself");
    script.timeout(2);
    script.arrive(2, 0);
    script.arrive(0, 2);
    script.save(2);
    script.arrive(2, 0);
    script.say(
        "0 has committed nothing in its term, so it may change nothing, and nothing it has counts",
    );
    script.assert_commit(0, 0);
    script.say("the old vote arrives: 1 leads without entry 1/1, which nobody was told of");
    script.arrive_late(2, 1);
    assert_snapshot!(script.told());
}

/// Guarantee, section 7: "recovery by a nonce" and "why D14 holds there" (n=5):
/// the wiped replica's old vote is still under way, and what it forgot is the
/// vote.
#[test]
fn a_stale_vote_after_a_wipe() {
    let mut script = Script::new(5);
    script.say("0 leads term 1; its entry 1 is on 0 and 2");
    script.elect(0, &[2, 3]);
    script.sync(0);
    script.replicate(0, 2);
    script.delay(0, 3);
    script.lose_all();
    script.say("1 stands for term 2; 4 votes for it. The vote is late, and 4 is wiped");
    for _ in 0..2 {
        script.timeout(1);
        for voter in [3, 4] {
            script.arrive(1, voter);
            script.arrive(voter, 1);
        }
        script.save(1);
    }
    script.save(1);
    script.delay(1, 3);
    script.arrive(1, 4);
    script.save(4);
    script.delay(4, 1);
    script.lose_all();
    script.replace(4, 99);
    script.say(
        "a nonce and three answers would tell 4 that all is in term 1, and let it acknowledge",
    );
    script.say("here it is blank: entry 1 is committed only once 3 has it");
    script.timeout(4);
    script.assert_commit(0, 0);
    script.arrive_late(0, 3);
    script.sync(3);
    script.arrive(3, 0);
    script.say("and then 0 puts the new disk in 4's seat, counted on 0, 2 and 3");
    script.arrive(4, 0);
    script.arrive(0, 4);
    script.save(4);
    script.arrive(4, 0);
    script.sync(0);
    script.lose(0, 1);
    script.replicate(0, 2);
    script.replicate(0, 3);
    script.assert_commit(0, 2);
    script.say("the old vote arrives at 1, which has its own and needs a third; but 3 has entry 1");
    script.arrive_late(4, 1);
    script.forget_leader(3);
    script.arrive_late(1, 3);
    script.save(3);
    script.arrive(3, 1);
    assert_snapshot!(script.told());
}

/// Guarantee, section 7: "durable is not matched" (D2). 15 steps without any
/// disk fault.
#[test]
fn durable_is_not_matched() {
    let mut script = Script::new(3);
    script.say("0 has entries 1 and 2 of term 1, durable, and nobody else has 2");
    script.elect(0, &[1, 2]);
    script.sync(0);
    script.replicate(0, 1);
    script.replicate(0, 2);
    script.propose(0);
    script.sync(0);
    script.lose_all();
    script.say("1 leads term 2 with another entry 2; 0 follows");
    script.elect(1, &[2]);
    script.sync(1);
    script.lose_all();
    script.beat(1);
    script.say("1's heartbeat reaches back to entry 1: 0 answers for that, not for the 2 it has");
    script.lose(1, 2);
    script.arrive(1, 0);
    script.save(0);
    script.arrive(0, 1);
    script.assert_commit(1, 0);
    script.arrive(1, 0);
    script.say("the conflict is cut, the new entry 2 synced: now it counts");
    script.sync(0);
    script.arrive(0, 1);
    script.assert_commit(1, 2);
    assert_snapshot!(script.told());
}

/// Guarantee, section 7: "async flush": nothing is acknowledged from a cache.
#[test]
fn nothing_is_acknowledged_from_a_cache() {
    let mut script = Script::new(3);
    script.elect(0, &[1, 2]);
    script.sync(0);
    script.replicate(0, 2);
    script.propose(0);
    script.say(
        "entry 2 is cached on 0 and on 2: 2 answers for what it synced, 0 counts itself as little",
    );
    script.lose(0, 1);
    script.arrive(0, 2);
    script.arrive(2, 0);
    script.assert_commit(0, 1);
    script.sync(2);
    script.arrive(2, 0);
    script.assert_commit(0, 1);
    script.say("0 loses power: entry 2 was never acknowledged, and 2 still brings it on");
    script.crash(0);
    script.restart(0);
    script.elect(2, &[0]);
    script.sync(2);
    script.replicate(2, 0);
    assert_snapshot!(script.told());
}

/// Guarantee, section 7: "recovered is not durable" (D24). The entries that the
/// driver reports as durable are those that the core answers for; a recovered log
/// that was not made durable again is reported as far as it is.
#[test]
fn recovered_is_not_durable() {
    let mut script = Script::new(3);
    script.elect(0, &[1, 2]);
    script.sync(0);
    script.replicate(0, 2);
    script.propose(0);
    script.sync(0);
    script.lose(0, 1);
    script.arrive(0, 2);
    script.lose_all();
    script.say(
        "2 is killed with entry 2 in its cache; it reads it back and knows it for not durable",
    );
    script.kill(2);
    script.beat(0);
    script.arrive(0, 2);
    script.arrive(2, 0);
    script.assert_commit(0, 1);
    script.say("only the sync makes it count");
    script.sync(2);
    script.arrive(2, 0);
    script.assert_commit(0, 2);
    assert_snapshot!(script.told());
}

/// A leader that was cut off comes back with entries that nobody else has
/// (D6): cut at the first conflict, durably, and not before.
#[test]
fn a_divergent_suffix() {
    let mut script = Script::new(3);
    script.elect(0, &[1, 2]);
    script.sync(0);
    script.replicate(0, 1);
    script.replicate(0, 2);
    script.say("0 is cut off and goes on appending");
    for _ in 0..3 {
        script.propose(0);
    }
    script.sync(0);
    script.lose_all();
    script.say("1 leads on");
    script.elect(1, &[2]);
    script.sync(1);
    script.propose(1);
    script.sync(1);
    script.lose_all();
    script.beat(1);
    script.replicate(1, 2);
    script.say("0 is back: its suffix goes, and what matches stays");
    script.beat(1);
    script.replicate(1, 0);
    script.beat(1);
    script.replicate(1, 0);
    assert_snapshot!(script.told());
}

/// A follower that was off while the log before its end was dropped (D8).
#[test]
fn a_lagging_follower_across_compaction() {
    let mut script = Script::new(3);
    script.elect(0, &[1, 2]);
    script.sync(0);
    script.replicate(0, 2);
    script.replicate(0, 1);
    script.say("2 is off; the others commit and drop");
    script.crash(2);
    script.propose(0);
    script.propose(0);
    script.propose(0);
    script.sync(0);
    script.replicate(0, 1);
    script.compact(0, 3);
    script.lose_all();
    script.say("2 is back: what it needs is gone, so it begins behind the base, anew");
    script.restart(2);
    script.beat(0);
    script.replicate(0, 2);
    script.say("0 drops more before it hears of that; 2 gets the next base at once, and is fed");
    script.propose(0);
    script.compact(0, 4);
    script.sync(0);
    script.replicate(0, 1);
    script.beat(0);
    script.replicate(0, 2);
    script.beat(0);
    script.replicate(0, 2);
    script.beat(0);
    script.replicate(0, 2);
    assert_snapshot!(script.told());
}

/// D13–D15: the leader dies with the replacement that it appended; the next one
/// makes the change again, feeds the new disk, and promotes it.
#[test]
fn a_membership_change_across_a_failover() {
    let mut script = Script::new(3);
    script.elect(0, &[1, 2]);
    script.sync(0);
    script.replicate(0, 1);
    script.replicate(0, 2);
    script.say("2's disk is replaced; 0 appends the replacement, and dies before anyone has it");
    script.replace(2, 99);
    script.lose_all();
    script.timeout(2);
    script.arrive(2, 0);
    script.arrive(0, 2);
    script.save(2);
    script.arrive(2, 0);
    script.lose_all();
    script.crash(0);
    script.say("0 comes back without it; 1 leads, and is told, too");
    script.restart(0);
    script.elect(1, &[0]);
    script.sync(1);
    script.replicate(1, 0);
    script.timeout(2);
    script.arrive(2, 1);
    script.arrive(1, 2);
    script.save(2);
    script.arrive(2, 1);
    script.say("the replacement is committed on 0 and 1");
    script.sync(1);
    script.replicate(1, 0);
    script.say("2 is given the base, catches up, and is promoted");
    script.timeout(2);
    script.arrive(2, 1);
    script.replicate(1, 2);
    script.beat(1);
    script.replicate(1, 2);
    script.sync(1);
    script.replicate(1, 0);
    script.beat(1);
    script.replicate(1, 2);
    assert_snapshot!(script.told());
}

/// D12: the power fails everywhere, and every log has a torn end. One of them
/// had entry 3 durable; it is found. Nothing stood behind it; that is found, too.
#[test]
fn torn_tails_on_all_three() {
    let mut script = Script::new(3);
    script.elect(0, &[1, 2]);
    script.sync(0);
    script.replicate(0, 1);
    script.replicate(0, 2);
    script.propose(0);
    script.propose(0);
    script.sync(0);
    script.replicate(0, 1);
    script.say("entries 2 and 3 are committed on 0 and 1; the power fails everywhere");
    script.assert_commit(0, 3);
    script.lose_all();
    script.tear(0, 3);
    script.tear(1, 4);
    script.tear(2, 2);
    script.say("nobody campaigns; each asks, and takes what the others still have");
    for asker in 0..3 {
        script.lose_all();
        script.timeout(asker);
        for _ in 0..3 {
            for other in (0..3).filter(|other| *other != asker) {
                script.arrive(asker, other);
                script.arrive(other, asker);
            }
            script.sync_if_needed(asker);
        }
        script.save(asker);
    }
    script.say("nothing is uncertain: 1 leads, and nothing that was committed is lost");
    script.lose_all();
    script.elect(1, &[0]);
    script.sync(1);
    script.replicate(1, 0);
    script.assert_commit(1, 4);
    assert_snapshot!(script.told());
}
