//! The names: directories, their cached and durable entries, and the changes
//! between.
//!
//! A change touches one name, a rename two, and becomes durable whole. It is
//! due once *every* directory it touches was synced after it; so a rename
//! across directories needs both, and until then the old name stands.
//!
//! Changes of one name keep their order on the medium (they live in one block
//! of the directory); changes of different names do not. So a change that
//! becomes durable takes the earlier changes of its names along, and one that
//! is lost takes the later ones with it. With that, a rename never ends with
//! neither name.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use super::{Ino, Seq};

/// The root directory of every disk.
pub(super) const ROOT: Ino = Ino(0);

/// A name in a directory.
pub(super) type Name = (Ino, String);

#[derive(Debug, Clone, Default)]
pub(super) struct Directory {
    pub(super) cached: Entries,
    pub(super) durable: Entries,
}

/// The entries of a directory, found by their names and by their inodes.
///
/// Nothing makes a hard link, yet a durable tree may have two names for one inode: where
/// a rename was lost to an error, the next one leaves the oldest name standing.
///
/// Invariant: `names` has an inode where `by_name` does, with one of its names.
#[derive(Debug, Clone, Default)]
pub(super) struct Entries {
    by_name: BTreeMap<String, Ino>,
    names: BTreeMap<Ino, String>,
}

impl Entries {
    fn insert(&mut self, name: String, ino: Ino) {
        self.names.insert(ino, name.clone());
        if let Some(replaced) = self.by_name.insert(name.clone(), ino)
            && replaced != ino
        {
            self.unname(replaced, &name);
        }
    }

    fn remove(&mut self, name: &str) {
        if let Some(ino) = self.by_name.remove(name) {
            self.unname(ino, name);
        }
    }

    /// That name of an inode is gone; it may have another.
    fn unname(&mut self, ino: Ino, name: &str) {
        if self.names.get(&ino).is_some_and(|known| known == name) {
            let mut others = self.by_name.iter().filter(|(_, named)| **named == ino);
            match others.next() {
                Some((other, _)) => self.names.insert(ino, other.clone()),
                None => self.names.remove(&ino),
            };
        }
    }
}

impl Deref for Entries {
    type Target = BTreeMap<String, Ino>;

    fn deref(&self) -> &Self::Target {
        &self.by_name
    }
}

/// A change to names: `gone` no longer stands, `stands` does.
#[derive(Debug, Clone)]
pub(super) struct EntryChange {
    pub(super) seq: Seq,
    gone: Option<Name>,
    stands: Option<(Name, Ino)>,
    /// Directories whose sync it still waits for.
    waits_for: BTreeSet<Ino>,
}

impl EntryChange {
    pub(super) fn create(seq: Seq, name: Name, ino: Ino) -> Self {
        let waits_for = BTreeSet::from([name.0]);
        Self {
            seq,
            gone: None,
            stands: Some((name, ino)),
            waits_for,
        }
    }

    pub(super) fn remove(seq: Seq, name: Name) -> Self {
        let waits_for = BTreeSet::from([name.0]);
        Self {
            seq,
            gone: Some(name),
            stands: None,
            waits_for,
        }
    }

    pub(super) fn rename(seq: Seq, from: Name, to: Name, ino: Ino) -> Self {
        let waits_for = BTreeSet::from([from.0, to.0]);
        Self {
            seq,
            gone: Some(from),
            stands: Some((to, ino)),
            waits_for,
        }
    }

    fn names(&self) -> impl Iterator<Item = &Name> {
        self.gone
            .iter()
            .chain(self.stands.iter().map(|(name, _)| name))
    }

    fn touches(&self, names: &BTreeSet<Name>) -> bool {
        self.names().any(|name| names.contains(name))
    }

    /// True where it changes something in `directory`.
    pub(super) fn is_in(&self, directory: Ino) -> bool {
        self.names().any(|name| name.0 == directory)
    }
}

/// All directories of a disk.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) directories: BTreeMap<Ino, Directory>,
    pub(super) pending: Vec<EntryChange>,
}

impl Default for Names {
    fn default() -> Self {
        let directories = BTreeMap::from([(ROOT, Directory::default())]);
        Self {
            directories,
            pending: Vec::new(),
        }
    }
}

