//! The sweep: one short run crashed at every boundary between two disk
//! operations, in every way.
//!
//! ```text
//!   the run, recorded ──> boundaries × victims × what survives ──> points
//!                                                                    │
//!                 equal disks at one boundary: one run for all <─────┤
//!                                                                    ▼
//!              each once more from the start, cut there, judged ──> report
//! ```
//!
//! Promise: nothing is left to luck but the drawn subsets and torn sectors; the
//! report depends on scenario and seed alone. A run that leaves other disks than
//! were recorded is not deterministic.
//!
//! A short run of one broker is cut short at its 40th boundary, and nothing survives that was not
//! synced:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use zeroloss::check::Verdict;
//! use zeroloss::explore::Settings;
//! use zeroloss::explore::sweep::one_point;
//! use zeroloss::scenario::{CrashPoint, load};
//!
//! let scenario = Arc::new(load("scenarios/sweep/single-sync.toml".as_ref())?);
//! let point: CrashPoint = "40:b0=none".parse()?;
//! let settings = Settings { jobs: 1, oracle: true, hang_after: Duration::from_secs(60) };
//! let report = one_point(&scenario, 12, &point, &settings)?;
//! assert_eq!(report.verdict, Verdict::Pass);
//! assert!(report.timeline.iter().any(|line| line.text.contains("power")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod points;
mod runs;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::report::{About, Ends, RunReport, SweepReport};
use crate::scenario::{CrashPoint, Scenario};
use crate::sim::{Boundary, SweepOptions};

use self::points::Planned;
use self::runs::{Judged, Runs};
use super::{Hung, Settings};

/// The messages of a sweep while it goes on.
pub trait SweepObserver {
    /// So many runs more are to come.
    fn runs_planned(&mut self, runs: u64);
    /// One more run is over.
    fn run_ended(&mut self);
}

/// Sweeps `scenario` with `seed`.
///
/// # Errors
///
/// A hung run (its thread cannot be ended: end the process).
pub fn sweep(
    scenario: &Arc<Scenario>,
    seed: u64,
    settings: &Settings,
    ends: Ends,
    observer: &mut dyn SweepObserver,
) -> Result<SweepReport, Hung> {
    let runs = Runs {
        scenario,
        seed,
        settings,
    };
    let mut report = SweepReport::new(About::of(scenario), seed, settings.oracle, ends);
    let recorded = runs.recorded(&CrashPoint::default())?;
    if !report.takes_recorded(recorded.reports(), recorded.boundaries.len() as u64) {
        return Ok(report);
    }
    let boundaries = recorded.boundaries;
    let power = points::power(&scenario.cluster, &boundaries);
    stage(&runs, power, &mut report, observer, false)?;
    let kills = points::kills(&scenario.cluster, &boundaries);
    let after = stage(&runs, kills.clone(), &mut report, observer, true)?;
    let killed = kills.iter().zip(&after);
    let again = killed.flat_map(|(killed, after)| points::power_after(killed, after));
    stage(&runs, again.collect(), &mut report, observer, false)?;
    if let Some(point) = report.first_unfit_point() {
        let again = runs.once(&point, true)?;
        report.look_closer(again.deciding(settings.oracle));
    }
    Ok(report)
}

/// One point by itself, with its timeline, twice: a second run that differs makes
/// it nondeterministic.
///
/// # Errors
///
/// A hung run.
pub fn one_point(
    scenario: &Arc<Scenario>,
    seed: u64,
    point: &CrashPoint,
    settings: &Settings,
) -> Result<RunReport, Hung> {
    let runs = Runs {
        scenario,
        seed,
        settings,
    };
    let first = runs.once(point, true)?.deciding(settings.oracle);
    let again = runs.once(point, true)?.deciding(settings.oracle);
    let same = (first.verdict, first.trace_hash) == (again.verdict, again.trace_hash);
    Ok(match same {
        true => first,
        false => first.nondeterministic(&again),
    })
}

/// Runs the points that are not equal to an earlier one, and adds all of them
/// up. Returns what was recorded, by point, where that is wanted.
fn stage(
    runs: &Runs<'_>,
    planned: Vec<Planned>,
    report: &mut SweepReport,
    observer: &mut dyn SweepObserver,
    record: bool,
) -> Result<Vec<Vec<Boundary>>, Hung> {
    let distinct: Vec<usize> = (0..planned.len())
        .filter(|place| planned[*place].same_as.is_none())
        .collect();
    if report.is_over() {
        return Ok(Vec::new());
    }
    observer.runs_planned(distinct.len() as u64);
    let options = SweepOptions {
        record,
        timeline: false,
    };
    let (mut verdicts, mut recorded) = (vec![None; planned.len()], Vec::new());
    let points = distinct.iter().map(|place| &planned[*place]);
    runs.each(points, options, &mut |number, judged: Judged| {
        let planned = &planned[distinct[number]];
        let (judged, boundaries) = judged.against(planned);
        recorded.push(boundaries);
        verdicts[distinct[number]] = Some(report.takes_run(&planned.point, &judged));
        observer.run_ended();
        match report.is_over() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    for (place, planned) in planned.iter().enumerate() {
        // Some were not run where the sweep ended at the first that does not fit.
        let Some(verdicts) = verdicts[planned.same_as.unwrap_or(place)] else {
            continue;
        };
        let row = report.row(planned.crash, planned.victims);
        row.points += 1;
        row.dirty += u64::from(planned.is_dirty);
        row.runs += u64::from(planned.same_as.is_none());
        row.judged.add(verdicts.0);
        row.black_box.add(verdicts.1);
    }
    Ok(recorded)
}
