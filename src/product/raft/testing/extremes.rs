//! Numbers that no replica can have, from a peer that says them: refused before
//! anything is added to them; and those just below, which are taken and lead
//! nowhere.

use bytes::Bytes;

use crate::raft::{
    Append, AppendAnswer, Configuration, EntryId, Epoch, HardState, Input, LogView, Message,
    NUMBER_MAX, Output, PeerMessage, Raft, ReplicaId, Role, Settings, Start, TERMS_AHEAD_MAX, Tail,
    WireError,
};

const TERM: u64 = 5;
const LAST: EntryId = EntryId { term: 5, index: 3 };

const fn replica(node: u64) -> ReplicaId {
    let disk = 10 + node;
    ReplicaId { node, disk }
}

/// Every message that a peer can send, each of its numbers `number`, the requests'
/// `request`.
fn messages(number: u64, request: u64) -> Vec<Message> {
    let id = EntryId {
        term: number,
        index: number,
    };
    let granted = true;
    let answer = |accepted| AppendAnswer {
        request,
        accepted,
        matched_index: number,
        last_index: number,
        hint: id,
        is_uncertain: false,
    };
    vec![
        Message::PreVote {
            next_term: number,
            last: id,
        },
        Message::PreVoteAnswer {
            next_term: number,
            granted,
        },
        Message::Vote {
            last: id,
            transfer: true,
        },
        Message::Append(Append {
            request,
            prev: id,
            commit_index: number,
            heads: Vec::new(),
        }),
        Message::Append(Append {
            request,
            prev: LAST,
            commit_index: number,
            heads: Vec::new(),
        }),
        Message::AppendAnswer(answer(true)),
        Message::AppendAnswer(answer(false)),
        Message::Install {
            request,
            base: id,
            configuration: Configuration::of_voters([replica(1)]),
        },
        Message::Ask {
            request,
            previous: id,
            hash: request,
        },
        Message::Tail(Tail {
            request,
            previous: id,
            chained: true,
            last: id,
            base_index: number,
            uncertain_from: Some(number),
            silent_from: Some(number),
            heads: Vec::new(),
        }),
        Message::YouForgot {
            acknowledged_index: number,
        },
        Message::Fetch {
            from: id,
            upto_index: number,
        },
        Message::Fetched {
            from: id,
            committed: id,
        },
        Message::Expired { base: id },
        Message::WantBase {
            base: id,
            digest: request,
            offset: number,
        },
        Message::BasePiece { base: id },
    ]
}

fn packet(term: u64, message: Message) -> Bytes {
    let packet = PeerMessage {
        cluster_id: 1,
        from: replica(1),
        to: replica(0),
        epoch: Epoch::default(),
        term,
        message,
        frames: Bytes::new(),
    };
    packet.encode()
}

/// Node 0 of three in term 5, whose log has three entries.
fn follower() -> Raft {
    let configuration = Configuration::of_voters((0..3).map(replica));
    let mut log = LogView::new(EntryId::ZERO, Vec::new(), 0);
    (1..=LAST.index).for_each(|index| log.push(EntryId { term: TERM, index }));
    let hard = HardState {
        term: TERM,
        ..HardState::default()
    };
    Raft::new(Start {
        me: replica(0),
        settings: Settings::default(),
        hard,
        durable_index: LAST.index,
        log,
        configurations: vec![(0, configuration)],
        commit_index: LAST.index,
        holes: Vec::new(),
        peers: (0..3).collect(),
        now_ns: 0,
        entropy: 1,
    })
}

/// A blank disk of node 0.
fn blank() -> Raft {
    Raft::new(Start {
        me: replica(0),
        settings: Settings::default(),
        hard: HardState::default(),
        durable_index: 0,
        log: LogView::new(EntryId::ZERO, Vec::new(), 0),
        configurations: Vec::new(),
        commit_index: 0,
        holes: Vec::new(),
        peers: (0..3).collect(),
        now_ns: 0,
        entropy: 1,
    })
}

/// The outputs of an input, with a disk that is done at once.
fn settle(raft: &mut Raft, now_ns: u64) -> Vec<Output> {
    let mut outputs = Vec::new();
    while let Some(output) = raft.next_output() {
        match &output {
            Output::SaveHardState(hard) => raft.step(now_ns, Input::HardStateSaved(*hard)),
            Output::AppendNoOp { term } => {
                let (term, index) = (*term, raft.last().index + 1);
                let id = EntryId { term, index };
                raft.step(now_ns, Input::Proposed(id.into()));
                raft.step(now_ns, Input::Durable(id));
            }
            _ => {}
        }
        outputs.push(output);
    }
    outputs
}

fn hear(raft: &mut Raft, now_ns: u64, from: ReplicaId, term: u64, message: Message) {
    let input = Input::Message {
        from,
        term,
        message,
    };
    raft.step(now_ns, input);
    settle(raft, now_ns);
}

