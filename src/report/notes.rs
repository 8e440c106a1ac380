//! The notes below a scenario's line: what came of its losses and deaths, and why a
//! result is worth less than it looks.

use std::collections::BTreeMap;

use super::ScenarioReport;
use super::numbers::Grouped;
use super::text::replay;
use crate::history::{FaultKind, VictimRole};

/// Facts beside the line, in the order in which they are shown.
pub(super) fn notes(report: &ScenarioReport) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(processed_before(report));
    notes.extend(attribution(report));
    notes.extend(report.first_loss.map(|seed| {
        let again = replay(&report.about.file, seed);
        format!("first run with a loss: {again}")
    }));
    notes.extend(business(report));
    notes.extend(published_again(report));
    notes.extend(deaths(report));
    if report.nothing_due > 0 {
        let runs = Grouped(report.nothing_due);
        notes.push(format!(
            "convergence not demanded in {runs} runs: a majority's disks are gone (D16)"
        ));
    }
    notes
}

/// The losses of the broker that were no losses of the business.
fn processed_before(report: &ScenarioReport) -> Option<String> {
    let processed = report.counts.lost_processed;
    (processed > 0).then(|| {
        let lost = Grouped(report.lost);
        format!(
            "of the {lost} lost, {} had been processed before",
            Grouped(processed)
        )
    })
}

/// Repeats that are allowed, and that nobody here makes but RocketMQ's own rules.
fn published_again(report: &ScenarioReport) -> Option<String> {
    let again = report.counts.published_again;
    (again > 0).then(|| {
        format!(
            "{} transactions were published more than once",
            Grouped(again)
        )
    })
}

/// `of 2,480 paid orders 2,474 have their red packet, 6 never got it`.
fn business(report: &ScenarioReport) -> Option<String> {
    let (paid, missing) = (report.counts.paid, report.counts.without_packet);
    (paid > 0).then(|| {
        let had = Grouped(paid - missing);
        let paid = Grouped(paid);
        match missing {
            0 => format!("all {paid} paid orders have their red packet"),
            _ => format!(
                "of {paid} paid orders {had} have their red packet, {} never got it",
                Grouped(missing)
            ),
        }
    })
}

/// In how many runs who died where: `runs with a broker dying: check-open 8, …`.
fn deaths(report: &ScenarioReport) -> Vec<String> {
    let mut notes = BTreeMap::<VictimRole, Vec<String>>::new();
    for ((who, transaction_step), runs) in &report.deaths {
        let note = format!("{transaction_step} {}", Grouped(*runs));
        notes.entry(*who).or_default().push(note);
    }
    let notes = notes.into_iter();
    let notes =
        notes.map(|(who, at)| format!("runs with a dying {}: {}", who.name(), at.join(", ")));
    let about = &report.about;
    let asked_for = about.needs.iter().chain(&about.sometimes);
    let happened = asked_for.map(|what| {
        let runs = report.happened.get(what).copied().unwrap_or(0);
        format!("{} {}", what.name(), Grouped(runs))
    });
    let happened: Vec<_> = happened.collect();
    let happened = (!happened.is_empty()).then(|| format!("runs with: {}", happened.join(", ")));
    notes.chain(happened).collect()
}

/// `taken by disk-rolled-back: 41; excused by it: state-machine-safety 3`.
fn attribution(report: &ScenarioReport) -> Option<String> {
    let mut parts = BTreeMap::<FaultKind, Vec<String>>::new();
    for (kind, count) in &report.taken {
        let part = format!("taken by {kind}: {}", Grouped(*count));
        parts.entry(*kind).or_default().push(part);
    }
    let mut excused = BTreeMap::<FaultKind, Vec<String>>::new();
    for ((kind, promise), count) in &report.waived {
        let part = format!("{promise} {}", Grouped(*count));
        excused.entry(*kind).or_default().push(part);
    }
    for (kind, promises) in excused {
        let parts = parts.entry(kind).or_default();
        let by = match parts.is_empty() {
            true => kind.name(),
            false => "it",
        };
        parts.push(format!("excused by {by}: {}", promises.join(", ")));
    }
    let parts: Vec<_> = parts.into_values().map(|parts| parts.join("; ")).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The reasons why a result is worth less than it looks.
pub(super) fn warnings(report: &ScenarioReport) -> Vec<String> {
    let mut warnings = Vec::new();
    if report.counts.acknowledged == 0 {
        warnings.push("nothing was acknowledged".to_owned());
    }
    let mut of_rules = report
        .faults
        .iter()
        .filter(|(kind, _)| !kind.is_a_setting());
    for (kind, count) in of_rules.clone() {
        let armed = Grouped(count.armed);
        if count.armed > 0 && count.fired == 0 {
            warnings.push(format!("{kind} armed {armed} times, fired 0"));
        } else if count.fired > 0 && count.eligible == 0 {
            let fired = Grouped(count.fired);
            warnings.push(format!(
                "{kind} fired {fired} times, never when it could matter"
            ));
        }
    }
    if !report.about.faultless && of_rules.next().is_none() {
        warnings.push("no fault was armed".to_owned());
    }
    warnings
}
