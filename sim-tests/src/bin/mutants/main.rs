//! `cargo run --release -p sim-tests --bin mutants`: plants mistakes, one at a time, and
//! says what noticed each.
//!
//! Exit codes: 0 where everything came out as expected, 1 where a mutant that
//! should be killed survived, a harmless one was reported, or a run is red without its
//! mutant, 2 where nothing can be said: the tree itself is not green, or a mutant does not
//! apply or build. Nothing is expected of a generated mutant.

mod arguments;
mod measure;
mod subjects;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use sim_tests::mutants::judged::{Judged, to_fill_in};
use sim_tests::mutants::report::Score;

use arguments::Arguments;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

/// Whether everything came out as expected.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let workspace = workspace.canonicalize()?;
    if let Some(why) = arguments.conflict() {
        return Err(why.into());
    }
    if arguments.list {
        print!("{}", subjects::list(&workspace, arguments.json)?);
        return Ok(true);
    }
    if arguments.report_again {
        let mut score = Score::load(&workspace)?;
        score.judge(&Judged::load(&judged_file(&workspace))?);
        score.save(&workspace)?;
        print!("{}", to_fill_in(score.unjudged())?);
        return Ok(true);
    }
    measure::measure(&workspace, arguments)
}

/// The file in which people judge survivors.
fn judged_file(workspace: &Path) -> PathBuf {
    workspace.join("sim-tests/mutants/judged.toml")
}
