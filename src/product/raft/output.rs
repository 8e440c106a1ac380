//! The work for the driver, in the order in which it is handed out.

use super::{
    Append, Change, Configuration, Divergence, EntryId, HardState, Message, ReplicaId, Tail,
};

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Make this durable, then step [`super::Input::HardStateSaved`]. One at a
    /// time. If that fails: [`super::Input::LogFailed`].
    SaveHardState(HardState),
    /// May leave at once.
    Send {
        /// Its disk is [`super::ANY_DISK`] where only the node is known.
        to: ReplicaId,
        /// The sender's term.
        term: u64,
        /// The message to send.
        message: Message,
    },
    /// May leave at once, with the frames of the entries behind `append.prev`
    /// up to `upto_index`, or of fewer.
    Replicate {
        /// A follower.
        to: ReplicaId,
        /// The sender's term.
        term: u64,
        /// `heads` is empty.
        append: Append,
        /// The last entry to send; `append.prev.index` for a heartbeat.
        upto_index: u64,
    },
    /// May leave at once, with the frames of the entries behind
    /// `tail.previous` up to `upto_index`, or of fewer.
    SendTail {
        /// The replica with the uncertain tail.
        to: ReplicaId,
        /// The sender's term.
        term: u64,
        /// `heads` is empty.
        tail: Tail,
        /// The last entry to send; `tail.previous.index` for none.
        upto_index: u64,
    },
    /// `to` needs what is below the log, or is blank: send it the base, as a
    /// [`Message::Install`] with this term and request.
    SendBase {
        /// A follower.
        to: ReplicaId,
        /// The sender's term.
        term: u64,
        /// To be answered.
        request: u64,
    },
    /// Cut the log before this entry, durably, before anything behind this in
    /// the queue (D6).
    Truncate {
        /// The first entry to go.
        from_index: u64,
    },
    /// Append these entries of the [`Message::Append`] or [`Message::Tail`]
    /// that was just stepped.
    Store {
        /// The first of them.
        from_index: u64,
        /// The last of them.
        upto_index: u64,
    },
    /// Store the base that came with the [`Message::Install`] that was just
    /// stepped: the log begins anew behind it, and so does the core, which says
    /// nothing any more.
    InstallBase {
        /// The last entry below the log to be.
        base: EntryId,
    },
    /// Leader: stage a no-op, then step [`super::Input::Proposed`].
    AppendNoOp {
        /// The current term.
        term: u64,
    },
    /// Leader: stage a configuration, then step [`super::Input::Proposed`].
    AppendConfiguration {
        /// The current term.
        term: u64,
        /// The entry's record.
        configuration: Configuration,
    },
    /// Everything up to here is committed. Rises.
    Committed {
        /// The commit index.
        index: u64,
    },
    /// This replica leads.
    BecameLeader {
        /// Since this term.
        term: u64,
    },
    /// This replica does not lead any more: waiting clients are answered "unknown" (D25).
    SteppedDown {
        /// The term in which it led.
        term: u64,
        /// No majority was heard for an election timeout (check-quorum, D17).
        unheard: bool,
    },
    /// The read may be served once `index` is applied.
    ReadReady {
        /// The read.
        id: u64,
        /// The read index.
        index: u64,
    },
    /// The read cannot be served here.
    ReadFailed {
        /// The read.
        id: u64,
    },
    /// The change cannot be made, or not now.
    ChangeRefused(Change),
    /// The committed configuration is what the change asks for: it was made before.
    AlreadyChanged(Change),
    /// Nothing is uncertain any more (D12).
    TailCertain,
    /// So many disks are gone that no quorum is left (D16). Said once for every
    /// change of the set.
    Halted {
        /// The nodes whose disks are blank.
        blank_nodes: Vec<u64>,
        /// Where the configuration stands by which that is no majority; 0: this
        /// replica is blank itself, and knows none.
        configuration_index: u64,
    },
    /// A leader contradicts what is committed here. This replica must stop: who
    /// is right, only the operator can say.
    Diverged(Divergence),
    /// The same where promises are not durable: what was committed here rested
    /// on caches, and goes when the log is opened again.
    Overruled(Divergence),
    /// This replica holds less than it acknowledged. It must stop, and the
    /// operator replaces its disk.
    RolledBack {
        /// It acknowledged, or its hard state vouches for, as much.
        acknowledged: EntryId,
        /// It has no more than this.
        last: EntryId,
    },
}
