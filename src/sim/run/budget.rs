//! The fault budget: how much may be forgotten at once (guarantee.md, sections 1
//! and 3).
//!
//! ```text
//!   disk destroyed ─▶ outstanding ─ formatted ─ promoted, holds all ─▶ whole
//!   sector bad     ─▶ outstanding ─ its disk holds what it held ─────▶ whole
//!   own file bad   ─▶ outstanding ─ written again, or its disk replaced ─▶ whole
//!   a torn tail    ─▶ is none: nothing that was synced is gone
//! ```
//!
//! Kept by node, which is stricter than the guarantee needs: it counts rot by
//! entry. A fault that is held back too long is a weaker run; one that comes too
//! early is a wrong verdict.

use std::collections::{BTreeMap, BTreeSet};

use super::phases::Run;
use crate::broker::{BASE_FILE, FOUNDING_FILE};
use crate::log::IDENTITY_FILE;
use crate::raft::HARD_STATE_FILE;
use crate::scenario::{FaultAction, Operation, PlannedFault, Victim};
use crate::sim::disk::DiskModel;
use crate::sim::net::NodeId;
use crate::sim::world::Inner;

/// Files in which a replica says of itself what nobody else can tell it. Parts of any
/// other file that are lost beside the log are made anew, and are not lost.
const OWN: [&str; 4] = [IDENTITY_FILE, HARD_STATE_FILE, FOUNDING_FILE, BASE_FILE];

/// The amnesia that is outstanding, by node.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    /// Its disk, or what makes it itself, is gone: since when.
    forgot_ns: BTreeMap<NodeId, u64>,
    /// Of these, the ones that do not know it, and go on.
    unaware: BTreeSet<NodeId>,
    /// A sector of its log is bad: how far the log reached.
    damaged: BTreeMap<NodeId, u64>,
    /// Sectors of its own files are bad.
    spoiled: BTreeMap<NodeId, BTreeSet<&'static str>>,
}

impl Outstanding {
    fn nodes(&self) -> BTreeSet<NodeId> {
        let forgot = self.forgot_ns.keys();
        let damaged = self.damaged.keys().chain(self.spoiled.keys());
        forgot.chain(damaged).copied().collect()
    }

    /// The nodes whose disks are gone.
    fn gone(&self) -> usize {
        let forgot = self.forgot_ns.keys();
        forgot.filter(|node| !self.unaware.contains(node)).count()
    }
}

/// Whether so many victims more, together with those outstanding, are no more
/// than may be.
fn has_room(outstanding: &BTreeSet<NodeId>, victims: &[NodeId], minority: u32) -> bool {
    let mut all = outstanding.clone();
    all.extend(victims);
    all.len() <= minority as usize
}

