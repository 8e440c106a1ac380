//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use sim_tests::mutants::hunt::Ground;
use sim_tests::mutants::run::Judging;

/// CPU seconds of a hunt where neither an argument nor a patch says it.
const CAP_CPU_S: u64 = 300;

/// Plants mistakes in a copy of the tree, one at a time, and hunts each by simulation.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// Only these mutants, of the patches or of all that can be generated.
    #[arg(long, value_name = "ID", num_args = 1.., conflicts_with = "generated")]
    pub(crate) only: Vec<String>,
    /// Number of generated mutants in place of the patches: a random draw of those that
    /// compile.
    #[arg(long, value_name = "N", conflicts_with = "patches")]
    pub(crate) generated: Option<usize>,
    /// The seed of the draw, in place of one that follows from the commit.
    #[arg(long, value_name = "S")]
    pub(crate) sample_seed: Option<u64>,
    /// Folder of the patches, in place of sim-tests/mutants. A bare diff will do for grounds
    /// other than aimed.
    #[arg(long, value_name = "DIR")]
    pub(crate) patches: Option<PathBuf>,
    /// The runs that mutants are hunted with.
    #[arg(long, value_enum, default_value_t = Grounds::Aimed)]
    pub(crate) ground: Grounds,
    /// The way in which runs are judged; if not given, both ways where scenarios are aimed, and with all
    /// checks elsewhere.
    #[arg(long, value_enum)]
    pub(crate) judge: Option<Ways>,
    /// CPU seconds of each hunt: for each mutant, ground and way of judging. In place of the
    /// patches' own where scenarios are aimed, of 300 elsewhere.
    #[arg(long, value_name = "N")]
    pub(crate) cap_cpu_s: Option<u64>,
    /// Run the gate to its end, whatever the cap is.
    #[arg(long)]
    pub(crate) whole_gate: bool,
    /// Writes down each mutant that is done, and goes on from what is written there.
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// A line of JSON for each mutant, in place of the table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Writes reports/mutation-score.md and .json.
    #[arg(long)]
    pub(crate) report: bool,
    /// Writes them again with what sim-tests/mutants/judged.toml says by now, and prints the
    /// entries that are missing there; hunts nothing.
    #[arg(long)]
    pub(crate) report_again: bool,
    /// Shows how many mutants can be generated, by operator and part of the product, or with
    /// --json each of them; builds nothing.
    #[arg(long)]
    pub(crate) list: bool,
    /// Do not run the tree itself first over all that is hunted with. A run that kills
    /// is run without the mutant all the same: one that is red then kills nothing.
    #[arg(long)]
    pub(crate) trust_the_tree: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Grounds {
    /// The scenarios that the patch names.
    Aimed,
    /// Every scenario over its own seeds, the cheapest first.
    Gate,
    /// The swarms and one sweep, whatever the mutant is.
    Swarm,
    /// The gate, and the swarm for what it does not kill.
    All,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Ways {
    /// Once with all checks, and once by what clients saw alone.
    Both,
    /// With all checks.
    AllChecks,
    /// By what clients saw alone.
    BlackBox,
}

impl Grounds {
    pub(crate) fn list(self) -> &'static [Ground] {
        match self {
            Self::Aimed => &[Ground::Aimed],
            Self::Gate => &[Ground::Gate],
            Self::Swarm => &[Ground::Swarm],
            Self::All => &[Ground::Gate, Ground::Swarm],
        }
    }
}

impl Arguments {
    /// The ways of judging, in their order.
    pub(crate) fn ways(&self) -> &'static [Judging] {
        let not_said = match self.ground {
            Grounds::Aimed => Ways::Both,
            Grounds::Gate | Grounds::Swarm | Grounds::All => Ways::AllChecks,
        };
        match self.judge.unwrap_or(not_said) {
            Ways::Both => &[Judging::AllChecks, Judging::BlackBox],
            Ways::AllChecks => &[Judging::AllChecks],
            Ways::BlackBox => &[Judging::BlackBox],
        }
    }

    /// The cap of a blind hunt, CPU seconds.
    pub(crate) fn blind_cap_cpu_s(&self) -> u64 {
        self.cap_cpu_s.unwrap_or(CAP_CPU_S)
    }

    /// The reason that they do not go together, if they do not.
    pub(crate) fn conflict(&self) -> Option<&'static str> {
        let is_gate = self.ground.list().contains(&Ground::Gate);
        if is_gate && self.ways() != [Judging::AllChecks] {
            return Some("the gate judges with all checks: leave out --judge");
        }
        if self.report && (self.ground == Grounds::Aimed || self.ways() != [Judging::AllChecks]) {
            let why = "a score is of blind hunts with all checks: --ground gate, swarm or all";
            return Some(why);
        }
        if self.report && !(self.only.is_empty() && self.patches.is_none()) {
            return Some("a score is of a whole sample: leave out --only and --patches");
        }
        if self.generated.is_some() && self.ground == Grounds::Aimed {
            return Some("nobody aims at a generated mutant: --ground gate, swarm or all");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Ground, Judging, Parser};

    fn parse(arguments: &str) -> Arguments {
        let words = ["mutants"].into_iter().chain(arguments.split_whitespace());
        Arguments::try_parse_from(words).unwrap_or_else(|why| panic!("{arguments}: {why}"))
    }

    #[test]
    fn grounds_and_ways_that_follow_from_arguments() {
        let patches = parse("");
        assert_eq!(patches.ground.list(), [Ground::Aimed]);
        assert_eq!(patches.ways(), [Judging::AllChecks, Judging::BlackBox]);
        let sample = parse("--generated 120 --ground all --report");
        assert_eq!(sample.ground.list(), [Ground::Gate, Ground::Swarm]);
        assert_eq!(sample.ways(), [Judging::AllChecks]);
        assert_eq!(sample.blind_cap_cpu_s(), 300);
        assert_eq!(parse("--cap-cpu-s 30").blind_cap_cpu_s(), 30);
        assert!(patches.conflict().is_none() && sample.conflict().is_none());
    }

    #[test]
    fn arguments_that_do_not_go_together_are_refused_with_a_way_out() {
        for (arguments, word) in [
            ("--ground gate --judge both", "--judge"),
            ("--ground all --judge black-box", "--judge"),
            ("--report", "--ground"),
            ("--ground swarm --judge black-box --report", "--ground"),
            ("--ground gate --only S01 --report", "--only"),
            ("--ground gate --patches d --report", "--patches"),
            ("--generated 12", "--ground"),
        ] {
            let why = parse(arguments).conflict();
            assert!(
                why.is_some_and(|why| why.contains(word)),
                "{arguments}: {why:?}"
            );
        }
        let both = ["mutants", "--generated", "12", "--patches", "d"];
        assert!(Arguments::try_parse_from(both).is_err());
    }
}
