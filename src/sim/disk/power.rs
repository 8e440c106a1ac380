//! Power loss and failed writeback: what becomes of the pieces that lay between
//! cache and medium.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::file::{Change, Fate, FileNode, PendingOp, Stray};
use super::model::DiskModel;
use super::names::Names;
use super::row::Row;
use super::survival::{Arrival, DiskSurvival, Fates, PieceKind};
use super::{Ino, Seq};
use crate::sim::random::{Purpose, Stream};

/// The effect of a power loss on one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileLoss {
    /// Pieces that were pending: sectors and sizes.
    pub pending: usize,
    /// Pieces that arrived whole.
    pub survived: usize,
    /// Sectors that arrived torn or garbled.
    pub torn: usize,
    /// Pieces that did not arrive.
    pub lost: usize,
    /// Bytes of the sectors that were pending.
    pub pending_bytes: u64,
}

impl FileLoss {
    fn count(&mut self, arrival: Arrival) {
        self.pending += 1;
        match arrival {
            Arrival::Lost => self.lost += 1,
            Arrival::Whole => self.survived += 1,
            _ => self.torn += 1,
        }
    }
}

/// The effect of a power loss.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PowerLossReport {
    /// By the path before the loss; only files that had something pending.
    pub files: BTreeMap<String, FileLoss>,
    /// Entry changes that were pending.
    pub entries_pending: usize,
    /// Entry changes that arrived.
    pub entries_survived: usize,
}

impl PowerLossReport {
    /// All that was pending: sectors, sizes, entry changes.
    pub fn pieces(&self) -> usize {
        self.files.values().map(|file| file.pending).sum::<usize>() + self.entries_pending
    }

    /// All that arrived whole.
    pub fn survived(&self) -> usize {
        self.files.values().map(|file| file.survived).sum::<usize>() + self.entries_survived
    }

    /// Bytes of pending sectors in the files whose path begins with `under`.
    pub fn pending_bytes(&self, under: &str) -> u64 {
        let files = self
            .files
            .iter()
            .filter(|(path, _)| path.starts_with(under));
        files.map(|(_, file)| file.pending_bytes).sum()
    }
}

/// A pending change and its owner, for going through a disk in order.
enum Owner {
    File(Ino),
    Entry,
}

impl FileNode {
    /// The pieces of a change: whole sectors, then the size where the medium
    /// may lack it.
    fn pieces(&self, change: &Change, sector_bytes: u64) -> (usize, usize) {
        match change {
            Change::Grow(_) | Change::Shrink(_) => (0, 1),
            Change::Write { sectors, end, .. } => {
                let grows = *end > self.durable.size_bytes();
                (sectors.len() / sector_bytes as usize, usize::from(grows))
            }
        }
    }

    /// Carries to the medium what the fates let through of one change. Bytes
    /// past the size stay until [`super::content::Content::clip`].
    fn arrive(
        &mut self,
        op: PendingOp,
        fates: &mut Fates<'_>,
        sector_bytes: u64,
        loss: &mut FileLoss,
    ) -> Vec<Stray> {
        let (_, sizes) = self.pieces(&op.change, sector_bytes);
        let mut strays = Vec::new();
        if let Change::Write {
            position,
            sectors,
            fate,
            ..
        } = &op.change
        {
            loss.pending_bytes += sectors.len() as u64;
            if *fate != Fate::Done {
                self.note_lost(op.seq);
            }
            for at in (0..sectors.len()).step_by(sector_bytes as usize) {
                let sector = sectors.slice(at..at + sector_bytes as usize);
                let arrival = fates.next(PieceKind::Sector);
                loss.count(arrival);
                match fate {
                    Fate::Done if arrival != Arrival::Lost => {
                        self.put_sector(position + at as u64, &sector, arrival, fates)
                    }
                    Fate::Misdirected { to, position } if arrival != Arrival::Lost => {
                        let position = position + at as u64;
                        strays.push(Stray {
                            to: *to,
                            position,
                            sectors: sector,
                        });
                    }
                    _ => {}
                }
            }
        }
        if sizes == 1 {
            let arrival = fates.next(PieceKind::Size);
            loss.count(arrival);
            if arrival == Arrival::Whole {
                self.resize(&op.change, sector_bytes);
            }
        }
        if loss.lost > 0 || loss.torn > 0 {
            self.note_lost(op.seq);
        }
        strays
    }

    fn put_sector(&mut self, at: u64, new: &Bytes, arrival: Arrival, fates: &mut Fates<'_>) {
        if arrival == Arrival::Whole {
            self.durable.put(at, new.clone());
        } else {
            let mut old = vec![0; new.len()];
            self.durable.copy_to(at, &mut old);
            let mixed = fates.mix(arrival, &old, new);
            self.durable.put(at, Bytes::from(mixed));
        }
        self.rewritten(at, new.len(), new.len() as u64);
    }

    fn resize(&mut self, change: &Change, sector_bytes: u64) {
        match change {
            Change::Write { end, .. } => self.durable.grow(*end),
            Change::Grow(size) => self.durable.grow(*size),
            Change::Shrink(size) => self.shrink_durable(*size, sector_bytes),
        }
    }
}

