//! From rules to concrete faults and operations.

use super::victims::{subject, victims};
use super::{Hit, Operation, PlannedFault, PlannedOperation, Then, Trigger, Victim};
use crate::scenario::random::Stream;
use crate::scenario::{
    AtEvent, Between, Cluster, EventRule, FaultAction, FaultRule, OperationKind, OperationRule,
    Scenario, Subject,
};

const NS_PER_MS: u64 = 1_000_000;

/// The faults of one rule; what they leave to chance is drawn from `chances`.
pub(super) fn faults(
    scenario: &Scenario,
    rule: &FaultRule,
    stream: &mut Stream,
    chances: &mut Stream,
) -> Vec<PlannedFault> {
    let mut moments = Moments::new(rule.at_ms, rule.every_ms);
    let mut events = rule.at_event.map(Events::new);
    let mut faults = Vec::new();
    for _ in 0..rule.count {
        let victims = victims(scenario, rule.target, stream);
        let at_event = events.as_mut().map(|events| events.next(stream));
        let begin_ns = moments.window_ns.low;
        let from_ns = match at_event {
            Some(_) => Some(begin_ns),
            None => moments.next(stream),
        };
        let Some(from_ns) = from_ns else {
            break;
        };
        let whole = Trigger {
            from_ns,
            until_ns: in_ns(rule.at_ms).high,
            when: rule.when,
            at_event,
            within_budget: rule.within_budget,
        };
        if let Some(spread_ms) = rule.spread_ms {
            let end_ns = scenario.run.duration_ms * NS_PER_MS;
            let from_ns = one_after_another(victims.len(), from_ns, spread_ms, stream);
            for (victim, from_ns) in shuffled(victims, stream).into_iter().zip(from_ns) {
                let hit = hit(rule, victim, None, (stream, chances));
                let trigger = Trigger {
                    from_ns,
                    until_ns: whole.until_ns.max(from_ns),
                    ..whole
                };
                // The run's faults may end before it is everybody's turn.
                if from_ns <= end_ns {
                    let hits = vec![hit];
                    faults.push(PlannedFault { trigger, hits });
                }
            }
            continue;
        }
        let shared = rule.action.drawn(stream);
        let mut hits = Vec::new();
        for victim in victims {
            // Draws that several victims share fall on them alike and end for them alike;
            // else each has its own.
            let common = match (hits.is_empty(), &rule.action) {
                (true, _) | (_, FaultAction::Partition { .. }) => Some(shared.clone()),
                _ => None,
            };
            hits.push(hit(rule, victim, common, (stream, chances)));
        }
        let trigger = whole;
        faults.push(PlannedFault { trigger, hits });
    }
    faults
}

/// The action on one victim; `common`: what was drawn for all of them.
fn hit(
    rule: &FaultRule,
    victim: Victim,
    common: Option<FaultAction>,
    (stream, chances): (&mut Stream, &mut Stream),
) -> Hit {
    let action = common.unwrap_or_else(|| rule.action.drawn(stream));
    let then = rule.then.as_ref().map(|then| {
        let after_ns = in_ns(then.after_ms).draw(stream);
        let action = then.action.drawn(stream);
        Then {
            after_ns,
            on: then.on,
            when: then.when,
            draw: chance(&action, chances),
            action,
        }
    });
    Hit {
        victim,
        draw: chance(&action, chances),
        action,
        then,
    }
}

/// Drawn whether it is needed or not, so that an action of another kind leaves the
/// others' chances what they were.
fn chance(action: &FaultAction, chances: &mut Stream) -> u32 {
    let draw = chances.next_u64() as u32;
    if action.leaves_to_chance() { draw } else { 0 }
}

/// So many moments, the first at `from_ns`.
fn one_after_another(
    count: usize,
    from_ns: u64,
    spread_ms: Between,
    stream: &mut Stream,
) -> Vec<u64> {
    let mut next_ns = from_ns;
    let moments = (0..count).map(|_| {
        let moment_ns = next_ns;
        next_ns += in_ns(spread_ms).draw(stream);
        moment_ns
    });
    moments.collect()
}

/// In a drawn order.
fn shuffled(mut left: Vec<Victim>, stream: &mut Stream) -> Vec<Victim> {
    let count = left.len();
    let drawn = (0..count).map(|_| left.remove(stream.below(left.len() as u64) as usize));
    drawn.collect()
}

/// How long a survivor serves before old disks come back.
const ALONE_MS: Between = Between {
    low: 1,
    high: 1_000,
};

/// The operations of one rule.
pub(super) fn operations(
    cluster: &Cluster,
    rule: &OperationRule,
    stream: &mut Stream,
) -> Vec<PlannedOperation> {
    let mut moments = Moments::new(rule.at_ms, rule.every_ms);
    let mut operations = Vec::new();
    for turn in 0..rule.count {
        let victim = subject(cluster, rule.subject, stream);
        let spare = match rule.subject {
            Subject::Node(node) if node >= cluster.brokers => node,
            _ => cluster.brokers + turn % cluster.spares.max(1),
        };
        let Some(at_ns) = moments.next(stream) else {
            break;
        };
        let operation = match rule.kind {
            OperationKind::ReplaceNode => Operation::ReplaceNode { victim, spare },
            OperationKind::AddNode => Operation::AddNode { node: spare },
            OperationKind::RemoveNode => Operation::RemoveNode { victim },
            OperationKind::TransferLeadership => Operation::TransferLeadership { to: victim },
            OperationKind::Recover => Operation::Recover {
                survivor: victim,
                alone_ns: in_ns(ALONE_MS).draw(stream),
                one_by_one: rule.one_by_one,
            },
        };
        operations.push(PlannedOperation { at_ns, operation });
    }
    operations
}

/// When the faults of a rule come.
struct Moments {
    window_ns: Between,
    every_ns: Option<Between>,
    next_ns: u64,
}

impl Moments {
    fn new(at_ms: Between, every_ms: Option<Between>) -> Self {
        let window_ns = in_ns(at_ms);
        Self {
            window_ns,
            every_ns: every_ms.map(in_ns),
            next_ns: window_ns.low,
        }
    }

    /// The next moment; `None` once the window has ended.
    fn next(&mut self, stream: &mut Stream) -> Option<u64> {
        let Some(every_ns) = self.every_ns else {
            return Some(self.window_ns.draw(stream));
        };
        let moment_ns = self.next_ns;
        self.next_ns += every_ns.draw(stream);
        (moment_ns <= self.window_ns.high).then_some(moment_ns)
    }
}

/// With which events the faults of a rule come.
struct Events {
    rule: EventRule,
    last: Option<u64>,
}

impl Events {
    fn new(rule: EventRule) -> Self {
        Self { rule, last: None }
    }

    fn next(&mut self, stream: &mut Stream) -> AtEvent {
        let EventRule {
            event,
            file,
            nth,
            every_nth,
        } = self.rule;
        let nth = match (self.last, every_nth) {
            (Some(last), Some(every)) => last + every.draw(stream),
            _ => nth.draw(stream),
        };
        self.last = Some(nth);
        AtEvent { event, file, nth }
    }
}

fn in_ns(range_ms: Between) -> Between {
    Between {
        low: range_ms.low * NS_PER_MS,
        high: range_ms.high * NS_PER_MS,
    }
}
