//! The happenings in brokers, read off their messages: to their operator, and to each
//! other.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::Tap;
use super::codecs::has_uncertain_tail;
use crate::check::Promise;
use crate::check::replicas::Medium;
use crate::env::{FoundEnd, FoundTail, Notice, Reopening, Stop};
use crate::history::Happening;
use crate::raft::{Message, PeerMessage};
use crate::sim::disk::DiskModel;
use crate::sim::net::NodeId;
use crate::sim::world::Core;

/// How often what happened.
pub(crate) type Happened = BTreeMap<Happening, u64>;

/// Happenings that a notice tells of.
fn told_by(notice: &Notice) -> Vec<Happening> {
    match notice {
        Notice::LogOpened { stop, end, copied } => {
            let found = [
                (*stop == Stop::Clean, Happening::StoppedCleanly),
                (*end != FoundEnd::Clean, Happening::TornTailCut),
                (*copied != FoundTail::Durable, Happening::TailCopied),
            ];
            let found = found.into_iter().filter(|(is_found, _)| *is_found);
            found.map(|(_, what)| what).collect()
        }
        Notice::StoreReopened { reason, .. } => match reason {
            Reopening::BaseInstalled => vec![Happening::BaseInstalled],
            Reopening::Repaired => vec![Happening::StoreReopened, Happening::DamageRepaired],
            Reopening::CorruptHeader => vec![Happening::StoreReopened, Happening::HeaderRemade],
            Reopening::Failure
            | Reopening::Full
            | Reopening::QueueDamaged
            | Reopening::Damaged
            | Reopening::Superseded
            | Reopening::FoundingAgain
            | Reopening::Overruled => vec![Happening::StoreReopened],
        },
        Notice::TriedAgain { .. } => vec![Happening::TriedAgain],
        Notice::GoesOnWhileFull { .. } => vec![Happening::WentOnWhileFull],
        Notice::ReserveUsed { .. } => vec![Happening::ReserveUsed],
        Notice::OwnFileRewritten { .. } => vec![Happening::OwnFileRewritten],
        Notice::TailCertain => vec![Happening::UncertainTailResolved],
        Notice::StoodBack => vec![Happening::StoodBack],
        Notice::Promoted => vec![Happening::Promoted],
        Notice::LeaderSteppedDown { .. } => vec![Happening::LeaderSteppedDown],
        _ => Vec::new(),
    }
}

impl Tap {
    /// Something happened.
    pub(crate) fn happens(&mut self, what: Happening) {
        *self.happened.entry(what).or_default() += 1;
    }

    /// The happenings, as far as brokers let them be seen.
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

    /// A broker told its operator something.
    pub(super) fn probe_notice(&mut self, notice: &Notice) {
        told_by(notice)
            .into_iter()
            .for_each(|what| self.happens(what));
    }

    /// A broker told its operator something, and nothing has harmed its disk: then
    /// nothing is damaged (D32).
    pub(crate) fn told_of_damage(&mut self, core: &Core, node: NodeId, notice: &Notice) {
        let is_of_damage = match notice {
            Notice::EntriesDamaged { .. } => true,
            Notice::StoreReopened { reason, .. } => {
                matches!(reason, Reopening::Damaged | Reopening::CorruptHeader)
            }
            _ => false,
        };
        if is_of_damage {
            self.finds_no_damage(core, node, notice);
        }
    }

    /// A broker told its operator something, and nothing has harmed its disk, of which no
    /// sync failed either: it has no reason to make anything again.
    pub(crate) fn told_of_lack(&mut self, core: &Core, node: NodeId, notice: &Notice) {
        let is_of_lack = match notice {
            Notice::DerivedUnreadable { .. }
            | Notice::StateUnreadable { .. }
            | Notice::OwnFileRewritten { .. } => true,
            Notice::StoreReopened { reason, .. } => *reason == Reopening::QueueDamaged,
            _ => false,
        };
        // From a page cache alone anything may be gone.
        if is_of_lack && self.medium == Medium::Durable {
            self.finds_no_damage(core, node, notice);
        }
    }

    fn finds_no_damage(&mut self, core: &Core, node: NodeId, notice: &Notice) {
        if !self.rolled_back.contains(&node) {
            let line = format!("b{node} told of damage, and nothing has harmed its disk:");
            self.finds(core, Promise::Liveness, vec![line, notice.to_string()]);
        }
    }

    /// A broker told its operator something, and its disk has never failed: it has no
    /// reason to close its store.
    pub(crate) fn told_of_failure(&mut self, core: &Core, node: NodeId, notice: &Notice) {
        if let Notice::StoreReopened {
            reason: Reopening::Failure,
            ..
        } = notice
            && self.medium == Medium::Durable
        {
            let line = format!("b{node} opened its store again, and its disk has never failed:");
            self.finds(core, Promise::Liveness, vec![line, notice.to_string()]);
        }
    }

    /// A leader stepped down because it heard no majority; `waiting`: the things that
    /// peers had said to it before it looked at its deadlines, and that it had not heard
    /// then (D17).
    pub(crate) fn stepped_down_unheard<'b>(
        &mut self,
        core: &Core,
        node: NodeId,
        term: u64,
        waiting: impl Iterator<Item = &'b Bytes>,
    ) {
        let packets = waiting.filter_map(|bytes| PeerMessage::decode(bytes.clone()).ok());
        let answers = packets
            .filter(|packet| packet.term == term)
            .filter(|packet| matches!(packet.message, Message::AppendAnswer(_)));
        let mut speakers: BTreeSet<u64> = answers.map(|packet| packet.from.node).collect();
        // It counts itself.
        speakers.insert(u64::from(node));
        if 2 * speakers.len() > self.brokers() as usize {
            let line = format!(
                "b{node} led in term {term} and stepped down for it heard no majority, while the \
                 answers of {speakers:?} had come"
            );
            self.finds(core, Promise::Liveness, vec![line]);
        }
    }

    /// A replica with that disk sent a message to a peer.
    pub(super) fn probe_message(&mut self, disk: &DiskModel, message: &Message) {
        match message {
            Message::VoteAnswer { granted: false }
            | Message::PreVoteAnswer { granted: false, .. } => {
                self.happens(Happening::VoteRefused);
                if has_uncertain_tail(disk) {
                    self.happens(Happening::VoteRefusedUncertain);
                }
            }
            Message::AppendAnswer(answer) if !answer.accepted => {
                self.happens(Happening::LogsParted);
            }
            Message::TimeoutNow => self.happens(Happening::LeadershipHandedOver),
            Message::Join { .. } => self.happens(Happening::BlankAnnounced),
            Message::Expired { .. } => self.happens(Happening::HoleExpired),
            Message::BasePiece { .. } => self.happens(Happening::BaseInPieces),
            Message::Ask { .. } => self.happens(Happening::UncertainTailAsked),
            // Lost, and its log goes on behind it: a hole.
            Message::Tail(tail) if tail.uncertain_from.is_some_and(|it| it <= tail.last.index) => {
                self.happens(Happening::HoleAnswered);
            }
            _ => {}
        }
    }
}
