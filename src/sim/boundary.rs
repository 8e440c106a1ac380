//! The boundaries between disk operations, counted; and the brokers that crash at one.
//!
//! ```text
//!   write │ rename │ sent, acked │ sync ends │ …      operations of all brokers
//!         1        2             3           4        boundaries
//! ```
//!
//! Between two operations lie two boundaries, just after the first and just
//! before the second, for what is sent and acknowledged in between; one where
//! nothing came between. An operation is what changes a disk: a write, a new
//! length, a name made, moved or removed, and a sync that ends.
//!
//! Promise: who crashes at a boundary does nothing after it, on its disk or on
//! the network, and nothing ends on its disk; its disk is as it then was until
//! the run takes from it what the power loss takes, before anything else
//! happens.

use std::collections::VecDeque;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::disk::{DiskModel, DiskSurvival, Pending};
use super::net::NodeId;
use super::random::{Purpose, Stream};
use super::world::Inner;
use crate::scenario::{BoundaryCrash, Fate, Kept};

/// How many subsets and torn remainders are drawn of one disk.
const DRAWS: u32 = 8;

/// One boundary of a run.
#[derive(Debug, Clone)]
pub struct Boundary {
    /// Its number; the first is 1.
    pub number: u64,
    /// When, nanoseconds since the start of the run.
    pub at_ns: u64,
    /// The content that a power loss would leave, by broker.
    pub disks: Vec<Arc<DiskAt>>,
}

/// A broker's disk at a boundary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiskAt {
    /// Operations of this disk before it.
    pub operations: u64,
    /// Sectors, sizes and names that are cached and not durable.
    pub pending_pieces: u32,
    /// Whether anything of the commit log is among them.
    pub is_log_dirty: bool,
    /// The content that each power loss would leave: equal numbers, equal disks.
    pub left: Vec<(Kept, u64)>,
}

impl DiskAt {
    /// The content that one power loss would leave.
    pub fn left_by(&self, kept: Kept) -> Option<u64> {
        let mut left = self.left.iter();
        left.find(|(of, _)| *of == kept).map(|(_, digest)| *digest)
    }
}

/// Counts boundaries, and makes crashes happen.
#[derive(Debug)]
pub(crate) struct Boundaries {
    seed: u64,
    /// None is counted from then on.
    upto_ns: u64,
    passed: u64,
    /// The counts of happenings by the last one.
    happened: (u64, u64),
    operations: Vec<u64>,
    /// Those still to come.
    crashes: VecDeque<BoundaryCrash>,
    /// One that fell and that the run has not yet heard of.
    fallen: Option<BoundaryCrash>,
    /// The step of the run that hears of it.
    step: u64,
    /// Every boundary after the last crash, where somebody wants to know.
    record: Option<Vec<Boundary>>,
}

impl Boundaries {
    pub(crate) fn new(
        seed: u64,
        upto_ns: u64,
        crashes: &[BoundaryCrash],
        step: u64,
        record: bool,
    ) -> Self {
        Self {
            seed,
            upto_ns,
            passed: 0,
            happened: (0, 0),
            operations: Vec::new(),
            crashes: crashes.iter().cloned().collect(),
            fallen: None,
            step,
            record: record.then(Vec::new),
        }
    }

    /// The boundaries recorded.
    pub(crate) fn into_record(self) -> Vec<Boundary> {
        self.record.unwrap_or_default()
    }

    /// Takes from a disk what a power loss takes, and says what is left.
    pub(crate) fn takes(&self, disk: &mut DiskModel, node: NodeId, kept: Kept) -> u64 {
        let operations = self.operations[node as usize];
        leave(disk, kept, self.seed, (node, operations));
        disk.durable_digest()
    }
}

impl Inner {
    /// A broker is about to change its disk.
    pub(super) fn begins_operation(&mut self, node: NodeId) {
        if node < self.tap.brokers() {
            self.reach_boundary();
        }
    }

    /// A broker has just changed its disk.
    pub(super) fn passes_operation(&mut self, node: NodeId) {
        if node < self.tap.brokers()
            && let Some(state) = &mut self.boundaries
        {
            *state.operations_of(node) += 1;
            self.reach_boundary();
        }
    }

    fn reach_boundary(&mut self) {
        let (trace_events, planned) = (self.core.trace_events(), self.core.agenda.inserted());
        let Some(state) = &mut self.boundaries else {
            return;
        };
        let happened = (trace_events, planned);
        if happened == state.happened || self.core.now_ns >= state.upto_ns {
            return;
        }
        state.happened = happened;
        state.passed += 1;
        if state
            .crashes
            .front()
            .is_some_and(|crash| crash.boundary == state.passed)
        {
            self.let_fall();
        } else if state.crashes.is_empty() && state.fallen.is_none() && state.record.is_some() {
            self.record_boundary();
        }
    }

