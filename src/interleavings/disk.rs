//! The memory of a replica: durable, or cached and gone with the power.

use std::collections::BTreeSet;

use crate::raft::{
    Configuration, EntryHead, EntryId, HardState, LogView, Names, Unreadable, Words,
};

/// An entry with a value: equal ids and different values are two entries of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) head: EntryHead,
    pub(super) value: u64,
}

/// A log and a hard state.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    /// As it is on the medium.
    pub(super) hard: HardState,
    /// A save under way.
    pub(super) saving: Option<HardState>,
    pub(super) base: EntryId,
    /// None on a blank disk.
    pub(super) base_configuration: Option<Configuration>,
    /// Behind the base; cached.
    pub(super) log: Vec<Entry>,
    /// Up to here it is durable.
    pub(super) durable_index: u64,
    /// The last entry that a sync under way covers, and whether the log was cut since.
    pub(super) sync: Option<(EntryId, bool)>,
    /// Entries that cannot be read. Neither driver nor core looks into them.
    pub(super) rotten: BTreeSet<u64>,
}

impl Disk {
    pub(super) fn formatted(configuration: Option<Configuration>) -> Self {
        Self {
            hard: HardState::default(),
            saving: None,
            base: EntryId::ZERO,
            base_configuration: configuration,
            log: Vec::new(),
            durable_index: 0,
            sync: None,
            rotten: BTreeSet::new(),
        }
    }

    pub(super) fn last(&self) -> EntryId {
        self.log.last().map_or(self.base, |entry| entry.head.id)
    }

    pub(super) fn id_at(&self, index: u64) -> Option<EntryId> {
        if index == self.base.index {
            return Some(self.base);
        }
        self.entry(index).map(|entry| entry.head.id)
    }

    pub(super) fn entry(&self, index: u64) -> Option<&Entry> {
        let at = index.checked_sub(self.base.index + 1)?;
        self.log.get(usize::try_from(at).ok()?)
    }

    /// Whether the entry is durable here and can be read, or lies below the log.
    pub(super) fn holds(&self, id: EntryId) -> bool {
        let below = id.index <= self.base.index;
        let durable = id.index <= self.durable_index && self.id_at(id.index) == Some(id);
        below || durable && !self.rotten.contains(&id.index)
    }

    /// The entries behind `previous_index`, up to `upto_index`.
    pub(super) fn entries(&self, previous_index: u64, upto_index: u64) -> Vec<Entry> {
        (previous_index + 1..=upto_index)
            .map_while(|index| self.entry(index).cloned())
            .collect()
    }

    pub(super) fn is_unsynced(&self) -> bool {
        self.durable_index < self.last().index
    }

    pub(super) fn truncate(&mut self, from_index: u64) {
        self.log.retain(|entry| entry.head.id.index < from_index);
        self.rotten.retain(|index| *index < from_index);
        self.durable_index = self.durable_index.min(self.last().index);
        if let Some((covered, cut)) = &mut self.sync {
            *cut |= covered.index >= from_index;
        }
    }

    /// Drops everything up to `index`, which is committed.
    pub(super) fn drop_to(&mut self, index: u64) -> Option<EntryId> {
        let base = self.id_at(index)?;
        let dropped = self.log.iter().filter(|entry| entry.head.id.index <= index);
        let mut configurations = dropped.filter_map(|entry| entry.head.configuration.clone());
        if let Some(configuration) = configurations.next_back() {
            self.base_configuration = Some(configuration);
        }
        self.log.retain(|entry| entry.head.id.index > index);
        self.base = base;
        Some(base)
    }

    /// A base in place of all that is here; the hard state stays.
    pub(super) fn install(&mut self, base: EntryId, configuration: Configuration) {
        self.log.clear();
        self.base = base;
        self.base_configuration = Some(configuration);
        self.durable_index = base.index;
        self.sync = None;
        self.rotten.clear();
    }

