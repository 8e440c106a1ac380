//! Events of brokers' disks, taken into the account: writes, names, syncs, losses.

use bytes::Bytes;

use super::damage::Damage;
use super::holdings::entries_in;
use super::replicas::Taken;
use super::{Tap, image, moment};
use crate::broker::BASE_FILE;
use crate::history::Happening;
use crate::log::COMMIT_LOG_DIR;
use crate::sim::disk::{Ino, Seq};
use crate::sim::disk_io::{DiskIo, Synced};
use crate::sim::net::NodeId;
use crate::sim::world::Core;
impl Tap {
    /// A broker wrote to a file of its disk.
    pub(crate) fn written(
        &mut self,
        core: &Core,
        node: NodeId,
        file: (Ino, Seq),
        path: &str,
        position: u64,
        bytes: &Bytes,
    ) {
        let Some(holdings) = self.holdings.get_mut(node as usize) else {
            return;
        };
        if core.serves(node) && path.starts_with(COMMIT_LOG_DIR) {
            self.stops.wrote(node);
        }
        let (replicas, transactions) = (&mut self.replicas, &mut self.transactions);
        let brokers = self.brokers;
        let mut discarded_early = Vec::new();
        let mut appends = false;
        holdings.written(core.now_ns, file, path, position, bytes, |part, record| {
            appends = true;
            let account = replicas.as_mut().map(|replicas| {
                let entry = image::entry_of(part, record);
                (replicas.is_there(node, &entry), replicas, entry)
            });
            let repairs = account.as_ref().is_some_and(|(is_there, ..)| *is_there);
            if let Some(transactions) = transactions {
                let trail = &mut transactions.trail;
                let early = trail.wrote(core.here_ns(node), node, (part, record), repairs);
                // The broker that decided counted on its own clock, which may have gone
                // fast. That need not be this one: a leader sends before it writes (D3).
                let counted = |age_ns| {
                    let clocks = (0..brokers).map(|broker| core.clock(broker));
                    let each = clocks.map(|clock| clock.counted_at_most_ns(age_ns));
                    each.max().unwrap_or(age_ns)
                };
                let early = early.filter(|early| !trail.is_of_age(counted(early.age_ns)));
                discarded_early.extend(early);
            }
            if let Some((_, replicas, entry)) = account {
                replicas.wrote(moment(core), node, entry, part.previous_hash);
            }
        });
        self.sightings.appends += u64::from(appends);
        if appends {
            // A leader that has the only vote sends no appends.
            self.note_leader(core.now_ns);
        }
        for early in discarded_early {
            self.discarded_early(core, node, early);
        }
    }

    /// A write of a broker failed: some of its entries may be there all the same.
    pub(crate) fn write_failed(
        &mut self,
        core: &Core,
        node: NodeId,
        path: &str,
        position: u64,
        bytes: &[u8],
    ) {
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        if node < self.brokers && path.starts_with(COMMIT_LOG_DIR) {
            for (part, _, record) in entries_in(bytes, position) {
                let at_ns = core.here_ns(node);
                transactions.trail.tried(at_ns, &part, record);
            }
        }
    }

    /// A broker renamed a file.
    pub(crate) fn renamed(
        &mut self,
        core: &Core,
        disk: &DiskIo,
        node: NodeId,
        (ino, seq): (Ino, Seq),
        to: &str,
    ) {
        let Some(holdings) = self.holdings.get_mut(node as usize) else {
            return;
        };
        let is_new_log = holdings.renamed(ino, seq, to);
        if self.replicas.is_none() && to == BASE_FILE {
            // Alone, a broker stores a base when something has expired.
            self.happens(Happening::LogExpired);
        }
        if let Some(replicas) = &mut self.replicas {
            match is_new_log {
                true => replicas.renamed_segment(moment(core), &disk.model, node, to),
                false if to == BASE_FILE => {
                    if replicas.renamed_base(moment(core), &disk.model, node) {
                        self.happens(Happening::LogExpired);
                    }
                }
                false => replicas.renamed_state(moment(core), &disk.model, node, to),
            }
        }
        if is_new_log || to == BASE_FILE {
            self.trail_becomes(node);
        }
    }

    /// A broker removed a file.
    pub(crate) fn removed(&mut self, core: &Core, disk: &DiskIo, node: NodeId, path: &str) {
        let (Some(holdings), Some(replicas)) =
            (self.holdings.get_mut(node as usize), &mut self.replicas)
        else {
            return;
        };
        // What a hole took is remembered as long as a later segment chains to it.
        if holdings.removed(path) && replicas.is_damaged(node) {
            replicas.read_cached(moment(core), &disk.model, node);
            self.trail_becomes(node);
        }
    }

    /// The log of a replica was read anew: as that one's, so that of transactions.
    fn trail_becomes(&mut self, node: NodeId) {
        if let (Some(replicas), Some(transactions)) = (&self.replicas, &mut self.transactions) {
            let (base_address, entries) = replicas.entries(node);
            transactions.trail.becomes(node, base_address, entries);
        }
    }

    /// A sync of a broker's disk completed.
    pub(crate) fn synced(&mut self, core: &Core, disk: &DiskIo, node: NodeId, synced: Synced) {
        if let Some(holdings) = self.holdings.get_mut(node as usize) {
            holdings.synced(synced);
        }
        self.settles(core, disk, node);
    }

    /// A broker's disk lost what it had not made durable, or was replaced.
    pub(crate) fn lost_cache(&mut self, core: &Core, disk: &DiskIo, node: NodeId, taken: Taken) {
        self.stops.forget(node);
        if taken == Taken::Newer {
            self.rolled_back.insert(node);
        }
        if let Some(holdings) = self.holdings.get_mut(node as usize) {
            let damage = match (&self.replicas, taken) {
                (Some(replicas), Taken::Cache) => replicas.damage(node),
                _ => Damage::None,
            };
            holdings.lost_cache(&disk.model, damage);
            if let Some(replicas) = &mut self.replicas {
                let image = holdings.take_image().unwrap_or_default();
                replicas.lost(moment(core), &disk.model, node, image, taken);
                self.trail_becomes(node);
            } else if let Some(transactions) = &mut self.transactions {
                transactions.trail.cut(node, holdings.cached_end());
            }
        }
    }

    /// Accounts for all that has become durable by now, whether a sync said so or not: a
    /// failed one may have written all the same.
    pub(crate) fn settles(&mut self, core: &Core, disk: &DiskIo, node: NodeId) {
        if let Some(holdings) = self.holdings.get_mut(node as usize) {
            holdings.settle(&disk.model);
            if let Some(replicas) = &mut self.replicas {
                replicas.settle(moment(core), &disk.model, node, holdings);
            }
        }
    }

    /// A sector of a broker's disk went bad.
    pub(crate) fn damaged(&mut self, core: &Core, disk: &DiskIo, node: NodeId) {
        self.stops.damaged(node);
        if let Some(replicas) = &mut self.replicas {
            replicas.damaged(moment(core), &disk.model, node);
        }
    }

    /// A sync of a broker's log failed.
    pub(crate) fn sync_failed(&mut self, node: NodeId) {
        if let Some(replicas) = &mut self.replicas {
            replicas.sync_failed(node);
        }
    }
}
