//! All replicas of a run, and every check that looks at them.

use std::collections::{BTreeMap, BTreeSet};

use super::Broken;
use super::amnesia::{Amnesia, Forgot};
use super::bases::Expiries;
use super::committed::Committed;
use super::election_safety::Leaders;
use super::fact::{Cause, HardState, Head, Medium, Moment, Replica, Seats};
use super::halts::Announced;
use super::log::Log;
use super::log_matching::Matching;
use super::promises_kept::Promises;
use super::state_machine_safety::Snapshots;
use super::unseen::Undecided;
use super::{acknowledgement, served};
use crate::check::{Finding, Promise};

/// The meaning of holding an entry, and of storing a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Media {
    /// Of an entry.
    pub log: Medium,
    /// Of term and vote.
    pub hard_state: Medium,
}

/// One node.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) disk: u64,
    /// That disk is gone, and no other is formatted yet.
    pub(super) is_lost: bool,
    pub(super) cached: Log,
    pub(super) durable: Log,
    /// The last index that its disk lets it believe to be durable.
    pub(super) believed: u64,
    pub(super) state: HardState,
    pub(super) has_state: bool,
    /// It cut its log in a term that it led: a breach if it goes on leading it.
    /// A leader whose process or store ended does not, and recovery may cut what
    /// was never synced.
    pub(super) cut_in_own_term: Option<(u64, Broken)>,
    /// The newest configuration that it sent as a leader.
    pub(super) seated: Option<Seated>,
}

/// A configuration that a leader has in its log, for it has sent it.
#[derive(Debug, Clone)]
pub(super) struct Seated {
    pub(super) term: u64,
    pub(super) index: u64,
    pub(super) seats: Seats,
}

/// The checkers of a cluster. Fed with facts in their order by
/// [`Cluster::note`]; asked at every answer to a client.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub(super) media: Media,
    /// The replicas that had a seat when the cluster began: as far as is known, before it
    /// is founded.
    pub(super) initial: Seats,
    /// The first configuration that each node took with the disk that it has.
    pub(super) founded: BTreeMap<u32, Seats>,
    pub(super) nodes: Vec<Node>,
    pub(super) committed: Committed,
    pub(super) leaders: Leaders,
    pub(super) matching: Matching,
    pub(super) promises: Promises,
    pub(super) snapshots: Snapshots,
    pub(super) expiries: Expiries,
    pub(super) amnesia: Amnesia,
    /// A fault took log, term or vote that nobody had promised: Raft's own
    /// properties are none any more (guarantee.md, section 3).
    pub(super) is_waived: bool,
    /// Terms and votes that faults took silently: node, event.
    pub(super) forgotten: Vec<(u32, u64)>,
    /// How often a replica began anew behind a base that it was given.
    pub(super) bases_installed: u64,
    pub(super) undecided: Vec<Undecided>,
    /// The replicas that last said that their disk is blank.
    pub(super) announced: BTreeMap<u32, Announced>,
    findings: Vec<Finding>,
    waived: Vec<Finding>,
}

impl Cluster {
    /// A cluster of so many machines, the first `members` of which have seats.
    pub fn new(members: u32, machines: u32, media: Media) -> Self {
        Self {
            media,
            initial: Seats((0..members).map(|node| (node, Some(0))).collect()),
            founded: BTreeMap::new(),
            nodes: (0..machines).map(|_| Node::default()).collect(),
            committed: Committed::default(),
            leaders: Leaders::default(),
            matching: Matching::default(),
            promises: Promises::default(),
            snapshots: Snapshots::default(),
            expiries: Expiries::default(),
            amnesia: Amnesia::default(),
            is_waived: false,
            forgotten: Vec::new(),
            bases_installed: 0,
            undecided: Vec::new(),
            announced: BTreeMap::new(),
            findings: Vec::new(),
            waived: Vec::new(),
        }
    }

