//! The stories that could go wrong, and how they do not: each a known way to lose an
//! acknowledged message (guarantee, section 7; Raft paper, figure 8), played against
//! the core up to the step at which it refuses.

use insta::assert_snapshot;

use super::story::Story;

/// Raft paper, figure 8: an entry of an old term on a majority is not
/// committed; only one of the leader's own term on top of it commits it. Chance
/// would need three elections in the right order, and 17 steps.
#[test]
fn figure_8() {
    let mut story = Story::new(5);
    story.say("(a) 0 leads term 1 and replicates its no-op to all; then an entry 2 to 1 only");
    story.elect(0, &[1, 2]);
    story.sync(0);
    for node in 1..5 {
        story.replicate(0, node);
    }
    story.lose_all();
    story.propose(0);
    story.sync(0);
    story.beat(0);
    story.replicate(0, 1);
    story.lose_all();
    story.say(
        "(b) 0 crashes; 4 leads term 2 with the votes of 2 and 3, and appends another entry 2",
    );
    story.crash(0);
    story.elect(4, &[2, 3]);
    story.sync(4);
    story.lose_all();
    story.say("(c) 4 crashes; 0 leads term 3, and brings its entry 2 to 2: a majority has it");
    story.crash(4);
    story.restart(0);
    story.try_elect(0, &[1, 2]);
    story.elect(0, &[1, 2]);
    story.arrive(0, 1);
    story.arrive(1, 0);
    story.replicate(0, 2);
    story.say("0, 1 and 2 have entry 2/1 durably; it is of term 1: not committed");
    story.assert_commit(0, 0);
    story.say("(d) 0 and 1 lose power; 4 can still win term 4, and replaces entry 2");
    story.lose_all();
    story.crash(0);
    story.crash(1);
    story.restart(1);
    story.restart(4);
    story.try_elect(4, &[1, 3]);
    story.elect(4, &[1, 3]);
    story.sync(4);
    story.replicate(4, 1);
    assert_snapshot!(story.told());
}

/// Guarantee, section 7: "a wiped voter under its old id". The disk's name
/// is part of the replica's: what comes back is somebody else.
#[test]
fn a_wiped_voter_is_another_replica() {
    let mut story = Story::new(3);
    story.say("0 leads term 1; its append to 2 is late");
    story.elect(0, &[1, 2]);
    story.sync(0);
    story.delay(0, 2);
    story.lose_all();
    story.say("1 stands for term 2, 2 votes for it; the vote is late");
    for _ in 0..2 {
        story.timeout(1);
        story.arrive(1, 2);
        story.arrive(2, 1);
        story.save(1);
    }
    story.arrive(1, 2);
    story.save(2);
    story.delay(2, 1);
    story.lose_all();
    story.say("2's disk is destroyed; it comes back empty, and 0's append reaches it");
    story.replace(2, 99);
    story.arrive_late(0, 2);
    story.say("it was meant for the disk that is gone. The new one announces itself");
    story.timeout(2);
    story.arrive(2, 0);
    story.arrive(0, 2);
    story.save(2);
    story.arrive(2, 0);
    story.say(
        "0 has committed nothing in its term, so it may change nothing, and nothing it has counts",
    );
    story.assert_commit(0, 0);
    story.say("the old vote arrives: 1 leads without entry 1/1, which nobody was told of");
    story.arrive_late(2, 1);
    assert_snapshot!(story.told());
}

/// Guarantee, section 7: "recovery by a nonce" and "why D14 holds there" (n=5):
/// the wiped replica's old vote is still under way, and what it forgot is the
/// vote.
#[test]
fn a_stale_vote_after_a_wipe() {
    let mut story = Story::new(5);
    story.say("0 leads term 1; its entry 1 is on 0 and 2");
    story.elect(0, &[2, 3]);
    story.sync(0);
    story.replicate(0, 2);
    story.delay(0, 3);
    story.lose_all();
    story.say("1 stands for term 2; 4 votes for it. The vote is late, and 4 is wiped");
    for _ in 0..2 {
        story.timeout(1);
        for voter in [3, 4] {
            story.arrive(1, voter);
            story.arrive(voter, 1);
        }
        story.save(1);
    }
    story.save(1);
    story.delay(1, 3);
    story.arrive(1, 4);
    story.save(4);
    story.delay(4, 1);
    story.lose_all();
    story.replace(4, 99);
    story.say(
        "a nonce and three answers would tell 4 that all is in term 1, and let it acknowledge",
    );
    story.say("here it is blank: entry 1 is committed only once 3 has it");
    story.timeout(4);
    story.assert_commit(0, 0);
    story.arrive_late(0, 3);
    story.sync(3);
    story.arrive(3, 0);
    story.say("and then 0 puts the new disk in 4's seat, counted on 0, 2 and 3");
    story.arrive(4, 0);
    story.arrive(0, 4);
    story.save(4);
    story.arrive(4, 0);
    story.sync(0);
    story.lose(0, 1);
    story.replicate(0, 2);
    story.replicate(0, 3);
    story.assert_commit(0, 2);
    story.say("the old vote arrives at 1, which has its own and needs a third; but 3 has entry 1");
    story.arrive_late(4, 1);
    story.forget_leader(3);
    story.arrive_late(1, 3);
    story.save(3);
    story.arrive(3, 1);
    assert_snapshot!(story.told());
}

