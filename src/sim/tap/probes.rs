//! What happened to brokers, read off what they say: to their operator, and to each
//! other.

use std::collections::BTreeMap;

use super::Tap;
use super::codecs::is_in_doubt;
use crate::history::Happening;
use crate::raft::Message;
use crate::sim::disk::DiskModel;

/// How often what happened.
pub(crate) type Happened = BTreeMap<Happening, u64>;

/// What a line to the operator says, by a part of it.
const LINES: [(&str, Happening); 8] = [
    (", cut at address", Happening::TornTailCut),
    ("copied to fresh sectors", Happening::TailCopied),
    ("log opened after a clean stop", Happening::StoppedCleanly),
    ("the store is opened again", Happening::StoreReopened),
    ("repaired from another replica", Happening::DamageRepaired),
    ("nothing in the log is in doubt", Happening::DoubtResolved),
    ("promoted: votes and counts", Happening::Promoted),
    ("and no longer does", Happening::LeaderSteppedDown),
];
/// And this one is said of a base.
const BASE: &str = "a base was installed";

impl Tap {
    pub(super) fn happens(&mut self, what: Happening) {
        *self.happened.entry(what).or_default() += 1;
    }

    /// What happened, as far as brokers let it be seen.
    pub(crate) fn happened(&self) -> Happened {
        let mut happened = self.happened.clone();
        if self.leaderships().len() > 1 {
            let changes = self.leaderships().len() as u64 - 1;
            happened.insert(Happening::LeaderChanged, changes);
        }
        if let Some(replicas) = &self.replicas {
            happened.insert(Happening::SuffixCut, replicas.cuts);
        }
        happened
    }

    /// A broker wrote a line to its operator.
    pub(super) fn probe_line(&mut self, line: &str) {
        if line.starts_with(BASE) {
            return self.happens(Happening::BaseInstalled);
        }
        for (part, what) in LINES {
            if line.contains(part) {
                self.happens(what);
            }
        }
    }

    /// A replica with that disk sent a message to a peer.
    pub(super) fn probe_message(&mut self, disk: &DiskModel, message: &Message) {
        match message {
            Message::VoteAnswer { granted: false }
            | Message::PreVoteAnswer { granted: false, .. } => {
                self.happens(Happening::VoteRefused);
                if is_in_doubt(disk) {
                    self.happens(Happening::VoteRefusedInDoubt);
                }
            }
            Message::AppendAnswer(answer) if !answer.accepted => {
                self.happens(Happening::LogsParted);
            }
            Message::TimeoutNow => self.happens(Happening::LeadershipHandedOver),
            Message::Join { .. } => self.happens(Happening::BlankAnnounced),
            Message::Expired { .. } => self.happens(Happening::HoleExpired),
            Message::Ask { .. } => self.happens(Happening::DoubtAsked),
            _ => {}
        }
    }
}
