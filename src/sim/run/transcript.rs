//! The transcript of one transaction, for a newcomer: who did what, and when.
//!
//! Promise: told from a real run's history, its brokers' logs and its faults;
//! nothing in it is made up, and equal seeds tell the same.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::phases::Run;
use crate::check::At;
use crate::history::{
    Event, FaultEvent, FaultKind, History, Recorded, SendOutcome, Value, VictimRole,
};
use crate::scenario::Victim;
use crate::sim::net::NodeId;
use crate::sim::tap::{Leadership, Ruling, Said, Tap, ToldStep};
use crate::sim::world::NodeName;

/// A line, by when it was and what comes first of one moment.
type Line = (u64, String, String);

/// Everything that a transcript is told from.
struct Teller<'a> {
    run: &'a Run<'a>,
    history: &'a History,
    tap: &'a Tap,
    value: Value,
    half_address: u64,
}

/// The transcript of the first order whose end was lost with the one leader that died
/// meanwhile, and that got its red packet all the same; `None`: there is none in
/// this run.
pub(super) fn tell(run: &Run<'_>, history: &History) -> Option<String> {
    let inner = run.world.lock();
    let lost = history.entries.iter().find_map(|entry| match entry.event {
        Event::EndBegan {
            value,
            half_address,
            commit: true,
            ..
        } => {
            let teller = Teller {
                run,
                history,
                tap: &inner.tap,
                value,
                half_address,
            };
            teller.is_wanted(entry.at_ns).then_some(teller)
        }
        _ => None,
    });
    lost.map(|teller| teller.tell())
}

