//! Features of RocketMQ that are not served here: refused with a code, never
//! served as something else, and told to the operator, once for each kind.
//!
//! | of a message | |
//! |---|---|
//! | compressed, and how (`sysFlag` 0x1, 0x700) | served: it is the consumers' to unpack |
//! | several tags (0x2), unknown bits | kept, and mean nothing to a broker |
//! | half (0x4), commit, rollback (0x8, 0xc) | served; refused: request 37 ends transactions |
//! | IPv6 hosts (0x10, 0x20) | the broker's own to set |
//! | batch within a message (0x40, 0x80; `batch`, 320) | refused |
//! | `WAIT=false` | not heeded: who does not wait is no worse off |
//! | `DELAY` on a half message | dropped, as RocketMQ's clients do |
//! | `TIMER_*` | refused: it would be delivered at once |
//!
//! | of a consumer | |
//! |---|---|
//! | filters that are more than tags | refused, also where only the heartbeat says so |
//! | broadcasting, order | clients' own matter |
//! | an offset beside a pull (`sysFlag` 0x1) | not heeded: it is committed by request 15, too |

use std::collections::{BTreeSet, VecDeque};

use super::server::Broker;
use crate::env::{ConnId, Env, Notice};
use crate::record::{Properties, key};
use crate::remoting::pull::{FLAG_CLASS_FILTER, PullRequest};
use crate::remoting::send::SendRequest;
use crate::remoting::transaction::sys_flag;
use crate::remoting::{ReplyTo, ResponseCode};

/// Bits of a message's system flag that make its body several messages.
const BATCH_BITS: i32 = 0x40 | 0x80;
/// A refusal that a client answers by asking again at once waits so long,
/// milliseconds.
const HELD_MS: u64 = 1_000;
/// Refusals that wait, at most; then the oldest leaves.
const HELD_MAX: usize = 1_024;
/// Kinds that the operator is told of, at most: numbers of requests are the
/// clients' to choose.
const TOLD_MAX: usize = 64;

/// A feature that is asked for and not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Missing {
    /// A subscription that is more than tags.
    Filter,
    /// Delivery at a time, and taking that back.
    Timer,
    /// Several messages in one.
    Batch,
    /// A request by its number.
    Request(i32),
}

impl Missing {
    /// Of a message; `None`: all that it asks for is served.
    pub(super) fn of_send(request: &SendRequest<'_>) -> Option<Self> {
        if request.batch || request.sys_flag & BATCH_BITS != 0 {
            return Some(Self::Batch);
        }
        let names = Properties::new(request.properties).iter();
        let mut names = names.map(|(name, _)| name);
        names
            .any(|name| key::OF_TIMERS.contains(&name))
            .then_some(Self::Timer)
    }

    /// Of a pull, as far as it says so itself.
    pub(super) fn of_pull(request: &PullRequest<'_>) -> Option<Self> {
        let of_tags = matches!(request.expression_type, None | Some("" | "TAG"));
        let is_missing = !of_tags || request.sys_flag & FLAG_CLASS_FILTER != 0;
        is_missing.then_some(Self::Filter)
    }

    fn refusal(self) -> (ResponseCode, String) {
        match self {
            // RocketMQ's words, where it is told to serve tags only.
            Self::Filter => (
                ResponseCode::SYSTEM_ERROR,
                "The broker does not support consumer to filter message by anything but TAG"
                    .to_owned(),
            ),
            Self::Timer => (
                ResponseCode::MESSAGE_ILLEGAL,
                "delivery at a time is not served (TIMER_*); delay levels are".to_owned(),
            ),
            Self::Batch => (
                ResponseCode::MESSAGE_ILLEGAL,
                "several messages in one are not taken".to_owned(),
            ),
            Self::Request(code) => (
                ResponseCode::REQUEST_CODE_NOT_SUPPORTED,
                format!("request code {code} is not served here"),
            ),
        }
    }
}

/// A refusal that waits.
#[derive(Debug)]
struct Held {
    due_ns: u64,
    conn: ConnId,
    reply_to: ReplyTo,
    code: ResponseCode,
    remark: String,
}

/// The requests that were refused, and how much of each has not left.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    told: BTreeSet<Missing>,
    /// In the order in which they are due.
    held: VecDeque<Held>,
}

impl Refusals {
    /// When the first that waits is due.
    pub(super) fn deadline_ns(&self) -> Option<u64> {
        self.held.front().map(|held| held.due_ns)
    }

    /// The stream is gone.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.held.retain(|held| held.conn != conn);
    }

    fn pop(&mut self, now_ns: u64) -> Option<Held> {
        let is_due = |held: &Held| held.due_ns <= now_ns;
        let full = self.held.len() > HELD_MAX;
        match self.held.front() {
            Some(held) if full || is_due(held) => self.held.pop_front(),
            _ => None,
        }
    }
}

