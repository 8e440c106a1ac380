//! The hunts of a call, and their outcome.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::path::Path;

use sim_tests::mutants::commit::Commit;
use sim_tests::mutants::gate::{self, GateScenario};
use sim_tests::mutants::hunt::{Ground, Hunted, hunt, hunt_swarm};
use sim_tests::mutants::journal::Journal;
use sim_tests::mutants::judged::Judged;
use sim_tests::mutants::mutant::{Aim, Mutant};
use sim_tests::mutants::report::{Kind, Measured, Measurement, Score};
use sim_tests::mutants::run::Judging;
use sim_tests::mutants::table::{Hunt, Row, head, json, lines};
use sim_tests::mutants::tree::{Profile, Tree};
use sim_tests::mutants::weave::Woven;

use crate::arguments::Arguments;
use crate::judged_file;
use crate::subjects::{Subjects, chosen, drawn};

/// From so many mutants on, runs cost more than a build that makes them fast.
const FEW: usize = 9;

/// All that hunts need.
struct Hunter<'a> {
    arguments: &'a Arguments,
    tree: Tree,
    woven: Woven,
    gate: Vec<GateScenario>,
}

/// Whether everything came out as expected.
pub(crate) fn measure(workspace: &Path, arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    // Hunts take hours: the score is of the sources as they are now.
    let commit = match arguments.report
        || arguments.generated.is_some() && arguments.sample_seed.is_none()
    {
        true => Some(Commit::of(workspace)?),
        false => None,
    };
    let tree = Tree::of(workspace)?;
    let commit_seed = commit.as_ref().map(Commit::seed);
    let (subjects, mut journal) = subjects(workspace, &tree, arguments, commit_seed)?;
    let mutants = &subjects.mutants;
    if arguments.ground.list().contains(&Ground::Aimed)
        && let Some(mutant) = mutants.iter().find(|mutant| mutant.aim.is_none())
    {
        let why = "names no scenarios: --ground gate, swarm or all";
        return Err(format!("{} {why}", mutant.id).into());
    }
    let mut woven = Woven::of(mutants, |file| fs::read_to_string(workspace.join(file)))?;
    eprintln!("building the tree, with a switch for each mutant that can be one");
    let profile = match mutants.len() {
        FEW.. => Profile::Release,
        _ => Profile::Mutant,
    };
    tree.build_woven(&mut woven, profile)?;
    for (id, why) in woven.apart() {
        eprintln!("{id} is built by itself: {why}");
    }
    let mut hunter = Hunter {
        arguments,
        tree,
        woven,
        gate: Vec::new(),
    };
    hunter.measure_gate(workspace, &mut journal)?;
    if !arguments.trust_the_tree && !journal.is_green() {
        journal.add_green(hunter.check_the_tree(mutants)?)?;
    }
    let rows = hunter.hunt_all(mutants, &mut journal)?;
    hunter.tree.restore()?;
    if let Some(commit) = commit.filter(|_| arguments.report) {
        let measurement = hunter.measurement(commit, &subjects, &rows);
        let mut score = Score::load(workspace)?;
        score.add(measurement);
        score.judge(&Judged::load(&judged_file(workspace))?);
        score.save(workspace)?;
    }
    Ok(rows.iter().all(Row::is_as_expected))
}

/// The mutants, and the journal of their hunts.
fn subjects(
    workspace: &Path,
    tree: &Tree,
    arguments: &Arguments,
    commit_seed: Option<u64>,
) -> Result<(Subjects, Journal), Box<dyn Error>> {
    let open = |mutants: &[Mutant], seed: Option<u64>| match &arguments.journal {
        Some(file) => Journal::open(file, &identity(tree, mutants, seed, arguments)?),
        None => Ok(Journal::none()),
    };
    match arguments.generated {
        None => {
            let subjects = chosen(workspace, arguments)?;
            let journal = open(&subjects.mutants, None)?;
            Ok((subjects, journal))
        }
        Some(count) => {
            let seed = arguments.sample_seed.or(commit_seed);
            let seed = seed.ok_or("no commit is checked out: give --sample-seed")?;
            let mut journal = open(&[], Some(seed))?;
            let subjects = drawn(workspace, tree, &mut journal, count, seed)?;
            Ok((subjects, journal))
        }
    }
}

