//! One replica alone, one rule at a time: what it is told, what it does.

use super::lone::{Lone, accepted, answer, asked, granted, id, replica};
use crate::raft::{
    Append, Change, Configuration, Divergence, EntryHead, EntryId, HardState, Input, Message,
    Output, ReplicaId, Role, Settings, Tail, UncertainTail,
};

/// V05, D12: a log of terms 1 1 3 votes for what is at least as up to date; in
/// uncertain tail, for what lies beyond it.
#[test]
fn votes() {
    let uncertain_tail = UncertainTail {
        from_index: 4,
        term_before: 4,
        had_upto_address: 0,
    };
    for (last, clear, uncertain) in [
        (id(3, 3), true, false),
        (id(2, 3), false, false),
        (id(9, 2), false, false),
        (id(4, 4), true, false),
        (id(1, 5), true, true),
    ] {
        for (uncertain_tail, expected) in [(None, clear), (Some(uncertain_tail), uncertain)] {
            let mut lone = Lone::new(3, &[1, 1, 3], uncertain_tail);
            let next_term = 6;
            let asked = lone.hear(1, 5, Message::PreVote { next_term, last });
            assert_eq!(granted(&asked), Some(expected), "pre-vote, {last}");
            assert_eq!(lone.raft.term(), 5, "a pre-vote changes nothing (D17)");
            let transfer = false;
            let voted = lone.hear(1, 6, Message::Vote { last, transfer });
            assert_eq!(granted(&voted), Some(expected), "vote, {last}");
        }
    }
}

/// D12: a replica that is uncertain acknowledges what a leader sends it; what it
/// loses of that by a second cut, it must not help to overrule.
#[test]
fn a_second_uncertain_tail_reaches_up_to_the_term_that_it_was_acknowledged_in() {
    let first = HardState {
        term: 2,
        vote: None,
        uncertain_tail: None,
    }
    .is_uncertain(3, 700);
    // It voted for the leader of term 4, and acknowledged an entry of that.
    let heard = HardState { term: 4, ..first };
    let second = heard.is_uncertain(4, 600);
    let uncertain_tail = UncertainTail {
        from_index: 3,
        term_before: 4,
        had_upto_address: 700,
    };
    assert_eq!(
        (second.term, second.uncertain_tail),
        (5, Some(uncertain_tail))
    );
    // The loser of that election has entries of term 3, and not that one.
    for (term, expected) in [(3, false), (4, false), (5, true)] {
        let mut lone = Lone::new(3, &[1, 1], second.uncertain_tail);
        let (last, transfer) = (id(4, term), false);
        let voted = lone.hear(1, 6, Message::Vote { last, transfer });
        assert_eq!(granted(&voted), Some(expected), "last term {term}");
    }
}

/// D12: the copy is taken from the log that ends latest: entry 3 of term 2 was
/// committed by the leader of term 4, beside whom the one of term 3 had put its own at
/// that index.
#[test]
fn of_two_copies_the_one_in_the_later_log_is_taken() {
    let uncertain_tail = UncertainTail {
        from_index: 3,
        term_before: 4,
        had_upto_address: 0,
    };
    for order in [[1, 2], [2, 1]] {
        let mut lone = Lone::new(3, &[1, 1], Some(uncertain_tail));
        let request = asked(&lone.step(Input::Timeout)).expect("it asks at once");
        let tail = |heads: &[EntryId]| {
            let head = |id: &EntryId| EntryHead {
                id: *id,
                configuration: None,
            };
            Message::Tail(Tail {
                request,
                previous: id(2, 1),
                chained: true,
                last: heads[heads.len() - 1],
                base_index: 0,
                uncertain_from: None,
                silent_from: None,
                heads: heads.iter().map(head).collect(),
            })
        };
        let mut stored = Vec::new();
        for _ in 0..2 {
            for node in order {
                let heads: &[EntryId] = match node {
                    1 => &[id(3, 2), id(4, 4)],
                    _ => &[id(3, 3)],
                };
                stored.extend(lone.hear(node, 5, tail(heads)));
            }
        }
        let stores = stored.iter();
        let stores = stores.filter(|output| matches!(output, Output::Store { .. }));
        assert_eq!(stores.count(), 1, "asked in the order {order:?}");
        assert_eq!(lone.raft.last(), id(3, 2));
    }
}

