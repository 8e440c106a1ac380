//! Nothing that rests on a term or a vote leaves before it is durable (D1).

use std::collections::VecDeque;

use super::{HardState, Output};

/// The hard state, as it is and as it is on the disk.
///
/// 1. An output is handed on only once the hard state at the moment of its
///    making, or a later one, is durable.
/// 2. Outputs keep their order.
/// 3. One save is under way at a time; what changes meanwhile goes into the
///    next.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    current: HardState,
    /// Counts the changes of `current`.
    version: u64,
    saved_version: u64,
    saving: Option<(u64, HardState)>,
    held: VecDeque<(u64, Output)>,
}

impl Gate {
    /// `hard` is durable.
    pub(super) fn new(hard: HardState) -> Self {
        Self {
            current: hard,
            version: 0,
            saved_version: 0,
            saving: None,
            held: VecDeque::new(),
        }
    }

    pub(super) fn hard(&self) -> HardState {
        self.current
    }

    /// The state that the replica goes by is also the one it would remember.
    pub(super) fn is_durable(&self) -> bool {
        self.saved_version == self.version
    }

    /// The outputs that wait for a hard state to be durable.
    pub(super) fn held(&self) -> impl Iterator<Item = &Output> {
        self.held.iter().map(|(_, output)| output)
    }

    /// As [`Gate::held`], each with whether it waits for more than the save under way.
    pub(super) fn held_behind(&self) -> impl Iterator<Item = (bool, &Output)> {
        let saving = self.saving.map_or(u64::MAX, |(version, _)| version);
        self.held
            .iter()
            .map(move |(needs, output)| (*needs > saving, output))
    }

    /// The save under way.
    pub(super) fn saving(&self) -> Option<HardState> {
        self.saving.map(|(_, hard)| hard)
    }

    /// Changes the hard state.
    pub(super) fn change(&mut self, hard: HardState) {
        debug_assert!(hard.term >= self.current.term, "a term never falls");
        if hard != self.current {
            self.current = hard;
            self.version += 1;
        }
    }

    /// Hands `output` to `out`, now or once the hard state is durable.
    pub(super) fn send(&mut self, output: Output, out: &mut VecDeque<Output>) {
        if self.is_durable() {
            out.push_back(output);
        } else {
            self.held.push_back((self.version, output));
        }
    }

    /// Begins the save that is due, if none is under way.
    pub(super) fn begin_save(&mut self) -> Option<HardState> {
        if self.saving.is_some() || self.is_durable() {
            return None;
        }
        self.saving = Some((self.version, self.current));
        Some(self.current)
    }

    /// `hard` is durable: what rested on it may leave.
    pub(super) fn saved(&mut self, hard: HardState, out: &mut VecDeque<Output>) {
        let Some((version, _)) = self.saving.take_if(|(_, saving)| *saving == hard) else {
            return;
        };
        self.saved_version = version;
        let free = self.held.partition_point(|(needs, _)| *needs <= version);
        out.extend(self.held.drain(..free).map(|(_, output)| output));
    }

    /// Nothing that is held leaves any more.
    pub(super) fn close(&mut self) {
        self.held.clear();
        self.saving = None;
    }
}