/// A hash of all that an outcome depends on; generated mutants follow from the sources and
/// the draw's seed.
fn identity(
    tree: &Tree,
    mutants: &[Mutant],
    seed: Option<u64>,
    arguments: &Arguments,
) -> std::io::Result<String> {
    let mut hasher = DefaultHasher::new();
    tree.hash_sources(&mut hasher)?;
    for mutant in mutants {
        (&mutant.id, mutant.change()).hash(&mut hasher);
        if let Some(aim) = &mutant.aim {
            (
                &aim.scenarios,
                aim.seeds.start,
                aim.seeds.end,
                aim.cap_cpu_s,
            )
                .hash(&mut hasher);
        }
    }
    (seed, arguments.generated, arguments.whole_gate).hash(&mut hasher);
    let ways = arguments.ways().iter().map(|way| *way as u8);
    let ways: Vec<u8> = ways.collect();
    (ways, arguments.ground as u8, arguments.cap_cpu_s).hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

impl Hunter<'_> {
    /// Runs the gate without a mutant, unless the journal has what that costs.
    fn measure_gate(
        &mut self,
        workspace: &Path,
        journal: &mut Journal,
    ) -> Result<(), Box<dyn Error>> {
        if !self.arguments.ground.list().contains(&Ground::Gate) {
            return Ok(());
        }
        if journal.gate().is_none() {
            eprintln!("running the gate's scenarios without a mutant");
            let scenarios = gate::scenarios(workspace)?;
            let (costs, red) = gate::measure(&self.tree.unplanted(), &scenarios)?;
            if let Some(red) = red.filter(|_| !self.arguments.trust_the_tree) {
                let (scenario, check) = (red.scenario, red.check);
                return Err(format!("the tree itself is not green: {scenario} ({check})").into());
            }
            journal.add_gate(costs)?;
        }
        self.gate = journal.gate().unwrap_or_default().to_owned();
        Ok(())
    }

    /// Without a mutant every scenario must be green over every seed that a hunt may
    /// come to: else a kill would say nothing. The CPU seconds that it took. The gate is
    /// green already.
    fn check_the_tree(&self, mutants: &[Mutant]) -> Result<f64, Box<dyn Error>> {
        let grounds = self.arguments.ground.list();
        let mut needed: BTreeMap<&String, Range<u64>> = BTreeMap::new();
        let is_aimed = grounds.contains(&Ground::Aimed);
        let aims = mutants.iter().filter_map(|mutant| mutant.aim.as_ref());
        for Aim {
            scenarios, seeds, ..
        } in aims.filter(|_| is_aimed)
        {
            for scenario in scenarios {
                let range = needed.entry(scenario).or_insert(seeds.clone());
                *range = range.start.min(seeds.start)..range.end.max(seeds.end);
            }
        }
        let pair = self.tree.switched(0);
        let mut cpu_s = 0.0;
        if grounds.contains(&Ground::Swarm) {
            // A hunt comes about as far, before its cap ends it.
            let cap_s = self.arguments.blind_cap_cpu_s() as f64;
            let hunted = hunt_swarm(&pair, Judging::AllChecks, cap_s)?;
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
        Ok(cpu_s)
    }

    /// Hunts each, and prints what came of it.
    fn hunt_all<'m>(
        &self,
        mutants: &'m [Mutant],
        journal: &mut Journal,
    ) -> Result<Vec<Row<'m>>, Box<dyn Error>> {
        let is_json = self.arguments.json;
        if !is_json {
            print!("{}", head());
        }
        let mut rows = Vec::new();
        for mutant in mutants {
            let hunts = match journal.done(&mutant.id) {
                Some(done) => done.to_owned(),
                None => {
                    let hunts = self.try_one(mutant)?;
                    journal.add(&mutant.id, &hunts)?;
                    hunts
                }
            };
            let row = Row { mutant, hunts };
            match is_json {
                true => println!("{}", json(&row)?),
                false => print!("{}", lines(&row)),
            }
            rows.push(row);
        }
        match is_json {
            true => eprintln!("{}", summary(&rows)),
            false => println!("\n{}", summary(&rows)),
        }
        Ok(rows)
    }

    fn try_one(&self, mutant: &Mutant) -> Result<Vec<Hunt>, Box<dyn Error>> {
        eprintln!("{}: {}", mutant.id, mutant.breaks);
        let pair = match self.woven.number(&mutant.id) {
            Some(number) => self.tree.switched(number),
            None => self.tree.build_apart(mutant)?,
        };
        let blind_cap_s = self.arguments.blind_cap_cpu_s() as f64;
        let mut hunts = Vec::new();
        for judging in self.arguments.ways() {
            for ground in self.arguments.ground.list() {
                let hunted = match (ground, &mutant.aim) {
                    (Ground::Aimed, Some(aim)) => {
                        let cap_s = self.arguments.cap_cpu_s.unwrap_or(aim.cap_cpu_s) as f64;
                        hunt(&pair, &aim.scenarios, &aim.seeds, *judging, cap_s)?
                    }
                    (Ground::Aimed, None) => continue,
                    (Ground::Gate, _) => match self.arguments.whole_gate {
                        true => gate::hunt(&pair, &self.gate, f64::INFINITY)?,
                        false => gate::hunt(&pair, &self.gate, blind_cap_s)?,
                    },
                    (Ground::Swarm, _) => hunt_swarm(&pair, *judging, blind_cap_s)?,
                };
                let is_killed = hunted.kill.is_some();
                hunts.push(Hunt {
                    ground: *ground,
                    judging: *judging,
                    hunted,
                });
                if is_killed {
                    break;
                }
            }
        }
        Ok(hunts)
    }

    fn measurement(&self, commit: Commit, subjects: &Subjects, rows: &[Row<'_>]) -> Measurement {
        let rows = rows.iter().filter(|row| !row.mutant.is_harmless());
        Measurement {
            kind: match subjects.draw {
                Some(_) => Kind::Sample,
                None => Kind::Corpus,
            },
            commit: commit.hash,
            date: commit.date,
            is_changed: commit.is_changed,
            seed: subjects.draw.map(|(seed, _)| seed),
            drawn_of: subjects.draw.map(|(_, of)| of),
            grounds: self.arguments.ground.list().to_owned(),
            cap_cpu_s: self.arguments.blind_cap_cpu_s(),
            is_gate_whole: self.arguments.whole_gate,
            gate: self.gate.clone(),
            mutants: rows
                .map(|row| Measured::of(row.mutant, &row.hunts))
                .collect(),
        }
    }
}

