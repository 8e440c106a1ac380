//! Faults that last. Whether one could matter is known when it ends
//! (guarantee.md, section 3, "Eligible").

use std::collections::BTreeSet;

use super::cuts::Links;
use super::phases::{Run, Step};
use super::process::Operator;
use crate::history::FaultKind;
use crate::sim::disk::DiskSpeed;
use crate::sim::disk_io::Refused;
use crate::sim::net::NodeId;

/// The effect of a lasting fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lasting {
    /// The disk takes no more bytes.
    Full,
    /// Operations of the disk are refused.
    Refusing(Refused),
    /// Every sync takes so much longer, nanoseconds.
    Slow(u64),
    /// Every sync takes so many times as long.
    Limping(u32),
    /// No sync returns.
    Hung,
    /// Syncs return OK and do nothing.
    Lying,
    /// Links are cut.
    Cut(Links),
    /// Messages on links take so many times as long.
    LinksLimping(Links, u32),
    /// A broker's wall clock was never right, nanoseconds ahead.
    Skewed(i64),
    /// A broker's wall clock is wrong.
    Jumped {
        /// Nanoseconds ahead.
        by_ns: i64,
        /// It is not set right again.
        for_good: bool,
    },
    /// A broker's clocks go so much faster, parts per million.
    Drifting(i64),
    /// A client's.
    ClientDrifting(i64),
    /// A broker's process does not run.
    Paused,
    /// A client's.
    ClientPaused,
}

impl Lasting {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Full => FaultKind::DiskFull,
            Self::Refusing(..) => FaultKind::DiskError,
            Self::Slow(_) => FaultKind::DiskSlow,
            Self::Limping(_) => FaultKind::DiskLimping,
            Self::Hung => FaultKind::DiskHung,
            Self::Lying => FaultKind::DiskLying,
            Self::Cut(_) => FaultKind::Partition,
            Self::LinksLimping(..) => FaultKind::LinkLimping,
            Self::Skewed(_) => FaultKind::ClockSkew,
            Self::Jumped { .. } => FaultKind::ClockJump,
            Self::Drifting(_) => FaultKind::ClockDrift,
            Self::ClientDrifting(_) => FaultKind::ClientClockDrift,
            Self::Paused => FaultKind::Pause,
            Self::ClientPaused => FaultKind::ClientPause,
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
    /// The condition for it to matter was met while it lasted: a request in flight, for
    /// most.
    asked: bool,
}

