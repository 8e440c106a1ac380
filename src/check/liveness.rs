//! Liveness: once healed, the cluster serves again within a stated simulated
//! time: probes are acknowledged, every queue can be read, every lag is zero.
//!
//! Everything was healed at 10 s, and had to work again within 30 s:
//!
//! ```
//! use zeroloss::check::{Facts, Liveness, liveness};
//! use zeroloss::history::History;
//!
//! const S: u64 = 1_000_000_000;
//! let in_time = Liveness {
//!     core: true,
//!     healed_ns: 10 * S,
//!     bound_ns: 30 * S,
//!     probed_ns: Some(11 * S),
//!     caught_up_ns: Some(15 * S),
//!     level_ns: Some(12 * S),
//!     held_in_the_end: Vec::new(),
//!     leaderships_ns: vec![11 * S],
//!     operations_ns: Vec::new(),
//! };
//! let history = History::default();
//! assert!(liveness::check(&Facts::new(&history), &in_time).is_empty());
//!
//! let never = Liveness { probed_ns: None, ..in_time };
//! let late = liveness::check(&Facts::new(&history), &never);
//! assert_eq!(late[0].lines, ["no probe was acknowledged within 30.000s of healing at 10.000s"]);
//! ```

use super::{At, Facts, Finding, Promise};

/// The second phase of a run: after healing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Liveness {
    /// Whether there was a core that must serve: brokers that are whole and
    /// connected (guarantee.md, section 3, "Two phases").
    pub core: bool,
    /// When everything was healed, nanoseconds since the start of the run.
    pub healed_ns: u64,
    /// The scenario's `converge_within_ms`, nanoseconds.
    pub bound_ns: u64,
    /// When the last probe was acknowledged; `None`: not all of them were.
    pub probed_ns: Option<u64>,
    /// When every consumer had committed all there was; `None`: never.
    pub caught_up_ns: Option<u64>,
    /// When all replicas of the core durably held the same; `None`: never. A
    /// single broker does from the start.
    pub level_ns: Option<u64>,
    /// How far each of them durably held the log in the end, as log addresses, by
    /// node.
    pub held_in_the_end: Vec<(u32, u64)>,
    /// When each leadership began that came after healing, nanoseconds.
    pub leaderships_ns: Vec<u64>,
    /// When the operator's changes of members and handovers were done, nanoseconds.
    pub operations_ns: Vec<u64>,
}

/// Leaderships that may begin within any [`LEADERSHIP_WINDOW_NS`] after healing: an
/// election, a second one where votes or syncs came late, a handover to the preferred
/// leader; and some of them again. One more may begin for each change of members and each
/// handover that the operator was granted within it.
const LEADERSHIPS_MAX: usize = 8;
/// See [`LEADERSHIPS_MAX`].
const LEADERSHIP_WINDOW_NS: u64 = 2_000_000_000;

/// Everything that did not come in time. Without a core nothing was due, except
/// that what was acknowledged must be read back: a run that cannot be judged is
/// no pass.
pub fn check(facts: &Facts<'_>, liveness: &Liveness) -> Vec<Finding> {
    let end = Moment::last(facts);
    let mut findings = Vec::new();
    if liveness.core {
        let waits = [
            ("probe", "was acknowledged", liveness.probed_ns),
            ("consumer", "had caught up", liveness.caught_up_ns),
        ];
        for (who, what, came_ns) in waits {
            let line = late(liveness, who, what, came_ns);
            findings.extend(line.map(|line| end.finding(line, liveness.healed_ns)));
        }
        if late(liveness, "", "", liveness.level_ns).is_some() {
            let mut finding = end.finding(uneven(liveness), liveness.healed_ns);
            finding.lines.extend(held(liveness));
            findings.push(finding);
        }
        let restless = restless(liveness).map(|line| end.finding(line, liveness.healed_ns));
        findings.extend(restless);
        let lags = lags(facts).map(|line| end.finding(line, liveness.healed_ns));
        findings.extend(lags);
    }
    let unread = unread(facts).map(|line| end.finding(line, liveness.healed_ns));
    findings.extend(unread);
    findings
}

