//! Many runs against what was expected of them, and the process's exit code
//! (guarantee.md, section 3).

use std::collections::BTreeMap;
use std::fmt;

use super::Verdict;
use crate::history::Happening;

/// The result that a scenario must have over its seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ExpectedOutcome {
    /// Every non-void run passes.
    ZeroLoss,
    /// At least `share` of the non-void runs lose what was not promised, and
    /// the rest pass.
    Loss {
        /// In (0, 1].
        share: f64,
    },
    /// Every non-void run refuses to serve.
    Halt,
    /// Of a preset: in at least `share` of the non-void runs a promise that it
    /// waives is seen broken, and the rest pass.
    Breaks {
        /// In (0, 1].
        share: f64,
    },
}

impl ExpectedOutcome {
    /// Whether a run of this verdict fits the outcome by itself; void runs fit
    /// any, and are bounded by their share.
    pub fn allows(self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Void => true,
            Verdict::Pass => !matches!(self, Self::Halt),
            Verdict::ExpectedLoss => matches!(self, Self::Loss { .. } | Self::Breaks { .. }),
            Verdict::Halted => matches!(self, Self::Halt),
            Verdict::Fail | Verdict::Stuck | Verdict::Crashed | Verdict::Nondeterministic => false,
        }
    }

    /// The exit code of one run by itself.
    pub fn exit_of(self, verdict: Verdict) -> Exit {
        match verdict {
            Verdict::Nondeterministic => Exit::Nondeterministic,
            Verdict::Crashed => Exit::Crashed,
            Verdict::Stuck => Exit::Stuck,
            Verdict::Void => Exit::Void,
            _ if self.allows(verdict) => Exit::Success,
            _ => Exit::Missed,
        }
    }
}

impl fmt::Display for ExpectedOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ZeroLoss => "zero-loss",
            Self::Loss { .. } => "loss",
            Self::Halt => "halt",
            Self::Breaks { .. } => "breaks",
        })
    }
}

/// How a process ends. Ordered: of several, the largest is the one to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Everything as expected.
    Success,
    /// Wrong usage or a bad file, before any run.
    Usage,
    /// The testbed's own input or output failed, or a broker's.
    TestbedIo,
    /// A replica must not take part before its operator has decided: starting
    /// it again changes nothing. Of a broker alone, never of a run.
    Refused,
    /// Too many runs were void, or all.
    Void,
    /// A run was stuck, or hung.
    Stuck,
    /// A promise was broken, or the expectation missed.
    Missed,
    /// A run panicked.
    Crashed,
    /// Equal seeds gave different runs.
    Nondeterministic,
}

impl Exit {
    /// The number for the operating system.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::TestbedIo => 1,
            Self::Usage => 2,
            Self::Missed => 10,
            Self::Stuck => 11,
            Self::Crashed => 12,
            Self::Nondeterministic => 13,
            Self::Void => 14,
            Self::Refused => 15,
        }
    }
}

/// How many runs came to which verdict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<Verdict, u64>);

impl Tally {
    /// Counts one run.
    pub fn add(&mut self, verdict: Verdict) {
        *self.0.entry(verdict).or_default() += 1;
    }

    /// Takes back one run.
    pub fn remove(&mut self, verdict: Verdict) {
        let count = self.0.get_mut(&verdict).filter(|count| **count > 0);
        *count.expect("only what was added is removed") -= 1;
    }

    /// Adds the runs of another tally.
    pub fn merge(&mut self, other: &Self) {
        for (verdict, count) in &other.0 {
            *self.0.entry(*verdict).or_default() += count;
        }
    }

    /// How many runs came to `verdict`.
    pub fn count(&self, verdict: Verdict) -> u64 {
        self.0.get(&verdict).copied().unwrap_or(0)
    }

    /// How many runs there were.
    pub fn runs(&self) -> u64 {
        self.0.values().sum()
    }

    /// The verdicts that came, mildest first.
    pub fn counts(&self) -> impl Iterator<Item = (Verdict, u64)> {
        let counts = Verdict::ALL.map(|verdict| (verdict, self.count(verdict)));
        counts.into_iter().filter(|(_, count)| *count > 0)
    }
}

/// `7 expected-loss, 1 void`.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<_> = self
            .counts()
            .map(|(verdict, count)| format!("{count} {verdict}"))
            .collect();
        f.pad(&counts.join(", "))
    }
}

/// The judgement of a tally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// The scenario's part in the process's exit code.
    pub exit: Exit,
    /// The unmet expectations, a line each, beside single bad runs.
    pub shortfalls: Vec<String>,
    /// Expectations that only many runs can meet and these few did not: no shortfall.
    pub unjudged: Vec<String>,
}

