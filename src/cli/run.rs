//! `zeroloss run`.

use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::check::{Exit, Tally};
use crate::explore::{Job, Observer, Runner, Settings, explore};
use crate::report::{ScenarioReport, json, ledger, text};
use crate::scenario::{Scenario, find, load};

use super::fresh::Origin;
use super::progress::Progress;
use super::{CommandError, RunArgs, all_cores};

/// Runs scenarios and shows each as soon as it and those before it are over.
pub(super) fn run(
    args: &RunArgs,
    runner: &Arc<dyn Runner>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, CommandError> {
    let Some(scenarios) = load_all(args, err)? else {
        return Ok(Exit::Usage);
    };
    let fresh = args.fresh.map(|count| fresh(count, err)).transpose()?;
    let jobs: Vec<Job> = scenarios
        .into_iter()
        .map(|scenario| Job {
            seeds: fresh.clone().unwrap_or_else(|| seeds(args, &scenario)),
            scenario: Arc::new(scenario),
        })
        .collect();
    let settings = Settings {
        jobs: args.jobs.map_or_else(all_cores, usize::from),
        oracle: !args.common.no_oracle,
        hang_after: args.common.hang_after(),
    };
    let mut shown = Shown::new(args, &jobs, out);
    explore(runner, &jobs, &settings, &mut shown)?;
    let exit = shown.end()?;
    if fresh.is_some() && exit != Exit::Success {
        writeln!(
            err,
            "fresh seeds are red: keep each as a regression in scenarios/regression and mend it; \
             another commit draws others, and would hide them"
        )?;
    }
    Ok(exit)
}

/// Seeds that nobody ran before, said.
fn fresh(count: u64, err: &mut dyn Write) -> Result<Range<u64>, CommandError> {
    let origin = Origin::here();
    let seeds = origin.seeds(count);
    let Range { start, end } = seeds;
    writeln!(err, "fresh seeds {start}..{end}, from {origin}")?;
    Ok(seeds)
}

/// Every scenario, or `None` where some file is bad: then all diagnostics are
/// shown, and nothing is run.
fn load_all(args: &RunArgs, err: &mut dyn Write) -> Result<Option<Vec<Scenario>>, CommandError> {
    let paths = find(&args.paths)?;
    let loaded = paths.iter().map(|path| load(Path::new(path)));
    let (good, bad): (Vec<_>, Vec<_>) = loaded.partition(Result::is_ok);
    let mut is_first = true;
    for error in bad.into_iter().filter_map(Result::err) {
        let gap = if std::mem::take(&mut is_first) {
            ""
        } else {
            "\n"
        };
        writeln!(err, "{gap}{error}")?;
    }
    Ok(is_first.then(|| good.into_iter().filter_map(Result::ok).collect()))
}

fn seeds(args: &RunArgs, scenario: &Scenario) -> Range<u64> {
    match (args.seed, &args.seeds) {
        (Some(seed), _) => seed..seed.saturating_add(1),
        (None, Some(seeds)) => seeds.clone(),
        (None, None) => scenario.run.seeds.clone(),
    }
}

/// The output on standard output.
struct Shown<'o> {
    json: bool,
    ledger: bool,
    id_width: usize,
    out: &'o mut dyn Write,
    progress: Progress,
    ended: Vec<(Tally, Exit)>,
}

impl<'o> Shown<'o> {
    fn new(args: &RunArgs, jobs: &[Job], out: &'o mut dyn Write) -> Self {
        let widths = jobs.iter().map(|job| job.scenario.id.chars().count());
        let runs = jobs.iter().map(|job| job.seeds.end - job.seeds.start).sum();
        Self {
            json: args.json,
            ledger: args.ledger,
            id_width: widths.max().unwrap_or(0),
            out,
            progress: match args.json {
                true => Progress::hidden(),
                false => Progress::new(runs),
            },
            ended: Vec::new(),
        }
    }

    fn end(self) -> Result<Exit, CommandError> {
        drop(self.progress);
        if !self.json {
            self.out.write_all(text::summary(&self.ended).as_bytes())?;
        }
        let exits = self.ended.iter().map(|(_, exit)| *exit);
        Ok(exits.max().unwrap_or(Exit::Success))
    }
}

impl Observer for Shown<'_> {
    fn run_ended(&mut self) {
        self.progress.advance();
    }

    fn scenario_ended(&mut self, report: ScenarioReport) -> std::io::Result<()> {
        let mut text = match self.json {
            true => json(&report),
            false => text::scenario(&report, self.id_width),
        };
        if self.ledger && !self.json {
            text.push_str(&ledger(&report.faults));
        }
        self.ended
            .push((report.tally.clone(), report.assessment().exit));
        let out = &mut *self.out;
        // One write for each scenario: an interrupted run leaves whole ones.
        self.progress.aside(|| {
            out.write_all(text.as_bytes())?;
            out.flush()
        })
    }
}