fn late(liveness: &Liveness, who: &str, what: &str, came_ns: Option<u64>) -> Option<String> {
    let healed = At(liveness.healed_ns);
    let bound = At(liveness.bound_ns);
    match came_ns {
        None => Some(format!(
            "no {who} {what} within {bound} of healing at {healed}"
        )),
        Some(came_ns) if came_ns.saturating_sub(liveness.healed_ns) > liveness.bound_ns => {
            Some(format!(
                "the last {who} {what} at {}, later than {bound} after healing at {healed}",
                At(came_ns)
            ))
        }
        Some(_) => None,
    }
}

/// Nothing is at fault any more, and leadership does not come to rest.
fn restless(liveness: &Liveness) -> Option<String> {
    let began = &liveness.leaderships_ns;
    let within = |first_ns: u64| first_ns..first_ns + LEADERSHIP_WINDOW_NS;
    let (first_ns, count, last_ns) = began.iter().find_map(|first_ns| {
        let window = within(*first_ns);
        let here = began.iter().filter(|at_ns| window.contains(at_ns));
        let asked = liveness.operations_ns.iter();
        let asked = asked.filter(|at_ns| window.contains(at_ns)).count();
        let (count, last_ns) = (here.clone().count(), here.max()?);
        (count > LEADERSHIPS_MAX + asked).then_some((*first_ns, count, *last_ns))
    })?;
    Some(format!(
        "leadership does not come to rest: {count} leaderships began between {} and {}, with all \
         healed since {}",
        At(first_ns),
        At(last_ns),
        At(liveness.healed_ns)
    ))
}

fn uneven(liveness: &Liveness) -> String {
    let ever = match liveness.level_ns {
        None => "never".to_owned(),
        Some(level_ns) => format!("not before {}", At(level_ns)),
    };
    format!(
        "the replicas of the core held the same {ever}; due within {} of healing at {}",
        At(liveness.bound_ns),
        At(liveness.healed_ns)
    )
}

/// `in the end held the log: b0 up to 9120, b1 up to 7702`.
fn held(liveness: &Liveness) -> Option<String> {
    let held = liveness.held_in_the_end.iter();
    let held = held.map(|(node, upto)| format!("b{node} up to {upto}"));
    let held: Vec<_> = held.collect();
    (!held.is_empty()).then(|| format!("in the end held the log: {}", held.join(", ")))
}

fn lags<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = String> + use<'a> {
    facts.groups.iter().filter_map(|((name, queue), group)| {
        let read = facts.queues.get(queue)?.final_read?;
        let recorded = group.final_offset?.offset;
        let from = recorded.unwrap_or(0).max(read.min_offset);
        let lag = read.max_offset.checked_sub(from).filter(|lag| *lag > 0)?;
        let recorded = recorded.map_or("no offset".to_owned(), |offset| offset.to_string());
        Some(format!(
            "group {name} on {queue} lags by {lag}: recorded {recorded} of {}",
            read.max_offset
        ))
    })
}

fn unread<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = String> + use<'a> {
    let queues = facts.queues.iter();
    let unread =
        queues.filter(|(_, queue)| queue.final_read.is_none() && !queue.acknowledged.is_empty());
    unread.map(|(queue, facts)| {
        let count = facts.acknowledged.len();
        format!("{queue} could not be read back: {count} acknowledged messages unaccounted for")
    })
}

/// The end of a history: when all that did not come had not come.
struct Moment {
    at_ns: u64,
    event: u64,
}

impl Moment {
    fn last(facts: &Facts<'_>) -> Self {
        let event = facts.last_index();
        Self {
            at_ns: event.map_or(0, |index| facts.at_ns(index)),
            event: event.unwrap_or(0) as u64,
        }
    }

