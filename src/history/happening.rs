//! Happenings that are worth seeing at least once: a run, or a set of runs, in which
//! none of it happened has tested little.

use std::fmt;

/// Something that a scenario may be there for, and that no fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Happening {
    /// A question was answered "rolled back" while the payment was under way.
    PaymentBarred,
    /// Another instance than the one that began an order answered for it.
    AnsweredByAnother,
    /// A half message stands in the discard topic: nobody decided it in time.
    HalfDiscarded,
    /// A discarded half message's order is paid.
    PaidDiscarded,
    /// An order service answered what had become of a half message.
    CheckAnswered,
    /// An order service never heard what became of its commit or rollback.
    EndUnanswered,
    /// A member could not process a message, and it was taken back.
    SentBack,
    /// A message came again out of its group's retry topic.
    Redelivered,
    /// A message was given up, and stands among the dead letters.
    DeadLetter,
    /// A member gave up a queue, for another one to take.
    QueueGivenUp,
    /// A member processed a message of a queue that it had locked.
    LockedQueueTaken,
    /// Something was put off: an operation was refused, and nothing is lost.
    TriedAgain,
    /// A broker refused sends because its disk was full, and took offsets or decisions.
    WentOnWhileFull,
    /// A store was opened with the reserve's room, for there was no other.
    ReserveUsed,
    /// A message was sent one-way: nobody waits for an answer.
    SentOneWay,
    /// An end of a transaction named its half message by its place alone.
    EndedByPlace,
    /// A member of a group had the client id of another one.
    SharedId,
    /// A heartbeat was written as the C++ client or the Go client writes it.
    ForeignHeartbeat,
    /// A member began where its policy says: the group had nothing recorded.
    BegunByPolicy,
    /// A member took a queue over of which its group had committed nothing.
    TakenOverUncommitted,
    /// A log was cut where its end did not verify.
    TornTailCut,
    /// A broker was started again with other settings.
    SettingsChanged,
    /// Entries that nothing proved durable were copied to fresh sectors (D24).
    TailCopied,
    /// A log was opened that a clean stop had closed.
    StoppedCleanly,
    /// A broker gave its store up after a failure, and opened it again.
    StoreReopened,
    /// Entries that had rotted were repaired from another replica (D12).
    DamageRepaired,
    /// A file in which a replica keeps its own word had rotted, and was written again
    /// while it still knew what to write (D28).
    OwnFileRewritten,
    /// A segment's header had rotted, and was made anew while the replica ran (D28).
    HeaderRemade,
    /// A replica asked what others hold behind the end that it cannot read (D12).
    UncertainTailAsked,
    /// A replica that cannot read all it has said what it can know of the end of
    /// another's log (D12).
    HoleAnswered,
    /// A replica learnt that nothing in its log is uncertain any more (D12).
    UncertainTailResolved,
    /// A blank disk that was formatted as a first one found a cluster (D13).
    StoodBack,
    /// A disk that has promised nothing asked to be let in (D14).
    BlankAnnounced,
    /// A replica began anew behind a base that it was given (D8).
    BaseInstalled,
    /// A base that no message could carry whole was given piece by piece (D8).
    BaseInPieces,
    /// A replica stored a base that stands for what has expired in its own log (D8).
    LogExpired,
    /// A replica asked for what it lost to a bad sector, and that had expired (D12).
    HoleExpired,
    /// A replica was given a vote, having caught up (D14, D15).
    Promoted,
    /// A vote, or the promise of one, was refused.
    VoteRefused,
    /// A replica refused a vote, or the promise of one, while it could not say what its
    /// disk had lost (D12).
    VoteRefusedUncertain,
    /// A survivor became the only member of its cluster, by its operator's word (D16).
    Recovered,
    /// A disk of before a recovery stopped, for the cluster goes on without it (D16).
    OldDiskRefused,
    /// Such a disk was started again, and stopped again.
    OldDiskRefusedAgain,
    /// Somebody led after somebody else.
    LeaderChanged,
    /// A leader gave up by itself.
    LeaderSteppedDown,
    /// A leader asked another replica to stand for election.
    LeadershipHandedOver,
    /// A follower refused an append: it had not what comes before.
    LogsParted,
    /// A process stopped between two parts of one step, and went on with the second.
    PausedInAStep,
    /// A leader that had stopped so found that it leads no more, in that very step.
    LeadershipLostInAStep,
    /// A replica cut entries off the end of its log: another leader has others
    /// (D6).
    SuffixCut,
    /// Something garbled came to a replica, that looked like a peer's message.
    PeerGarbled,
    /// A client that keeps to no rule was refused something.
    StrangerRefused,
    /// A stream of a client that keeps to no rule was closed by a broker.
    StrangerClosed,
}

