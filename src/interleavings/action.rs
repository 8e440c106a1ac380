//! The steps of an interleaving.

use std::fmt;

/// A step. Nodes are numbers from 0, messages places in the bag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// An election timeout passes, and whoever is asked would vote.
    Stand(u8),
    /// An election timeout passes, and nobody answers.
    Unheard(u8),
    /// A leader says again what nobody has answered.
    Beat(u8),
    /// A leader says again what was lost: it stands under way no more.
    Again(u8),
    /// A leader has heard no majority for long.
    StepDown(u8),
    /// A client sends to a leader.
    Propose(u8),
    /// A message arrives; it may come again.
    Deliver { at: u8, stays: bool },
    /// Term and vote are durable.
    Save(u8),
    /// All that is in the log is durable.
    Sync(u8),
    /// A sync begins.
    BeginSync(u8),
    /// A sync ends.
    EndSync(u8),
    /// The power fails and comes back: so many entries that were not synced survive.
    Crash {
        node: u8,
        kept: u8,
        saved: bool,
        torn: bool,
    },
    /// The power fails, and so many durable entries do not verify any more.
    Tear { node: u8, lost: u8 },
    /// The power fails, and these durable entries cannot be read any more.
    Rot { node: u8, from: u8, upto: u8 },
    /// The disk is gone; a blank one takes its place.
    Wipe(u8),
    /// A hole is filled, or given up, by what a peer has.
    Fetch { node: u8, peer: u8 },
    /// A replica asks the others what stood at its end.
    Ask(u8),
    /// A blank disk announces itself.
    Announce(u8),
    /// An operator asks a leader to change the place of a node.
    Change { node: u8, about: u8 },
    /// Committed entries are dropped from the front of the log.
    Drop(u8),
}

impl Action {
    /// The name of its kind.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Stand(_) => "stand",
            Self::Unheard(_) => "unheard",
            Self::Beat(_) => "beat",
            Self::Again(_) => "again",
            Self::StepDown(_) => "step-down",
            Self::Propose(_) => "propose",
            Self::Deliver { stays: false, .. } => "deliver",
            Self::Deliver { stays: true, .. } => "repeat",
            Self::Save(_) => "save",
            Self::Sync(_) => "sync",
            Self::BeginSync(_) => "begin-sync",
            Self::EndSync(_) => "end-sync",
            Self::Crash { .. } => "crash",
            Self::Tear { .. } => "tear",
            Self::Rot { .. } => "rot",
            Self::Wipe(_) => "wipe",
            Self::Fetch { .. } => "fetch",
            Self::Ask(_) => "ask",
            Self::Announce(_) => "announce",
            Self::Change { .. } => "change",
            Self::Drop(_) => "drop",
        }
    }
}

/// A step, and what becomes of what it touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) action: Action,
    /// The power of the node fails at the end of the step: what was being saved is lost.
    pub(super) fails: bool,
    /// Of the messages that newer ones supersede, those that stay under way: bits.
    pub(super) kept: u8,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Stand(node) => write!(f, "n{node}: its election timeout passes"),
            Self::Unheard(node) => write!(f, "n{node}: its election timeout passes, unheard"),
            Self::Beat(node) => write!(f, "n{node}: its heartbeat is due"),
            Self::Again(node) => {
                write!(f, "n{node}: its heartbeat is due, its last words are lost")
            }
            Self::StepDown(node) => write!(f, "n{node}: has heard no majority for long"),
            Self::Propose(node) => write!(f, "n{node}: a client sends a message"),
            Self::Deliver { stays: false, .. } => write!(f, "arrives"),
            Self::Deliver { stays: true, .. } => write!(f, "arrives, and will again"),
            Self::Save(node) => write!(f, "n{node}: term and vote are durable"),
            Self::Sync(node) => write!(f, "n{node}: its log is synced"),
            Self::BeginSync(node) => write!(f, "n{node}: a sync begins"),
            Self::EndSync(node) => write!(f, "n{node}: a sync ends"),
            Self::Crash {
                node, kept, torn, ..
            } => {
                write!(f, "n{node}: power fails, {kept} unsynced entries survive")?;
                let rest = if torn { ", the rest is torn" } else { "" };
                f.write_str(rest)
            }
            Self::Tear { node, lost } => {
                write!(
                    f,
                    "n{node}: power fails, the last {lost} durable entries do not verify"
                )
            }
            Self::Rot { node, from, upto } => {
                write!(
                    f,
                    "n{node}: power fails, entries {from} to {upto} cannot be read"
                )
            }
            Self::Wipe(node) => write!(f, "n{node}: its disk is replaced by a blank one"),
            Self::Fetch { node, peer } => write!(f, "n{node}: looks to n{peer} for its hole"),
            Self::Ask(node) => write!(f, "n{node}: asks what stood behind its last entry"),
            Self::Announce(node) => write!(f, "n{node}: announces its blank disk"),
            Self::Change { node, about } => write!(f, "n{node}: is asked about n{about}'s place"),
            Self::Drop(node) => write!(f, "n{node}: drops what is committed"),
        }
    }
}
