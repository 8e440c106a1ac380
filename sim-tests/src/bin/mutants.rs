//! `cargo run --release -p sim-tests --bin mutants`: plants every known mistake,
//! one at a time, and says what noticed it.
//!
//! Exit codes: 0 where everything came out as expected, 1 where a mutant that
//! should be killed survived or a harmless one was reported, 2 where nothing can
//! be said: the tree itself is not green, or a mutant does not apply or build.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use sim_tests::mutants::hunt::{Ground, Hunted, Judging, hunt, hunt_blind};
use sim_tests::mutants::journal::Journal;
use sim_tests::mutants::patch::{Mutant, load_all};
use sim_tests::mutants::table::{Hunt, Row, head, json, lines};
use sim_tests::mutants::tree::{Profile, Tree};
use sim_tests::mutants::weave::Woven;

/// From so many mutants on, runs cost more than a build that makes them fast.
const FEW: usize = 9;

/// Plants known mistakes in a copy of the tree, and hunts each by simulation.
#[derive(Parser)]
struct Arguments {
    /// Only these mutants.
    #[arg(long, value_name = "ID", num_args = 1..)]
    only: Vec<String>,
    /// CPU seconds for each mutant and way of judging, in place of the patches' own.
    #[arg(long, value_name = "N")]
    cap_cpu_s: Option<u64>,
    /// How runs are judged.
    #[arg(long, value_enum, default_value_t = Ways::Both)]
    judge: Ways,
    /// The scenarios to run: those that the patch names, or the same for all.
    #[arg(long, value_enum, default_value_t = Grounds::Aimed)]
    hunt: Grounds,
    /// Folder of the patches, in place of sim-tests/mutants.
    #[arg(long, value_name = "DIR")]
    patches: Option<PathBuf>,
    /// Writes down each mutant that is done, and goes on from what is written there.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// A line of JSON for each mutant, in place of the table.
    #[arg(long)]
    json: bool,
    /// Do not run the tree itself first over all that is hunted with. A run that kills
    /// is run without the mutant all the same: one that is red then kills nothing.
    #[arg(long)]
    trust_the_tree: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Grounds {
    /// The scenarios that the patch names.
    Aimed,
    /// The swarms and one sweep, whatever the mutant is.
    Blind,
    /// One after the other.
    Both,
}

impl Grounds {
    fn list(self) -> &'static [Ground] {
        match self {
            Self::Aimed => &[Ground::Aimed],
            Self::Blind => &[Ground::Blind],
            Self::Both => &[Ground::Aimed, Ground::Blind],
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Ways {
    /// Once with all checks, and once by what clients saw alone.
    Both,
    /// With all checks.
    AllChecks,
    /// By what clients saw alone.
    BlackBox,
}

impl Ways {
    fn list(self) -> &'static [Judging] {
        match self {
            Self::Both => &[Judging::AllChecks, Judging::BlackBox],
            Self::AllChecks => &[Judging::AllChecks],
            Self::BlackBox => &[Judging::BlackBox],
        }
    }
}

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
    let own = workspace.join("sim-tests").join("mutants");
    let folder = arguments.patches.as_ref().unwrap_or(&own);
    let mutants = chosen(folder, &arguments.only)?;
    let tree = Tree::of(&workspace)?;
    let mut woven = Woven::of(&mutants, |file| fs::read_to_string(workspace.join(file)))?;
    let mut journal = match &arguments.journal {
        Some(file) => Journal::open(file, &identity(&tree, &mutants, arguments)?)?,
        None => Journal::none(),
    };
    eprintln!("building the tree, with a switch for each mutant that can be one");
    let profile = match mutants.len() {
        FEW.. => Profile::Release,
        _ => Profile::Mutant,
    };
    tree.build_woven(&mut woven, profile)?;
    for (id, why) in woven.apart() {
        eprintln!("{id} is built by itself: {why}");
    }
    if !arguments.trust_the_tree {
        check_the_tree(&tree, &mutants, arguments.hunt.list())?;
    }
    if !arguments.json {
        print!("{}", head());
    }
    let (mut unexpected, mut missed) = (Vec::new(), Vec::new());
    for mutant in &mutants {
        let hunts = match journal.done(&mutant.id) {
            Some(done) => done.to_owned(),
            None => {
                let hunts = try_one(&tree, &woven, mutant, arguments)?;
                journal.add(&mutant.id, &hunts)?;
                hunts
            }
        };
        let row = Row { mutant, hunts };
        match arguments.json {
            true => println!("{}", json(&row)?),
            false => print!("{}", lines(&row)),
        }
        if !row.is_as_expected() {
            unexpected.push(mutant.id.as_str());
        }
        if row.is_missed_blind() {
            missed.push(mutant.id.as_str());
        }
    }
    tree.restore()?;
    let mut summary = match unexpected.is_empty() {
        true => format!("all {} came out as expected", mutants.len()),
        false => format!("not as expected: {}", unexpected.join(" ")),
    };
    if !missed.is_empty() {
        summary.push_str(&format!("\nmissed by a blind hunt: {}", missed.join(" ")));
    }
    match arguments.json {
        true => eprintln!("{summary}"),
        false => println!("\n{summary}"),
    }
    Ok(unexpected.is_empty())
}

fn chosen(folder: &Path, only: &[String]) -> Result<Vec<Mutant>, Box<dyn Error>> {
    let mut mutants = load_all(folder)?;
    if let Some(unknown) = only
        .iter()
        .find(|id| mutants.iter().all(|mutant| mutant.id != **id))
    {
        return Err(format!("there is no mutant {unknown}").into());
    }
    mutants.retain(|mutant| only.is_empty() || only.contains(&mutant.id));
    if mutants.is_empty() {
        return Err(format!("{} holds no patches", folder.display()).into());
    }
    Ok(mutants)
}

/// A hash of all that an outcome depends on.
fn identity(
    tree: &Tree,
    mutants: &[Mutant],
    arguments: &Arguments,
) -> Result<String, Box<dyn Error>> {
    let mut hasher = DefaultHasher::new();
    tree.hash_sources(&mut hasher)?;
    for mutant in mutants {
        (&mutant.id, mutant.diff(), &mutant.scenarios).hash(&mut hasher);
        (mutant.seeds.start, mutant.seeds.end, mutant.cap_cpu_s).hash(&mut hasher);
    }
    let ways = (arguments.judge as u8, arguments.hunt as u8);
    (ways, arguments.cap_cpu_s).hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

/// Without a mutant every scenario must be green over every seed that a hunt may
/// come to: else a kill would say nothing.
fn check_the_tree(
    tree: &Tree,
    mutants: &[Mutant],
    grounds: &[Ground],
) -> Result<(), Box<dyn Error>> {
    let mut needed: BTreeMap<&String, Range<u64>> = BTreeMap::new();
    let aimed = grounds.contains(&Ground::Aimed);
    for mutant in mutants.iter().filter(|_| aimed) {
        for scenario in &mutant.scenarios {
            let range = needed.entry(scenario).or_insert(mutant.seeds.clone());
            *range = range.start.min(mutant.seeds.start)..range.end.max(mutant.seeds.end);
        }
    }
    let pair = tree.switched(0);
    let mut cpu_s = 0.0;
    if grounds.contains(&Ground::Blind) {
        let hunted = hunt_blind(&pair, Judging::AllChecks, f64::INFINITY)?;
        cpu_s += hunted.cpu_s;
        is_green(&hunted)?;
    }
    for (scenario, seeds) in needed {
        let one = std::slice::from_ref(scenario);
        let hunted = hunt(&pair, one, &seeds, Judging::AllChecks, f64::INFINITY)?;
        cpu_s += hunted.cpu_s;
        is_green(&hunted)?;
    }
    eprintln!("the tree is green over all scenarios and seeds, in {cpu_s:.1} CPU seconds");
    Ok(())
}

fn is_green(hunted: &Hunted) -> Result<(), String> {
    let red = hunted.red_anyway.first();
    let seen = red.map(|(scenario, seed)| format!("{scenario} --seed {seed}"));
    let killed = hunted.kill.as_ref();
    let seen = seen.or_else(|| killed.map(|kill| format!("{} ({})", kill.scenario, kill.check)));
    match seen {
        Some(seen) => Err(format!("the tree itself is not green: {seen}")),
        None => Ok(()),
    }
}

fn try_one(
    tree: &Tree,
    woven: &Woven,
    mutant: &Mutant,
    arguments: &Arguments,
) -> Result<Vec<Hunt>, Box<dyn Error>> {
    eprintln!("{}: {}", mutant.id, mutant.breaks);
    let pair = match woven.number(&mutant.id) {
        Some(number) => tree.switched(number),
        None => tree.build_apart(mutant)?,
    };
    let cap_cpu_s = arguments.cap_cpu_s.unwrap_or(mutant.cap_cpu_s) as f64;
    let mut hunts = Vec::new();
    for ground in arguments.hunt.list() {
        for judging in arguments.judge.list() {
            let (scenarios, seeds) = (&mutant.scenarios, &mutant.seeds);
            let hunted = match ground {
                Ground::Aimed => hunt(&pair, scenarios, seeds, *judging, cap_cpu_s)?,
                Ground::Blind => hunt_blind(&pair, *judging, cap_cpu_s)?,
            };
            hunts.push(Hunt {
                ground: *ground,
                judging: *judging,
                hunted,
            });
        }
    }
    Ok(hunts)
}