/// V03: one vote in a term, whatever is heard in it.
#[test]
fn a_vote_stays_given() {
    let mut lone = Lone::new(3, &[1], None);
    let vote = |from| Message::Vote {
        last: id(from, 3),
        transfer: false,
    };
    assert_eq!(granted(&lone.hear(1, 6, vote(1))), Some(true));
    assert_eq!(granted(&lone.hear(2, 6, vote(2))), Some(false));
    lone.append(6, id(1, 1), &[], 0);
    assert_eq!(lone.raft.hard_state().vote, Some(replica(1)));
}

/// V01, V08: nothing of a term leaves before it is saved, and nothing at all if
/// it never is.
#[test]
fn nothing_leaves_before_the_save() {
    let mut lone = Lone::new(3, &[1], None);
    let message = Message::Vote {
        last: id(1, 1),
        transfer: false,
    };
    let from = replica(1);
    let term = 6;
    lone.raft.step(
        0,
        Input::Message {
            from,
            term,
            message,
        },
    );
    let outputs: Vec<_> = std::iter::from_fn(|| lone.raft.next_output()).collect();
    let hard = HardState {
        term,
        vote: Some(from),
        uncertain_tail: None,
    };
    assert_eq!(outputs, [Output::SaveHardState(hard)]);
    let other = HardState { term: 9, ..hard };
    lone.raft.step(0, Input::HardStateSaved(other));
    assert_eq!(lone.raft.next_output(), None, "not what was to be saved");
    lone.raft.step(0, Input::LogFailed);
    lone.raft.step(0, Input::HardStateSaved(hard));
    assert_eq!(lone.raft.next_output(), None, "after a failure");
}

/// R04, R05, R09, K03 and D6: what an append does to a log of terms 1 1 3.
#[test]
fn appends() {
    let late = [id(2, 1)];
    let conflict = [id(3, 4), id(4, 5)];
    for (prev, entries, commit, accepted, matched, committed, last) in [
        // Late and shorter than the log: nothing is cut, and only it counts.
        (id(1, 1), &late[..], 3, true, 2, 2, id(3, 3)),
        (id(3, 3), &[], 9, true, 3, 3, id(3, 3)),
        (id(0, 0), &[], 9, true, 0, 0, id(3, 3)),
        // The entry before is another one, or not there.
        (id(3, 4), &[], 9, false, 0, 0, id(3, 3)),
        (id(7, 3), &[], 9, false, 0, 0, id(3, 3)),
        // Cut at the conflict and not before; nothing new is durable yet.
        (id(2, 1), &conflict[..], 3, true, 2, 3, id(4, 5)),
    ] {
        let mut lone = Lone::new(3, &[1, 1, 3], None);
        let outputs = lone.append(5, prev, entries, commit);
        let answer = answer(&outputs);
        assert_eq!((answer.accepted, answer.matched_index), (accepted, matched));
        assert_eq!(lone.raft.commit_index(), committed, "behind {prev}");
        assert_eq!(lone.raft.last(), last);
        let cut = outputs.contains(&Output::Truncate { from_index: 3 });
        assert_eq!(cut, entries == conflict);
    }
}

/// A leader that has another entry where one is committed: others have forgotten.
/// The replica says what it found, cuts nothing, and is silent from then on (R07).
#[test]
fn a_committed_entry_is_not_cut_but_reported() {
    let install = || Message::Install {
        request: 1,
        base: id(3, 4),
        configuration: Configuration::of_voters((0..3).map(replica)),
    };
    let append = |prev, entries: &[EntryId]| {
        let heads = entries.iter().copied().map(EntryHead::from).collect();
        Message::Append(Append {
            request: 1,
            prev,
            commit_index: 3,
            heads,
        })
    };
    for (message, theirs, ours) in [
        (append(id(1, 1), &[id(2, 4)]), id(2, 4), id(2, 1)),
        // The entries before it differ: no use in asking for earlier ones.
        (append(id(3, 4), &[id(4, 5)]), id(3, 4), id(3, 3)),
        // The leader's log begins behind another entry.
        (install(), id(3, 4), id(3, 3)),
    ] {
        let mut lone = Lone::new(3, &[1, 1, 3, 3], None);
        lone.append(5, id(3, 3), &[], 3);
        let found = Divergence {
            leader: replica(1),
            term: 5,
            theirs,
            ours,
            commit_index: 3,
        };
        assert_eq!(lone.hear(1, 5, message), [Output::Diverged(found)]);
        assert_eq!(lone.raft.last(), id(4, 3), "all is still there");
        assert!(lone.append(5, id(3, 3), &[], 3).is_empty());
        assert_eq!(lone.raft.deadline_ns(), u64::MAX, "nor does it stand");
    }
}

