//! The changes by lasting faults and by settings of the network, once all is over
//! (guarantee.md, section 3, "Observed").

use std::collections::BTreeMap;

use super::phases::{MS_NS, Run};
use crate::history::{
    ClientId, EndOutcome, Event, FaultKind, History, OpId, SendOutcome, SettingCount,
};
use crate::scenario::NetworkSettings;

/// Something that somebody noticed: from when to when, nanoseconds, and the
/// client, if only one did.
type Upset = (u64, u64, Option<ClientId>);

impl Run<'_> {
    /// Completes the ledger.
    pub(super) fn observe(&mut self, history: &History) {
        self.count_settings();
        if self.lasted.is_empty() {
            return;
        }
        let timeout_ns = self.scenario.client.send_timeout_ms * MS_NS;
        let mut upsets = late_requests(history, timeout_ns);
        upsets.extend(lost_queues(history));
        upsets.extend(self.changes_of_leader());
        let brokers = self.machines.len() as u32;
        for (entry, until_ns) in std::mem::take(&mut self.lasted) {
            let fault = &mut self.ledger.fired[entry];
            let client = fault.node.checked_sub(brokers);
            let from_ns = fault.at_ns;
            let mut upsets = upsets.iter();
            fault.observed = upsets.any(|(begun_ns, ended_ns, whose)| {
                let theirs = whose.is_none() || client.is_none() || *whose == client;
                *begun_ns <= until_ns && *ended_ns >= from_ns && theirs
            });
        }
    }

    /// Each after the first: somebody lost a term.
    fn changes_of_leader(&self) -> Vec<Upset> {
        let inner = self.world.lock();
        let changes = inner.tap.leaderships().iter().skip(1);
        changes.map(|it| (it.since_ns, it.since_ns, None)).collect()
    }

    fn count_settings(&mut self) {
        let fates = self.world.lock().net.fates;
        let rules = self.scenario.links.iter().map(|link| link.network);
        let all: Vec<_> = rules.chain([self.scenario.network]).collect();
        let is_set = |rate: fn(&NetworkSettings) -> f64| all.iter().any(|it| rate(it) > 0.0);
        let settings = [
            (
                FaultKind::NetworkLoss,
                is_set(|it| it.loss),
                (fates.lost, fates.lost, fates.lost),
            ),
            (
                FaultKind::NetworkDuplicate,
                is_set(|it| it.duplicate),
                (fates.repeated, fates.repeated, fates.repeats_delivered),
            ),
            (
                FaultKind::NetworkReorder,
                is_set(|it| it.reorder),
                (fates.overtaken, fates.overtaken, fates.overtaken_delivered),
            ),
            (
                FaultKind::NetworkSplit,
                is_set(|it| it.split),
                (fates.split, 0, 0),
            ),
        ];
        for (kind, is_set, (fired, eligible, observed)) in settings {
            if is_set {
                self.ledger.armed.insert(kind, 1);
                let count = SettingCount {
                    fired,
                    eligible,
                    observed,
                };
                self.ledger.settings.insert(kind, count);
            }
        }
    }
}

/// Requests that took longer than an attempt may take, or came to no answer.
fn late_requests(history: &History, timeout_ns: u64) -> Vec<Upset> {
    let mut open: BTreeMap<(ClientId, OpId), u64> = BTreeMap::new();
    let mut late = Vec::new();
    for entry in &history.entries {
        let answered = match &entry.event {
            Event::SendBegan { op, .. }
            | Event::HalfBegan { op, .. }
            | Event::EndBegan { op, .. }
            | Event::SendBackBegan { op, .. } => {
                open.insert((entry.client, *op), entry.at_ns);
                continue;
            }
            Event::SendEnded { op, outcome } | Event::HalfEnded { op, outcome } => {
                (*op, !matches!(outcome, SendOutcome::Unknown))
            }
            Event::EndEnded { op, outcome } => (*op, *outcome != EndOutcome::Unknown),
            Event::SendBackEnded { op, acknowledged } => (*op, *acknowledged),
            _ => continue,
        };
        let (op, answered) = answered;
        if let Some(begun_ns) = open.remove(&(entry.client, op))
            && (!answered || entry.at_ns - begun_ns >= timeout_ns)
        {
            late.push((begun_ns, entry.at_ns, Some(entry.client)));
        }
    }
    late
}

/// Members that gave a queue up.
fn lost_queues(history: &History) -> Vec<Upset> {
    let entries = history.entries.iter();
    let released = entries.filter(|entry| matches!(entry.event, Event::Released { .. }));
    released
        .map(|entry| (entry.at_ns, entry.at_ns, Some(entry.client)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::late_requests;
    use crate::history::{Event, History, Recorded, SendOutcome, Value};

    #[test]
    fn late_is_what_took_longer_than_an_attempt_or_was_never_answered() {
        let value = |sequence| Value {
            client: 1,
            sequence,
            digest: 0,
        };
        let mut history = History::default();
        let mut add = |at_ns, event| {
            history.entries.push(Recorded {
                at_ns,
                client: 1,
                event,
            });
        };
        for op in 0..4 {
            let value = value(op);
            add(10 * op, Event::SendBegan { op, value });
        }
        let acknowledged = |op: u64| SendOutcome::Rejected { code: op as i32 };
        for (at_ns, op, outcome) in [
            (60, 0, acknowledged(0)),
            (109, 1, acknowledged(1)),
            (121, 2, acknowledged(2)),
            (122, 3, SendOutcome::Unknown),
        ] {
            add(at_ns, Event::SendEnded { op, outcome });
        }
        let late = late_requests(&history, 100);
        assert_eq!(late, [(20, 121, Some(1)), (30, 122, Some(1))]);
    }
}
