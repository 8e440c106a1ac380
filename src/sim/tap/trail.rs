//! The transactions in each broker's log: half messages, notes of checks, decisions.
//! Read off the bytes, where a scenario has transactions.

use std::collections::{BTreeMap, BTreeSet};

use crate::broker::{DISCARD_TOPIC, HALF_TOPIC, OP_TOPIC};
use crate::check::replicas::Head;
use crate::history::{ClientId, Value};
use crate::record::{EntryKind, LogPart, Message};
use crate::remoting::transaction::sys_flag;
use crate::sim::net::NodeId;

/// An order, by who sent its half message and that one's count.
pub(crate) type Order = (ClientId, u64);

/// How an entry decides a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling {
    Committed,
    RolledBack,
    Discarded,
}

/// The meaning of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// A half message is there.
    Half(Option<Order>),
    /// Its group is asked about the half message at that address.
    Checked(u64),
    /// The half message at that address is decided so.
    Decided(u64, Ruling),
}

impl Said {
    /// The half message that it is about; `own` is the entry's own address.
    fn half_address(self, own: u64) -> u64 {
        match self {
            Self::Half(_) => own,
            Self::Checked(half) | Self::Decided(half, _) => half,
        }
    }
}

/// An entry that a broker wrote.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ToldStep {
    pub(crate) at_ns: u64,
    pub(crate) node: NodeId,
    pub(crate) address: u64,
    pub(crate) said: Said,
}

/// A deciding entry in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) address: u64,
    pub(crate) end_address: u64,
    pub(crate) ruling: Ruling,
}

/// One broker's log, as far as transactions go.
///
/// Invariants: 1. everything in the other fields is in `said`. 2. `undecided` are
/// the half messages without a decision, `asked` those of them with a check.
#[derive(Debug, Default)]
struct OfNode {
    said: BTreeMap<u64, (Said, u64)>,
    halves: BTreeMap<Order, u64>,
    decided: BTreeMap<u64, Decision>,
    /// How often each half message was asked about.
    checks: BTreeMap<u64, u32>,
    undecided: BTreeSet<u64>,
    asked: BTreeSet<u64>,
}

/// When a half message may be discarded (guarantee.md, section 2,
/// "transactions").
#[derive(Debug, Clone, Copy)]
pub(crate) struct DiscardLimits {
    /// After so many checks.
    pub(crate) checks: u32,
    /// Or at this age, nanoseconds.
    pub(crate) age_ns: u64,
}

/// A half message that was discarded before any limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooEarly {
    pub(crate) half_address: u64,
    pub(crate) age_ns: u64,
    pub(crate) checks: u32,
}

/// The logs of all brokers.
#[derive(Debug)]
pub(crate) struct Trail {
    nodes: Vec<OfNode>,
    steps: Vec<ToldStep>,
    limits: DiscardLimits,
    /// By address, the newest half message there: whose, and since when any
    /// broker has it.
    since: BTreeMap<u64, (Option<Order>, u64)>,
    /// All that any broker ever had written, by where it ends and its hash in the chain,
    /// with its address.
    written: BTreeMap<(u64, u64), (u64, Said)>,
}

impl Trail {
    pub(super) fn new(brokers: u32, limits: DiscardLimits) -> Self {
        Self {
            nodes: (0..brokers).map(|_| OfNode::default()).collect(),
            steps: Vec::new(),
            limits,
            since: BTreeMap::new(),
            written: BTreeMap::new(),
        }
    }

    /// A broker wrote an entry into its log: at its end, in place of another one,
    /// or, where `repairs`, one that is there, so that what is behind it stays.
    pub(super) fn wrote(
        &mut self,
        at_ns: u64,
        node: NodeId,
        (part, record): (&LogPart, &[u8]),
        repairs: bool,
    ) -> Option<TooEarly> {
        if !repairs {
            self.cut(node, part.address);
        } else if self.nodes[node as usize].said.contains_key(&part.address) {
            return None;
        }
        let address = part.address;
        let said = self.tried(at_ns, part, record)?;
        let is_new = self
            .any_decision(node, said.half_address(address))
            .is_none();
        self.nodes[node as usize].add(address, part.end_address(), said);
        self.steps.push(ToldStep {
            at_ns,
            node,
            address,
            said,
        });
        match said {
            // The others copy what one of them decided.
            Said::Decided(half, Ruling::Discarded) if is_new => self.too_early(at_ns, node, half),
            Said::Half(_) | Said::Checked(_) | Said::Decided(..) => None,
        }
    }