impl Names {
    /// The node that `components` lead to, in the cached or in the durable tree.
    pub(super) fn resolve(&self, components: &[&str], durable: bool) -> Option<Ino> {
        components.iter().try_fold(ROOT, |at, name| {
            let directory = self.directories.get(&at)?;
            let entries = if durable {
                &directory.durable
            } else {
                &directory.cached
            };
            entries.get(*name).copied()
        })
    }

    /// Whether a rename is not durable yet.
    pub(super) fn has_pending_rename(&self) -> bool {
        let mut pending = self.pending.iter();
        pending.any(|change| change.gone.is_some() && change.stands.is_some())
    }

    /// The names that changes not yet durable concern, in one directory.
    pub(super) fn pending_in(&self, directory: Ino, upto: Seq) -> impl Iterator<Item = &str> {
        let changes = self.pending.iter().filter(move |change| change.seq <= upto);
        let names = changes.flat_map(EntryChange::names);
        let here = names.filter(move |name| name.0 == directory);
        here.map(|name| name.1.as_str())
    }

    pub(super) fn is_directory(&self, ino: Ino) -> bool {
        self.directories.contains_key(&ino)
    }

    /// Changes the cached names, and remembers that the medium is behind.
    pub(super) fn change(&mut self, change: EntryChange) {
        if let Some((directory, name)) = &change.gone {
            self.cached(*directory).remove(name);
        }
        if let Some(((directory, name), ino)) = &change.stands {
            self.cached(*directory).insert(name.clone(), *ino);
        }
        self.pending.push(change);
    }

    fn cached(&mut self, directory: Ino) -> &mut Entries {
        &mut self
            .directories
            .get_mut(&directory)
            .expect("a named directory exists")
            .cached
    }

    /// True where a sync of `directory` up to `upto` has something to do.
    pub(super) fn is_dirty(&self, directory: Ino, upto: Seq) -> bool {
        let waits =
            |change: &EntryChange| change.seq <= upto && change.waits_for.contains(&directory);
        self.pending.iter().any(waits)
    }

    /// Carries the changes of `directory` up to `upto` to the medium, as far
    /// as no other directory's sync is missing.
    pub(super) fn sync(&mut self, directory: Ino, upto: Seq) {
        for change in self.pending.iter_mut().filter(|change| change.seq <= upto) {
            change.waits_for.remove(&directory);
        }
        let due = self
            .pending
            .iter()
            .filter(|change| change.waits_for.is_empty());
        let due: BTreeSet<Seq> = due.map(|change| change.seq).collect();
        self.settle(&self.with_earlier(due), &BTreeSet::new());
    }

    /// Changes the names, on the medium as well, with what else is pending of the same ones.
    pub(super) fn change_durably(&mut self, change: EntryChange) {
        let seq = change.seq;
        self.change(change);
        self.settle(&self.with_earlier(BTreeSet::from([seq])), &BTreeSet::new());
    }

    /// `chosen` and every earlier change of their names.
    fn with_earlier(&self, mut chosen: BTreeSet<Seq>) -> BTreeSet<Seq> {
        let mut names = BTreeSet::new();
        for change in self.pending.iter().rev() {
            if chosen.contains(&change.seq) || change.touches(&names) {
                chosen.insert(change.seq);
                names.extend(change.names().cloned());
            }
        }
        chosen
    }

    /// `chosen` without those that come after a change of the same name that
    /// was not chosen.
    pub(super) fn without_orphans(&self, mut chosen: BTreeSet<Seq>) -> BTreeSet<Seq> {
        let mut names = BTreeSet::new();
        for change in &self.pending {
            if !chosen.contains(&change.seq) || change.touches(&names) {
                chosen.remove(&change.seq);
                names.extend(change.names().cloned());
            }
        }
        chosen
    }

    /// Makes `kept` durable and forgets them and `dropped`.
    pub(super) fn settle(&mut self, kept: &BTreeSet<Seq>, dropped: &BTreeSet<Seq>) {
        let pending = std::mem::take(&mut self.pending);
        for change in pending {
            if kept.contains(&change.seq) {
                self.make_durable(change);
            } else if !dropped.contains(&change.seq) {
                self.pending.push(change);
            }
        }
    }