impl<E: Env> Broker<E> {
    /// Tells the operator that clients ask for something that is not served.
    pub(super) fn note_missing(&mut self, missing: Missing) {
        let told = &mut self.refusals.told;
        if told.len() < TOLD_MAX && told.insert(missing) {
            let (ResponseCode(code), what) = missing.refusal();
            self.env.report(Notice::NotServed { code, what });
        }
    }

    pub(super) fn refuse_missing(&mut self, conn: ConnId, reply_to: ReplyTo, missing: Missing) {
        self.note_missing(missing);
        let (code, remark) = missing.refusal();
        self.outbox.refuse(conn, reply_to, code, &remark);
    }

    /// As [`Broker::refuse_missing`], of what is asked again at once.
    pub(super) fn refuse_missing_later(
        &mut self,
        conn: ConnId,
        reply_to: ReplyTo,
        missing: Missing,
    ) {
        self.note_missing(missing);
        let (code, remark) = missing.refusal();
        self.refuse_later(conn, reply_to, code, remark);
    }

    /// Refuses what its client would ask again at once, after a while.
    pub(super) fn refuse_later(
        &mut self,
        conn: ConnId,
        reply_to: ReplyTo,
        code: ResponseCode,
        remark: String,
    ) {
        if reply_to.is_oneway {
            return;
        }
        self.refusals.held.push_back(Held {
            due_ns: self.env.now_ns() + HELD_MS * 1_000_000,
            conn,
            reply_to,
            code,
            remark,
        });
        self.release_refusals();
    }

    /// Refuses what has waited long enough.
    pub(super) fn release_refusals(&mut self) {
        let now_ns = self.env.now_ns();
        while let Some(held) = self.refusals.pop(now_ns) {
            self.outbox
                .refuse(held.conn, held.reply_to, held.code, &held.remark);
        }
    }

    /// An id for a message whose producer gave it none (`UNIQ_KEY`).
    pub(super) fn unique_key(&self) -> String {
        let (high, low) = (self.env.random_u64(), self.env.random_u64());
        format!("{high:016X}{low:016X}")
    }
}

/// Whether a message is to wait for its transaction's end.
pub(super) fn is_half(request: &SendRequest<'_>) -> bool {
    let prepared = Properties::new(request.properties).get(key::TRANSACTION_PREPARED);
    request.sys_flag & sys_flag::TRANSACTION == sys_flag::PREPARED
        || prepared.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests {
    use super::{HELD_MAX, Held, Missing, Refusals};
    use crate::env::ConnId;
    use crate::remoting::send::SendRequest;
    use crate::remoting::{ReplyTo, ResponseCode, SerializeType};

    fn send(sys_flag: i32, properties: &str) -> SendRequest<'_> {
        SendRequest {
            producer_group: "pg",
            topic: "orders",
            default_topic: "",
            default_topic_queue_nums: 1,
            queue_id: 0,
            sys_flag,
            born_timestamp: 0,
            flag: 0,
            properties,
            reconsume_times: 0,
            unit_mode: false,
            max_reconsume_times: None,
            batch: false,
        }
    }

    #[test]
    fn a_property_that_changes_a_messages_meaning_is_refused_and_no_other() {
        for sys_flag in [0x40, 0x80, 0xc1] {
            assert_eq!(
                Missing::of_send(&send(sys_flag, "")),
                Some(Missing::Batch),
                "{sys_flag:#x}"
            );
        }
        let batch = SendRequest {
            batch: true,
            ..send(0, "")
        };
        assert_eq!(Missing::of_send(&batch), Some(Missing::Batch));
        for name in [
            "TIMER_DELIVER_MS",
            "TIMER_DELAY_MS",
            "TIMER_DELAY_SEC",
            "TIMER_DEL_UNIQKEY",
        ] {
            let properties = format!("KEYS\u{1}k\u{2}{name}\u{1}5\u{2}");
            let missing = Missing::of_send(&send(0, &properties));
            assert_eq!(missing, Some(Missing::Timer), "{name}");
        }
        for properties in ["", "WAIT\u{1}false\u{2}", "KEYS\u{1}TIMER_DELAY_MS\u{2}"] {
            assert_eq!(Missing::of_send(&send(0x71f, properties)), None);
        }
    }

    #[test]
    fn refusals_wait_and_are_bounded() {
        let mut refusals = Refusals::default();
        for number in 0..=HELD_MAX as u64 {
            refusals.held.push_back(Held {
                due_ns: 100 + number,
                conn: ConnId(number % 2),
                reply_to: ReplyTo {
                    serialize_type: SerializeType::Json,
                    opaque: 0,
                    is_oneway: false,
                },
                code: ResponseCode::SYSTEM_ERROR,
                remark: String::new(),
            });
        }
        assert_eq!(refusals.pop(0).map(|held| held.due_ns), Some(100), "full");
        assert!(refusals.pop(100).is_none());
        assert_eq!(refusals.pop(101).map(|held| held.due_ns), Some(101));
        refusals.forget(ConnId(0));
        assert_eq!(refusals.deadline_ns(), Some(103));
    }
}
