//! A client that is told that a transaction is decided is told what is held.

use bytes::BytesMut;

use super::super::testing::{REPLY, message};
use super::super::{DiscardLimits, Medium, Tap};
use super::{Bench, flush};
use crate::broker::OP_TOPIC;
use crate::env::ConnId;
use crate::log::{CommitLog, Staged};
use crate::record::{EntryKind, Message};
use crate::remoting::transaction::{EndTransaction, sys_flag};
use crate::remoting::{NO_BODY, ResponseCode, SerializeType, encode_request, encode_response};
use crate::sim::disk_io::SimDisk;
use crate::sim::world::Inner;

const HALF_ADDRESS: u64 = 7_000;
const SHOULD_COMMIT: ResponseCode = ResponseCode::TRANSACTION_SHOULD_COMMIT;
const SHOULD_ROLLBACK: ResponseCode = ResponseCode::TRANSACTION_SHOULD_ROLLBACK;

/// A client asks for an end and the broker answers; gives what is found so far.
fn ends(bench: &Bench, commit: bool, code: ResponseCode) -> usize {
    let asked = EndTransaction {
        producer_group: "pay",
        tran_state_table_offset: 0,
        commit_log_offset: HALF_ADDRESS as i64,
        commit_or_rollback: match commit {
            true => sys_flag::COMMIT,
            false => sys_flag::ROLLBACK,
        },
        from_transaction_check: false,
        msg_id: "",
        transaction_id: "",
    };
    let (mut frame, how) = (BytesMut::new(), SerializeType::Binary);
    encode_request(&mut frame, how, REPLY.opaque, &asked, NO_BODY);
    {
        let mut inner = bench.world.lock();
        let Inner {
            core, tap, disks, ..
        } = &mut *inner;
        tap.stream_write(core, disks, 1, ConnId(0), &frame.freeze());
    }
    let mut frame = BytesMut::new();
    encode_response(&mut frame, REPLY, code, "", &(), NO_BODY);
    bench.answers(frame);
    bench.findings()
}

fn decide(log: &mut CommitLog<SimDisk>, commit: bool) -> Staged {
    let staged = log.stage(EntryKind::Message, 0, |at, out| {
        let decision = Message {
            prepared_transaction_offset: HALF_ADDRESS,
            sys_flag: match commit {
                true => sys_flag::COMMIT as u32,
                false => sys_flag::ROLLBACK as u32,
            },
            topic: if commit { "orders" } else { OP_TOPIC },
            ..message(at, b"")
        };
        decision.encode(out)
    });
    staged.expect("it fits")
}

fn bench(medium: Medium) -> Bench {
    let bench = Bench::new(medium);
    {
        let tap = &mut bench.world.lock().tap;
        let limits = DiscardLimits {
            checks: 1,
            age_ns: 1,
        };
        *tap = std::mem::replace(tap, Tap::none()).that_follows_transactions(limits, false);
    }
    bench
}

#[test]
fn an_end_is_answered_early_until_its_decision_is_held() {
    for (medium, when_written) in [(Medium::Durable, 1), (Medium::Cached, 0)] {
        for (commit, code) in [(true, ResponseCode::SUCCESS), (false, SHOULD_COMMIT)] {
            let bench = bench(medium);
            let mut log = bench.open(1);
            assert_eq!(ends(&bench, commit, code), 1, "{medium:?}: nothing there");
            decide(&mut log, true);
            bench.wait(log.write()).expect("writes");
            let all = 1 + when_written;
            assert_eq!(ends(&bench, commit, code), all, "{medium:?}: cached");
            flush(&bench, &mut log);
            assert_eq!(ends(&bench, commit, code), all, "{medium:?}: durable");
        }
    }
}

#[test]
fn an_answer_that_states_another_decision_is_found() {
    let bench = bench(Medium::Durable);
    let mut log = bench.open(1);
    decide(&mut log, false);
    flush(&bench, &mut log);
    assert_eq!(ends(&bench, false, ResponseCode::SUCCESS), 0);
    assert_eq!(ends(&bench, true, SHOULD_ROLLBACK), 0);
    assert_eq!(ends(&bench, true, ResponseCode::SUCCESS), 1);
    assert_eq!(ends(&bench, false, SHOULD_COMMIT), 2);
    // It says nothing of a decision.
    assert_eq!(
        ends(&bench, true, ResponseCode::TRANSACTION_STATE_UNKNOWN),
        2
    );
}