impl Run<'_> {
    /// Begins a lasting fault, which is already in force; without an end of its
    /// own, it ends when everything heals.
    pub(super) fn open_window(&mut self, machine: usize, what: Lasting, lasts_ns: Option<u64>) {
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
            asked: false,
        });
        self.watch_windows();
        if let Some(lasts_ns) = lasts_ns {
            self.at(self.world.now_ns() + lasts_ns, Step::Close(number));
        }
    }

    /// The traces that such a fault has left on a machine so far.
    fn traces_of(&self, machine: usize, what: &Lasting) -> u64 {
        let inner = self.world.lock();
        let disk = &inner.disks[machine];
        match what {
            // An append was cut short, or refused.
            Lasting::Full => disk.counts.full + inner.tap.refusals(machine as u32),
            Lasting::Refusing(..) => disk.counts.refused,
            // An operation was not back when a healthy disk would have been.
            Lasting::Slow(_) | Lasting::Limping(_) | Lasting::Hung => {
                disk.late_syncs(inner.core.now_ns)
            }
            // Something was acknowledged that is not there.
            Lasting::Lying => inner.tap.acknowledged_on_lies(machine as u32),
            // A message was held or dropped.
            Lasting::Cut(links) => inner.net.cut_hits_on(links),
            Lasting::LinksLimping(links, _) => inner.net.limped_on(links),
            // Somebody was told a wrong time.
            Lasting::Skewed(_) | Lasting::Jumped { .. } => {
                inner.core.clock(machine as u32).read_wrong()
            }
            // A deadline came at another time.
            Lasting::Drifting(_) | Lasting::ClientDrifting(_) => inner.timers.moved(machine as u32),
            // Any request that was in flight is enough.
            Lasting::Paused | Lasting::ClientPaused => 0,
        }
    }

    /// Looks for what windows need to see while they are open.
    pub(super) fn watch_windows(&mut self) {
        let is_of_wall_clock =
            |window: &Window| matches!(window.what, Lasting::Skewed(_) | Lasting::Jumped { .. });
        if self.windows.iter().any(is_of_wall_clock) {
            self.follow();
        }
        let mut windows = std::mem::take(&mut self.windows);
        for window in windows.iter_mut().filter(|window| !window.asked) {
            window.asked = self.could_matter(window);
        }
        self.windows = windows;
    }

    /// Whether a lasting fault could matter now.
    fn could_matter(&self, window: &Window) -> bool {
        match window.what {
            Lasting::ClientPaused | Lasting::ClientDrifting(_) => {
                let mut clients = self.clients.iter();
                let own = clients.find(|client| client.node as usize == window.machine);
                own.is_some_and(|own| own.is_at_work() || own.is_database())
            }
            Lasting::Skewed(by_ns) | Lasting::Jumped { by_ns, .. } => self.passes_a_deadline(by_ns),
            _ => self.sends_in_flight() > 0,
        }
    }

    /// Ends a lasting fault, unless it has ended before.
    pub(super) fn close_window(&mut self, number: u64) {
        let is_it = |window: &Window| window.number == number;
        let Some(index) = self.windows.iter().position(is_it) else {
            return;
        };
        let window = self.windows.remove(index);
        self.judge_window(&window);
        let kind = window.what.kind();
        self.take_back(window.machine, &window.what);
        self.note_end(window.machine as u32, kind);
    }

    /// The effect of a lasting fault so far, for the ledger.
    fn judge_window(&mut self, window: &Window) {
        let left_behind = self.traces_of(window.machine, &window.what) > window.before;
        let eligible = match window.what {
            Lasting::Slow(_) | Lasting::Limping(_) | Lasting::Hung => left_behind && window.asked,
            Lasting::Paused
            | Lasting::ClientPaused
            | Lasting::Skewed(_)
            | Lasting::Jumped { .. }
            | Lasting::Drifting(_)
            | Lasting::ClientDrifting(_) => window.asked,
            Lasting::Full
            | Lasting::Refusing(..)
            | Lasting::Lying
            | Lasting::Cut(_)
            | Lasting::LinksLimping(..) => left_behind,
        };
        self.ledger.fired[window.entry].eligible = eligible;
        match window.what {
            // Seen in what became of requests and leaders, once all is over.
            Lasting::Slow(_)
            | Lasting::Limping(_)
            | Lasting::Hung
            | Lasting::LinksLimping(..)
            | Lasting::Paused
            | Lasting::ClientPaused => self.lasted.push((window.entry, self.world.now_ns())),
            _ => self.ledger.fired[window.entry].observed = left_behind,
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
            if let Lasting::Cut(links) | Lasting::LinksLimping(links, _) = &mut window.what {
                links.retain(|(from, to)| stay.contains(from) || stay.contains(to));
            }
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

    /// A process that is stopped dies: the next one runs.
    pub(super) fn close_pauses(&mut self, node: usize) {
        let is_pause =
            |window: &&Window| matches!(window.what, Lasting::Paused | Lasting::ClientPaused);
        let of_node = self.windows.iter().filter(is_pause);
        let of_node = of_node.filter(|window| window.machine == node);
        for number in of_node.map(|window| window.number).collect::<Vec<_>>() {
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
        match *what {
            Lasting::Slow(_) => {
                let extra = others.iter().map(|other| match other {
                    Lasting::Slow(extra_ns) => *extra_ns,
                    _ => 0,
                });
                self.world.lock().disks[machine].extra_ns = extra.max().unwrap_or(0);
            }
            Lasting::Limping(_) => {
                let factors = others.iter().map(|other| match other {
                    Lasting::Limping(factor) => *factor,
                    _ => 1,
                });
                self.world.lock().disks[machine].factor = factors.max().unwrap_or(1);
            }
            Lasting::Refusing(..) => {
                let refused = others.iter().filter_map(|other| match other {
                    Lasting::Refusing(refused) => Some(*refused),
                    _ => None,
                });
                self.world.lock().disks[machine].refuse_only(refused.collect());
            }
            Lasting::Cut(_) => self.renew_cuts(),
            Lasting::LinksLimping(..) => self.renew_limping(),
            // It goes on being as wrong: nothing jumps while everything heals.
            Lasting::Skewed(_) | Lasting::Jumped { for_good: true, .. } => {}
            Lasting::Jumped { by_ns, .. } => self.set_ahead(machine, -by_ns),
            Lasting::Drifting(by_ppm) | Lasting::ClientDrifting(by_ppm) => {
                self.set_rate(machine, -by_ppm);
            }
            _ if others.iter().any(same) => {}
            Lasting::Full => {
                let capacity_bytes = self.scenario.disk.capacity_bytes;
                let mut inner = self.world.lock();
                let disk = &mut inner.disks[machine].model;
                disk.set_capacity(capacity_bytes);
                disk.disarm_kind(what.kind());
            }
            Lasting::Hung => self.unhang(machine),
            Lasting::Paused | Lasting::ClientPaused => self.unpause(machine),
            Lasting::Lying => {
                let mut inner = self.world.lock();
                inner.disks[machine].model.disarm_kind(what.kind());
            }
        }
    }

    /// The disk answers again. The operation that it swallowed never comes back: nobody
    /// but the operator helps a process that waits for it.
    fn unhang(&mut self, machine: usize) {
        self.set_speed(machine, DiskSpeed::Normal);
        // Another hang may have come in between, and that one only stalled.
        let in_vain = self.world.lock().disks[machine].is_awaited_in_vain();
        if in_vain && self.machines[machine].is_up() {
            self.end_process(machine, false);
            self.world.lock().disks[machine].process_died();
            self.start_later(machine, 0, Operator::None);
        }
    }
}
