//! The table that is printed: a line for each mutant, both ways of judging.

use super::hunt::{Ground, Hunted, Judging};
use super::patch::{Expect, Mutant};

/// The result for a mutant.
#[derive(Debug)]
pub struct Row<'a> {
    /// The mutant.
    pub mutant: &'a Mutant,
    /// The outcome of each hunt.
    pub hunts: Vec<(Ground, Judging, Hunted)>,
}

impl Row<'_> {
    /// Whether every hunt came out as the mutant expects, and met no run that is red
    /// without it. A blind one may miss what has to be aimed at; what is harmless it must
    /// not report.
    #[must_use]
    pub fn is_as_expected(&self) -> bool {
        let killed = self.mutant.expect == Expect::Killed;
        self.hunts.iter().all(|(ground, _, hunted)| {
            let may_miss = *ground == Ground::Blind && killed;
            hunted.red_anyway.is_empty() && (may_miss || hunted.kill.is_some() == killed)
        })
    }

    /// Whether a blind hunt missed it, though it is to be killed.
    #[must_use]
    pub fn is_missed_blind(&self) -> bool {
        let missed = |(ground, _, hunted): &(Ground, Judging, Hunted)| {
            *ground == Ground::Blind && hunted.kill.is_none()
        };
        self.mutant.expect == Expect::Killed && self.hunts.iter().any(missed)
    }
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
    for (ground, judging, hunted) in &row.hunts {
        let ground = match ground {
            Ground::Aimed => "aimed",
            Ground::Blind => "blind",
        };
        let judged = match judging {
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