    fn make_durable(&mut self, change: EntryChange) {
        if let Some((directory, name)) = change.gone {
            self.durable(directory).remove(&name);
        }
        if let Some(((directory, name), ino)) = change.stands {
            self.durable(directory).insert(name, ino);
        }
    }

    fn durable(&mut self, directory: Ino) -> &mut Entries {
        &mut self
            .directories
            .get_mut(&directory)
            .expect("a pending directory exists")
            .durable
    }

    /// After a power loss: the durable names are all there are.
    pub(super) fn reboot(&mut self) {
        self.pending.clear();
        let reached = self.reachable(true);
        self.directories.retain(|ino, _| reached.contains(ino));
        for directory in self.directories.values_mut() {
            directory.cached = directory.durable.clone();
        }
    }

    /// Every inode that the cached or the durable names lead to.
    pub(super) fn reachable(&self, durable: bool) -> BTreeSet<Ino> {
        let mut reached = BTreeSet::from([ROOT]);
        let mut open = vec![ROOT];
        while let Some(directory) = open.pop().and_then(|ino| self.directories.get(&ino)) {
            let entries = if durable {
                &directory.durable
            } else {
                &directory.cached
            };
            let fresh: Vec<Ino> = entries
                .values()
                .copied()
                .filter(|i| reached.insert(*i))
                .collect();
            open.extend(fresh.into_iter().filter(|ino| self.is_directory(*ino)));
        }
        reached
    }

    /// Whether some name means `ino`, cached, durable or pending. Allocates nothing.
    pub(super) fn mention(&self, ino: Ino) -> bool {
        let is_named = |directory: &Directory| {
            let trees = [&directory.cached, &directory.durable];
            trees.iter().any(|tree| tree.names.contains_key(&ino))
        };
        let mut stands = self.pending.iter().filter_map(|it| it.stands.as_ref());
        self.directories.values().any(is_named) || stands.any(|(_, named)| *named == ino)
    }

    /// The path under which the cached (durable) tree has `ino`.
    pub(super) fn path_of(&self, ino: Ino, durable: bool) -> Option<String> {
        let (mut at, mut path) = (ino, String::new());
        while at != ROOT {
            let (parent, name) = self.parent_of(at, durable)?;
            path = if path.is_empty() {
                name.to_owned()
            } else {
                format!("{name}/{path}")
            };
            at = parent;
        }
        Some(path)
    }

    /// True where the durable names lead to `ino`. Allocates nothing.
    pub(super) fn is_linked_durably(&self, ino: Ino) -> bool {
        let mut at = ino;
        while at != ROOT {
            match self.parent_of(at, true) {
                Some((parent, _)) => at = parent,
                None => return false,
            }
        }
        true
    }

    fn parent_of(&self, ino: Ino, durable: bool) -> Option<(Ino, &str)> {
        self.directories.iter().find_map(|(parent, directory)| {
            let entries = if durable {
                &directory.durable
            } else {
                &directory.cached
            };
            let name = entries.names.get(&ino)?;
            Some((*parent, name.as_str()))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{EntryChange, Ino, Name, Names, ROOT};

    fn name(of: &str) -> Name {
        (ROOT, of.to_owned())
    }

    /// Seeds 802002227 and 802002837 of `swarm-expiry` met it: the file was dropped while
    /// a durable name still led to it, and the next power loss found nothing there.
    #[test]
    fn an_inode_with_two_durable_names_is_there_until_both_are_gone() {
        let file = Ino(7);
        let mut names = Names::default();
        let (all, none) = (|seq| BTreeSet::from([seq]), BTreeSet::new());
        names.change(EntryChange::create(1, name("a"), file));
        names.settle(&all(1), &none);
        names.change(EntryChange::rename(2, name("a"), name("b"), file));
        names.settle(&none, &all(2));
        names.change(EntryChange::rename(3, name("b"), name("c"), file));
        names.settle(&all(3), &none);
        names.change(EntryChange::remove(4, name("c")));
        names.settle(&all(4), &none);
        assert!(names.mention(file), "the oldest name still leads to it");
        assert!(names.is_linked_durably(file));
        names.change(EntryChange::create(5, name("a"), Ino(8)));
        names.settle(&all(5), &none);
        assert!(!names.mention(file));
        assert!(names.mention(Ino(8)));
    }
}