    /// A broker had an entry written. Whole or not: where it is read later it was.
    pub(super) fn tried(&mut self, at_ns: u64, part: &LogPart, record: &[u8]) -> Option<Said> {
        if part.kind != EntryKind::Message {
            return None;
        }
        let said = said(&Message::decode_enveloped(record).ok()?)?;
        let place = (part.end_address(), part.hash);
        self.written.insert(place, (part.address, said));
        if let Said::Half(order) = said {
            let since = self.since.entry(part.address).or_insert((order, at_ns));
            if since.0 != order {
                *since = (order, at_ns);
            }
        }
        Some(said)
    }

    /// Whether a half message of that age may be discarded for it.
    pub(super) fn is_of_age(&self, age_ns: u64) -> bool {
        age_ns >= self.limits.age_ns
    }

    fn too_early(&self, at_ns: u64, node: NodeId, half_address: u64) -> Option<TooEarly> {
        let since_ns = self
            .since
            .get(&half_address)
            .map_or(at_ns, |(_, since)| *since);
        let checks = self.nodes[node as usize].checks.get(&half_address);
        let early = TooEarly {
            half_address,
            age_ns: at_ns - since_ns,
            checks: checks.copied().unwrap_or(0),
        };
        let due = self.is_of_age(early.age_ns) || early.checks >= self.limits.checks;
        (!due).then_some(early)
    }

    /// A broker's log ends at that address now.
    pub(super) fn cut(&mut self, node: NodeId, end_address: u64) {
        let node = &mut self.nodes[node as usize];
        if node
            .said
            .last_key_value()
            .is_none_or(|(last, _)| *last < end_address)
        {
            return;
        }
        let mut said = std::mem::take(&mut node.said);
        said.split_off(&end_address);
        *node = OfNode::default();
        for (address, (said, end_address)) in said {
            node.add(address, end_address, said);
        }
    }

    /// A broker's log was read anew: it has these entries behind that address, and
    /// what it stands for below.
    pub(super) fn becomes(
        &mut self,
        node: NodeId,
        base_address: u64,
        entries: impl Iterator<Item = Head>,
    ) {
        let node = &mut self.nodes[node as usize];
        let mut said = std::mem::take(node).said;
        said.split_off(&base_address);
        for (address, (said, end_address)) in said {
            node.add(address, end_address, said);
        }
        for head in entries {
            if let Some((address, said)) = self.written.get(&(head.end_address, head.hash)) {
                node.add(*address, head.end_address, *said);
            }
        }
    }

    /// Where a broker's log has the half message of an order.
    pub(crate) fn half(&self, node: NodeId, order: Order) -> Option<u64> {
        self.nodes[node as usize].halves.get(&order).copied()
    }

    /// How a broker's log decides a transaction.
    pub(crate) fn decision(&self, node: NodeId, half_address: u64) -> Option<Decision> {
        self.nodes[node as usize]
            .decided
            .get(&half_address)
            .copied()
    }

    /// As [`Trail::decision`], of any broker, that one first.
    pub(crate) fn any_decision(&self, node: NodeId, half_address: u64) -> Option<Decision> {
        let others = (0..self.nodes.len() as NodeId).filter(|other| *other != node);
        let mut all = std::iter::once(node).chain(others);
        all.find_map(|node| self.decision(node, half_address))
    }

    /// The half messages that a broker's log notes a check of, and no decision.
    pub(crate) fn asked(&self, node: NodeId) -> &BTreeSet<u64> {
        &self.nodes[node as usize].asked
    }

    /// Whether a broker's log decides every half message in it.
    pub(crate) fn is_all_decided(&self, node: NodeId) -> bool {
        self.nodes[node as usize].undecided.is_empty()
    }

    /// Everything that was ever written, in the order of the writes.
    pub(crate) fn steps(&self) -> &[ToldStep] {
        &self.steps
    }
}

impl OfNode {
    fn add(&mut self, address: u64, end_address: u64, said: Said) {
        self.said.insert(address, (said, end_address));
        match said {
            Said::Half(order) => {
                self.undecided.insert(address);
                self.halves.extend(order.map(|order| (order, address)));
            }
            Said::Checked(half_address) => {
                *self.checks.entry(half_address).or_default() += 1;
                if !self.decided.contains_key(&half_address) {
                    self.asked.insert(half_address);
                }
            }
            Said::Decided(half_address, ruling) => {
                let decision = Decision {
                    address,
                    end_address,
                    ruling,
                };
                self.decided.entry(half_address).or_insert(decision);
                self.undecided.remove(&half_address);
                self.asked.remove(&half_address);
            }
        }
    }
}

