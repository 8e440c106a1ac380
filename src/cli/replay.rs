//! `zeroloss replay`.

use std::io::Write;
use std::sync::Arc;

use crate::check::Exit;
use crate::explore::{ExploreError, Runner, run_once};
use crate::report::text;
use crate::scenario::{RunOptions, load};

use super::{CommandError, ReplayArgs};

/// Runs one seed twice, compares the hashes, and shows the full timeline and
/// the run's own verdict.
pub(super) fn replay(
    args: &ReplayArgs,
    runner: &Arc<dyn Runner>,
    out: &mut dyn Write,
) -> Result<Exit, CommandError> {
    let scenario = Arc::new(load(&args.file)?);
    let options = RunOptions {
        oracle: !args.common.no_oracle,
        timeline: true,
    };
    let once = || {
        let hang_after = args.common.hang_after();
        run_once(runner, &scenario, args.seed, options, hang_after).map_err(ExploreError::from)
    };
    let (first, again) = (once()?, once()?);
    let same = (first.verdict, first.trace_hash) == (again.verdict, again.trace_hash);
    let run = match same {
        true => first,
        false => first.nondeterministic(&again),
    };
    let outcome = scenario.expect.outcome;
    let mut text = text::timeline(&run);
    text.push_str(&text::run(
        &run,
        &text::replay(&scenario.file, args.seed),
        outcome.allows(run.verdict),
    ));
    out.write_all(text.as_bytes())?;
    Ok(outcome.exit_of(run.verdict))
}
