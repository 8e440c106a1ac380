//! Three brokers, and the operator's book: what was done to them, what they did
//! unasked.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use zeroloss::history::{FaultEvent, Ledger};
use zeroloss::sim::random::Stream;

use super::Settings;
use super::action::Action;
use super::broker::Node;
use crate::ports::free_addresses;

const NODES: usize = 3;
const MEMBERS: &str = "0,1,2";
/// A replica's word once it leads.
const LEADS: &str = "leads since term";
/// A replica's word to its operator once it counts again.
const PROMOTED: &str = "promoted:";

/// How often an action came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Count {
    pub(super) fired: u64,
    /// While some send was not answered.
    pub(super) in_flight: u64,
    /// To the broker that led.
    pub(super) on_leader: u64,
    /// Had no room: its victim was busy, or another disk was not whole again.
    pub(super) postponed: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) nodes: Vec<Node>,
    pub(super) counts: BTreeMap<Action, Count>,
    pub(super) ledger: Ledger,
    /// Everything that a broker did and the contract does not name.
    pub(super) complaints: Vec<String>,
    /// A wiped disk that does not count yet, and how often its broker had said
    /// before that it was promoted.
    blank: Option<(usize, usize)>,
}

impl Cluster {
    pub(super) fn start(settings: &Settings) -> io::Result<Self> {
        let free = free_addresses(2 * NODES);
        let peers: Vec<String> = (0..NODES)
            .map(|node| format!("{node}={}/{}", free[2 * node], free[2 * node + 1]))
            .collect();
        let (program, root) = (&settings.program, &settings.root);
        let mut nodes = Vec::new();
        for node in 0..NODES {
            let client = free[2 * node + 1];
            let mut node = Node::new(node as u64, program, root, &peers, client)?;
            node.format(Some(MEMBERS))?;
            node.start()?;
            nodes.push(node);
        }
        Ok(Self {
            nodes,
            counts: BTreeMap::new(),
            ledger: Ledger::default(),
            complaints: Vec::new(),
            blank: None,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Where clients connect.
    pub(super) fn clients(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Node::client).collect()
    }

    pub(super) fn is_busy(&self, node: usize) -> bool {
        self.nodes[node].busy
    }

    pub(super) fn complain(&mut self, what: String) {
        self.complaints.push(what);
    }

    /// The broker that said last that it leads, and is up.
    pub(super) fn leader(&self) -> Option<usize> {
        let says = |node: &Node| {
            let told = node.told().unwrap_or_default();
            let mut lines = told.lines().rev();
            node.is_up()
                && lines
                    .find(|line| line.contains(LEADS) || line.contains("no longer does"))
                    .is_some_and(|line| line.contains(LEADS))
        };
        self.nodes.iter().position(says)
    }

    /// Whether an action fits: of three disks one may be blank at a time, and a disk
    /// can be full only where it is a small one.
    pub(super) fn has_room(&mut self, action: Action) -> bool {
        match action {
            Action::Wipe => self.blank_counts_again(),
            Action::DiskFull => self.nodes.iter().all(|node| node.volume().is_small()),
            _ => true,
        }
    }

    /// Whether a filled disk can be tried here at all.
    pub(super) fn has_small_disks(&self) -> bool {
        self.nodes.iter().all(|node| node.volume().is_small())
    }

    fn blank_counts_again(&mut self) -> bool {
        if let Some((node, before)) = self.blank
            && self.promotions(node) > before
        {
            self.blank = None;
        }
        self.blank.is_none()
    }

    fn promotions(&self, node: usize) -> usize {
        let told = self.nodes[node].told().unwrap_or_default();
        told.matches(PROMOTED).count()
    }

    pub(super) fn postponed(&mut self, action: Action) {
        self.counts.entry(action).or_default().postponed += 1;
    }

    pub(super) fn note(&mut self, action: Action, victims: &[usize], in_flight: u64, now_ns: u64) {
        let led = self
            .leader()
            .is_some_and(|leader| victims.contains(&leader));
        let count = self.counts.entry(action).or_default();
        count.fired += 1;
        count.in_flight += u64::from(in_flight > 0);
        count.on_leader += u64::from(led);
        *self.ledger.armed.entry(action.kind()).or_default() += 1;
        self.ledger.fired.push(FaultEvent {
            at_ns: now_ns,
            event: 0,
            kind: action.kind(),
            node: victims[0] as u32,
            eligible: in_flight > 0,
            observed: led && in_flight > 0,
            dirty_log_bytes: 0,
            dirty_other_bytes: 0,
            sends_in_flight: in_flight,
            held_after: 0,
            hit: 0,
            held_by: 0,
            death: None,
            note: format!("{} of {victims:?}", action.name()),
        });
    }

    /// How often any of them began to lead.
    pub(super) fn leaderships(&self) -> usize {
        let told = self
            .nodes
            .iter()
            .map(|node| node.told().unwrap_or_default());
        told.map(|told| told.matches(LEADS).count()).sum()
    }

    /// A clean stop, which has to end with 0.
    pub(super) fn stop(&mut self, node: usize) -> io::Result<()> {
        if let Some(status) = self.nodes[node].stop()?
            && !status.success()
        {
            self.complain(format!("broker {node}, asked to stop, ended with {status}"));
        }
        Ok(())
    }

    /// The disk is lost and replaced; `as_first`: by a start script that formats a
    /// blank disk as it did the first time.
    pub(super) fn wipe(&mut self, node: usize, as_first: bool) -> io::Result<()> {
        self.nodes[node].kill()?;
        self.blank = Some((node, self.promotions(node)));
        self.nodes[node].wipe()?;
        self.nodes[node].format(as_first.then_some(MEMBERS))
    }

    /// Starts a broker with settings of the day. A start that fails is a complaint,
    /// and the plain settings are tried then.
    pub(super) fn start_again(&mut self, node: usize, dice: &mut Stream) {
        self.nodes[node].choose(dice, NODES as u64);
        if let Err(why) = self.nodes[node].start() {
            self.complain(format!("broker {node} did not start: {why}"));
        }
    }

    /// Brokers that ended unasked.
    pub(super) fn look_for_ends(&mut self) {
        for node in 0..self.nodes.len() {
            if let Some(status) = self.nodes[node].ended() {
                self.complain(format!("broker {node} ended unasked with {status}"));
                if let Err(why) = self.nodes[node].start() {
                    self.complain(format!("broker {node} did not start after that: {why}"));
                }
            }
        }
    }

    pub(super) fn look_for_panics(&mut self) -> io::Result<()> {
        self.look_for_ends();
        for node in 0..self.nodes.len() {
            let told = self.nodes[node].told()?;
            let panics = told.lines().filter(|line| line.contains("panicked at"));
            let panics: Vec<String> = panics.map(str::to_owned).collect();
            for panic in panics {
                self.complain(format!("broker {node}: {panic}"));
            }
        }
        Ok(())
    }

    /// Ends every broker.
    pub(super) fn end(&mut self) -> io::Result<()> {
        (0..self.nodes.len()).try_for_each(|node| self.nodes[node].kill())
    }
}
