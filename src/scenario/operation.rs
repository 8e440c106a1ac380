//! `[[operator]]`: the operations that the operator begins by itself, faults or not.
//!
//! Formatting, salvaging and replacing a disk need no rule: the operator does
//! them where a fault calls for it.

use super::Between;

/// One `[[operator]]` of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRule {
    /// The kind of operation.
    pub kind: OperationKind,
    /// To whom.
    pub subject: Subject,
    /// When, milliseconds since the start of the run.
    pub at_ms: Between,
    /// As in a [`super::FaultRule`].
    pub every_ms: Option<Between>,
    /// How many such operations are planned; with `every_ms`, at most.
    pub count: u32,
    /// Of a recovery: an old disk comes back once those before it were replaced, so
    /// that there is never a majority of them.
    pub one_by_one: bool,
}

/// The operations on a cluster that is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    /// A spare takes the place of a member.
    ReplaceNode,
    /// A spare becomes a member.
    AddNode,
    /// A member is one no more.
    RemoveNode,
    /// Another member leads.
    TransferLeadership,
    /// One member goes on alone, as if the others were lost (D16). They were not, and
    /// come back with their old disks.
    Recover,
}

impl OperationKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::ReplaceNode,
        Self::AddNode,
        Self::RemoveNode,
        Self::TransferLeadership,
        Self::Recover,
    ];

    /// The name in scenario files.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReplaceNode => "replace-node",
            Self::AddNode => "add-node",
            Self::RemoveNode => "remove-node",
            Self::TransferLeadership => "transfer-leadership",
            Self::Recover => "recover",
        }
    }
}

/// The node that an operation is about. Where that is a spare, the operations of a
/// rule take the spares in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// This machine, counted from 0, spares after members.
    Node(u32),
    /// Any member of the start, drawn for each operation.
    AnyBroker,
    /// The broker that leads at that moment.
    Leader,
    /// Any broker that does not lead at that moment.
    Follower,
    /// A spare.
    Spare,
}
