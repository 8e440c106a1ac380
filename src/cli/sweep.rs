//! `zeroloss sweep`.

use std::io::Write;
use std::sync::Arc;

use crate::check::Exit;
use crate::explore::sweep::{SweepObserver, one_point, sweep};
use crate::explore::{ExploreError, Settings};
use crate::report::{Ends, sweep_point, sweep_text, text};
use crate::scenario::load;

use super::progress::Progress;
use super::{CommandError, SweepArgs, all_cores};

/// Crashes one run at every boundary between two disk operations, or at one.
pub(super) fn command(args: &SweepArgs, out: &mut dyn Write) -> Result<Exit, CommandError> {
    let scenario = Arc::new(load(&args.file)?);
    if !scenario.is_faultless() {
        return Err(CommandError::HasFaults(scenario.file.clone()));
    }
    let seed = args.seed.unwrap_or(scenario.run.seeds.start);
    let settings = Settings {
        jobs: args.jobs.map_or_else(all_cores, usize::from),
        oracle: !args.common.no_oracle,
        hang_after: args.common.hang_after(),
    };
    if let Some(point) = &args.point {
        let run = one_point(&scenario, seed, point, &settings).map_err(ExploreError::from)?;
        let outcome = scenario.expect.outcome;
        let again = sweep_point(&scenario.file, seed, point);
        let mut shown = text::timeline(&run);
        shown.push_str(&text::run(&run, &again, outcome.allows(run.verdict)));
        out.write_all(shown.as_bytes())?;
        return Ok(outcome.exit_of(run.verdict));
    }
    let mut shown = Shown(Progress::new(1));
    let ends = match args.first {
        true => Ends::AtTheFirst,
        false => Ends::AtTheEnd,
    };
    let report = sweep(&scenario, seed, &settings, ends, &mut shown).map_err(ExploreError::from)?;
    drop(shown);
    out.write_all(sweep_text(&report).as_bytes())?;
    Ok(report.assessment().exit)
}

struct Shown(Progress);

impl SweepObserver for Shown {
    fn runs_planned(&mut self, runs: u64) {
        self.0.more(runs);
    }

    fn run_ended(&mut self) {
        self.0.advance();
    }
}