impl Happening {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 53] = [
        Self::PaymentBarred,
        Self::AnsweredByAnother,
        Self::HalfDiscarded,
        Self::PaidDiscarded,
        Self::CheckAnswered,
        Self::EndUnanswered,
        Self::SentBack,
        Self::Redelivered,
        Self::DeadLetter,
        Self::QueueGivenUp,
        Self::LockedQueueTaken,
        Self::TriedAgain,
        Self::WentOnWhileFull,
        Self::ReserveUsed,
        Self::SentOneWay,
        Self::EndedByPlace,
        Self::SharedId,
        Self::ForeignHeartbeat,
        Self::BegunByPolicy,
        Self::TakenOverUncommitted,
        Self::TornTailCut,
        Self::SettingsChanged,
        Self::TailCopied,
        Self::StoppedCleanly,
        Self::StoreReopened,
        Self::DamageRepaired,
        Self::OwnFileRewritten,
        Self::HeaderRemade,
        Self::UncertainTailAsked,
        Self::HoleAnswered,
        Self::UncertainTailResolved,
        Self::StoodBack,
        Self::BlankAnnounced,
        Self::BaseInstalled,
        Self::BaseInPieces,
        Self::LogExpired,
        Self::HoleExpired,
        Self::Promoted,
        Self::VoteRefused,
        Self::VoteRefusedUncertain,
        Self::Recovered,
        Self::OldDiskRefused,
        Self::OldDiskRefusedAgain,
        Self::LeaderChanged,
        Self::LeaderSteppedDown,
        Self::LeadershipHandedOver,
        Self::LogsParted,
        Self::PausedInAStep,
        Self::LeadershipLostInAStep,
        Self::SuffixCut,
        Self::PeerGarbled,
        Self::StrangerRefused,
        Self::StrangerClosed,
    ];

    /// The name in scenario files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::PaymentBarred => "payment-barred",
            Self::AnsweredByAnother => "answered-by-another",
            Self::HalfDiscarded => "half-discarded",
            Self::PaidDiscarded => "paid-discarded",
            Self::CheckAnswered => "check-answered",
            Self::EndUnanswered => "end-unanswered",
            Self::SentBack => "sent-back",
            Self::Redelivered => "redelivered",
            Self::DeadLetter => "dead-letter",
            Self::QueueGivenUp => "queue-given-up",
            Self::LockedQueueTaken => "locked-queue-taken",
            Self::TriedAgain => "tried-again",
            Self::WentOnWhileFull => "went-on-while-full",
            Self::ReserveUsed => "reserve-used",
            Self::SentOneWay => "sent-one-way",
            Self::EndedByPlace => "ended-by-place",
            Self::SharedId => "shared-id",
            Self::ForeignHeartbeat => "foreign-heartbeat",
            Self::BegunByPolicy => "begun-by-policy",
            Self::TakenOverUncommitted => "taken-over-uncommitted",
            Self::TornTailCut => "torn-tail-cut",
            Self::SettingsChanged => "settings-changed",
            Self::TailCopied => "tail-copied",
            Self::StoppedCleanly => "stopped-cleanly",
            Self::StoreReopened => "store-reopened",
            Self::DamageRepaired => "damage-repaired",
            Self::OwnFileRewritten => "own-file-rewritten",
            Self::HeaderRemade => "header-remade",
            Self::UncertainTailAsked => "uncertain-tail-asked",
            Self::HoleAnswered => "hole-answered",
            Self::UncertainTailResolved => "uncertain-tail-resolved",
            Self::StoodBack => "stood-back",
            Self::BlankAnnounced => "blank-announced",
            Self::BaseInstalled => "base-given",
            Self::BaseInPieces => "base-in-pieces",
            Self::LogExpired => "log-expired",
            Self::HoleExpired => "hole-expired",
            Self::Promoted => "promoted",
            Self::VoteRefused => "vote-refused",
            Self::VoteRefusedUncertain => "vote-refused-uncertain",
            Self::Recovered => "recovered",
            Self::OldDiskRefused => "old-disk-refused",
            Self::OldDiskRefusedAgain => "old-disk-refused-again",
            Self::LeaderChanged => "leader-changed",
            Self::LeaderSteppedDown => "leader-stepped-down",
            Self::LeadershipHandedOver => "leadership-handed-over",
            Self::LogsParted => "logs-parted",
            Self::PausedInAStep => "paused-in-a-step",
            Self::LeadershipLostInAStep => "leadership-lost-in-a-step",
            Self::SuffixCut => "suffix-cut",
            Self::PeerGarbled => "peer-garbled",
            Self::StrangerRefused => "stranger-refused",
            Self::StrangerClosed => "stranger-closed",
        }
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
