//! From rules to concrete faults and operations.

use super::victims::{subject, victims};
use super::{
    Effect, Hit, Operation, PlannedFault, PlannedOperation, SecondBlow, Surviving, Trigger, Victim,
};
use crate::scenario::random::Stream;
use crate::scenario::{
    AtEvent, Between, Cluster, CutDirection, DiskVerb, EventRule, FaultRule, FileClass, Harm,
    OperationKind, OperationRule, Refusal, RotForm, Scenario, Subject, Survival, SyncErrorCache,
    SyncForm,
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
        let shared = effect(&rule.harm, stream);
        let mut hits = Vec::new();
        for victim in victims {
            // Draws that several victims share fall on them alike and end for them alike;
            // else each has its own.
            let common = match (hits.is_empty(), &rule.harm) {
                (true, _) | (_, Harm::Partition { .. }) => Some(shared.clone()),
                _ => None,
            };
            hits.push(hit(rule, victim, common, (stream, chances)));
        }
        let trigger = whole;
        faults.push(PlannedFault { trigger, hits });
    }
    faults
}

/// The harm to one victim; `common`: what was drawn for all of them.
fn hit(
    rule: &FaultRule,
    victim: Victim,
    common: Option<Effect>,
    (stream, chances): (&mut Stream, &mut Stream),
) -> Hit {
    let effect = common.unwrap_or_else(|| self::effect(&rule.harm, stream));
    let then = rule.then.as_ref().map(|then| {
        let after_ns = in_ns(then.after_ms).draw(stream);
        let effect = self::effect(&then.harm, stream);
        SecondBlow {
            after_ns,
            draw: chance(&effect, chances),
            effect,
        }
    });
    Hit {
        victim,
        draw: chance(&effect, chances),
        effect,
        then,
    }
}

