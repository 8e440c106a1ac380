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

#[cfg(test)]
mod tests {
    use super::super::run::Kill;
    use super::{Expect, Ground, Hunt, Hunted, Judging, Mutant, Row, lines};

    fn mutant(expect: Expect) -> Mutant {
        Mutant::of_diff("X1".to_owned(), "b".to_owned(), expect, String::new())
    }

    fn hunt(ground: Ground, judging: Judging, is_killed: bool) -> Hunt {
        let kill = is_killed.then(|| Kill {
            check: "durability".to_owned(),
            scenario: "acts/1".to_owned(),
            seed: None,
            place: Some(2),
        });
        let hunted = Hunted {
            kill,
            ..Hunted::default()
        };
        Hunt {
            ground,
            judging,
            hunted,
        }
    }

    /// A mutant that a later ground kills was not missed; one way of judging stands for itself.
    #[test]
    fn blind_hunts_may_miss_what_has_to_be_aimed_at() {
        use Ground::{Aimed, Gate, Swarm};
        use Judging::{AllChecks, BlackBox};
        let row = |expect, hunts: &[(Ground, Judging, bool)]| {
            let mutant = mutant(expect);
            let hunts = hunts
                .iter()
                .map(|(ground, way, killed)| hunt(*ground, *way, *killed));
            let row = Row {
                mutant: &mutant,
                hunts: hunts.collect(),
            };
            (row.is_as_expected(), row.is_missed_blind())
        };
        let killed = Expect::Killed;
        assert_eq!(row(killed, &[(Aimed, AllChecks, false)]), (false, false));
        assert_eq!(row(killed, &[(Gate, AllChecks, false)]), (true, true));
        let by_swarm = [(Gate, AllChecks, false), (Swarm, AllChecks, true)];
        assert_eq!(row(killed, &by_swarm), (true, false));
        assert_eq!(row(Expect::Unknown, &by_swarm[..1]), (true, true));
        let one_way = [(Swarm, AllChecks, true), (Swarm, BlackBox, false)];
        assert_eq!(row(killed, &one_way), (true, true));
        assert_eq!(row(Expect::Survived, &one_way), (false, false));
        assert_eq!(row(Expect::Survived, &one_way[1..]), (true, false));
    }

    /// A run that is red anyway is said in a line of its own, and is never as expected.
    #[test]
    fn a_kill_shows_its_place_and_a_red_run_its_seed() {
        let mutant = mutant(Expect::Unknown);
        let mut hunts = vec![hunt(Ground::Gate, Judging::AllChecks, true)];
        hunts[0]
            .hunted
            .red_anyway
            .push(("acts/2".to_owned(), Some(7)));
        let row = Row {
            mutant: &mutant,
            hunts,
        };
        assert!(!row.is_as_expected());
        insta::assert_snapshot!(lines(&row), @"
        | X1 | gate | all checks | killed | durability | acts/1 | 2 | - | 0 | 0 | 0.0 |
        | X1 | gate | all checks | RED WITHOUT IT | - | acts/2 | - | 7 | - | - | - |
        ");
    }
}