impl Names {
    /// Some changes of a directory reach the medium, the others never will.
    pub(super) fn scatter(&mut self, directory: Ino, upto: Seq, dice: &mut Stream) {
        let mut fates = Fates::subset(dice);
        let hit = self
            .pending
            .iter()
            .filter(|change| change.seq <= upto && change.is_in(directory));
        let hit: BTreeSet<Seq> = hit.map(|change| change.seq).collect();
        let chosen = hit
            .iter()
            .filter(|_| fates.next(PieceKind::Entry) == Arrival::Whole);
        let kept = self.without_orphans(chosen.copied().collect());
        self.settle(&kept, &hit);
    }
}

impl DiskModel {
    /// How many pieces a power loss would decide on now.
    pub fn pending_pieces(&self) -> usize {
        let of_file = |file: &FileNode| -> usize {
            let pieces = file
                .pending
                .iter()
                .map(|op| file.pieces(&op.change, self.sector_bytes()));
            pieces.map(|(sectors, sizes)| sectors + sizes).sum()
        };
        self.files.values().map(of_file).sum::<usize>() + self.names.pending.len()
    }

    /// The machine loses power: the process, its handles and its syncs are
    /// gone, of the pending pieces there is what `survival` says, and the cache
    /// is cold. Entry changes come with the earlier changes of the same names,
    /// or not at all; files that no durable name leads to are gone.
    pub fn power_loss(&mut self, survival: DiskSurvival, dice: &mut Stream) -> PowerLossReport {
        let pieces = self.pending_pieces();
        if pieces > 0 {
            self.met.row(survival.row());
        }
        self.lose_power(Fates::new(survival, pieces, dice))
    }

    /// As [`DiskModel::power_loss`], with the pieces that survive by their places
    /// in the order of the operations, from 0.
    pub fn power_loss_keeping(&mut self, kept: &BTreeSet<usize>) -> PowerLossReport {
        let mut dice = Stream::new(0, Purpose::Survival);
        self.lose_power(Fates::keeping(kept, &mut dice))
    }

    fn lose_power(&mut self, mut fates: Fates<'_>) -> PowerLossReport {
        let mut report = PowerLossReport {
            entries_pending: self.names.pending.len(),
            ..PowerLossReport::default()
        };
        let mut kept = BTreeSet::new();
        let mut strays = Vec::new();
        for (seq, owner) in self.pending_order() {
            match owner {
                Owner::Entry if fates.next(PieceKind::Entry) == Arrival::Whole => {
                    kept.insert(seq);
                }
                Owner::Entry => {}
                Owner::File(ino) => {
                    let loss = report.files.entry(self.path_or_ino(ino)).or_default();
                    strays.extend(self.arrive(ino, &mut fates, loss));
                }
            }
        }
        if fates.left_a_gap() {
            self.met.row(Row::WriteAnyOrder);
        }
        if self.names.has_pending_rename() {
            self.met.row(Row::RenameAtomic);
        }
        let kept = self.names.without_orphans(kept);
        report.entries_survived = kept.len();
        self.names.settle(&kept, &BTreeSet::new());
        self.land_all(strays);
        self.reboot();
        report
    }

    fn pending_order(&self) -> Vec<(Seq, Owner)> {
        let mut order: Vec<(Seq, Owner)> = self
            .names
            .pending
            .iter()
            .map(|change| (change.seq, Owner::Entry))
            .collect();
        for (ino, file) in &self.files {
            order.extend(file.pending.iter().map(|op| (op.seq, Owner::File(*ino))));
        }
        order.sort_by_key(|(seq, _)| *seq);
        order
    }

    /// Takes the file's oldest pending change through the fates.
    fn arrive(&mut self, ino: Ino, fates: &mut Fates<'_>, loss: &mut FileLoss) -> Vec<Stray> {
        let sector_bytes = self.config.sector_bytes;
        let file = self.file_mut(ino);
        let op = file.pop_upto(Seq::MAX).expect("it was listed as pending");
        file.arrive(op, fates, sector_bytes, loss)
    }

    /// A failed writeback: a random part of what is pending arrives, the rest
    /// is forgotten.
    pub(super) fn scatter(&mut self, ino: Ino, upto: Seq, dice: &mut Stream) {
        let mut fates = Fates::subset(dice);
        let mut strays = Vec::new();
        let mut loss = FileLoss::default();
        while self.file(ino).is_dirty(upto) {
            strays.extend(self.arrive(ino, &mut fates, &mut loss));
        }
        self.land_all(strays);
        self.file_mut(ino).durable.clip();
    }

    fn land_all(&mut self, strays: Vec<Stray>) {
        for stray in strays {
            self.land(stray);
        }
    }

    /// A misdirected write reaches its victim; not past the victim's size.
    pub(super) fn land(&mut self, stray: Stray) {
        if let Some(victim) = self.files.get_mut(&stray.to) {
            let size = victim.durable.size_bytes();
            victim.durable.write(stray.position, &stray.sectors, size);
        }
    }

    /// The machine starts again, on what the medium has.
    pub(super) fn reboot(&mut self) {
        self.generation += 1;
        self.descriptors.clear();
        self.syncs.abandon();
        self.names.reboot();
        let reached = self.names.reachable(true);
        self.files.retain(|ino, _| reached.contains(ino));
        for file in self.files.values_mut() {
            file.durable.clip();
            file.reboot();
        }
    }
}