/// Guarantee, section 7: "durable is not matched" (D2). 15 steps without any
/// disk fault.
#[test]
fn durable_is_not_matched() {
    let mut story = Story::new(3);
    story.say("0 has entries 1 and 2 of term 1, durable, and nobody else has 2");
    story.elect(0, &[1, 2]);
    story.sync(0);
    story.replicate(0, 1);
    story.replicate(0, 2);
    story.propose(0);
    story.sync(0);
    story.lose_all();
    story.say("1 leads term 2 with another entry 2; 0 follows");
    story.elect(1, &[2]);
    story.sync(1);
    story.lose_all();
    story.beat(1);
    story.say("1's heartbeat reaches back to entry 1: 0 answers for that, not for the 2 it has");
    story.lose(1, 2);
    story.arrive(1, 0);
    story.save(0);
    story.arrive(0, 1);
    story.assert_commit(1, 0);
    story.arrive(1, 0);
    story.say("the conflict is cut, the new entry 2 synced: now it counts");
    story.sync(0);
    story.arrive(0, 1);
    story.assert_commit(1, 2);
    assert_snapshot!(story.told());
}

/// Guarantee, section 7: "async flush": nothing is acknowledged from a cache.
#[test]
fn nothing_is_acknowledged_from_a_cache() {
    let mut story = Story::new(3);
    story.elect(0, &[1, 2]);
    story.sync(0);
    story.replicate(0, 2);
    story.propose(0);
    story.say(
        "entry 2 is cached on 0 and on 2: 2 answers for what it synced, 0 counts itself as little",
    );
    story.lose(0, 1);
    story.arrive(0, 2);
    story.arrive(2, 0);
    story.assert_commit(0, 1);
    story.sync(2);
    story.arrive(2, 0);
    story.assert_commit(0, 1);
    story.say("0 loses power: entry 2 was never acknowledged, and 2 still brings it on");
    story.crash(0);
    story.restart(0);
    story.elect(2, &[0]);
    story.sync(2);
    story.replicate(2, 0);
    assert_snapshot!(story.told());
}

/// Guarantee, section 7: "recovered is not durable" (D24). The entries that the
/// driver reports as durable are those that the core answers for; a recovered log
/// that was not made durable again is reported as far as it is.
#[test]
fn recovered_is_not_durable() {
    let mut story = Story::new(3);
    story.elect(0, &[1, 2]);
    story.sync(0);
    story.replicate(0, 2);
    story.propose(0);
    story.sync(0);
    story.lose(0, 1);
    story.arrive(0, 2);
    story.lose_all();
    story.say(
        "2 is killed with entry 2 in its cache; it reads it back and knows it for not durable",
    );
    story.kill(2);
    story.beat(0);
    story.arrive(0, 2);
    story.arrive(2, 0);
    story.assert_commit(0, 1);
    story.say("only the sync makes it count");
    story.sync(2);
    story.arrive(2, 0);
    story.assert_commit(0, 2);
    assert_snapshot!(story.told());
}