impl Assessment {
    fn miss(&mut self, line: String) {
        self.shortfalls.push(line);
        self.exit = self.exit.max(Exit::Missed);
    }
}

/// The expectations of a scenario that its runs meet together, or not.
#[derive(Debug, Clone, Copy)]
pub struct Together<'a> {
    /// Happenings that had to occur in some run and occurred in none.
    pub unseen: &'a [Happening],
    /// Whether there were as many runs as the scenario itself has: of fewer nobody
    /// expects that they meet everything.
    pub is_judged: bool,
}

impl Together<'_> {
    fn lines(&self, outcome: ExpectedOutcome, tally: &Tally) -> Vec<String> {
        let names: Vec<_> = self.unseen.iter().map(|what| what.name()).collect();
        let unseen = (!names.is_empty()).then(|| names.join(", "));
        let unseen = unseen.map(|names| format!("happened in no run: {names}"));
        too_few_losses(outcome, tally)
            .into_iter()
            .chain(unseen)
            .collect()
    }
}

/// Judges a scenario over its seeds.
pub fn assess(
    outcome: ExpectedOutcome,
    void_max: f64,
    tally: &Tally,
    together: Together<'_>,
) -> Assessment {
    let mut assessment = Assessment {
        exit: Exit::Success,
        shortfalls: Vec::new(),
        unjudged: Vec::new(),
    };
    for (verdict, _) in tally
        .counts()
        .filter(|(verdict, _)| *verdict != Verdict::Void)
    {
        assessment.exit = assessment.exit.max(outcome.exit_of(verdict));
    }
    let lines = together.lines(outcome, tally);
    match together.is_judged {
        true => lines.into_iter().for_each(|line| assessment.miss(line)),
        false => assessment.unjudged = lines,
    }
    if let Some(line) = too_many_void(void_max, tally) {
        assessment.exit = assessment.exit.max(Exit::Void);
        assessment.shortfalls.push(line);
    }
    assessment
}

/// Runs that failed otherwise say nothing about the share.
fn too_few_losses(outcome: ExpectedOutcome, tally: &Tally) -> Option<String> {
    let (share, what) = match outcome {
        ExpectedOutcome::Loss { share } => (share, "loss"),
        ExpectedOutcome::Breaks { share } => (share, "a broken promise"),
        ExpectedOutcome::ZeroLoss | ExpectedOutcome::Halt => return None,
    };
    let losing = tally.count(Verdict::ExpectedLoss);
    let judged = losing + tally.count(Verdict::Pass);
    (judged > 0 && (losing as f64) < share * judged as f64)
        .then(|| format!("{what} expected in {share} of the runs, seen in {losing} of {judged}"))
}

