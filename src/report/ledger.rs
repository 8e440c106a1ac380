//! The ledger of faults as a table: what was armed, what had to wait, what
//! never came, what fired, what could have mattered, what changed something (guarantee.md, section 3).

use std::collections::BTreeMap;
use std::fmt::Write;

use super::FaultCount;
use super::numbers::Grouped;
use crate::history::FaultKind;

/// A row for each kind, indented; a heading first. Empty where nothing was armed.
pub fn ledger(faults: &BTreeMap<FaultKind, FaultCount>) -> String {
    let mut text = String::new();
    if faults.is_empty() {
        return text;
    }
    let heading = [
        "fault",
        "armed",
        "postponed",
        "dropped",
        "fired",
        "eligible",
        "observed",
    ];
    let [kind, counts @ ..] = heading.map(str::to_owned);
    row(&mut text, &kind, counts);
    // Streams come in pieces everywhere: nobody asks for that, and it never matters.
    let shown = |(kind, _): &(&FaultKind, &FaultCount)| **kind != FaultKind::NetworkSplit;
    for (kind, count) in faults.iter().filter(shown) {
        let counts = [
            count.armed,
            count.postponed,
            count.dropped,
            count.fired,
            count.eligible,
            count.observed,
        ];
        row(
            &mut text,
            kind.name(),
            counts.map(|count| Grouped(count).to_string()),
        );
    }
    text
}

fn row(text: &mut String, kind: &str, counts: [String; 6]) {
    let [armed, postponed, dropped, fired, eligible, observed] = counts;
    let _ = writeln!(
        text,
        "      {kind:<18}{armed:>10}{postponed:>12}{dropped:>12}{fired:>12}{eligible:>12}{observed:>12}"
    );
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{FaultCount, FaultKind, ledger};

    #[test]
    fn a_row_for_each_kind() {
        let count = FaultCount {
            armed: 1_234_567,
            postponed: 9,
            dropped: 1_234_555,
            fired: 12,
            eligible: 11,
            observed: 3,
            dirty: 2,
        };
        let faults = BTreeMap::from([
            (FaultKind::Pause, count),
            (FaultKind::MisdirectedWrite, FaultCount::default()),
        ]);
        insta::assert_snapshot!(ledger(&faults), @r"
              fault                  armed   postponed     dropped       fired    eligible    observed
              misdirected-write          0           0           0           0           0           0
              pause              1,234,567           9   1,234,555          12          11           3
        ");
        assert_eq!(ledger(&BTreeMap::new()), "");
    }
}
