//! Faults that last. Whether one could matter is known when it ends
//! (guarantee.md, section 3, "Eligible").

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;

use super::phases::{Run, RunStep};
use crate::history::FaultKind;
use crate::sim::net::NodeId;

/// The condition for a lasting fault to count as eligible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// It left traces.
    Traces,
    /// It could matter at some moment while it lasted.
    Asked,
    /// Both.
    TracesWhileAsked,
}

/// A fault that lasts.
pub(super) trait Lasts: Any + fmt::Debug {
    /// The traces that such a fault has left on a machine so far.
    fn traces(&self, run: &Run<'_>, machine: usize) -> u64;

    /// Whether it could matter now.
    fn could_matter(&self, run: &Run<'_>, machine: usize) -> bool {
        run.has_work(machine)
    }

    /// The condition for it to count as eligible.
    fn needs(&self) -> Needs;

    /// Whether it is seen in what became of requests and leaders, once all is over. Else
    /// its traces say whether it changed something.
    fn is_seen_at_the_end(&self) -> bool {
        false
    }

    /// Puts a machine into the state that its other open windows ask for.
    fn end(&self, run: &mut Run<'_>, machine: usize);

    /// Of what it does to links, keeps what touches these machines.
    fn stays_for(&mut self, _stay: &BTreeSet<NodeId>) {}
}

impl dyn Lasts {
    fn is_a<T: Lasts>(&self) -> Option<&T> {
        let any: &dyn Any = self;
        any.downcast_ref()
    }
}

/// A lasting fault that has not ended.
#[derive(Debug)]
pub(super) struct Window {
    number: u64,
    machine: usize,
    what: Box<dyn Lasts>,
    /// Its place in the ledger.
    entry: usize,
    /// The count that shows that it mattered, when it began.
    before: u64,
    /// The condition for it to matter was met while it lasted: a request in flight, for
    /// most.
    asked: bool,
}

impl Run<'_> {
    /// Begins a lasting fault, which is already in force; without an end of its
    /// own, it ends when everything heals.
    pub(super) fn open_window(
        &mut self,
        machine: usize,
        kind: FaultKind,
        what: impl Lasts,
        lasts_ns: Option<u64>,
    ) {
        let before = what.traces(self, machine);
        let dirty = self.dirty(machine as u32);
        let note = format!("{kind} begins");
        self.enter(kind, machine as u32, false, dirty, note);
        self.windows_opened += 1;
        let number = self.windows_opened;
        self.windows.push(Window {
            number,
            machine,
            what: Box::new(what),
            entry: self.ledger.fired.len() - 1,
            before,
            asked: false,
        });
        self.watch_windows();
        if let Some(lasts_ns) = lasts_ns {
            self.at(self.world.now_ns() + lasts_ns, RunStep::Close(number));
        }
    }

    /// The open windows of a type.
    pub(super) fn open<T: Lasts>(&self) -> impl Iterator<Item = &T> {
        let windows = self.windows.iter();
        windows.filter_map(|window| window.what.is_a())
    }

    /// As [`Run::open`], of one machine.
    pub(super) fn open_on<T: Lasts>(&self, machine: usize) -> impl Iterator<Item = &T> {
        let windows = self.windows.iter();
        let own = windows.filter(move |window| window.machine == machine);
        own.filter_map(|window| window.what.is_a())
    }

    fn kind_of(&self, window: &Window) -> FaultKind {
        self.ledger.fired[window.entry].kind
    }

    /// Looks for what windows need to see while they are open.
    pub(super) fn watch_windows(&mut self) {
        let is_of_wall_clock = |window: &Window| {
            matches!(
                self.kind_of(window),
                FaultKind::ClockSkew | FaultKind::ClockJump
            )
        };
        if self.windows.iter().any(is_of_wall_clock) {
            self.follow();
        }
        let mut windows = std::mem::take(&mut self.windows);
        for window in windows.iter_mut().filter(|window| !window.asked) {
            window.asked = window.what.could_matter(self, window.machine);
        }
        self.windows = windows;
    }

    /// Ends a lasting fault, unless it has ended before.
    pub(super) fn close_window(&mut self, number: u64) {
        let is_it = |window: &Window| window.number == number;
        let Some(index) = self.windows.iter().position(is_it) else {
            return;
        };
        let window = self.windows.remove(index);
        self.judge_window(&window);
        window.what.end(self, window.machine);
        self.note_end(window.machine as u32, self.kind_of(&window));
    }

    /// The effect of a lasting fault so far, for the ledger.
    fn judge_window(&mut self, window: &Window) {
        let left_behind = window.what.traces(self, window.machine) > window.before;
        let entry = window.entry;
        self.ledger.fired[entry].eligible = match window.what.needs() {
            Needs::Traces => left_behind,
            Needs::Asked => window.asked,
            Needs::TracesWhileAsked => left_behind && window.asked,
        };
        match window.what.is_seen_at_the_end() {
            true => self.lasted.push((entry, self.world.now_ns())),
            false => self.ledger.fired[entry].observed = left_behind,
        }
    }

    /// Ends all of them, except those on machines that stay as they are: these
    /// never end. Of what they do to links, they keep what touches these machines.
    pub(super) fn close_windows(&mut self, stay: &BTreeSet<NodeId>) {
        let mut windows = std::mem::take(&mut self.windows);
        let (mut kept, mut ending) = (Vec::new(), Vec::new());
        for mut window in windows.drain(..) {
            if !stay.contains(&(window.machine as NodeId)) {
                ending.push(window.number);
                self.windows.push(window);
                continue;
            }
            self.judge_window(&window);
            window.what.stays_for(stay);
            kept.push(window);
        }
        self.windows.extend(kept);
        for number in ending {
            self.close_window(number);
        }
        if !stay.is_empty() {
            self.renew_cuts();
            self.renew_limping();
        }
    }

    /// Ends those of a type on a node.
    pub(super) fn close_all<T: Lasts>(&mut self, node: usize) {
        let of_node = self.windows.iter().filter(|window| window.machine == node);
        let meant = of_node.filter(|window| window.what.is_a::<T>().is_some());
        for number in meant.map(|window| window.number).collect::<Vec<_>>() {
            self.close_window(number);
        }
    }
}