fn too_many_void(void_max: f64, tally: &Tally) -> Option<String> {
    let (void, runs) = (tally.count(Verdict::Void), tally.runs());
    match void {
        _ if runs == 0 => Some("there was no run".to_owned()),
        0 => None,
        _ if void == runs => Some("every run was void: no fault came that could matter".to_owned()),
        _ if void as f64 > void_max * runs as f64 => Some(format!(
            "{void} of {runs} runs were void, more than {void_max} of them"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Exit, ExpectedOutcome, Tally, Together, assess};
    use crate::check::Verdict;
    use crate::history::Happening;

    fn tally(runs: &[(Verdict, u64)]) -> Tally {
        let mut tally = Tally::default();
        for (verdict, count) in runs {
            (0..*count).for_each(|_| tally.add(*verdict));
        }
        tally
    }

    const JUDGED: Together<'_> = Together {
        unseen: &[],
        is_judged: true,
    };

    fn exit(outcome: ExpectedOutcome, runs: &[(Verdict, u64)]) -> u8 {
        assess(outcome, 0.2, &tally(runs), JUDGED).exit.code()
    }

    const LOSS: ExpectedOutcome = ExpectedOutcome::Loss { share: 0.5 };

    #[test]
    fn zero_loss_is_passes_only() {
        assert_eq!(exit(ExpectedOutcome::ZeroLoss, &[(Verdict::Pass, 8)]), 0);
        let lossy = [(Verdict::Pass, 7), (Verdict::ExpectedLoss, 1)];
        assert_eq!(exit(ExpectedOutcome::ZeroLoss, &lossy), 10);
        let halted = [(Verdict::Pass, 7), (Verdict::Halted, 1)];
        assert_eq!(exit(ExpectedOutcome::ZeroLoss, &halted), 10);
    }

    #[test]
    fn loss_needs_its_share_and_passes_for_the_rest() {
        let half = [(Verdict::Pass, 4), (Verdict::ExpectedLoss, 4)];
        assert_eq!(exit(LOSS, &half), 0);
        let few = [(Verdict::Pass, 5), (Verdict::ExpectedLoss, 3)];
        assert_eq!(exit(LOSS, &few), 10);
        insta::assert_snapshot!(
            assess(LOSS, 0.2, &tally(&few), JUDGED).shortfalls.join("\n"),
            @"loss expected in 0.5 of the runs, seen in 3 of 8"
        );
        assert_eq!(
            exit(LOSS, &[(Verdict::ExpectedLoss, 7), (Verdict::Fail, 1)]),
            10
        );
        assert_eq!(exit(LOSS, &[(Verdict::Pass, 8)]), 10);
    }

    #[test]
    fn halting_is_all_or_nothing() {
        assert_eq!(exit(ExpectedOutcome::Halt, &[(Verdict::Halted, 8)]), 0);
        let some = [(Verdict::Halted, 7), (Verdict::Pass, 1)];
        assert_eq!(exit(ExpectedOutcome::Halt, &some), 10);
    }

    #[test]
    fn void_runs_are_bounded_and_never_all() {
        let few = [(Verdict::Pass, 8), (Verdict::Void, 2)];
        assert_eq!(exit(ExpectedOutcome::ZeroLoss, &few), 0);
        let many = [(Verdict::Pass, 7), (Verdict::Void, 3)];
        assert_eq!(exit(ExpectedOutcome::ZeroLoss, &many), 14);
        assert_eq!(exit(LOSS, &[(Verdict::Void, 1)]), 14);
        assert_eq!(exit(LOSS, &[]), 14);
        let all = assess(
            ExpectedOutcome::ZeroLoss,
            1.0,
            &tally(&[(Verdict::Void, 3)]),
            JUDGED,
        );
        assert_eq!(all.exit, Exit::Void);
    }

    #[test]
    fn the_first_exit_code_that_applies() {
        let order = [
            Verdict::Nondeterministic,
            Verdict::Crashed,
            Verdict::Fail,
            Verdict::Stuck,
            Verdict::Void,
        ];
        let codes = (0..order.len()).map(|first| {
            let runs: Vec<_> = order[first..].iter().map(|verdict| (*verdict, 1)).collect();
            exit(ExpectedOutcome::ZeroLoss, &runs)
        });
        assert_eq!(codes.collect::<Vec<_>>(), [13, 12, 10, 11, 14]);
        assert!(Exit::Void > Exit::TestbedIo && Exit::TestbedIo > Exit::Usage);
        assert_eq!(Exit::Refused.code(), 15);
        assert!(Exit::Usage > Exit::Success);
    }

    #[test]
    fn a_happening_of_no_run_is_missed() {
        let unseen = [Happening::DeadLetter, Happening::Promoted];
        let missing = Together {
            unseen: &unseen,
            ..JUDGED
        };
        let passed = tally(&[(Verdict::Pass, 8)]);
        let passed = assess(ExpectedOutcome::ZeroLoss, 0.2, &passed, missing);
        assert_eq!(passed.exit, Exit::Missed);
        insta::assert_snapshot!(
            passed.shortfalls.join("\n"),
            @"happened in no run: dead-letter, promoted"
        );
        let crashed = tally(&[(Verdict::Crashed, 1)]);
        let crashed = assess(ExpectedOutcome::ZeroLoss, 0.2, &crashed, missing);
        assert_eq!(crashed.exit, Exit::Crashed, "the worse one stays");
    }

    #[test]
    fn few_runs_need_not_meet_what_many_do() {
        let few = Together {
            unseen: &[Happening::DeadLetter],
            is_judged: false,
        };
        let judged = |runs: &[(Verdict, u64)]| assess(LOSS, 0.2, &tally(runs), few);
        let passed = judged(&[(Verdict::Pass, 1)]);
        assert_eq!(passed.exit, Exit::Success);
        assert!(passed.shortfalls.is_empty());
        insta::assert_snapshot!(passed.unjudged.join("\n"), @r"
        loss expected in 0.5 of the runs, seen in 0 of 1
        happened in no run: dead-letter
        ");
        assert_eq!(judged(&[(Verdict::Fail, 1)]).exit, Exit::Missed);
        assert_eq!(judged(&[(Verdict::Void, 1)]).exit, Exit::Void);
    }

    #[test]
    fn a_tally_lists_what_came() {
        let mixed = tally(&[(Verdict::Void, 1), (Verdict::ExpectedLoss, 7)]);
        assert_eq!(mixed.to_string(), "7 expected-loss, 1 void");
    }
}
