//! The faults of one run, as data: a pure function of scenario and seed.
//!
//! Nothing here knows what happens in the run. A fault that is aimed ("dirty")
//! waits in its window for its condition; whether that came is the ledger's to
//! say.

use serde::{Deserialize, Serialize};

use crate::history::FaultKind;

use super::random::{Purpose, Stream};
use super::{Between, Condition, CutDirection, FaultRule, FileClass, Harm, Scenario};
use super::{Survival, SyncErrorCache, Target};

/// All faults of one run, ordered by the earliest moment at which they may
/// fire.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultPlan {
    /// The faults.
    pub faults: Vec<PlannedFault>,
}

/// One fault, with nothing left to draw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFault {
    /// Whom it hits.
    pub victim: Victim,
    /// When it fires.
    pub trigger: Trigger,
    /// What it does.
    pub effect: Effect,
}

/// Whom a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Victim {
    /// A broker, counted from 0.
    Broker(u32),
    /// A client, by its number in the scenario.
    Client(u32),
}

/// When a fault fires: at the first moment in `from_ns..=until_ns` at which
/// `when` holds and the victim is up; otherwise never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Not before, nanoseconds since the start of the run.
    pub from_ns: u64,
    /// Not after.
    pub until_ns: u64,
    /// What must hold.
    pub when: Condition,
}

/// What a fault does. Times in nanoseconds; see [`Harm`] for their meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[expect(missing_docs, reason = "the fields are Harm's, drawn")]
pub enum Effect {
    /// See [`Harm::Kill`].
    Kill { down_ns: u64 },
    /// See [`Harm::Restart`].
    Restart { down_ns: u64 },
    /// See [`Harm::PowerLoss`].
    PowerLoss { survival: Survival, down_ns: u64 },
    /// See [`Harm::DiskDestroyed`].
    DiskDestroyed { down_ns: u64 },
    /// See [`Harm::DiskRolledBack`].
    DiskRolledBack { age_ns: u64, down_ns: u64 },
    /// See [`Harm::SyncError`].
    SyncError {
        file: FileClass,
        cache: SyncErrorCache,
    },
    /// See [`Harm::ReadError`].
    ReadError { file: FileClass },
    /// See [`Harm::Rot`].
    Rot { file: FileClass },
    /// See [`Harm::DiskFull`].
    DiskFull { lasts_ns: u64 },
    /// See [`Harm::DiskSlow`].
    DiskSlow { extra_ns: u64, lasts_ns: u64 },
    /// See [`Harm::DiskHung`].
    DiskHung { lasts_ns: u64 },
    /// See [`Harm::DiskLying`].
    DiskLying { lasts_ns: u64 },
    /// See [`Harm::MisdirectedWrite`].
    MisdirectedWrite { file: FileClass },
    /// See [`Harm::LostWrite`].
    LostWrite { file: FileClass },
    /// See [`Harm::Partition`].
    Partition { cut: CutDirection, lasts_ns: u64 },
    /// See [`Harm::ClientKill`].
    ClientKill { down_ns: u64 },
}

impl Effect {
    /// The kind under which it is counted.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Kill { .. } => FaultKind::Kill,
            Self::Restart { .. } => FaultKind::Restart,
            Self::PowerLoss { .. } => FaultKind::PowerLoss,
            Self::DiskDestroyed { .. } => FaultKind::DiskDestroyed,
            Self::DiskRolledBack { .. } => FaultKind::DiskRolledBack,
            Self::SyncError { .. } => FaultKind::SyncError,
            Self::ReadError { .. } => FaultKind::ReadError,
            Self::Rot { .. } => FaultKind::Rot,
            Self::DiskFull { .. } => FaultKind::DiskFull,
            Self::DiskSlow { .. } => FaultKind::DiskSlow,
            Self::DiskHung { .. } => FaultKind::DiskHung,
            Self::DiskLying { .. } => FaultKind::DiskLying,
            Self::MisdirectedWrite { .. } => FaultKind::MisdirectedWrite,
            Self::LostWrite { .. } => FaultKind::LostWrite,
            Self::Partition { .. } => FaultKind::Partition,
            Self::ClientKill { .. } => FaultKind::ClientKill,
        }
    }
}