    /// A leader answered a client that what it asked for is done: `what` rests on
    /// the entry that covers the log address.
    pub fn acknowledges(&mut self, moment: Moment, node: u32, address: u64, what: &str) {
        let replica = self.replica(node);
        let led = self.leaders.newest_of(replica);
        if let Some(term) = led {
            self.advance(moment, term, node);
        }
        let head = self.entry_of(moment, node, address);
        let head = head.or_else(|| self.below_base(node, address));
        let holders = head.map_or_else(Vec::new, |head| self.holders(&head));
        let log = &self.nodes[node as usize].cached;
        let seated = self.nodes[node as usize].seated.as_ref();
        let ahead = led.and_then(|term| ahead_of(term, log, seated));
        let (_, seats, _) = log.latest_seats();
        let seats = ahead.map(|ahead| &ahead.seats).or(seats);
        let answer = acknowledgement::Answer {
            replica,
            led,
            seats: seats.unwrap_or(&self.initial),
            medium: self.media.log,
            holders: &holders,
        };
        let broken = acknowledgement::check(what, head, &answer, &self.committed);
        self.report_as_leader(moment, node, head, broken);
    }

    /// A replica served the record in which the log address `address` is.
    pub fn serves(&mut self, moment: Moment, node: u32, address: u64, what: &str) {
        let replica = self.replica(node);
        if let Some(term) = self.leaders.newest_of(replica) {
            self.advance(moment, term, node);
        }
        let head = self.entry_of(moment, node, address);
        let broken = served::check(what, replica, head, &self.committed);
        self.report_as_leader(moment, node, head, broken);
    }

    /// A fault took synced bytes of a node.
    pub fn forgets(&mut self, node: u32, what: Forgot) {
        if what == Forgot::Everything {
            self.founded.remove(&node);
            self.nodes[node as usize].is_lost = true;
        }
        self.amnesia.forgot(node, what);
    }

    /// A fault took the base with which a node began.
    pub fn unfounded(&mut self, node: u32) {
        self.founded.remove(&node);
    }

    /// Whether the disk that is in a node has durably had a name.
    pub fn has_named_disk(&self, node: u32) -> bool {
        let node = &self.nodes[node as usize];
        node.disk != 0 && !node.is_lost
    }

    /// Whether any disk that is there took the first configuration.
    pub fn is_founded(&self) -> bool {
        !self.founded.is_empty()
    }

    /// On how many nodes a disk took it.
    pub fn founded_nodes(&self) -> usize {
        self.founded.len()
    }

    /// The medium on which an entry counts as held.
    pub fn medium(&self) -> Medium {
        self.media.log
    }

    /// The replica that leads the highest term.
    pub fn leader(&self) -> Option<(u64, u32)> {
        let (term, leader) = self.leaders.newest()?;
        Some((term, leader.node))
    }

    /// The last entry committed.
    pub fn committed(&self) -> Head {
        self.committed.last()
    }

    /// Whether the entry that a node's log has at a log address is committed.
    pub fn is_committed(&self, node: u32, address: u64) -> bool {
        let entry = self.nodes[node as usize].cached.at_address(address);
        entry.is_some_and(|entry| {
            let fixed = self.committed.get(entry.index);
            fixed.is_some_and(|fixed| fixed.is(&entry))
        })
    }

    /// A node's log.
    pub fn log(&self, node: u32, medium: Medium) -> &Log {
        match medium {
            Medium::Cached => &self.nodes[node as usize].cached,
            Medium::Durable => &self.nodes[node as usize].durable,
        }
    }

    /// The last index that a node's disk lets it believe to be durable.
    pub fn believed(&self, node: u32) -> u64 {
        let node = &self.nodes[node as usize];
        // Where the replica has cut its log, and the cut is not durable, what the disk
        // has behind it is not what the replica means.
        let upto = node.durable.last().index.min(node.cached.last().index);
        let is_meant = |index: &u64| {
            let durable = node.durable.get(*index);
            durable.is_none_or(|head| node.cached.has(&head))
        };
        let meant = (0..=upto).rev().find(is_meant).unwrap_or(0);
        node.believed.max(meant)
    }

