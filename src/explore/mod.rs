//! Many runs: every scenario over its seeds, on all cores.

use crate::report::RunReport;
use crate::scenario::{RunOptions, Scenario};

/// Whoever can do one run. Called on a fresh thread for each; equal arguments
/// must give equal reports. A panic is caught and judged as a crash of the
/// product.
pub trait Runner: Send + Sync + 'static {
    /// One run of `scenario` with `seed`, judged.
    fn run(&self, scenario: &Scenario, seed: u64, options: &RunOptions) -> RunReport;
}

impl<F> Runner for F
where
    F: Fn(&Scenario, u64, &RunOptions) -> RunReport + Send + Sync + 'static,
{
    fn run(&self, scenario: &Scenario, seed: u64, options: &RunOptions) -> RunReport {
        self(scenario, seed, options)
    }
}