/// Drawn whether it is needed or not, so that an effect of another kind leaves the
/// others' chances what they were.
fn chance(effect: &Effect, chances: &mut Stream) -> u32 {
    let draw = chances.next_u64() as u32;
    if effect.leaves_to_chance() { draw } else { 0 }
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

fn effect(harm: &Harm, stream: &mut Stream) -> Effect {
    let mut ns = |range_ms: Between| in_ns(range_ms).draw(stream);
    match *harm {
        Harm::Restart { down_ms } => Effect::Restart {
            down_ns: ns(down_ms),
        },
        Harm::Kill { down_ms } => Effect::Kill {
            down_ns: ns(down_ms),
        },
        Harm::PowerLoss { survival, down_ms } => {
            let down_ns = ns(down_ms);
            Effect::PowerLoss {
                survival: surviving(survival, stream),
                down_ns,
            }
        }
        Harm::DiskDestroyed { down_ms } => Effect::DiskDestroyed {
            down_ns: ns(down_ms),
        },
        Harm::DiskRolledBack { age_ms, down_ms } => Effect::DiskRolledBack {
            age_ns: ns(age_ms),
            down_ns: ns(down_ms),
        },
        Harm::SyncError { file, cache, form } => Effect::SyncError {
            cache: cache
                .unwrap_or_else(|| pick(&[SyncErrorCache::Keeps, SyncErrorCache::Reverts], stream)),
            file: some_file(file, false, stream),
            form: form.unwrap_or_else(|| pick(&SyncForm::ALL, stream)),
        },
        Harm::ReadError { file } => Effect::ReadError {
            file: some_file(file, true, stream),
        },
        Harm::Rot { file, form } => Effect::Rot {
            file: some_file(file, true, stream),
            form: form.unwrap_or_else(|| pick(&RotForm::ALL, stream)),
        },
        Harm::DiskFull { lasts_ms } => Effect::DiskFull {
            lasts_ns: ns(lasts_ms),
        },
        Harm::DiskError {
            error,
            operation,
            file,
            lasts_ms,
        } => {
            let lasts_ns = ns(lasts_ms);
            let error = error.unwrap_or_else(|| pick(Refusal::ALL, stream).1);
            let operation = operation.unwrap_or_else(|| pick(DiskVerb::ALL, stream).1);
            let file = file.unwrap_or_else(|| match stream.below(2) {
                0 => FileClass::Any,
                _ => some_file(None, false, stream),
            });
            Effect::DiskError {
                error,
                operation,
                file,
                lasts_ns,
            }
        }
        Harm::DiskSlow { extra_ms, lasts_ms } => Effect::DiskSlow {
            extra_ns: ns(extra_ms),
            lasts_ns: ns(lasts_ms),
        },
        Harm::DiskLimping { factor, lasts_ms } => Effect::DiskLimping {
            lasts_ns: ns(lasts_ms),
            factor: factor.draw(stream) as u32,
        },
        Harm::DiskHung { lasts_ms } => Effect::DiskHung {
            lasts_ns: ns(lasts_ms),
        },
        Harm::DiskLying { lasts_ms } => Effect::DiskLying {
            lasts_ns: ns(lasts_ms),
        },
        Harm::MisdirectedWrite { file } => Effect::MisdirectedWrite {
            file: some_file(file, false, stream),
        },
        Harm::LostWrite { file } => Effect::LostWrite {
            file: some_file(file, false, stream),
        },
        Harm::Partition {
            shape,
            links,
            cut,
            lasts_ms,
        } => {
            let lasts_ns = ns(lasts_ms);
            Effect::Partition {
                shape,
                links,
                cut: cut.unwrap_or_else(|| pick(&DIRECTIONS, stream)),
                lasts_ns,
            }
        }
        Harm::LinkLimping {
            links,
            way,
            factor,
            lasts_ms,
        } => Effect::LinkLimping {
            links,
            lasts_ns: ns(lasts_ms),
            way: way.unwrap_or_else(|| pick(&DIRECTIONS, stream)),
            factor: factor.draw(stream) as u32,
        },
        Harm::ClockSkew { by_ms, ahead } => Effect::ClockSkew {
            by_ns: signed(in_ns(by_ms), ahead, stream),
        },
        Harm::ClockJump {
            by_ms,
            ahead,
            lasts_ms,
        } => Effect::ClockJump {
            lasts_ns: lasts_ms.map(ns),
            by_ns: signed(in_ns(by_ms), ahead, stream),
        },
        Harm::ClockDrift {
            by_ppm,
            ahead,
            lasts_ms,
        } => Effect::ClockDrift {
            lasts_ns: lasts_ms.map(ns),
            by_ppm: signed(by_ppm, ahead, stream),
        },
        Harm::ClientClockDrift {
            by_ppm,
            ahead,
            lasts_ms,
        } => Effect::ClientClockDrift {
            lasts_ns: lasts_ms.map(ns),
            by_ppm: signed(by_ppm, ahead, stream),
        },
        Harm::Pause { lasts_ms, reading } => Effect::Pause {
            lasts_ns: ns(lasts_ms),
            reading: reading.map_or(0, |reading| reading.draw(stream) as u32),
        },
        Harm::ClientPause { lasts_ms } => Effect::ClientPause {
            lasts_ns: ns(lasts_ms),
        },
        Harm::ClientKill { down_ms } => Effect::ClientKill {
            down_ns: down_ms.map(ns),
        },
        Harm::ClientPower { survival, down_ms } => {
            let down_ns = down_ms.map(ns);
            Effect::ClientPower {
                survival: surviving(survival, stream),
                down_ns,
            }
        }
    }
}

/// A class of files, drawn where the rule names none: half of all faults strike
/// the commit log, which holds what was acknowledged; the others are shared among
/// all other classes, but for the ages, which only expiry makes, and refusals,
/// which hardly any run has. `sectors`: the fault strikes single sectors.
fn some_file(file: Option<FileClass>, sectors: bool, stream: &mut Stream) -> FileClass {
    if let Some(file) = file {
        return file;
    }
    if stream.below(2) == 0 {
        return FileClass::CommitLog;
    }
    let apart = |file: &FileClass| match file {
        FileClass::CommitLog | FileClass::Ages | FileClass::Condemned | FileClass::Any => false,
        FileClass::SegmentHeader => sectors,
        _ => true,
    };
    let others: Vec<FileClass> = FileClass::ALL.into_iter().filter(apart).collect();
    pick(&others, stream)
}

fn surviving(survival: Option<Survival>, stream: &mut Stream) -> Surviving {
    Surviving::Drawn(survival.unwrap_or_else(|| pick(&Survival::ALL, stream)))
}

const DIRECTIONS: [CutDirection; 3] = [
    CutDirection::Both,
    CutDirection::Inbound,
    CutDirection::Outbound,
];

/// An amount, forward or back.
fn signed(amount: Between, ahead: Option<bool>, stream: &mut Stream) -> i64 {
    let amount = amount.draw(stream) as i64;
    match ahead.unwrap_or_else(|| pick(&[true, false], stream)) {
        true => amount,
        false => -amount,
    }
}

fn pick<T: Copy>(among: &[T], stream: &mut Stream) -> T {
    among[stream.below(among.len() as u64) as usize]
}
