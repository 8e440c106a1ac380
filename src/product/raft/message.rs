//! The messages between replicas. Every message travels with its sender's term.

use super::{Configuration, EntryHead, EntryId};

/// From replica to replica. Messages may be late, lost, repeated or overtaken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Would you vote for me in `next_term`? Changes no state (D17; thesis, §9.6).
    PreVote {
        /// The term that the sender would stand in.
        next_term: u64,
        /// Its last entry.
        last: EntryId,
    },
    /// The answer to a pre-vote.
    PreVoteAnswer {
        /// The term that was asked about.
        next_term: u64,
        /// Whether a vote would be granted.
        granted: bool,
    },
    /// A vote is asked for in the sender's term.
    Vote {
        /// The candidate's last entry.
        last: EntryId,
        /// The leader itself asked for this election, so having heard of it
        /// lately is no reason to refuse (thesis, §4.2.3).
        transfer: bool,
    },
    /// The answer to a vote.
    VoteAnswer {
        /// Whether the sender voted for the receiver.
        granted: bool,
    },
    /// Entries from the leader, or none: a heartbeat.
    Append(Append),
    /// The answer to an append or to an install.
    AppendAnswer(AppendAnswer),
    /// Stand for election at once: leadership is being handed over.
    TimeoutNow,
    /// A blank replica announces itself (D14).
    Join {
        /// The latest challenge it got; 0 before the first. A late or repeated
        /// `Join` of a disk that was replaced since carries an old one.
        challenge: u64,
    },
    /// The leader's answer to a join.
    Challenge {
        /// To be carried by the next `Join`.
        challenge: u64,
    },
    /// The log begins here; what is below is committed and gone. The base's
    /// first piece travels behind the message.
    Install {
        /// To be answered.
        request: u64,
        /// The last entry below the sender's log.
        base: EntryId,
        /// The configuration at the base.
        configuration: Configuration,
    },
    /// A replica with an uncertain tail asks what others hold behind `previous` (D12).
    Ask {
        /// To be answered.
        request: u64,
        /// The asker's last entry.
        previous: EntryId,
        /// Its hash, for a replica that cannot read that entry and knows its hash from
        /// the one behind. 0: not said. The driver's to fill in.
        hash: u64,
    },
    /// The answer to an ask; frames of entries travel behind it.
    Tail(Tail),
    /// The leader has seen an acknowledgement that the receiver cannot have
    /// given with the log that it has now.
    YouForgot {
        /// The receiver acknowledged up to here.
        acknowledged_index: u64,
    },
    /// A wish for entries, to repair a hole. Not the core's: for drivers.
    Fetch {
        /// The first entry wanted.
        from: EntryId,
        /// The last index wanted.
        upto_index: u64,
    },
    /// Frames for a repair. Not the core's: for drivers.
    Fetched {
        /// The first entry that travels behind the message.
        from: EntryId,
        /// The last entry that the sender knows to be committed; `ZERO` where it
        /// does not know its term.
        committed: EntryId,
    },
    /// The wanted entries have expired; the first piece of the sender's base travels
    /// behind the message. Not the core's: for drivers.
    Expired {
        /// The last entry below the sender's log.
        base: EntryId,
    },
    /// The receiver's base is wanted from this byte on. Not the core's: for drivers.
    WantBase {
        /// The last entry that the base stands for.
        base: EntryId,
        /// Of its bytes.
        digest: u64,
        /// So many have come.
        offset: u64,
    },
    /// A piece of the sender's base travels behind the message. Not the core's: for
    /// drivers.
    BasePiece {
        /// The last entry that the base stands for.
        base: EntryId,
    },
}

/// Entries behind `prev`.
///
/// 1. `heads` are contiguous, begin at `prev.index + 1`, and their terms ascend
///    from `prev.term` and do not exceed the message's.
/// 2. On the wire `heads` is empty: the receiver's driver fills it in from the
///    frames behind the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Comes back in the answer; rises with every append of a leadership.
    pub request: u64,
    /// The entry before the first of `heads`.
    pub prev: EntryId,
    /// The leader's commit index.
    pub commit_index: u64,
    /// The entries.
    pub heads: Vec<EntryHead>,
}

/// In place of a request's number: what is answered was asked in an earlier
/// term, and the numbers begin anew with each leadership.
pub const UNASKED: u64 = 0;

/// The answer of a follower to an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendAnswer {
    /// The append's, or [`UNASKED`].
    pub request: u64,
    /// The follower's log has the append's `prev`.
    pub accepted: bool,
    /// min(durable, matched in this term): never more than was compared with
    /// this leader's log, and never more than would survive (D2).
    pub matched_index: u64,
    /// The follower's last entry.
    pub last_index: u64,
    /// Where not accepted: the last entry of the follower that can match, to
    /// begin behind.
    pub hint: EntryId,
    /// The sender lost entries and knows it (D12).
    pub is_uncertain: bool,
}

/// The entries of a replica behind the asker's last one.
///
/// On the wire `heads` is empty, as in an [`Append`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The ask's.
    pub request: u64,
    /// The ask's: the tail begins behind it.
    pub previous: EntryId,
    /// The sender's log has `previous`. If not, it has nothing that could have
    /// stood behind it.
    pub chained: bool,
    /// The sender's last entry: what lies beyond it is denied, what lies
    /// between `heads` and it is merely not said.
    pub last: EntryId,
    /// The sender's log begins behind this index: what is below is committed,
    /// not denied.
    pub base_index: u64,
    /// The first index that the sender itself may have had and lost, or has and
    /// cannot read.
    pub uncertain_from: Option<u64>,
    /// The first index of which the sender cannot say whether what it has there
    /// follows `previous`.
    pub silent_from: Option<u64>,
    /// The entries behind `previous`, as far as sent.
    pub heads: Vec<EntryHead>,
}