/// The faults of the run of `scenario` with `seed`.
///
/// Each rule draws from a lane of its own, so that an edit to one leaves the
/// faults of the others where they were.
pub fn plan(scenario: &Scenario, seed: u64) -> FaultPlan {
    let mut faults = Vec::new();
    for (lane, rule) in (0..).zip(&scenario.faults) {
        let mut stream = Stream::lane(seed, Purpose::Faults, lane);
        for _ in 0..rule.count {
            faults.push(draw(scenario, rule, &mut stream));
        }
    }
    // Stable: faults of one moment stay in the order of the file.
    faults.sort_by_key(|fault| fault.trigger.from_ns);
    FaultPlan { faults }
}

fn draw(scenario: &Scenario, rule: &FaultRule, stream: &mut Stream) -> PlannedFault {
    let victim = draw_victim(scenario, rule.target, stream);
    let window_ns = Between {
        low: rule.at_ms.low * NS_PER_MS,
        high: rule.at_ms.high * NS_PER_MS,
    };
    PlannedFault {
        victim,
        trigger: Trigger {
            from_ns: window_ns.draw(stream),
            until_ns: window_ns.high,
            when: rule.when,
        },
        effect: draw_effect(&rule.harm, stream),
    }
}

fn draw_victim(scenario: &Scenario, target: Target, stream: &mut Stream) -> Victim {
    let among = |clients: Vec<u32>, stream: &mut Stream| {
        let index = stream.below(clients.len() as u64) as usize;
        Victim::Client(clients[index])
    };
    match target {
        Target::Broker(broker) => Victim::Broker(broker),
        Target::AnyBroker => {
            Victim::Broker(stream.below(u64::from(scenario.cluster.brokers)) as u32)
        }
        Target::AnyProducer => among(scenario.producers(), stream),
        Target::AnyConsumer => among(scenario.consumers(), stream),
        Target::AnyClient => {
            let mut all = scenario.producers();
            all.extend(scenario.consumers());
            among(all, stream)
        }
    }
}

fn draw_effect(harm: &Harm, stream: &mut Stream) -> Effect {
    let mut ns = |range_ms: Between| {
        Between {
            low: range_ms.low * NS_PER_MS,
            high: range_ms.high * NS_PER_MS,
        }
        .draw(stream)
    };
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
                survival: survival.unwrap_or_else(|| pick(&Survival::ALL, stream)),
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
        Harm::SyncError { file, cache } => Effect::SyncError {
            file,
            cache: cache
                .unwrap_or_else(|| pick(&[SyncErrorCache::Keeps, SyncErrorCache::Reverts], stream)),
        },
        Harm::ReadError { file } => Effect::ReadError { file },
        Harm::Rot { file } => Effect::Rot { file },
        Harm::DiskFull { lasts_ms } => Effect::DiskFull {
            lasts_ns: ns(lasts_ms),
        },
        Harm::DiskSlow { extra_ms, lasts_ms } => Effect::DiskSlow {
            extra_ns: ns(extra_ms),
            lasts_ns: ns(lasts_ms),
        },
        Harm::DiskHung { lasts_ms } => Effect::DiskHung {
            lasts_ns: ns(lasts_ms),
        },
        Harm::DiskLying { lasts_ms } => Effect::DiskLying {
            lasts_ns: ns(lasts_ms),
        },
        Harm::MisdirectedWrite { file } => Effect::MisdirectedWrite { file },
        Harm::LostWrite { file } => Effect::LostWrite { file },
        Harm::Partition { cut, lasts_ms } => {
            let lasts_ns = ns(lasts_ms);
            Effect::Partition {
                cut: cut.unwrap_or_else(|| {
                    let all = [
                        CutDirection::Both,
                        CutDirection::Inbound,
                        CutDirection::Outbound,
                    ];
                    pick(&all, stream)
                }),
                lasts_ns,
            }
        }
        Harm::ClientKill { down_ms } => Effect::ClientKill {
            down_ns: ns(down_ms),
        },
    }
}

fn pick<T: Copy>(among: &[T], stream: &mut Stream) -> T {
    among[stream.below(among.len() as u64) as usize]
}

const NS_PER_MS: u64 = 1_000_000;