fn is_green(hunted: &Hunted) -> Result<(), String> {
    let red = hunted.red_anyway.first();
    let seen = red.map(|(scenario, seed)| match seed {
        Some(seed) => format!("{scenario} --seed {seed}"),
        None => scenario.clone(),
    });
    let killed = hunted.kill.as_ref();
    let seen = seen.or_else(|| killed.map(|kill| format!("{} ({})", kill.scenario, kill.check)));
    match seen {
        Some(seen) => Err(format!("the tree itself is not green: {seen}")),
        None => Ok(()),
    }
}

fn summary(rows: &[Row<'_>]) -> String {
    let ids = |is_named: fn(&Row<'_>) -> bool| {
        let named = rows.iter().filter(|row| is_named(row));
        let ids: Vec<&str> = named.map(|row| row.mutant.id.as_str()).collect();
        ids.join(", ")
    };
    let unexpected = ids(|row| !row.is_as_expected());
    let missed = ids(|row| row.is_missed_blind());
    let mut summary = match unexpected.is_empty() {
        true => format!("all {} came out as expected", rows.len()),
        false => format!("not as expected: {unexpected}"),
    };
    if !missed.is_empty() {
        summary.push_str(&format!("\nmissed by blind hunts: {missed}"));
    }
    summary
}