/// A leader that was cut off comes back with entries that nobody else has
/// (D6): cut at the first conflict, durably, and not before.
#[test]
fn a_divergent_suffix() {
    let mut story = Story::new(3);
    story.elect(0, &[1, 2]);
    story.sync(0);
    story.replicate(0, 1);
    story.replicate(0, 2);
    story.say("0 is cut off and goes on appending");
    for _ in 0..3 {
        story.propose(0);
    }
    story.sync(0);
    story.lose_all();
    story.say("1 leads on");
    story.elect(1, &[2]);
    story.sync(1);
    story.propose(1);
    story.sync(1);
    story.lose_all();
    story.beat(1);
    story.replicate(1, 2);
    story.say("0 is back: its suffix goes, and what matches stays");
    story.beat(1);
    story.replicate(1, 0);
    story.beat(1);
    story.replicate(1, 0);
    assert_snapshot!(story.told());
}

/// A follower that was off while the log before its end was dropped (D8).
#[test]
fn a_lagging_follower_across_compaction() {
    let mut story = Story::new(3);
    story.elect(0, &[1, 2]);
    story.sync(0);
    story.replicate(0, 2);
    story.replicate(0, 1);
    story.say("2 is off; the others commit and drop");
    story.crash(2);
    story.propose(0);
    story.propose(0);
    story.propose(0);
    story.sync(0);
    story.replicate(0, 1);
    story.compact(0, 3);
    story.lose_all();
    story.say("2 is back: what it needs is gone, so it begins behind the base, anew");
    story.restart(2);
    story.beat(0);
    story.replicate(0, 2);
    story.say("0 drops more before it hears of that; 2 gets the next base at once, and is fed");
    story.propose(0);
    story.compact(0, 4);
    story.sync(0);
    story.replicate(0, 1);
    story.beat(0);
    story.replicate(0, 2);
    story.beat(0);
    story.replicate(0, 2);
    story.beat(0);
    story.replicate(0, 2);
    assert_snapshot!(story.told());
}

/// D13–D15: the leader dies with the replacement that it appended; the next one
/// makes the change again, feeds the new disk, and promotes it.
#[test]
fn a_membership_change_across_a_failover() {
    let mut story = Story::new(3);
    story.elect(0, &[1, 2]);
    story.sync(0);
    story.replicate(0, 1);
    story.replicate(0, 2);
    story.say("2's disk is replaced; 0 appends the replacement, and dies before anyone has it");
    story.replace(2, 99);
    story.lose_all();
    story.timeout(2);
    story.arrive(2, 0);
    story.arrive(0, 2);
    story.save(2);
    story.arrive(2, 0);
    story.lose_all();
    story.crash(0);
    story.say("0 comes back without it; 1 leads, and is told, too");
    story.restart(0);
    story.elect(1, &[0]);
    story.sync(1);
    story.replicate(1, 0);
    story.timeout(2);
    story.arrive(2, 1);
    story.arrive(1, 2);
    story.save(2);
    story.arrive(2, 1);
    story.say("the replacement is committed on 0 and 1");
    story.sync(1);
    story.replicate(1, 0);
    story.say("2 is given the base, catches up, and is promoted");
    story.timeout(2);
    story.arrive(2, 1);
    story.replicate(1, 2);
    story.beat(1);
    story.replicate(1, 2);
    story.sync(1);
    story.replicate(1, 0);
    story.beat(1);
    story.replicate(1, 2);
    assert_snapshot!(story.told());
}

/// D12: the power fails everywhere, and every log has a torn end. One of them
/// had entry 3 durable; it is found. Nothing stood behind it; that is found, too.
#[test]
fn torn_tails_on_all_three() {
    let mut story = Story::new(3);
    story.elect(0, &[1, 2]);
    story.sync(0);
    story.replicate(0, 1);
    story.replicate(0, 2);
    story.propose(0);
    story.propose(0);
    story.sync(0);
    story.replicate(0, 1);
    story.say("entries 2 and 3 are committed on 0 and 1; the power fails everywhere");
    story.assert_commit(0, 3);
    story.lose_all();
    story.tear(0, 3);
    story.tear(1, 4);
    story.tear(2, 2);
    story.say("nobody campaigns; each asks, and takes what the others still have");
    for asker in 0..3 {
        story.lose_all();
        story.timeout(asker);
        for _ in 0..3 {
            for other in (0..3).filter(|other| *other != asker) {
                story.arrive(asker, other);
                story.arrive(other, asker);
            }
            story.sync_if_needed(asker);
        }
        story.save(asker);
    }
    story.say("nothing is in doubt: 1 leads, and nothing that was committed is lost");
    story.lose_all();
    story.elect(1, &[0]);
    story.sync(1);
    story.replicate(1, 0);
    story.assert_commit(1, 4);
    assert_snapshot!(story.told());
}
