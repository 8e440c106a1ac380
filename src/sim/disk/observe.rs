//! The facts about a disk that an oracle, or a test, may know, and a process cannot.

use super::content::Content;
use super::file::{Change, FileNode};
use super::model::DiskModel;
use super::{Ino, Seq};
use crate::env::path;

/// The parts that a power loss could take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pending {
    /// Bytes of pending sectors.
    pub bytes: u64,
    /// Pending size changes, not counting those of writes.
    pub sizes: u64,
    /// Pending entry changes, of the directories in question.
    pub entries: u64,
}

impl DiskModel {
    /// The pieces that are pending in files whose path begins with `under`, and in
    /// directories whose path with a `/` behind it does; `""` is the whole disk.
    pub fn pending(&self, under: &str) -> Pending {
        let mut pending = Pending::default();
        for file in self.pending_files(under) {
            pending.bytes += file.pending_bytes();
            let size = |change: &Change| matches!(change, Change::Grow(_) | Change::Shrink(_));
            pending.sizes += file.pending.iter().filter(|op| size(&op.change)).count() as u64;
        }
        let names = &self.names;
        if names.pending.is_empty() {
            return pending;
        }
        let inside = |ino: &Ino| {
            under.is_empty() || format!("{}/", self.path_or_ino(*ino)).starts_with(under)
        };
        let directories: Vec<Ino> = names.directories.keys().copied().filter(inside).collect();
        let here = names
            .pending
            .iter()
            .filter(|c| directories.iter().any(|d| c.is_in(*d)));
        pending.entries = here.count() as u64;
        pending
    }

    /// [`DiskModel::pending`]'s bytes.
    pub fn pending_bytes(&self, under: &str) -> u64 {
        self.pending_files(under).map(FileNode::pending_bytes).sum()
    }

    fn pending_files(&self, under: &str) -> impl Iterator<Item = &FileNode> {
        let pending = self
            .files
            .iter()
            .filter(|(_, file)| !file.pending.is_empty());
        let inside = move |ino: Ino| under.is_empty() || self.path_or_ino(ino).starts_with(under);
        pending.filter_map(move |(ino, file)| inside(*ino).then_some(file))
    }

    /// Whether anything but a crash may have taken what was synced: a bad sector, a lie,
    /// a failed write that took the cache along.
    pub fn may_be_damaged(&self) -> bool {
        self.faults.damages() + self.faults.lies() + self.reverts > 0
    }

    /// How often the disk said that something was durable that was not, without
    /// an error ever.
    pub fn lies(&self) -> u64 {
        self.faults.lies()
    }

    /// How often a write that failed left the page cache with older bytes.
    pub fn reverts(&self) -> u64 {
        self.reverts
    }

    /// The newest change of the disk.
    pub fn last_seq(&self) -> Seq {
        self.seq
    }

    /// The newest change of a file; `None` where the file is gone.
    pub fn last_seq_of(&self, ino: Ino) -> Option<Seq> {
        self.files.get(&ino).map(|file| file.last_seq())
    }

    /// Every change of the file up to here is durable (its name aside; growth
    /// that no written byte needed aside, after a data sync). Stands still from
    /// the first change that an error, a lost or a misdirected write dropped,
    /// until the power goes: rewriting may have made good for it, so ask
    /// [`DiskModel::durable_matches`].
    pub fn durable_seq(&self, ino: Ino) -> Option<Seq> {
        self.files.get(&ino).map(|file| file.durable_seq())
    }

    /// True where a power loss now, in the worst case, leaves exactly `expected`
    /// at `position` of the file: bytes, size, name, and readable. Costs no more
    /// than the comparison and a look through the names.
    pub fn durable_matches(&self, ino: Ino, position: u64, expected: &[u8]) -> bool {
        let Some(file) = self.files.get(&ino) else {
            return false;
        };
        let end = (position + expected.len() as u64).div_ceil(self.config.sector_bytes);
        let sectors = position / self.config.sector_bytes..end;
        file.durable.matches(position, expected)
            && file.unreadable.range(sectors).next().is_none()
            && self.is_linked_durably(ino)
    }

    /// True where durable names lead to the file.
    pub fn is_linked_durably(&self, ino: Ino) -> bool {
        self.names.is_linked_durably(ino)
    }

    /// The file's path, as a process sees it; `None` once removed.
    pub fn path_of(&self, ino: Ino) -> Option<String> {
        self.names.path_of(ino, false)
    }

    /// The cached size of the file of that name; `None` where there is none.
    pub fn size_at(&self, path: &str) -> Option<u64> {
        let ino = self.lookup(&self.name(path).ok()?)?;
        Some(self.files.get(&ino)?.cached.size_bytes())
    }

    /// The file's path on the medium.
    pub fn durable_path_of(&self, ino: Ino) -> Option<String> {
        self.names.path_of(ino, true)
    }

    /// The file as a power loss would leave it in which nothing unsynced
    /// survives; `None` where it would not be there.
    pub fn durable_file(&self, path: &str) -> Option<&Content> {
        Some(&self.files.get(&self.durable_ino(path)?)?.durable)
    }

    /// The file as a process sees it.
    pub fn cached_file(&self, path: &str) -> Option<&Content> {
        let components = path::components(path).ok()?;
        Some(
            &self
                .files
                .get(&self.names.resolve(&components, false)?)?
                .cached,
        )
    }

    /// Where reads of a file fail, as byte positions; of the file that durable
    /// names lead to, or of the one that a process sees.
    pub fn unreadable_ranges(&self, path: &str, durable: bool) -> Vec<std::ops::Range<usize>> {
        let ino = path::components(path)
            .ok()
            .and_then(|components| self.names.resolve(&components, durable));
        let file = ino.and_then(|ino| self.files.get(&ino));
        let sector_bytes = self.config.sector_bytes as usize;
        let sectors = file.into_iter().flat_map(|file| &file.unreadable);
        sectors
            .map(|sector| {
                let from = *sector as usize * sector_bytes;
                from..from + sector_bytes
            })
            .collect()
    }

    /// The names of a directory as a power loss would leave them in which
    /// nothing unsynced survives; `None` where it would not be there.
    pub fn durable_list(&self, directory: &str) -> Option<Vec<String>> {
        let directory = self.names.directories.get(&self.durable_ino(directory)?)?;
        Some(directory.durable.keys().cloned().collect())
    }

    fn durable_ino(&self, path: &str) -> Option<Ino> {
        self.names.resolve(&path::components(path).ok()?, true)
    }
}