    /// Whether a crash happened that the run has not yet heard of.
    pub(super) fn has_fallen(&self) -> bool {
        let state = self.boundaries.as_ref();
        state.is_some_and(|state| state.fallen.is_some())
    }

    /// The crash that fell, once.
    pub(super) fn take_fallen(&mut self) -> Option<BoundaryCrash> {
        self.boundaries.as_mut()?.fallen.take()
    }

    fn let_fall(&mut self) {
        let state = self.boundaries.as_mut().expect("a crash is waited for");
        let crash = state
            .crashes
            .pop_front()
            .expect("it is the next one's turn");
        let step = state.step;
        for (node, fate) in &crash.victims {
            state.operations_of(*node);
            let machine_too = matches!(fate, Fate::Power(_));
            self.core.falls_silent(*node, machine_too);
            if machine_too {
                self.disks[*node as usize].machine_died();
            }
        }
        state.fallen = Some(crash);
        self.due_control.insert(0, step);
    }

    fn record_boundary(&mut self) {
        let brokers = self.tap.brokers();
        let state = self.boundaries.as_mut().expect("somebody records");
        let before = state.record.as_ref().and_then(|record| record.last());
        let before: Vec<Arc<DiskAt>> = before.map_or_else(Vec::new, |last| last.disks.clone());
        let disks = (0..brokers).map(|node| {
            let operations = *state.operations_of(node);
            let known = before.get(node as usize);
            let known = known.filter(|known| known.operations == operations);
            known.cloned().unwrap_or_else(|| {
                let disk = &self.disks[node as usize].model;
                Arc::new(disk_at(disk, state.seed, (node, operations)))
            })
        });
        let disks = disks.collect();
        let boundary = Boundary {
            number: state.passed,
            at_ns: self.core.now_ns,
            disks,
        };
        let record = state.record.as_mut().expect("somebody records");
        record.push(boundary);
    }
}

impl Boundaries {
    fn operations_of(&mut self, node: NodeId) -> &mut u64 {
        let needed = node as usize + 1;
        if self.operations.len() < needed {
            self.operations.resize(needed, 0);
        }
        &mut self.operations[node as usize]
    }
}

/// The content that every power loss would leave of a disk. `at`: whose it is, and
/// after how many operations.
fn disk_at(disk: &DiskModel, seed: u64, at: (NodeId, u64)) -> DiskAt {
    let pending_pieces = disk.pending_pieces() as u32;
    let left = kept(pending_pieces).map(|kept| {
        let mut disk = disk.clone();
        leave(&mut disk, kept, seed, at);
        (kept, disk.durable_digest())
    });
    DiskAt {
        operations: at.1,
        pending_pieces,
        is_log_dirty: disk.pending("commitlog/") != Pending::default(),
        left: left.collect(),
    }
}

/// Every way in which so many pieces may survive, as far as a sweep tries them.
fn kept(pending_pieces: u32) -> impl Iterator<Item = Kept> {
    let whole = [Kept::None, Kept::All, Kept::NoData, Kept::NoSize];
    let prefixes = (0..=pending_pieces).map(Kept::Prefix);
    let drawn = (0..DRAWS)
        .map(Kept::Subset)
        .chain((0..DRAWS).map(Kept::Torn));
    whole.into_iter().chain(prefixes).chain(drawn)
}

fn leave(disk: &mut DiskModel, kept: Kept, seed: u64, (node, operations): (NodeId, u64)) {
    let (survival, draw) = match kept {
        Kept::None => (DiskSurvival::None, 0),
        Kept::All => (DiskSurvival::All, 0),
        Kept::Prefix(pieces) => (DiskSurvival::PrefixOf(pieces as usize), 0),
        Kept::NoData => (DiskSurvival::SizeWithoutData, 0),
        Kept::NoSize => (DiskSurvival::DataWithoutSize, 0),
        Kept::Subset(draw) => (DiskSurvival::SectorSubset, 2 * u64::from(draw)),
        Kept::Torn(draw) => (DiskSurvival::Torn, 2 * u64::from(draw) + 1),
    };
    let own = [operations.to_le_bytes(), draw.to_le_bytes()].concat();
    let seed = xxh3_64_with_seed(&own, seed);
    let mut dice = Stream::lane(seed, Purpose::Survival, node);
    disk.power_loss(survival, &mut dice);
}
