//! The table that is printed: a line for each mutant, both ways of judging.

use serde::{Deserialize, Serialize};

use super::hunt::{Ground, Hunted};
use super::mutant::{Expect, Mutant};
use super::run::Judging;

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
        self.hunts.iter().all(|Hunt { ground, hunted, .. }| {
            let is_met = match self.mutant.expect {
                Expect::Killed => hunted.kill.is_some() || ground.is_blind(),
                Expect::Survived => hunted.kill.is_none(),
                Expect::Unknown => true,
            };
            hunted.red_anyway.is_empty() && is_met
        })
    }

    /// Whether every blind hunt of one way of judging missed it, though nobody says that it
    /// is harmless.
    #[must_use]
    pub fn is_missed_blind(&self) -> bool {
        let blind = self.hunts.iter().filter(|hunt| hunt.ground.is_blind());
        let missed = |judging: Judging| {
            let mut of_it = blind
                .clone()
                .filter(|hunt| hunt.judging == judging)
                .peekable();
            of_it.peek().is_some() && of_it.all(|hunt| hunt.hunted.kill.is_none())
        };
        let is_missed = missed(Judging::AllChecks) || missed(Judging::BlackBox);
        self.mutant.expect != Expect::Survived && is_missed
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
            Expect::Unknown => "unknown",
        },
        "breaks": row.mutant.breaks,
        "replacement": row.mutant.replacement(),
        "as_expected": row.is_as_expected(),
        "hunts": row.hunts,
    }))
}

/// The table's first two lines, in Markdown.
#[must_use]
pub fn head() -> String {
    "| id | ground | judged by | came out | check | scenario | place | seed | runs | panics | CPU s |\n\
     |---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned()
}

/// A mutant's lines.
#[must_use]
pub fn lines(row: &Row<'_>) -> String {
    let mut text = String::new();
    for hunt in &row.hunts {
        let hunted = &hunt.hunted;
        let ground = hunt.ground.name();
        let judged = match hunt.judging {
            Judging::AllChecks => "all checks",
            Judging::BlackBox => "black box",
        };
        let out = match (&hunted.kill, row.mutant.expect) {
            (Some(_), Expect::Killed | Expect::Unknown) => "killed",
            (Some(_), Expect::Survived) => "REPORTED",
            (None, Expect::Killed | Expect::Unknown) => "SURVIVED",
            (None, Expect::Survived) => "not reported",
        };
        let kill = hunted.kill.as_ref();
        let (check, scenario) = kill.map_or(("-", "-"), |it| (&it.check, &it.scenario));
        let seed = or_dash(kill.and_then(|kill| kill.seed));
        let place = or_dash(kill.and_then(|kill| kill.place));
        let id = &row.mutant.id;
        let (runs, panics, cpu_s) = (hunted.runs, hunted.panics, hunted.cpu_s);
        text.push_str(&format!(
            "| {id} | {ground} | {judged} | {out} | {check} | {scenario} | {place} | {seed} | {runs} | {panics} | {cpu_s:.1} |\n"
        ));
        for (scenario, seed) in &hunted.red_anyway {
            let seed = or_dash(*seed);
            text.push_str(&format!(
                "| {id} | {ground} | {judged} | RED WITHOUT IT | - | {scenario} | - | {seed} | - | - | - |\n"
            ));
        }
    }
    text
}

fn or_dash(number: Option<impl std::fmt::Display>) -> String {
    number.map_or("-".to_owned(), |number| number.to_string())
}
