//! The score: the outcome of a measurement, and how that changed from commit to commit.
//!
//! ```text
//!  hunts of each mutant ──▶ Measurement ──▶ reports/mutation-score.json ──▶ .md
//!  judged.toml ── what people say of survivors ──────┘
//! ```
//!
//! A measurement takes the place of the last one of its kind and adds a row to the trend.
//! One of the same commit takes the place of that row.

mod page;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::gate::GateScenario;
use super::generate::shown;
use super::hunt::Ground;
use super::judged::{Judged, Judgement, Key, Reasoned};
use super::mutant::{Change, Mutant};
use super::run::{By, Kill};
use super::table::Hunt;

/// The data.
const DATA: &str = "reports/mutation-score.json";
/// The page.
const PAGE: &str = "reports/mutation-score.md";
/// The number of the gate's scenarios, the cheapest, that kill what nearly every run would
/// kill.
const FIRST_PLACES: usize = 3;
/// The steps of CPU time of a swarm, seconds.
const SWARM_STEPS_S: [f64; 2] = [60.0, 300.0];

/// The kind of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A random sample of generated mutants.
    Sample,
    /// Mutants that were written by hand.
    Corpus,
}

/// The class of a mutant, by the ground that killed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// One of the three cheapest scenarios of the gate.
    FirstThree,
    /// Another scenario of the gate.
    Gate,
    /// A swarm, within 60 CPU seconds.
    #[serde(rename = "swarm-60")]
    Swarm60,
    /// A swarm, within 300 CPU seconds.
    #[serde(rename = "swarm-300")]
    Swarm300,
    /// A swarm, later.
    SwarmLater,
    /// Nothing noticed it.
    Survived,
}

/// The last measurements, and the trend.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The last measurement of each kind.
    pub measurements: Vec<Measurement>,
    /// A row for each measurement, the newest last.
    pub trend: Vec<Trend>,
}

/// The circumstances of a measurement, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The mutants' kind.
    pub kind: Kind,
    /// The sources' commit, in hexadecimal digits.
    pub commit: String,
    /// The commit's date.
    pub date: String,
    /// Whether the sources were not those of the commit alone.
    pub is_changed: bool,
    /// The seed of the draw, of a sample.
    pub seed: Option<u64>,
    /// All generated mutants, of which the sample was drawn.
    pub drawn_of: Option<usize>,
    /// The grounds, in their order.
    pub grounds: Vec<Ground>,
    /// The cap of CPU time of each hunt, seconds.
    pub cap_cpu_s: u64,
    /// Whether the gate was run to its end all the same.
    pub is_gate_whole: bool,
    /// The gate's scenarios, the cheapest first.
    pub gate: Vec<GateScenario>,
    /// The mutants.
    pub mutants: Vec<Measured>,
}

/// A mutant, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The mutant's id.
    pub id: String,
    /// The name by which people judge it.
    pub key: Key,
    /// The text that stands in the sources; none of a patch.
    pub old: Option<String>,
    /// The text in its place.
    pub new: Option<String>,
    /// The class.
    pub class: Class,
    /// The run that noticed.
    pub kill: Option<Kill>,
    /// The kind of check that noticed.
    pub by: Option<By>,
    /// CPU seconds of all its hunts, up to the kill.
    pub cpu_s: f64,
    /// Runs that were red without it, too.
    pub red_anyway: usize,
    /// The judgement of people, where it survived.
    pub judged: Option<Reasoned>,
}

/// A measurement in figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// The mutants' kind.
    pub kind: Kind,
    /// The sources' commit, in hexadecimal digits.
    pub commit: String,
    /// The commit's date.
    pub date: String,
    /// The figures.
    pub figures: Figures,
}

/// Counts of mutants.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// All.
    pub mutants: usize,
    /// Killed by the first three scenarios of the gate.
    pub first_three: usize,
    /// Killed by a later one.
    pub gate: usize,
    /// Killed by the swarm within 60 CPU seconds.
    pub swarm_60: usize,
    /// Killed by the swarm within 300.
    pub swarm_300: usize,
    /// Killed by the swarm later.
    pub swarm_later: usize,
    /// Neither.
    pub survived: usize,
    /// Survivors that are equivalent.
    pub equivalent: usize,
    /// Survivors that are holes in reach.
    pub holes: usize,
    /// Survivors for which a check is missing.
    pub missing_checks: usize,
    /// Kills that are marked: by liveness, or by a panic.
    pub marked: usize,
    /// CPU seconds to a kill, the middle one.
    pub median_cpu_s: Option<f64>,
}

impl Figures {
    /// Survivors that nobody has judged.
    #[must_use]
    pub fn unjudged(&self) -> usize {
        self.survived - self.equivalent - self.holes - self.missing_checks
    }

    /// Killed ones, of those that are not equivalent.
    #[must_use]
    pub fn score(&self) -> (usize, usize) {
        (self.mutants - self.survived, self.mutants - self.equivalent)
    }

    /// The same without those that the first three scenarios kill.
    #[must_use]
    pub fn hard_score(&self) -> (usize, usize) {
        let (killed, all) = self.score();
        (killed - self.first_three, all - self.first_three)
    }
}