fn said(message: &Message<'_>) -> Option<Said> {
    let half_address = message.prepared_transaction_offset;
    let decided = |ruling| Said::Decided(half_address, ruling);
    let kind = message.sys_flag as i32 & sys_flag::TRANSACTION;
    match (message.topic, kind) {
        (HALF_TOPIC, _) => {
            let value = Value::read(message.body);
            Some(Said::Half(value.map(|it| (it.client, it.sequence))))
        }
        // RocketMQ's own way, in presets.
        (OP_TOPIC, sys_flag::COMMIT) => Some(decided(Ruling::Committed)),
        (OP_TOPIC, sys_flag::ROLLBACK) => Some(decided(Ruling::RolledBack)),
        (OP_TOPIC, _) => Some(Said::Checked(half_address)),
        (DISCARD_TOPIC, _) => Some(decided(Ruling::Discarded)),
        (_, sys_flag::COMMIT) => Some(decided(Ruling::Committed)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::record::{EntryKind, LogPart};

    use super::{Decision, DiscardLimits, OfNode, Ruling, Said, TooEarly, Trail};
    use crate::check::replicas::Head;

    const SAID: [(u64, Said); 4] = [
        (100, Said::Half(Some((1, 7)))),
        (200, Said::Half(None)),
        (300, Said::Checked(100)),
        (400, Said::Decided(100, Ruling::Committed)),
    ];

    const LIMITS: DiscardLimits = DiscardLimits {
        checks: 2,
        age_ns: 1_000,
    };

    #[test]
    fn a_discard_is_due_after_checks_or_with_age() {
        let mut trail = Trail::new(1, LIMITS);
        trail.since.insert(100, (None, 50));
        let early = |age_ns, checks| {
            Some(TooEarly {
                half_address: 100,
                age_ns,
                checks,
            })
        };
        assert_eq!(trail.too_early(1_049, 0, 100), early(999, 0));
        assert_eq!(trail.too_early(1_050, 0, 100), None);
        trail.nodes[0].add(300, 390, Said::Checked(100));
        assert_eq!(trail.too_early(60, 0, 100), early(10, 1));
        trail.nodes[0].add(400, 490, Said::Checked(100));
        assert_eq!(trail.too_early(60, 0, 100), None);
    }

    #[test]
    fn a_log_that_is_read_anew_has_again_what_it_had() {
        let mut trail = Trail::new(1, LIMITS);
        let heads = SAID.map(|(at, said)| {
            trail.written.insert((at + 90, at + 1), (at, said));
            trail.nodes[0].add(at, at + 90, said);
            Head {
                index: at / 100,
                term: 1,
                hash: at + 1,
                end_address: at + 90,
            }
        });
        let whole = format!("{:?}", trail.nodes[0]);
        trail.cut(0, 200);
        assert!(!trail.is_all_decided(0));
        trail.becomes(0, 200, heads[1..].iter().copied());
        assert_eq!(format!("{:?}", trail.nodes[0]), whole);
        let another = Head {
            hash: 5,
            ..heads[3]
        };
        trail.becomes(0, 400, [another].into_iter());
        assert!(!trail.is_all_decided(0), "another entry in its place");
    }

    #[test]
    fn an_entry_that_is_repaired_takes_nothing_behind_it() {
        let mut trail = Trail::new(1, LIMITS);
        for (at, said) in SAID {
            trail.nodes[0].add(at, at + 90, said);
        }
        let part = LogPart {
            kind: EntryKind::NoOp,
            index: 3,
            term: 1,
            address: 300,
            record_bytes: 0,
            previous_hash: 0,
            hash: 0,
        };
        assert_eq!(trail.wrote(0, 0, (&part, &[]), true), None);
        assert_eq!(trail.decision(0, 100).map(|it| it.address), Some(400));
        assert_eq!(trail.wrote(0, 0, (&part, &[]), false), None);
        assert_eq!(trail.decision(0, 100), None, "another entry took its place");
        assert!(trail.asked(0).is_empty());
    }

    #[test]
    fn a_log_that_is_cut_knows_less() {
        let mut node = OfNode::default();
        SAID.iter()
            .for_each(|(at, said)| node.add(*at, at + 90, *said));
        let mut trail = Trail::new(2, LIMITS);
        trail.nodes[1] = node;
        let decision = Decision {
            address: 400,
            end_address: 490,
            ruling: Ruling::Committed,
        };
        assert_eq!(trail.any_decision(0, 100), Some(decision));
        assert_eq!(trail.decision(0, 100), None);
        assert!(trail.asked(1).is_empty() && !trail.is_all_decided(1));
        trail.cut(1, 400);
        assert_eq!(trail.any_decision(0, 100), None);
        assert!(trail.asked(1).contains(&100));
        assert_eq!(trail.half(1, (1, 7)), Some(100));
        trail.cut(1, 0);
        assert!(trail.is_all_decided(1) && trail.half(1, (1, 7)).is_none());
    }
}
