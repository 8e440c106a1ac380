//! The lines of a timeline that tell a failure.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::check::Finding;

use super::TimelineLine;

/// Lines shown before each moment, and after it.
const BEFORE: usize = 2;
const AFTER: usize = 1;

/// The lines around the moments of a finding, in order, a gap where lines were
/// left out. Empty where there is no timeline.
pub(super) fn excerpt(timeline: &[TimelineLine], finding: &Finding) -> String {
    let mut chosen = BTreeSet::new();
    for moment_ns in finding.moments_ns.iter().chain([&finding.at_ns]) {
        // One past the last line of that moment.
        let end = timeline.partition_point(|line| line.at_ns <= *moment_ns);
        let first = end.saturating_sub(BEFORE + 1);
        chosen.extend(first..timeline.len().min(end + AFTER));
    }
    let width = chosen
        .iter()
        .map(|index| seconds(timeline[*index].at_ns).len());
    let width = width.max().unwrap_or(0);
    let mut text = String::new();
    let mut previous = None;
    for index in chosen {
        if previous.is_some_and(|previous| previous + 1 != index) {
            let _ = writeln!(text, "    {:>width$}", "…");
        }
        let line = &timeline[index];
        let _ = writeln!(text, "    {:>width$}  {}", seconds(line.at_ns), line.text);
        previous = Some(index);
    }
    text
}

/// Seconds with three decimals and no unit: a column of a timeline.
pub(super) fn seconds(ns: u64) -> String {
    let ms = ns / 1_000_000;
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}
