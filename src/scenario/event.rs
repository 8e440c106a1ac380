//! Events that a fault may wait for, in place of a time.
//!
//! ```text
//!   write ─┐                              ┌─▶ acknowledgement
//!   append ┴─▶ sync … synced ─▶ commit ───┤
//!   roll                                  └─▶ …     a crash at any arrow
//!   start ─▶ recovery, recovery, … ─▶ serves
//! ```

use serde::{Deserialize, Serialize};

use super::{Between, FileClass};

/// Something that a broker does. A fault that waits for it comes before anything
/// else happens on its victims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A file was written to: it is in the page cache.
    Write,
    /// A sync was asked for, and has not begun.
    Sync,
    /// A sync is done, and nobody has heard of it. Directories have no class:
    /// they count with `file = "any"`.
    Synced,
    /// A segment of the commit log got its name, which is not durable yet.
    Roll,
    /// Entries were written to the commit log.
    Append,
    /// The answer left that acknowledges a message.
    Acknowledgement,
    /// A vote was given: the message left.
    Vote,
    /// A majority holds what none held before, and nobody has heard of it. Of the
    /// cluster, whatever the victim is.
    Commit,
    /// A step of storing what stands for older entries (a base, a checkpoint): a
    /// write, a sync asked for, a rename.
    Snapshot,
    /// A call on the disk by a process that does not serve yet.
    Recovery,
    /// A call on the disk by an operator's command: it formats, salvages or recovers.
    Command,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Write,
        Self::Sync,
        Self::Synced,
        Self::Roll,
        Self::Append,
        Self::Acknowledgement,
        Self::Vote,
        Self::Commit,
        Self::Snapshot,
        Self::Recovery,
        Self::Command,
    ];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Synced => "synced",
            Self::Roll => "roll",
            Self::Append => "append",
            Self::Acknowledgement => "acknowledgement",
            Self::Vote => "vote",
            Self::Commit => "commit",
            Self::Snapshot => "snapshot",
            Self::Recovery => "recovery",
            Self::Command => "command",
        }
    }

    /// Whether it concerns a file, of which there are classes.
    pub fn has_file(self) -> bool {
        matches!(self, Self::Write | Self::Sync | Self::Synced)
    }

    /// Whether only replicas do it.
    pub fn is_of_replicas(self) -> bool {
        matches!(self, Self::Vote | Self::Commit)
    }
}

/// `at_event` of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRule {
    /// The event that is counted, from the window's begin on.
    pub event: Event,
    /// Of which files; `None`: the event has none.
    pub file: Option<FileClass>,
    /// The fault comes with the event of that number, from 1.
    pub nth: Between,
    /// `Some`: further faults of the rule come each so many events after the one
    /// before. `None`: each draws its own `nth`.
    pub every_nth: Option<Between>,
}

/// `at_event` of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtEvent {
    /// As of [`EventRule`].
    pub event: Event,
    /// The same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileClass>,
    /// The number, from 1, of the event among those since `from_ns`, of any of the
    /// fault's victims.
    pub nth: u64,
}