    fn finding(&self, line: String, healed_ns: u64) -> Finding {
        Finding {
            promise: Promise::Liveness,
            lines: vec![line],
            at_ns: self.at_ns,
            event: self.event,
            moments_ns: vec![healed_ns],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Liveness;
    use crate::check::Facts;
    use crate::check::story::story;

    const S: u64 = 1_000_000_000;

    fn in_time() -> Liveness {
        Liveness {
            core: true,
            healed_ns: 10 * S,
            bound_ns: 30 * S,
            probed_ns: Some(11 * S),
            caught_up_ns: Some(40 * S),
            level_ns: Some(12 * S),
            held_in_the_end: vec![(0, 9_120), (2, 7_702)],
            leaderships_ns: vec![10 * S + 1, 12 * S],
            operations_ns: Vec::new(),
        }
    }

    fn missed(liveness: Liveness, text: &str) -> Vec<String> {
        let history = story(text);
        let findings = super::check(&Facts::new(&history), &liveness);
        findings.into_iter().flat_map(|found| found.lines).collect()
    }

    #[test]
    fn in_time_is_in_time() {
        let text = "send 1; ack 1@0; resume none; final 0..1: 1@0; recorded 1";
        assert!(missed(in_time(), text).is_empty());
    }

    #[test]
    fn late_and_never_are_not() {
        let liveness = Liveness {
            probed_ns: None,
            caught_up_ns: Some(41 * S),
            ..in_time()
        };
        insta::assert_snapshot!(
            missed(liveness, "send 1; ack 1@0; resume none; final 0..3: 1@0; recorded 1; send 2")
                .join("\n"),
            @r"
        no probe was acknowledged within 30.000s of healing at 10.000s
        the last consumer had caught up at 41.000s, later than 30.000s after healing at 10.000s
        group red-packet on orders/3 lags by 2: recorded 1 of 3
        "
        );
        assert_eq!(missed(in_time(), "final 0..3: 1@0; recorded none").len(), 1);
    }

    #[test]
    fn leadership_that_does_not_come_to_rest_is_a_finding() {
        let text = "send 1; ack 1@0; resume none; final 0..1: 1@0; recorded 1";
        let every_of = |pause_ns: u64, operations_ns: Vec<u64>| {
            let began = (0..12).map(|number| 20 * S + number * pause_ns);
            let liveness = Liveness {
                leaderships_ns: began.collect(),
                operations_ns,
                ..in_time()
            };
            missed(liveness, text).join("\n")
        };
        let every = |pause_ns| every_of(pause_ns, Vec::new());
        assert_eq!(every(S / 4), "");
        let granted = vec![21 * S, 21 * S + 1];
        assert_eq!(every_of(S / 5, granted), "", "the operator asked for two");
        assert_ne!(every_of(S / 5, vec![21 * S]), "");
        insta::assert_snapshot!(every(S / 5), @"leadership does not come to rest: 10 leaderships began between 20.000s and 21.800s, with all healed since 10.000s");
    }

    #[test]
    fn replicas_that_stay_apart_are_a_finding() {
        let text = "send 1; ack 1@0; resume none; final 0..1: 1@0; recorded 1";
        let level = [None, Some(41 * S)].map(|level_ns| {
            let liveness = Liveness {
                level_ns,
                ..in_time()
            };
            missed(liveness, text).join("\n")
        });
        insta::assert_snapshot!(level.join("\n"), @r"
        the replicas of the core held the same never; due within 30.000s of healing at 10.000s
        in the end held the log: b0 up to 9120, b2 up to 7702
        the replicas of the core held the same not before 41.000s; due within 30.000s of healing at 10.000s
        in the end held the log: b0 up to 9120, b2 up to 7702
        ");
    }

    #[test]
    fn without_a_core_only_what_was_acknowledged_is_due() {
        let liveness = Liveness {
            core: false,
            probed_ns: None,
            caught_up_ns: None,
            ..in_time()
        };
        assert!(missed(liveness.clone(), "final 0..3: 1@0; recorded 1").is_empty());
        insta::assert_snapshot!(
            missed(liveness, "send 1; ack 1@0").join("\n"),
            @"orders/3 could not be read back: 1 acknowledged messages unaccounted for"
        );
    }
}
