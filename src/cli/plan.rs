//! `zeroloss plan`.

use std::io::Write;

use crate::check::Exit;
use crate::scenario::{load, plan as drawn, written};

use super::{CommandError, PlanArgs};

/// Shows or writes the plan of one seed.
#[expect(
    clippy::disallowed_methods,
    reason = "its user's own file, in no simulation"
)]
pub(super) fn plan(args: &PlanArgs, out: &mut dyn Write) -> Result<Exit, CommandError> {
    let scenario = load(&args.file)?.drawn(args.seed);
    let text = written(&scenario, args.seed, &drawn(&scenario, args.seed));
    match &args.out {
        Some(path) => std::fs::write(path, text)?,
        None => out.write_all(text.as_bytes())?,
    }
    Ok(Exit::Success)
}