/// The leader of term 6, and its clock.
fn leader() -> (Raft, u64) {
    let mut raft = follower();
    settle(&mut raft, 0);
    let now_ns = raft.deadline_ns();
    raft.step(now_ns, Input::Timeout);
    settle(&mut raft, now_ns);
    let (next_term, granted) = (TERM + 1, true);
    let pre_vote = Message::PreVoteAnswer { next_term, granted };
    hear(&mut raft, now_ns, replica(1), TERM, pre_vote);
    let vote = Message::VoteAnswer { granted };
    hear(&mut raft, now_ns, replica(1), TERM + 1, vote);
    assert_eq!(raft.role(), Role::Leader);
    (raft, now_ns)
}

#[test]
fn a_number_above_the_greatest_is_refused_in_every_field() {
    for number in [NUMBER_MAX + 1, 1 << 63, u64::MAX - 1, u64::MAX] {
        for message in messages(number, 1) {
            let told = format!("{message:?}");
            let decoded = PeerMessage::decode(packet(TERM, message));
            assert_eq!(decoded, Err(WireError::Beyond), "{told}");
        }
        let decoded = PeerMessage::decode(packet(number, Message::TimeoutNow));
        assert_eq!(decoded, Err(WireError::Beyond));
    }
    for message in messages(NUMBER_MAX, u64::MAX) {
        assert!(PeerMessage::decode(packet(NUMBER_MAX, message)).is_ok());
    }
}

/// The lie has no effect, whatever sends it, and in whatever role it is heard:
/// nothing is committed that is not there, and the replica lives.
#[test]
fn the_greatest_numbers_commit_nothing_and_end_nobody() {
    for from in [replica(1), replica(7)] {
        for request in [0, 1, 2, u64::MAX] {
            for message in messages(NUMBER_MAX, request) {
                let mut raft = follower();
                settle(&mut raft, 0);
                hear(&mut raft, 0, from, TERM, message.clone());
                assert!(raft.commit_index() <= LAST.index, "{message:?}");
                let (mut raft, now_ns) = leader();
                let last_index = raft.last().index;
                hear(&mut raft, now_ns, from, TERM + 1, message.clone());
                assert!(raft.commit_index() <= last_index, "{message:?}");
                let later_ns = raft.deadline_ns().min(now_ns + 10_000_000_000);
                raft.step(later_ns, Input::Timeout);
                settle(&mut raft, later_ns);
            }
        }
    }
}

fn heartbeat() -> Message {
    Message::Append(Append {
        request: 1,
        prev: EntryId::ZERO,
        commit_index: 0,
        heads: Vec::new(),
    })
}

/// One message of a stranger cannot use up the terms. Members are followed wherever
/// they are: a stranger may have raised their terms and not this replica's.
#[test]
fn a_stranger_raises_the_term_a_step_at_a_time() {
    let heard = |from, term| {
        let mut raft = follower();
        settle(&mut raft, 0);
        hear(&mut raft, 0, from, term, heartbeat());
        raft.term()
    };
    let furthest = TERM + TERMS_AHEAD_MAX;
    let stranger = replica(7);
    assert_eq!(heard(stranger, furthest), furthest);
    assert_eq!(heard(stranger, furthest + 1), furthest);
    assert_eq!(heard(stranger, NUMBER_MAX), furthest);
    for term in [furthest + 1, NUMBER_MAX] {
        assert_eq!(heard(replica(1), term), term, "a member");
    }
    let mut led = follower();
    settle(&mut led, 0);
    for (from, term) in [(replica(1), TERM), (stranger, furthest + 1)] {
        hear(&mut led, 0, from, term, heartbeat());
    }
    assert_eq!(led.term(), TERM, "a replica that has a leader");
}

/// Else one message from anybody would leave a blank disk in a term that no leader
/// ever reaches.
#[test]
fn a_blank_disk_takes_no_term_but_with_a_base() {
    let heard = |message: Message| {
        let mut raft = blank();
        settle(&mut raft, 0);
        hear(&mut raft, 0, replica(1), NUMBER_MAX, message);
        raft.term()
    };
    for message in messages(NUMBER_MAX, 1) {
        let brings = matches!(message, Message::Install { .. });
        let term = if brings { NUMBER_MAX } else { 0 };
        assert_eq!(heard(message.clone()), term, "{message:?}");
    }
    assert_eq!(heard(Message::Challenge { challenge: 7 }), 0);
}

/// Else a blank disk could never join where a stranger once raised the term.
#[test]
fn a_blank_disk_answers_a_challenge_of_any_term() {
    for term in [0, TERM, TERMS_AHEAD_MAX + 1, NUMBER_MAX] {
        let mut raft = blank();
        settle(&mut raft, 0);
        let input = Input::Message {
            from: replica(1),
            term,
            message: Message::Challenge { challenge: 7 },
        };
        raft.step(0, input);
        let said = settle(&mut raft, 0);
        let joins = |output: &Output| {
            let Output::Send { message, .. } = output else {
                return false;
            };
            matches!(message, Message::Join { challenge: 7 })
        };
        assert!(said.iter().any(joins), "term {term}: {said:?}");
    }
}