impl Class {
    /// The class that follows from the hunts with every check.
    #[must_use]
    pub fn of(hunts: &[Hunt]) -> Self {
        let killer = hunts.iter().find(|hunt| hunt.hunted.kill.is_some());
        let Some(Hunt { ground, hunted, .. }) = killer else {
            return Self::Survived;
        };
        let place = hunted.kill.as_ref().and_then(|kill| kill.place);
        match (ground, place) {
            (Ground::Gate, Some(..=FIRST_PLACES)) => Self::FirstThree,
            (Ground::Gate, _) => Self::Gate,
            _ if hunted.cpu_s <= SWARM_STEPS_S[0] => Self::Swarm60,
            _ if hunted.cpu_s <= SWARM_STEPS_S[1] => Self::Swarm300,
            _ => Self::SwarmLater,
        }
    }
}

impl Measured {
    /// Takes together what came of a mutant.
    #[must_use]
    pub fn of(mutant: &Mutant, hunts: &[Hunt]) -> Self {
        let kill = hunts.iter().find_map(|hunt| hunt.hunted.kill.clone());
        let (old, new) = match mutant.change() {
            Change::Diff(_) => (None, None),
            Change::Replacement(it) => {
                let (old, new) = shown(&it.old, &it.new);
                (Some(old), Some(new))
            }
        };
        Self {
            id: mutant.id.clone(),
            key: mutant.key(),
            old,
            new,
            class: Class::of(hunts),
            by: kill.as_ref().map(Kill::by),
            kill,
            cpu_s: hunts.iter().map(|hunt| hunt.hunted.cpu_s).sum(),
            red_anyway: hunts.iter().map(|hunt| hunt.hunted.red_anyway.len()).sum(),
            judged: None,
        }
    }
}

impl Measurement {
    /// Its figures.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let of = |class: Class| self.mutants.iter().filter(|it| it.class == class).count();
        let judged = |judgement: Judgement| {
            let reasons = self.mutants.iter().filter_map(|it| it.judged.as_ref());
            reasons.filter(|it| it.judgement == judgement).count()
        };
        let by = self.mutants.iter().filter_map(|it| it.by);
        Figures {
            mutants: self.mutants.len(),
            first_three: of(Class::FirstThree),
            gate: of(Class::Gate),
            swarm_60: of(Class::Swarm60),
            swarm_300: of(Class::Swarm300),
            swarm_later: of(Class::SwarmLater),
            survived: of(Class::Survived),
            equivalent: judged(Judgement::Equivalent),
            holes: judged(Judgement::Hole),
            missing_checks: judged(Judgement::MissingCheck),
            marked: by.filter(|by| by.is_marked()).count(),
            median_cpu_s: self.median_cpu_s(),
        }
    }

    fn median_cpu_s(&self) -> Option<f64> {
        let killed = self.mutants.iter().filter(|it| it.kill.is_some());
        let mut costs: Vec<f64> = killed.map(|it| it.cpu_s).collect();
        costs.sort_by(f64::total_cmp);
        costs.get(costs.len().checked_sub(1)? / 2).copied()
    }

    fn judge(&mut self, judged: &Judged) {
        for it in &mut self.mutants {
            let said = judged.of(&it.key).filter(|_| it.class == Class::Survived);
            it.judged = said.cloned();
        }
    }
}

impl Score {
    /// The score that is written down in a workspace; an empty one where there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn load(workspace: &Path) -> io::Result<Self> {
        match fs::read_to_string(workspace.join(DATA)) {
            Ok(text) => Ok(serde_json::from_str(&text)?),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(why) => Err(why),
        }
    }

    /// A new measurement.
    pub fn add(&mut self, measurement: Measurement) {
        self.measurements.retain(|it| it.kind != measurement.kind);
        self.measurements.push(measurement);
        self.measurements.sort_by_key(|it| it.kind);
    }

    /// Says of each survivor what people say, and counts again what is counted of the last
    /// measurements.
    pub fn judge(&mut self, judged: &Judged) {
        for measurement in &mut self.measurements {
            measurement.judge(judged);
            let row = Trend {
                kind: measurement.kind,
                commit: measurement.commit.clone(),
                date: measurement.date.clone(),
                figures: measurement.figures(),
            };
            let is_same = |it: &&mut Trend| it.kind == row.kind && it.commit == row.commit;
            match self.trend.iter_mut().find(is_same) {
                Some(present) => *present = row,
                None => self.trend.push(row),
            }
        }
    }

    /// The survivors that nobody has judged.
    pub fn unjudged(&self) -> impl Iterator<Item = &Key> {
        let mutants = self.measurements.iter().flat_map(|it| &it.mutants);
        let survivors = mutants.filter(|it| it.class == Class::Survived);
        survivors.filter(|it| it.judged.is_none()).map(|it| &it.key)
    }

    /// The page.
    #[must_use]
    pub fn page(&self) -> String {
        page::page(self)
    }

    /// Writes data and page.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn save(&self, workspace: &Path) -> io::Result<()> {
        let data = serde_json::to_string_pretty(self)? + "\n";
        for (file, text) in [(DATA, data), (PAGE, self.page())] {
            File::create(workspace.join(file))?.write_all(text.as_bytes())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
