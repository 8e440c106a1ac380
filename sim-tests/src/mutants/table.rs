//! The table that is printed: a line for each mutant, both ways of judging.

use serde::{Deserialize, Serialize};

use super::hunt::{Ground, Hunted, Judging};
use super::patch::{Expect, Mutant};

/// The result for a mutant.
#[derive(Debug)]
pub struct Row<'a> {
    /// The mutant.
    pub mutant: &'a Mutant,
    /// The outcome of each hunt.
    pub hunts: Vec<Hunt>,
}

/// A hunt and its outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hunt {
    /// The runs that it had to choose from.
    pub ground: Ground,
    /// How they were judged.
    pub judging: Judging,
    /// The outcome.
    pub hunted: Hunted,
}

impl Row<'_> {
    /// Whether every hunt came out as the mutant expects, and met no run that is red
    /// without it. A blind one may miss what has to be aimed at; what is harmless it must
    /// not report.
    #[must_use]
    pub fn is_as_expected(&self) -> bool {
        let killed = self.mutant.expect == Expect::Killed;
        self.hunts.iter().all(|Hunt { ground, hunted, .. }| {
            let may_miss = *ground == Ground::Blind && killed;
            hunted.red_anyway.is_empty() && (may_miss || hunted.kill.is_some() == killed)
        })
    }

    /// Whether a blind hunt missed it, though it is to be killed.
    #[must_use]
    pub fn is_missed_blind(&self) -> bool {
        let missed = |hunt: &Hunt| hunt.ground == Ground::Blind && hunt.hunted.kill.is_none();
        self.mutant.expect == Expect::Killed && self.hunts.iter().any(missed)
    }
}

/// A mutant's outcome as a line of JSON.
///
/// # Errors
/// None that a table meets: all of it is plain data.
pub fn json(row: &Row<'_>) -> serde_json::Result<String> {
    serde_json::to_string(&serde_json::json!({
        "id": row.mutant.id,
        "expected": match row.mutant.expect {
            Expect::Killed => "killed",
            Expect::Survived => "survived",
        },
        "as_expected": row.is_as_expected(),
        "hunts": row.hunts,
    }))
}

/// The table's first two lines, in Markdown.
#[must_use]
pub fn head() -> String {
    "| id | hunt | judged by | came out | check | scenario | seed | runs | panics | CPU s |\n\
     |---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned()
}

/// A mutant's lines.
#[must_use]
pub fn lines(row: &Row<'_>) -> String {
    let mut text = String::new();
    for hunt in &row.hunts {
        let hunted = &hunt.hunted;
        let ground = match hunt.ground {
            Ground::Aimed => "aimed",
            Ground::Blind => "blind",
        };
        let judged = match hunt.judging {
            Judging::AllChecks => "all checks",
            Judging::BlackBox => "black box",
        };
        let out = match (&hunted.kill, row.mutant.expect) {
            (Some(_), Expect::Killed) => "killed",
            (Some(_), Expect::Survived) => "REPORTED",
            (None, Expect::Killed) => "SURVIVED",
            (None, Expect::Survived) => "not reported",
        };
        let (check, scenario, seed) = match &hunted.kill {
            Some(kill) => (
                kill.check.as_str(),
                kill.scenario.as_str(),
                kill.seed.map_or("-".to_owned(), |seed| seed.to_string()),
            ),
            None => ("-", "-", "-".to_owned()),
        };
        let id = &row.mutant.id;
        let (runs, panics, cpu_s) = (hunted.runs, hunted.panics, hunted.cpu_s);
        text.push_str(&format!(
            "| {id} | {ground} | {judged} | {out} | {check} | {scenario} | {seed} | {runs} | {panics} | {cpu_s:.1} |\n"
        ));
        for (scenario, seed) in &hunted.red_anyway {
            text.push_str(&format!(
                "| {id} | {ground} | {judged} | RED WITHOUT IT | - | {scenario} | {seed} | - | - | - |\n"
            ));
        }
    }
    text
}