    /// A base in place of what is below it; what follows it stays (D8).
    pub(super) fn stand_in(&mut self, base: EntryId, configuration: Configuration) {
        if self.hard.term < base.term {
            self.hard = self.hard.in_term(base.term);
        }
        // Inside a hole nothing can be compared: what follows it stays.
        let inside = [base.index, base.index + 1].map(|index| self.rotten.contains(&index));
        let same = inside == [true, true] || self.id_at(base.index) == Some(base);
        if self.last().index <= base.index || !same {
            return self.install(base, configuration);
        }
        self.log.retain(|entry| entry.head.id.index > base.index);
        self.rotten.retain(|index| *index > base.index);
        self.base = base;
        self.base_configuration = Some(configuration);
    }

    /// The power fails; `kept` entries of those that were not synced survive.
    pub(super) fn lose_power(&mut self, kept: u64, save_survives: bool) {
        if let Some(hard) = self.saving.take_if(|_| save_survives) {
            self.hard = hard;
        }
        self.saving = None;
        self.sync = None;
        let kept_index = self.durable_index + kept;
        self.log.retain(|entry| entry.head.id.index <= kept_index);
        self.rotten.retain(|index| *index <= kept_index);
        self.durable_index = self.last().index;
    }

    /// The end does not verify from `from_index` on: the log is cut there, with the
    /// uncertain tail durable before (D12).
    pub(super) fn tear(&mut self, from_index: u64) {
        self.hard = self.hard.is_uncertain(from_index, 0);
        self.truncate(from_index);
    }

    /// A number in place of an entry's hash: no other has it.
    pub(super) fn hash_of(id: EntryId) -> u64 {
        (id.term << 32) + id.index + 1
    }

    /// The ranges that cannot be read, and the hashes of their ends.
    pub(super) fn holes(&self) -> Vec<Unreadable> {
        let mut holes: Vec<Unreadable> = Vec::new();
        for index in &self.rotten {
            let hash = self.id_at(*index).map_or(0, Self::hash_of);
            match holes.last_mut() {
                Some(last) if last.upto_index == *index => {
                    last.upto_index = index + 1;
                    last.hash = hash;
                }
                _ => holes.push(Unreadable {
                    from_index: *index,
                    upto_index: index + 1,
                    hash,
                }),
            }
        }
        holes
    }

    /// The log as a driver knows it: in a hole, terms as low as they can be.
    pub(super) fn view(&self) -> LogView {
        let mut view = LogView::new(self.base, Vec::new(), self.base.index);
        for entry in &self.log {
            let id = entry.head.id;
            let term = match self.rotten.contains(&id.index) {
                true => view.last().term,
                false => id.term.max(view.last().term),
            };
            view.push(EntryId { term, ..id });
        }
        view
    }

    /// With their indices, as a driver reads them: none from the first hole on.
    pub(super) fn configurations(&self) -> Vec<(u64, Configuration)> {
        let hole_from = self.rotten.first().copied().unwrap_or(u64::MAX);
        let base = self.base_configuration.clone();
        let base = base.map(|configuration| (self.base.index, configuration));
        let of_log = self.log.iter().filter_map(|entry| {
            let configuration = entry.head.configuration.clone()?;
            Some((entry.head.id.index, configuration))
        });
        let all = base.into_iter().chain(of_log);
        all.filter(|(index, _)| *index < hole_from).collect()
    }

    /// Whether or not they can be read.
    pub(super) fn appended_configurations(&self) -> impl Iterator<Item = &Configuration> {
        let entries = self.log.iter();
        let of_log = entries.filter_map(|entry| entry.head.configuration.as_ref());
        self.base_configuration.iter().chain(of_log)
    }

    /// Words that tell this disk from another.
    pub(super) fn digest(&self, names: &Names, out: &mut Words) {
        names.hard(self.hard, out);
        if let Some(saving) = self.saving {
            names.hard(saving, out);
        }
        out.extend([u64::MAX, (self.base.term << 32) | self.base.index]);
        if let Some(configuration) = &self.base_configuration {
            names.configuration(configuration, out);
        }
        for entry in &self.log {
            let id = entry.head.id;
            out.push((id.term << 40) | (id.index << 20) | entry.value);
            if let Some(configuration) = &entry.head.configuration {
                names.configuration(configuration, out);
            }
        }
        out.extend([u64::MAX, self.durable_index]);
        if let Some((id, cut)) = self.sync {
            out.extend([(id.term << 32) | id.index, u64::from(cut)]);
        }
        out.push(u64::MAX);
        out.extend(&self.rotten);
    }
}
