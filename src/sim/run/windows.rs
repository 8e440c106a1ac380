//! Faults that last. Whether one could matter is known when it ends
//! (guarantee.md, section 3, "Eligible").

use super::cuts::Links;
use super::phases::{Run, Step};
use crate::history::FaultKind;
use crate::sim::disk::DiskSpeed;

/// What a lasting fault does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lasting {
    /// The disk takes no more bytes.
    Full,
    /// Every sync takes so much longer, nanoseconds.
    Slow(u64),
    /// No sync returns.
    Hung,
    /// Syncs return OK and do nothing.
    Lying,
    /// Links are cut.
    Cut(Links),
}

impl Lasting {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Full => FaultKind::DiskFull,
            Self::Slow(_) => FaultKind::DiskSlow,
            Self::Hung => FaultKind::DiskHung,
            Self::Lying => FaultKind::DiskLying,
            Self::Cut(_) => FaultKind::Partition,
        }
    }
}

/// A lasting fault that has not ended.
#[derive(Debug, Clone)]
pub(super) struct Window {
    number: u64,
    machine: usize,
    pub(super) what: Lasting,
    /// Its place in the ledger.
    entry: usize,
    /// The count that shows that it mattered, when it began.
    before: u64,
    /// A request was in flight while it lasted.
    asked: bool,
}

impl Run<'_> {
    /// Begins a lasting fault, which is already in force.
    pub(super) fn open_window(&mut self, machine: usize, what: Lasting, lasts_ns: u64) {
        let kind = what.kind();
        let before = self.traces_of(machine, &what);
        let dirty = self.dirty(machine as u32);
        let note = format!("{kind} begins");
        self.enter(kind, machine as u32, false, dirty, note);
        self.windows_opened += 1;
        let number = self.windows_opened;
        self.windows.push(Window {
            number,
            machine,
            what,
            entry: self.ledger.fired.len() - 1,
            before,
            asked: self.sends_in_flight() > 0,
        });
        self.at(self.world.now_ns() + lasts_ns, Step::Close(number));
    }

    /// What such a fault has left behind on a machine so far.
    fn traces_of(&self, machine: usize, what: &Lasting) -> u64 {
        let inner = self.world.lock();
        let disk = &inner.disks[machine];
        match what {
            // An append was cut short, or refused.
            Lasting::Full => disk.counts.full + inner.tap.refusals(machine as u32),
            // An operation was not back when a healthy disk would have been.
            Lasting::Slow(_) | Lasting::Hung => disk.late_syncs(inner.core.now_ns),
            // Something was acknowledged that is not there.
            Lasting::Lying => inner.tap.acknowledged_on_lies(machine as u32),
            // A message was held or dropped.
            Lasting::Cut(links) => inner.net.cut_hits_on(links),
        }
    }

    /// Looks for what windows need to see while they are open.
    pub(super) fn watch_windows(&mut self) {
        if self.sends_in_flight() > 0 {
            for window in &mut self.windows {
                window.asked = true;
            }
        }
    }

    /// Ends a lasting fault, unless it has ended before.
    pub(super) fn close_window(&mut self, number: u64) {
        let is_it = |window: &Window| window.number == number;
        let Some(index) = self.windows.iter().position(is_it) else {
            return;
        };
        let window = self.windows.remove(index);
        let left_behind = self.traces_of(window.machine, &window.what) > window.before;
        let needs_request = matches!(window.what, Lasting::Slow(_) | Lasting::Hung);
        let eligible = left_behind && (window.asked || !needs_request);
        self.ledger.fired[window.entry].eligible = eligible;
        let kind = window.what.kind();
        self.take_back(window.machine, &window.what);
        self.note_end(window.machine as u32, kind);
    }

    /// Ends all of them.
    pub(super) fn close_windows(&mut self) {
        for number in self
            .windows
            .iter()
            .map(|window| window.number)
            .collect::<Vec<_>>()
        {
            self.close_window(number);
        }
    }

    /// Puts a machine into the state that its other open windows ask for.
    fn take_back(&mut self, machine: usize, what: &Lasting) {
        let others = self
            .windows
            .iter()
            .filter(|window| window.machine == machine);
        let others: Vec<Lasting> = others.map(|window| window.what.clone()).collect();
        let same = |other: &Lasting| other.kind() == what.kind();
        match what {
            Lasting::Slow(_) => {
                let extra = others.iter().map(|other| match other {
                    Lasting::Slow(extra_ns) => *extra_ns,
                    _ => 0,
                });
                self.world.lock().disks[machine].extra_ns = extra.max().unwrap_or(0);
            }
            Lasting::Cut(_) => self.renew_cuts(),
            _ if others.iter().any(same) => {}
            Lasting::Full => {
                let capacity_bytes = self.scenario.disk.capacity_bytes;
                let mut inner = self.world.lock();
                let disk = &mut inner.disks[machine].model;
                disk.set_capacity(capacity_bytes);
                disk.disarm_kind(what.kind());
            }
            Lasting::Hung => self.set_speed(machine, DiskSpeed::Normal),
            Lasting::Lying => {
                let mut inner = self.world.lock();
                inner.disks[machine].model.disarm_kind(what.kind());
            }
        }
    }
}