impl Teller<'_> {
    /// Whether one leader died meanwhile, and with it what it was told of the
    /// end; a later one asked.
    fn is_wanted(&self, ended_ns: u64) -> bool {
        let at = |wanted: fn(&Event) -> bool| {
            let entry = self.own().find(|entry| wanted(&entry.event));
            entry.map(|entry| entry.at_ns)
        };
        let began_ns = at(|event| matches!(event, Event::HalfBegan { .. }));
        let answered_ns = at(|event| matches!(event, Event::CheckAnswered { commit: true, .. }));
        let issued_ns = at(|event| matches!(event, Event::Issued { .. }));
        let (Some(began_ns), Some(answered_ns), Some(issued_ns)) =
            (began_ns, answered_ns, issued_ns)
        else {
            return false;
        };
        let decided = |step: &&ToldStep| matches!(step.said, Said::Decided(..));
        let decided_ns = self.steps().find(decided).map(|step| step.at_ns);
        let deaths = self.deaths().map(|fault| fault.at_ns);
        let deaths: Vec<u64> = deaths
            .filter(|at_ns| (began_ns..issued_ns).contains(at_ns))
            .collect();
        matches!(deaths[..], [died_ns] if (ended_ns..answered_ns).contains(&died_ns))
            && decided_ns.is_some_and(|decided_ns| decided_ns > answered_ns)
    }

    /// The records of clients about it.
    fn own(&self) -> impl Iterator<Item = &Recorded> {
        let mut open = BTreeSet::new();
        let entries = self.history.entries.iter();
        entries.filter(move |entry| match &entry.event {
            // The only ones that do not say which order they are about.
            Event::HalfEnded { op, .. } => open.remove(&(entry.client, *op)),
            Event::EndEnded { op, .. } => open.remove(&(entry.client, *op)),
            Event::HalfBegan { op, value } | Event::EndBegan { op, value, .. } => {
                let is_it = *value == self.value;
                if is_it {
                    open.insert((entry.client, *op));
                }
                is_it
            }
            other => is_about(other, self.value),
        })
    }

    fn steps(&self) -> impl Iterator<Item = &ToldStep> {
        let order = (self.value.client, self.value.sequence);
        let steps = self.tap.trail().map_or(&[][..], |trail| trail.steps());
        steps.iter().filter(move |step| match step.said {
            Said::Half(of) => of == Some(order),
            Said::Checked(half) | Said::Decided(half, _) => half == self.half_address,
        })
    }

    fn deaths(&self) -> impl Iterator<Item = &FaultEvent> {
        let fired = self.run.ledger.fired.iter();
        fired.filter(|fault| {
            let kills = matches!(
                fault.kind,
                FaultKind::Kill | FaultKind::PowerLoss | FaultKind::StrayFile
            );
            kills
                && self
                    .tap
                    .led_at(fault.at_ns)
                    .is_some_and(|it| it.node == fault.node)
        })
    }

    fn tell(&self) -> String {
        let mut lines: Vec<Line> = self
            .own()
            .filter_map(|entry| self.of_client(entry))
            .collect();
        let mut told = BTreeSet::new();
        lines.extend(self.steps().filter_map(|step| {
            let key = (step.node, format!("{:?}", step.said));
            told.insert(key).then(|| self.of_broker(step))
        }));
        let (first_ns, last_ns) = lines.iter().fold((u64::MAX, 0), |(first, last), line| {
            (first.min(line.0), last.max(line.0))
        });
        let meanwhile = first_ns..=last_ns;
        let deaths = self
            .deaths()
            .filter(|fault| meanwhile.contains(&fault.at_ns));
        lines.extend(deaths.map(|fault| {
            let what = match fault.kind {
                FaultKind::PowerLoss => "loses power: it leads no more",
                _ => "dies: it leads no more",
            };
            (
                fault.at_ns,
                self.broker(fault.node, fault.at_ns),
                what.to_owned(),
            )
        }));
        let leaders = self.tap.leaderships().iter();
        let leaders = leaders.filter(|it| meanwhile.contains(&it.since_ns));
        lines.extend(leaders.map(|it| {
            let what = format!("is elected, and leads term {}", it.term);
            (it.since_ns, self.broker(it.node, it.since_ns), what)
        }));
        lines.sort_by_key(|(at_ns, _, _)| *at_ns);
        let width = lines.iter().map(|line| line.1.chars().count()).max();
        let mut text = String::new();
        for (at_ns, who, what) in lines {
            let at = At(at_ns).to_string();
            let width = width.unwrap_or(0);
            let _ = writeln!(text, "{at:>8}  {who:<width$}  {what}");
        }
        text
    }

    fn of_client(&self, entry: &Recorded) -> Option<Line> {
        let what = match &entry.event {
            Event::HalfBegan { .. } => {
                let number = self.value.sequence;
                format!("sends the half message of order #{number}: nobody may read it yet")
            }
            Event::HalfEnded { outcome, .. } => match outcome {
                SendOutcome::Acknowledged { address, .. } => {
                    format!("hears that the half message is stored, at address {address}")
                }
                other => format!("hears of its half message: {other}"),
            },
            Event::Settled { paid: true, .. } => "keeps durably: the order is paid".to_owned(),
            Event::Settled { .. } => "keeps durably: the order is never to be paid".to_owned(),
            Event::EndBegan { commit: true, .. } => {
                "asks the leader to commit the transaction".to_owned()
            }
            Event::EndBegan { .. } => "asks the leader to roll the transaction back".to_owned(),
            Event::EndEnded { outcome, .. } => format!("hears of its end: {outcome}"),
            Event::CheckAnswered { commit: true, .. } => {
                "is asked by the leader, looks into the database, answers: it is committed"
                    .to_owned()
            }
            Event::CheckAnswered { .. } => {
                "is asked by the leader, has the order barred, answers: it is rolled back"
                    .to_owned()
            }
            Event::Pulled {
                queue, messages, ..
            } => {
                let offset = messages
                    .iter()
                    .find(|(_, value)| *value == Some(self.value));
                let (offset, _) = offset?;
                format!("reads the order in {queue} at offset {offset}")
            }
            Event::Issued { .. } => "keeps durably: the red packet is issued".to_owned(),
            _ => return None,
        };
        Some((entry.at_ns, self.client(entry.client), what))
    }

    fn of_broker(&self, step: &ToldStep) -> Line {
        let what = match step.said {
            Said::Half(_) => format!("has the half message in its log, at {}", step.address),
            Said::Checked(_) => {
                let at = step.address;
                format!("has a note in its log, at {at}: the order service is asked")
            }
            Said::Decided(_, Ruling::Committed) => {
                let at = step.address;
                format!("has the message itself in its log, at {at}: it is the decision")
            }
            Said::Decided(_, Ruling::RolledBack) => {
                format!("has the rollback in its log, at {}", step.address)
            }
            Said::Decided(_, Ruling::Discarded) => {
                format!("has the discarded message in its log, at {}", step.address)
            }
        };
        (step.at_ns, self.broker(step.node, step.at_ns), what)
    }

    fn broker(&self, node: NodeId, at_ns: u64) -> String {
        let leads = self.tap.led_at(at_ns).filter(|it| it.node == node);
        match leads {
            Some(Leadership { term, .. }) => format!("broker b{node}, leader of term {term}"),
            None => format!("broker b{node}"),
        }
    }

    fn client(&self, client: u32) -> String {
        let who = self.run.victim_role(Victim::Client(client));
        let name = match who {
            VictimRole::Database => "order database",
            other => other.name(),
        };
        format!("{name} {}", NodeName::Client(client))
    }
}

fn is_about(event: &Event, wanted: Value) -> bool {
    match event {
        Event::Settled { value, .. }
        | Event::CheckAnswered { value, .. }
        | Event::Issued { value } => *value == wanted,
        Event::Pulled { messages, .. } => {
            let mut messages = messages.iter();
            messages.any(|(_, value)| *value == Some(wanted))
        }
        _ => false,
    }
}