    /// A node's hard state, where it has one.
    pub fn hard_state(&self, node: u32) -> Option<HardState> {
        let node = &self.nodes[node as usize];
        node.has_state.then_some(node.state)
    }

    /// The newest configuration that the leader of the highest term has.
    pub fn seats(&self) -> &Seats {
        let leader = self.leaders.newest().map(|(_, leader)| leader.node);
        let log = leader.map(|node| &self.nodes[node as usize].cached);
        let latest = log.and_then(|log| log.latest_seats().1);
        latest.unwrap_or(&self.initial)
    }

    /// The members whose amnesia is outstanding: by the newest configuration, and by
    /// the last committed one, which counts again where the newest is lost.
    pub fn outstanding(&self) -> BTreeSet<u32> {
        let mut outstanding = self.amnesia.outstanding();
        let (newest, committed) = (self.seats(), self.committed_seats());
        outstanding.retain(|node| newest.0.contains_key(node) || committed.0.contains_key(node));
        outstanding
    }

    fn committed_seats(&self) -> &Seats {
        let logs = self.nodes.iter().map(|node| &node.cached);
        let all = logs.flat_map(|log| log.all_seats().iter().map(move |seated| (log, seated)));
        let committed = all.filter(|(log, (index, _))| {
            let fixed = self.committed.get(*index);
            fixed.is_some_and(|fixed| log.has(&fixed))
        });
        let last = committed.max_by_key(|(_, (index, _))| *index);
        last.map_or(&self.initial, |(_, (_, seats))| seats)
    }

    /// Whether a majority of the disks is gone (D16): nobody can serve then, and
    /// nothing is due.
    pub fn has_lost_majority(&self) -> bool {
        let seats = self.seats();
        self.amnesia.blank_of(seats) > seats.minority()
    }

    /// How many seats durably held an entry just after an event.
    pub fn held_after(&self, head: &Head, event: u64) -> usize {
        let nodes = self.nodes.iter();
        nodes.filter(|node| node.durable.had(head, event)).count()
    }

    /// Whether a fault took an entry from a node, from its cache or from its disk,
    /// after one event and up to another. A client's machine has none.
    pub fn took(&self, head: &Head, node: u32, after: u64, upto: u64) -> bool {
        let Some(node) = self.nodes.get(node as usize) else {
            return false;
        };
        let spans = node.cached.spans(head).chain(node.durable.spans(head));
        let mut taken = spans.filter(|gone| gone.cause != Cause::Replica);
        taken.any(|gone| after < gone.until && gone.until <= upto)
    }

    /// Whether a fault took a node's term or vote, after one event and up to
    /// another, without its knowing.
    pub fn took_hard_state(&self, node: u32, after: u64, upto: u64) -> bool {
        let mut forgotten = self.forgotten.iter();
        forgotten.any(|(of, at)| *of == node && after < *at && *at <= upto)
    }

    /// How many nodes durably hold all that is committed.
    pub fn hold_committed(&self) -> usize {
        let last = self.committed.last();
        let nodes = self.nodes.iter();
        nodes.filter(|node| node.durable.has(&last)).count()
    }

    /// How often a replica durably began anew behind a base that it was given.
    pub fn bases_installed(&self) -> u64 {
        self.bases_installed
    }