/// Entries above the commit index may be contradicted, also right behind it.
#[test]
fn an_uncommitted_entry_gives_way() {
    let mut lone = Lone::new(3, &[1, 1, 3], None);
    lone.append(5, id(2, 1), &[], 2);
    let outputs = lone.append(5, id(2, 1), &[id(3, 4)], 2);
    assert!(outputs.contains(&Output::Truncate { from_index: 3 }));
    assert!(!answer(&lone.append(5, id(4, 4), &[], 2)).accepted);
}

/// Where what was committed rested on caches, the leader is right.
#[test]
fn a_committed_entry_that_was_never_durable_is_overruled() {
    let settings = Settings {
        promises_durable: false,
        ..Settings::default()
    };
    let mut lone = Lone::with(settings, 3, &[1, 1, 3], None);
    lone.append(5, id(3, 3), &[], 3);
    let outputs = lone.append(5, id(1, 1), &[id(2, 4)], 3);
    assert!(matches!(&outputs[..], [Output::Overruled(found)] if found.theirs == id(2, 4)));
}

/// K02 (D25): the sync of an entry that was replaced meanwhile.
#[test]
fn a_sync_counts_for_the_entries_it_covered() {
    let mut lone = Lone::new(3, &[1, 1], None);
    lone.append(5, id(2, 1), &[id(3, 3)], 0);
    lone.enter(6);
    lone.append(6, id(2, 1), &[id(3, 6)], 0);
    assert!(lone.durable(id(3, 3)).is_empty());
    let outputs = lone.durable(id(3, 6));
    assert_eq!(answer(&outputs).matched_index, 3);
}

/// D2: what was compared with one leader's log says nothing about the next's.
#[test]
fn matched_in_this_term() {
    let mut lone = Lone::new(3, &[1, 1, 3], None);
    assert_eq!(answer(&lone.append(5, id(3, 3), &[], 0)).matched_index, 3);
    lone.enter(6);
    assert_eq!(answer(&lone.append(6, id(1, 1), &[], 0)).matched_index, 1);
}

/// D15: a configuration goes with its entry.
#[test]
fn a_configuration_rolls_back_with_the_log() {
    let mut lone = Lone::new(3, &[1], None);
    let two = Configuration::of_voters([replica(0), replica(1)]);
    lone.append_configuration(two.clone());
    assert_eq!(lone.raft.configuration(), &two, "in force when appended");
    lone.enter(6);
    lone.append(6, id(1, 1), &[id(2, 6)], 0);
    assert_eq!(lone.raft.configuration().seats.len(), 3);
}

/// D3, D4, R02, R03, V11: what a leader of term 6 with the log 1 5 6 commits.
#[test]
fn commits() {
    for (own, matched, committed) in [
        // Only its own entry has reached its disk, or nobody else's.
        (None, 3, 0),
        (Some(id(3, 6)), 0, 0),
        // A majority has entry 2, which is of an old term.
        (Some(id(3, 6)), 2, 0),
        (Some(id(3, 6)), 3, 3),
    ] {
        let mut lone = Lone::leading(&[1, 5]);
        own.map(|own| lone.durable(own));
        lone.hear(1, 6, accepted(1, matched));
        assert_eq!(lone.raft.commit_index(), committed, "{own:?}, {matched}");
    }
}

