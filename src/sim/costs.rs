//! The work of a run, in numbers that do not depend on the machine.

use super::disk::Met;
use super::disk_io::DiskCounts;
use super::net::NodeId;
use super::world::World;

/// Counts of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunCosts {
    /// Sends acknowledged; of a skeleton, requests answered.
    pub acknowledged: u64,
    /// Simulated time, nanoseconds.
    pub simulated_ns: u64,
    /// Network arrivals that reached somebody.
    pub deliveries: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Events that the agenda handled.
    pub events: u64,
    /// Operations on all disks.
    pub disk: DiskCounts,
    /// Syncs of the disk of the broker that led at the end.
    pub leader_syncs: u64,
    /// The rows of the disk's contract that were met, on any disk.
    pub met: Met,
}

impl RunCosts {
    /// Adds what another run did.
    pub fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.simulated_ns += other.simulated_ns;
        self.deliveries += other.deliveries;
        self.delivered_bytes += other.delivered_bytes;
        self.events += other.events;
        self.disk.add(&other.disk);
        self.leader_syncs += other.leader_syncs;
        self.met.add(&other.met);
    }

    /// The happenings in a world so far.
    pub(super) fn of(world: &World, leader: Option<NodeId>, acknowledged: u64) -> Self {
        let inner = world.lock();
        let mut disk = DiskCounts::default();
        let mut met = Met::default();
        for other in &inner.disks {
            disk.add(&other.counts);
            met.add(&other.model.met());
        }
        let leader = leader.and_then(|node| inner.disks.get(node as usize));
        Self {
            acknowledged,
            simulated_ns: inner.core.now_ns,
            deliveries: inner.net.fates.delivered,
            delivered_bytes: inner.net.fates.delivered_bytes,
            events: inner.core.agenda_events,
            disk,
            leader_syncs: leader.map_or(0, |leader| leader.counts.syncs),
            met,
        }
    }
}