impl Run<'_> {
    /// A machine's disk is a blank one.
    pub(super) fn was_blanked(&mut self, machine: usize) {
        self.machines[machine].blank_ns = self.world.now_ns();
        self.forgot(machine);
    }

    /// A machine's disk is gone, or is another one.
    pub(super) fn forgot(&mut self, machine: usize) {
        let now_ns = self.world.now_ns();
        let node = machine as NodeId;
        self.world.lock().traps.take_room();
        self.outstanding.forgot_ns.insert(node, now_ns);
        self.outstanding.damaged.remove(&node);
        self.outstanding.spoiled.remove(&node);
        self.outstanding.unaware.remove(&node);
    }

    /// A machine's disk is an older one than it was, and the replica cannot know.
    pub(super) fn forgot_unawares(&mut self, machine: usize) {
        self.forgot(machine);
        self.outstanding.unaware.insert(machine as NodeId);
    }

    /// A sector of a file went bad; the log had reached `held_end`.
    pub(super) fn was_damaged(&mut self, machine: usize, path: &str, held_end: u64) {
        let node = machine as NodeId;
        self.world.lock().traps.take_room();
        if path.starts_with(super::faults::COMMIT_LOG) {
            let reached = self.outstanding.damaged.entry(node).or_default();
            *reached = held_end.max(*reached);
        } else if let Some(own) = OWN.into_iter().find(|own| *own == path) {
            self.outstanding
                .spoiled
                .entry(node)
                .or_default()
                .insert(own);
        }
    }

    /// The nodes whose amnesia is outstanding.
    pub(super) fn outstanding(&mut self) -> BTreeSet<NodeId> {
        let mut inner = self.world.lock();
        let Inner { tap, disks, .. } = &mut *inner;
        let machines = &mut self.machines;
        self.outstanding.forgot_ns.retain(|node, since_ns| {
            let machine = &mut machines[*node as usize];
            machine.note_duty();
            let formatted = machine.formatted_ns > *since_ns;
            !(formatted && tap.is_whole_since(&disks[*node as usize], *node, *since_ns))
        });
        self.outstanding.damaged.retain(|node, reached| {
            let disk = &disks[*node as usize];
            tap.held_now(disk) < *reached
        });
        self.outstanding.spoiled.retain(|node, files| {
            files.retain(|path| !tap.stands(&disks[*node as usize], path));
            !files.is_empty()
        });
        self.outstanding.nodes()
    }

    /// How many may have forgotten at once: the minority of the smallest cluster
    /// that the operator's removals may have left.
    pub(super) fn minority(&self) -> u32 {
        let now_ns = self.world.now_ns();
        let begun = self.plan.operations.iter();
        let begun = begun.take_while(|planned| planned.at_ns <= now_ns);
        let removed =
            begun.filter(|planned| matches!(planned.operation, Operation::RemoveNode { .. }));
        let members = self
            .scenario
            .cluster
            .brokers
            .saturating_sub(removed.count() as u32);
        let minority = members.saturating_sub(1) / 2;
        match self.has_been_recovered {
            true => minority.min(self.minority_since_recovery()),
            false => minority,
        }
    }

    /// After a recovery there is one member, until blank disks are let in.
    fn minority_since_recovery(&self) -> u32 {
        let inner = self.world.lock();
        let cluster = inner.tap.cluster().filter(|_| self.recovering.is_none());
        cluster.map_or(0, |cluster| cluster.seats().minority() as u32)
    }

    /// Whether these nodes may forget now.
    pub(super) fn has_room_for(&mut self, victims: &[NodeId]) -> bool {
        let minority = self.minority();
        has_room(&self.outstanding(), victims, minority)
    }

    /// Whether there is somebody to take in a blank disk on this node: who has
    /// forgotten and does not know is there all the same.
    pub(super) fn has_room_for_blank(&mut self, node: NodeId) -> bool {
        let mut others = self.outstanding();
        let unaware = &self.outstanding.unaware;
        others.retain(|other| !unaware.contains(other));
        has_room(&others, &[node], self.minority())
    }

    /// Whether a fault may fire now, as far as the budget goes.
    pub(super) fn fits_budget(
        &mut self,
        fault: usize,
        planned: &PlannedFault,
        victims: &[Victim],
    ) -> bool {
        if !planned.trigger.within_budget {
            return true;
        }
        let brokers = victims.iter().filter_map(|victim| match victim {
            Victim::Broker(broker) => Some(*broker),
            _ => None,
        });
        let brokers: Vec<NodeId> = brokers.collect();
        let mut hits = planned.hits.iter().zip(&brokers).enumerate();
        self.has_room_for(&brokers)
            && hits.all(|(number, (hit, broker))| match hit.action {
                FaultAction::DiskRolledBack { .. } => self.would_not_matter(fault, number, *broker),
                _ => true,
            })
    }

    /// Whether nothing depends on what a rollback would take (guarantee.md,
    /// section 3, "harmless"): a quorum of others holds all that the victim does,
    /// its term and vote stay, and nothing that it said is on its way.
    fn would_not_matter(&mut self, fault: usize, number: usize, victim: NodeId) -> bool {
        let Some(image) = self.images.get(&(fault, number, victim as usize)) else {
            return false;
        };
        let quorum = self.scenario.cluster.quorum() as usize;
        let mut inner = self.world.lock();
        let Inner {
            core, tap, disks, ..
        } = &mut *inner;
        let own_end = tap.believed_end(&disks[victim as usize], victim);
        let others = (0..self.scenario.cluster.machines()).filter(|node| *node != victim);
        let holding =
            others.filter(|node| tap.durable_end(&disks[*node as usize], *node) >= own_end);
        holding.count() >= quorum
            && hard_state(&image.to_disk()) == hard_state(&disks[victim as usize].model)
            && !core.has_peer_message_of(victim)
    }

    /// Whether as many disks are gone as nobody can serve without.
    pub(super) fn majority_is_gone(&mut self) -> bool {
        self.outstanding();
        let gone = self.outstanding.gone();
        self.scenario.cluster.is_replicated() && gone >= self.scenario.cluster.quorum() as usize
    }
}

/// Term and vote as the page cache has them.
fn hard_state(disk: &DiskModel) -> Option<Vec<u8>> {
    disk.cached_file(HARD_STATE_FILE).map(|file| file.to_vec())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::has_room;

    #[test]
    fn a_minority_may_forget_and_the_same_one_again() {
        let nobody = BTreeSet::new();
        let one = BTreeSet::from([1]);
        assert!(has_room(&nobody, &[0], 1));
        assert!(!has_room(&nobody, &[0, 2], 1), "two at once, of three");
        assert!(
            !has_room(&one, &[0], 1),
            "another, before the first is back"
        );
        assert!(has_room(&one, &[1], 1), "the same one again");
        assert!(has_room(&one, &[0], 2), "another, of five");
        assert!(!has_room(&nobody, &[0], 0), "of two");
    }
}