/// M05, C02: without a commit of its own term a leader neither changes the
/// configuration nor knows what a read must see.
#[test]
fn before_the_first_own_commit() {
    let mut lone = Lone::leading(&[1, 5]);
    let change = Change::Remove { node: 2 };
    let outputs = lone.step(Input::Change(change));
    assert!(outputs.contains(&Output::ChangeRefused(change)));
    let outputs = lone.step(Input::Read { id: 7 });
    assert!(outputs.contains(&Output::ReadFailed { id: 7 }));
    lone.durable(id(3, 6));
    lone.hear(1, 6, accepted(1, 3));
    let outputs = lone.step(Input::Change(change));
    assert!(!outputs.contains(&Output::ChangeRefused(change)));
    let another = Change::Remove { node: 1 };
    let outputs = lone.step(Input::Change(another));
    assert!(
        outputs.contains(&Output::ChangeRefused(another)),
        "one at a time"
    );
    let outputs = lone.step(Input::Read { id: 8 });
    let [Output::Replicate { append, .. }] = outputs.as_slice() else {
        panic!("it asks the one left: {outputs:?}");
    };
    let outputs = lone.hear(1, 6, accepted(append.request, 4));
    assert!(outputs.contains(&Output::ReadReady { id: 8, index: 3 }));
}

/// Finding 064: reads ask for heartbeats of their own, and these put off neither the
/// regular ones nor what is sent again with them.
#[test]
fn a_lost_append_is_sent_again_while_reads_come_all_the_time() {
    let mut lone = Lone::leading(&[1, 5]);
    lone.durable(id(3, 6));
    lone.hear(1, 6, accepted(1, 3));
    let mut sent_again = 0;
    for read in 1..=40 {
        lone.now_ns += 10_000_000;
        let mut outputs = lone.step(Input::Read { id: read });
        if lone.raft.deadline_ns() <= lone.now_ns {
            outputs.extend(lone.step(Input::Timeout));
        }
        let to_silent = outputs.iter().filter(|output| {
            matches!(output, Output::Replicate { to, append, .. } if *to == replica(2) && append.prev.index == 2)
        });
        sent_again += to_silent.count();
    }
    assert!(sent_again >= 4, "{sent_again} times in 400 ms");
}

/// Finding 012: a late append of an earlier leadership tells its sender the
/// term. Where the sender leads that one, too, the number is not one of its own:
/// it confirms no read, and shows no acknowledgement to be forgotten.
#[test]
fn a_question_of_an_earlier_leadership_is_not_answered() {
    let late = Append {
        request: 99,
        prev: id(9, 4),
        commit_index: 0,
        heads: Vec::new(),
    };
    let mut follower = Lone::new(3, &[1], None);
    let refusal = answer(&follower.hear(1, 4, Message::Append(late)));
    let mut leader = Lone::leading(&[1]);
    leader.durable(id(2, 6));
    leader.hear(1, 6, accepted(1, 2));
    leader.step(Input::Read { id: 7 });
    assert_eq!(leader.hear(1, 6, Message::AppendAnswer(refusal)), []);
    // An answer to a question that nobody asked is none either, whatever its sender
    // believes.
    assert_eq!(leader.hear(1, 6, accepted(1 << 63, 2)), []);
}

/// Finding 014: what made a learner a voter may be what it lost. Without its
/// vote nobody might lead, so it does not wait for a leader.
#[test]
fn a_learner_with_an_uncertain_tail_asks_too() {
    let uncertain_tail = UncertainTail {
        from_index: 2,
        term_before: 3,
        had_upto_address: 0,
    };
    let ReplicaId { node, disk } = replica(0);
    let voters = Configuration::of_voters((1..4).map(replica));
    for (change, asks) in [
        (Some(Change::AddLearner { node, disk }), true),
        (None, false),
    ] {
        let configuration = match change {
            Some(change) => voters.after(change).expect("one more"),
            None => voters.clone(),
        };
        let mut lone = Lone::of(
            Settings::default(),
            configuration,
            &[1],
            Some(uncertain_tail),
        );
        assert_eq!(asked(&lone.wait()).is_some(), asks);
    }
}

