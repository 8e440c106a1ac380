//! One replica with a hole in its log: it answers for what it can know (D12).

use super::lone::{Lone, id, replica};
use crate::raft::{
    Configuration, EntryId, Input, Message, Output, Settings, Tail, UncertainTail, Unreadable,
};

/// The replica of three with entries of terms 1 1 3 3 3 3, of which 3 and 4 cannot be
/// read; and one with an uncertain tail beside that.
fn holed(uncertain_tail: Option<UncertainTail>) -> Lone {
    let hole = Unreadable {
        from_index: 3,
        upto_index: 5,
        hash: 44,
    };
    let configuration = Configuration::of_voters((0..3).map(replica));
    let settings = Settings::default();
    Lone::holed(
        settings,
        configuration,
        &[1, 1, 3, 3, 3, 3],
        uncertain_tail,
        vec![hole],
    )
}

/// The answer to an ask of term 9; the entries sent behind it.
fn tail_behind(lone: &mut Lone, previous: EntryId, hash: u64) -> (Tail, u64) {
    let ask = Message::Ask {
        request: 7,
        previous,
        hash,
    };
    let mut outputs = lone.hear(1, 9, ask);
    assert_eq!(lone.raft.term(), 9, "the asker's term is adopted");
    outputs.retain(|output| !matches!(output, Output::SaveHardState(_)));
    match &outputs[..] {
        [
            Output::SendTail {
                term: 9,
                tail,
                upto_index,
                ..
            },
        ] => (tail.clone(), *upto_index),
        other => panic!("{other:?}"),
    }
}

/// D12: below, in and behind a hole, a replica says what it can know.
#[test]
fn a_hole_is_answered_for_durably_and_truly() {
    let mut lone = holed(None);
    // Below: copies up to the hole, or a denial.
    let (tail, upto_index) = tail_behind(&mut lone, id(1, 1), 0);
    assert!(tail.chained && tail.uncertain_from.is_none() && tail.silent_from.is_none());
    assert_eq!(upto_index, 2);
    let (tail, _) = tail_behind(&mut lone, id(2, 2), 0);
    assert!(
        !tail.chained && tail.uncertain_from.is_none(),
        "another one is there"
    );
    // In it: it had something there, and cannot read it.
    for previous in [id(2, 1), id(3, 3), id(3, 1)] {
        let (tail, upto_index) = tail_behind(&mut lone, previous, 0);
        assert_eq!(tail.uncertain_from, Some(previous.index + 1));
        assert_eq!(upto_index, previous.index, "nothing is sent");
    }
    // Right behind it: its end is known by its hash alone.
    for (hash, chained, silent_from, sent) in [
        (44, true, None, 6),
        (43, false, None, 4),
        (0, false, Some(5), 4),
    ] {
        let (tail, upto_index) = tail_behind(&mut lone, id(4, 3), hash);
        assert_eq!((tail.chained, tail.silent_from), (chained, silent_from));
        assert_eq!((tail.uncertain_from, upto_index), (None, sent));
    }
    // Further behind.
    let (tail, upto_index) = tail_behind(&mut lone, id(5, 3), 0);
    assert!(tail.chained);
    assert_eq!(upto_index, 6);
    let uncertain_tail = UncertainTail {
        from_index: 7,
        term_before: 4,
        had_upto_address: 0,
    };
    let (tail, _) = tail_behind(&mut holed(Some(uncertain_tail)), id(6, 3), 0);
    assert_eq!(tail.uncertain_from, Some(7), "and its own end is uncertain");
}

/// D12: nothing else is said, taken or wished for.
#[test]
fn a_holed_replica_does_nothing_but_answer() {
    let mut lone = holed(None);
    assert_eq!(lone.raft.deadline_ns(), u64::MAX);
    assert!(lone.step(Input::Timeout).is_empty());
    assert!(lone.append(9, id(6, 3), &[id(7, 9)], 0).is_empty());
    let last = id(9, 9);
    for message in [
        Message::Vote {
            last,
            transfer: true,
        },
        Message::PreVote { next_term: 9, last },
        Message::TimeoutNow,
    ] {
        assert!(lone.hear(1, 9, message).is_empty());
    }
    assert_eq!(lone.raft.term(), 5);
}