    /// Everything that was broken, since the last call: asked when all is over.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        self.decide_all();
        std::mem::take(&mut self.findings)
    }

    /// Whether a fault took log, term or vote that nobody had promised to keep.
    pub fn has_lapsed(&self) -> bool {
        self.is_waived
    }

    /// The breaches of promises that had lapsed by then, since the last call.
    pub fn take_waived(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.waived)
    }

    pub(super) fn replica(&self, node: u32) -> Replica {
        let disk = self.nodes[node as usize].disk;
        Replica { node, disk }
    }

    /// The log that counts as held.
    pub(super) fn held(&self, node: u32) -> &Log {
        self.log(node, self.media.log)
    }

    fn holders(&self, head: &Head) -> Vec<Replica> {
        let nodes = 0..self.nodes.len() as u32;
        let holding = nodes.filter(|node| head.index > 0 && self.held(*node).has(head));
        holding.map(|node| self.replica(node)).collect()
    }

    /// Lets the table of what is committed grow by what a majority holds in a
    /// term: as its leader sees it, or else as `node` does.
    pub(super) fn advance(&mut self, moment: Moment, term: u64, node: u32) {
        let leader = self.leaders.of(term).map(|leader| leader.node);
        let logs = [
            leader.map(|leader| &self.nodes[leader as usize].cached),
            Some(&self.nodes[node as usize].cached),
        ];
        let seated = leader.and_then(|leader| self.nodes[leader as usize].seated.as_ref());
        let mut first = None;
        for log in logs.into_iter().flatten() {
            let ahead = ahead_of(term, log, seated);
            let ahead = ahead.map(|ahead| (ahead.index, &ahead.seats));
            while let Err(conflict) = self.committed.advance(term, log, ahead, &self.initial) {
                // Entries that follow are compared with those that a majority holds now.
                self.committed.forget_from(conflict.was.index);
                first.get_or_insert(conflict);
            }
        }
        let broken = first.map(|conflict| super::state_machine_safety::check(&conflict));
        self.report(moment, broken);
    }

    /// The entry at a log address, as `node` has it. A leader's own write may be
    /// on its way still (D3: entries leave before it, and wait in memory while a
    /// segment rolls): then it is what a majority holds there in its term.
    fn entry_of(&mut self, moment: Moment, node: u32, address: u64) -> Option<Head> {
        if let Some(own) = self.nodes[node as usize].cached.at_address(address) {
            return Some(own);
        }
        let term = self.leaders.newest_of(self.replica(node))?;
        (0..self.nodes.len() as u32).find_map(|other| {
            let sent = self.nodes[other as usize].cached.at_address(address)?;
            self.advance(moment, term, other);
            let fixed = self.committed.get(sent.index)?;
            (fixed.is(&sent) && sent.term == term).then_some(sent)
        })
    }

    /// The committed entry at a log address that a node has a base in place of: a message
    /// that was stored before is answered with the place that it had.
    fn below_base(&self, node: u32, address: u64) -> Option<Head> {
        let base = self.nodes[node as usize].cached.base();
        let is_below = address < base.end_address;
        self.committed.at_address(address).filter(|_| is_below)
    }

    pub(super) fn report(&mut self, moment: Moment, broken: impl IntoIterator<Item = Broken>) {
        for broken in broken {
            self.report_as(self.is_waived, moment, broken);
        }
    }

    /// Reports what was broken at a moment at which Raft's own properties held, or
    /// were waived.
    pub(super) fn report_as(&mut self, is_waived: bool, moment: Moment, broken: Broken) {
        match is_waived && self.is_void(broken.promise) {
            true => self.waived.push(broken.at(moment)),
            false => self.findings.push(broken.at(moment)),
        }
    }
}

impl Cluster {
    /// Promises that lapse once a fault took a log, a term or a vote that nobody had
    /// promised to keep. Where terms themselves are not stored they begin again, and
    /// which acknowledgements a term has says nothing any more.
    fn is_void(&self, promise: Promise) -> bool {
        let forgets_terms = self.media.hard_state == Medium::Cached;
        is_raft_s_own(promise) || forgets_terms && promise == Promise::Acknowledgement
    }
}

/// The configuration that counts in a term and that a log ends before: "a
/// configuration takes effect when appended" (D15), and what the leader appends
/// may leave before it is written anywhere (D3).
pub(super) fn ahead_of<'a>(term: u64, log: &Log, seated: Option<&'a Seated>) -> Option<&'a Seated> {
    seated.filter(|seated| seated.term == term && seated.index > log.last().index)
}

/// "Raft's five and *promises kept*" (guarantee.md, section 3).
fn is_raft_s_own(promise: Promise) -> bool {
    matches!(
        promise,
        Promise::ElectionSafety
            | Promise::LeaderAppendOnly
            | Promise::LogMatching
            | Promise::LeaderCompleteness
            | Promise::StateMachineSafety
            | Promise::PromisesKept
    )
}
