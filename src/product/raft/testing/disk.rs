//! The memory of a replica: durable, or cached and gone with the power.

use std::collections::BTreeSet;

use crate::raft::{Configuration, EntryHead, EntryId, HardState, LogView, Unreadable};

/// An entry with a value that no other has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TestEntry {
    pub(super) head: EntryHead,
    pub(super) value: u64,
}

/// A log and a hard state.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    /// As it is on the medium.
    pub(super) hard: HardState,
    /// A save under way: durable or not, if the power fails now.
    pub(super) saving: Option<HardState>,
    pub(super) base: EntryId,
    /// None on a blank disk.
    pub(super) base_configuration: Option<Configuration>,
    /// Behind the base; cached.
    pub(super) log: Vec<TestEntry>,
    /// Up to here it is durable.
    pub(super) durable_index: u64,
    /// A sync under way: the last entry it covers, and whether the log was cut
    /// since.
    pub(super) sync: Option<(EntryId, bool)>,
    /// Entries that cannot be read. Driver and core never look into them; what is
    /// in `log` there is what stood there.
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

    pub(super) fn entry(&self, index: u64) -> Option<&TestEntry> {
        let at = index.checked_sub(self.base.index + 1)?;
        self.log.get(usize::try_from(at).ok()?)
    }

    /// The entries behind `previous_index`, up to `upto_index`.
    pub(super) fn entries(&self, previous_index: u64, upto_index: u64) -> Vec<TestEntry> {
        (previous_index + 1..=upto_index)
            .map_while(|index| self.entry(index).cloned())
            .collect()
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
    pub(super) fn drop_to(&mut self, index: u64) -> EntryId {
        assert!(
            self.rotten.is_empty(),
            "it applies nothing, and drops nothing"
        );
        let base = self.id_at(index).expect("an index of the log");
        let dropped = self.log.iter().filter(|entry| entry.head.id.index <= index);
        let mut configuration = dropped.filter_map(|entry| entry.head.configuration.clone());
        if let Some(configuration) = configuration.next_back() {
            self.base_configuration = Some(configuration);
        }
        self.log.retain(|entry| entry.head.id.index > index);
        self.base = base;
        base
    }

    pub(super) fn install(&mut self, base: EntryId, configuration: Configuration) {
        self.log.clear();
        self.base = base;
        self.base_configuration = Some(configuration);
        self.durable_index = base.index;
        self.sync = None;
        self.rotten.clear();
    }

    /// The power fails; entries up to `survives_index` had reached the medium.
    pub(super) fn lose_power(&mut self, survives_index: u64, save_survives: bool) {
        if let Some(hard) = self.saving.take_if(|_| save_survives) {
            self.hard = hard;
        }
        self.saving = None;
        self.sync = None;
        let kept_index = survives_index.max(self.durable_index);
        self.log.retain(|entry| entry.head.id.index <= kept_index);
        self.durable_index = self.last().index;
    }

    /// A number in place of an entry's hash: no other has it.
    pub(super) fn hash_of(id: EntryId) -> u64 {
        (id.term << 32) + id.index + 1
    }

    /// The ranges that cannot be read, and the hashes of their ends, which the
    /// entries behind them have.
    pub(super) fn holes(&self) -> Vec<Unreadable> {
        let mut holes: Vec<Unreadable> = Vec::new();
        for index in &self.rotten {
            let id = self.id_at(*index).expect("it is there");
            let hash = Self::hash_of(id);
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

    /// As a driver reads them: none from the first hole on.
    pub(super) fn configurations(&self) -> Vec<(u64, Configuration)> {
        let hole_from = self.rotten.first().copied().unwrap_or(u64::MAX);
        let mut configurations = self.appended_configurations();
        configurations.retain(|(index, _)| *index < hole_from);
        configurations
    }

    /// Whether or not they can be read.
    pub(super) fn appended_configurations(&self) -> Vec<(u64, Configuration)> {
        let base = self.base_configuration.clone();
        let base = base.map(|configuration| (self.base.index, configuration));
        let of_log = self.log.iter().filter_map(|entry| {
            let configuration = entry.head.configuration.clone()?;
            Some((entry.head.id.index, configuration))
        });
        base.into_iter().chain(of_log).collect()
    }
}
