//! `zeroloss replay`.

use std::io::Write;
use std::sync::Arc;

use crate::check::Exit;
use crate::explore::{ExploreError, Runner, run_once};
use crate::report::text;
use crate::scenario::{RunOptions, load, load_plan};

use super::{CommandError, ReplayArgs};

/// Runs one seed twice, compares the hashes, and shows the full timeline and
/// the run's own verdict.
pub(super) fn replay(
    args: &ReplayArgs,
    runner: &Arc<dyn Runner>,
    out: &mut dyn Write,
) -> Result<Exit, CommandError> {
    let mut scenario = load(&args.file)?;
    let mut file = scenario.file.clone();
    let mut seed = args.seed;
    if let Some(path) = &args.plan {
        let (of_plan, planned) = load_plan(path, &scenario, seed)?;
        file.push_str(&format!(" --plan {}", path.display()));
        seed = Some(of_plan);
        scenario.planned = Some(Arc::new(planned));
    }
    let (scenario, seed) = (Arc::new(scenario), seed.expect("one of both is there"));
    let options = RunOptions {
        oracle: !args.common.no_oracle,
        timeline: true,
    };
    let once = || {
        let hang_after = args.common.hang_after();
        run_once(runner, &scenario, seed, options, hang_after).map_err(ExploreError::from)
    };
    let (first, again) = (once()?, once()?);
    let same = (first.verdict, first.trace_hash) == (again.verdict, again.trace_hash);
    let run = match same {
        true => first,
        false => first.nondeterministic(&again),
    };
    let outcome = scenario.expect.outcome;
    let mut text = text::draw(&scenario.words_of_draw(seed));
    text.push_str(&text::timeline(&run));
    let again = text::replay(&file, seed);
    text.push_str(&text::run(&run, &again, outcome.allows(run.verdict)));
    out.write_all(text.as_bytes())?;
    Ok(outcome.exit_of(run.verdict))
}