/// Finding 013: a base that comes as a repair, and whose term is not saved yet,
/// is not refused like a leader's: its number is the asker's own.
#[test]
fn a_repair_is_not_answered() {
    let uncertain_tail = UncertainTail {
        from_index: 2,
        term_before: 3,
        had_upto_address: 0,
    };
    let mut lone = Lone::new(3, &[1], Some(uncertain_tail));
    let install = Message::Install {
        request: asked(&lone.wait()).expect("an uncertain replica asks"),
        base: id(9, 4),
        configuration: Configuration::of_voters((0..3).map(replica)),
    };
    let outputs = lone.hear(1, 7, install);
    let spoke = |output: &Output| matches!(output, Output::Send { .. });
    assert!(!outputs.iter().any(spoke), "{outputs:?}");
}

/// D17: a leader that nobody answers, or whose disk hangs, steps down.
#[test]
fn a_leader_that_cannot_lead_steps_down() {
    for answers in [false, true] {
        let mut lone = Lone::leading(&[1]);
        let stepped_down = Output::SteppedDown {
            term: 6,
            unheard: !answers,
        };
        let settings = Settings::default();
        let bound_ns = match answers {
            true => settings.own_sync_timeout_ns,
            false => 2 * settings.election_timeout_ns,
        };
        let mut outputs = Vec::new();
        while !outputs.contains(&stepped_down) {
            assert!(lone.now_ns <= 2 * settings.election_timeout_ns + bound_ns);
            outputs = lone.wait();
            if answers {
                lone.hear(1, 6, accepted(1, 2));
            }
        }
    }
}

/// Time is up between staging and proposing, and the leadership ends. Both entries
/// stay as an uncommitted tail.
#[test]
fn an_entry_of_a_leadership_that_is_over_is_a_tail() {
    let mut lone = Lone::leading(&[1]);
    let settings = Settings::default();
    lone.now_ns += 10
        * settings
            .election_timeout_ns
            .max(settings.own_sync_timeout_ns);
    let [first, second] = [id(3, 6), id(4, 6)];
    let outputs = lone.step(Input::Timeout);
    assert!(outputs.contains(&Output::SteppedDown {
        term: 6,
        unheard: false,
    }));
    lone.step(Input::Proposed(first.into()));
    let others = Configuration::of_voters((0..2).map(replica));
    let outputs = lone.step(Input::Proposed(EntryHead {
        id: second,
        configuration: Some(others.clone()),
    }));
    assert!(
        !outputs
            .iter()
            .any(|it| matches!(it, Output::Replicate { .. }))
    );
    assert_eq!(lone.raft.role(), Role::Follower);
    assert_eq!(lone.raft.last(), second);
    assert_eq!(
        *lone.raft.configuration(),
        others,
        "as soon as appended (D15)"
    );
    // The next leader does not have them.
    lone.enter(7);
    let outputs = lone.append(7, id(2, 6), &[id(3, 7)], 0);
    assert!(outputs.contains(&Output::Truncate { from_index: 3 }));
    assert_eq!(lone.raft.last(), id(3, 7));
}

/// M01: a replica that is not of the configuration changes nothing, not even
/// the term.
#[test]
fn strangers_are_not_heard() {
    let mut lone = Lone::new(3, &[1, 1, 3], None);
    let last = id(3, 3);
    for message in [
        Message::Vote {
            last,
            transfer: true,
        },
        Message::VoteAnswer { granted: true },
        accepted(1, 3),
        Message::TimeoutNow,
    ] {
        let input = Input::Message {
            from: ReplicaId { node: 1, disk: 99 },
            term: 77,
            message,
        };
        assert!(lone.step(input).is_empty());
        assert_eq!(lone.raft.term(), 5);
    }
}

/// A disk that is older than it was: the leader has an acknowledgement that
/// this log cannot have given.
#[test]
fn a_rolled_back_replica_stops() {
    let mut lone = Lone::new(3, &[1, 1], None);
    lone.append(5, id(2, 1), &[], 0);
    let acknowledged_index = 4;
    let outputs = lone.hear(1, 5, Message::YouForgot { acknowledged_index });
    let rolled_back = Output::RolledBack {
        acknowledged: id(4, 5),
        last: id(2, 1),
    };
    assert_eq!(outputs, [rolled_back]);
    assert!(
        lone.append(5, id(2, 1), &[], 0).is_empty(),
        "not a word more"
    );
}
