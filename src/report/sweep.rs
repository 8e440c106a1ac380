//! A sweep over the crash points of one run.

use std::collections::BTreeMap;
use std::fmt;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::check::{Assessment, Tally, Together, Verdict, assess};
use crate::scenario::{CrashPoint, Kept};

use super::{About, RunReport};

/// How the victims of a point crash. Ordered as reports list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Crash {
    /// Power loss.
    Power(Survives),
    /// The process is killed while the commit log is ahead of its medium.
    Kill,
    /// Such a kill, and later power loss; nothing survives.
    PowerAfterKill,
}

/// The kinds of survival of a power loss, without the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Survives {
    /// Nothing of what was pending.
    None,
    /// All of it.
    All,
    /// A prefix of it.
    Prefix,
    /// Names and sizes.
    NoData,
    /// Names and data.
    NoSize,
    /// A subset of it.
    Subset,
    /// A subset of it, some of it torn.
    Torn,
}

impl From<Kept> for Survives {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::None => Self::None,
            Kept::All => Self::All,
            Kept::Prefix(_) => Self::Prefix,
            Kept::NoData => Self::NoData,
            Kept::NoSize => Self::NoSize,
            Kept::Subset(_) => Self::Subset,
            Kept::Torn(_) => Self::Torn,
        }
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Power(Survives::None) => "power, nothing survives",
            Self::Power(Survives::All) => "power, all survives",
            Self::Power(Survives::Prefix) => "power, every prefix",
            Self::Power(Survives::NoData) => "power, names and sizes only",
            Self::Power(Survives::NoSize) => "power, all but sizes",
            Self::Power(Survives::Subset) => "power, a subset, drawn",
            Self::Power(Survives::Torn) => "power, torn sectors, drawn",
            Self::Kill => "kill",
            Self::PowerAfterKill => "kill, and power at every later boundary",
        })
    }
}

/// How many crash at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victims {
    /// Each broker alone.
    One,
    /// Each smallest majority.
    Quorum,
    /// Every broker.
    All,
}

impl fmt::Display for Victims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::One => "one",
            Self::Quorum => "quorum",
            Self::All => "all",
        })
    }
}

/// The points of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepRow {
    /// How many.
    pub points: u64,
    /// Of these, the ones at which something was pending on a victim's disk. At
    /// the others nothing could be lost.
    pub dirty: u64,
    /// Of these, the ones that were run: the others leave what an earlier one
    /// leaves.
    pub runs: u64,
    /// Verdicts of all points, by every check.
    pub judged: Tally,
    /// And by what clients saw alone.
    pub black_box: Tally,
}

impl SweepRow {
    fn add(&mut self, other: &Self) {
        self.points += other.points;
        self.dirty += other.dirty;
        self.runs += other.runs;
        self.judged.merge(&other.judged);
        self.black_box.merge(&other.black_box);
    }
}

/// When a sweep is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// When every point was judged.
    AtTheEnd,
    /// At the first point that does not fit.
    AtTheFirst,
}

/// The result of a sweep.
#[derive(Debug, Clone)]
pub struct SweepReport {
    /// Of what.
    pub about: About,
    /// With which seed.
    pub seed: u64,
    /// Whether every check decides, and not what clients saw alone.
    pub oracle: bool,
    /// When it is over.
    pub ends: Ends,
    /// Boundaries of the recorded run.
    pub boundaries: u64,
    /// Over the trace hashes of all runs, in order.
    pub hash: u64,
    /// The points, by kind.
    pub rows: BTreeMap<(Crash, Victims), SweepRow>,
    /// The first run that does not fit, and its point.
    pub first_unfit: Option<(CrashPoint, RunReport)>,
}

impl SweepReport {
    /// The report of no run yet.
    pub fn new(about: About, seed: u64, oracle: bool, ends: Ends) -> Self {
        Self {
            about,
            seed,
            oracle,
            ends,
            boundaries: 0,
            hash: 0,
            rows: BTreeMap::new(),
            first_unfit: None,
        }
    }

    /// Takes the recorded run. False where that does not fit by itself: then
    /// there is nothing to sweep.
    pub fn takes_recorded(
        &mut self,
        (judged, black_box): (&RunReport, &RunReport),
        boundaries: u64,
    ) -> bool {
        self.boundaries = boundaries;
        let both = (judged.clone(), black_box.clone());
        self.takes_run(&CrashPoint::default(), &both);
        self.first_unfit.is_none()
    }

    /// Takes a run. Runs come in the order of their points: the hash depends on
    /// it. Returns its verdicts.
    pub fn takes_run(
        &mut self,
        point: &CrashPoint,
        (judged, black_box): &(RunReport, RunReport),
    ) -> (Verdict, Verdict) {
        self.hash = xxh3_64_with_seed(&judged.trace_hash.to_le_bytes(), self.hash);
        let deciding = match self.oracle {
            true => judged,
            false => black_box,
        };
        if self.first_unfit.is_none() && !self.about.outcome.allows(deciding.verdict) {
            self.first_unfit = Some((point.clone(), deciding.clone()));
        }
        (judged.verdict, black_box.verdict)
    }

    /// Whether nothing more is to be run.
    pub fn is_over(&self) -> bool {
        self.ends == Ends::AtTheFirst && self.first_unfit.is_some()
    }

    /// The points of one kind.
    pub fn row(&mut self, crash: Crash, victims: Victims) -> &mut SweepRow {
        self.rows.entry((crash, victims)).or_default()
    }

    /// All points together.
    pub fn total(&self) -> SweepRow {
        let mut total = SweepRow::default();
        self.rows.values().for_each(|row| total.add(row));
        total
    }

    /// The run to look at more closely.
    pub fn first_unfit_point(&self) -> Option<CrashPoint> {
        self.first_unfit.as_ref().map(|(point, _)| point.clone())
    }

    /// Takes a second run of the first unfit point, with its timeline. One that
    /// differs from the first makes it nondeterministic.
    pub fn look_closer(&mut self, again: RunReport) {
        let Some((_, first)) = &mut self.first_unfit else {
            return;
        };
        // The recorded events do not occur again: there is nothing closer to be seen.
        if first.verdict == Verdict::Nondeterministic {
            return;
        }
        let same = (first.verdict, first.trace_hash) == (again.verdict, again.trace_hash);
        *first = match same {
            true => again,
            false => first.clone().nondeterministic(&again),
        };
    }

    /// The points against the expectation.
    pub fn assessment(&self) -> Assessment {
        let total = self.total();
        let mut tally = match self.oracle {
            true => total.judged,
            false => total.black_box,
        };
        if let Some((point, run)) = &self.first_unfit {
            // The recorded run itself, or a second look that was another one.
            if point.crashes.is_empty() || run.verdict == Verdict::Nondeterministic {
                tally.add(run.verdict);
            }
        }
        let together = Together {
            unseen: &[],
            is_judged: true,
        };
        assess(self.about.outcome, self.about.void_max, &tally, together)
    }
}
