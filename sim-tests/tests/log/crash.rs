//! Random sequences of operations, a crash at *every* operation on the disk,
//! every way in which a process or a machine can die, and a crash at every
//! operation of the recovery after it.
//!
//! The log that comes back is a prefix of the entries that were staged, holds
//! everything whose sync had completed, opens without an error, and is durable itself
//! (D24).

use crate::support::*;
use zeroloss::log::{LogEnd, Recovery};
use zeroloss::sim::disk::{DiskModel, DiskSurvival, StepDisk, block_on};
use zeroloss::sim::random::{Purpose, Stream};

/// How many operations each.
const LENGTH: usize = 26;

#[derive(Debug, Clone, Copy)]
enum Op {
    Stage {
        length: u64,
    },
    StageMessage,
    Write,
    /// A sync or a roll.
    Job,
    /// A sync with a write while it is under way.
    JobBesideWrite,
    Mark,
    Checkpoint,
    /// Cuts so many entries off.
    Truncate {
        entries: u64,
    },
    /// A clean stop and a start.
    Restart,
    /// The process dies and starts again.
    Kill,
}

fn script(seed: u64) -> Vec<Op> {
    let mut dice = Stream::new(seed, Purpose::Workload);
    let op = |dice: &mut Stream| match dice.below(40) {
        0..12 => Op::Stage {
            length: 8 + dice.below(600),
        },
        12..14 => Op::Stage {
            length: 1500 + dice.below(1500),
        },
        14..16 => Op::StageMessage,
        16..23 => Op::Write,
        23..30 => Op::Job,
        30..33 => Op::JobBesideWrite,
        33..35 => Op::Mark,
        35 => Op::Checkpoint,
        36 => Op::Truncate {
            entries: 1 + dice.below(6),
        },
        37 => Op::Restart,
        _ => Op::Kill,
    };
    (0..LENGTH).map(|_| op(&mut dice)).collect()
}

/// The knowledge that the outside has of the log.
#[derive(Debug, Clone, Default)]
struct Witness {
    /// Every record staged, in order, but for those that a start did not bring
    /// back.
    staged: Vec<Vec<u8>>,
    /// How many of them are known durable.
    synced: usize,
    /// Ever staged: no two records are alike.
    count: u64,
}

impl Witness {
    fn stage(&mut self, log: &mut Log, length: u64) {
        self.count += 1;
        stage(log, self.count, length);
        self.staged.push(record(self.count, length));
    }

    fn stage_message(&mut self, log: &mut Log) {
        self.count += 1;
        let staged = stage_message(log, self.count);
        let mut bytes = Vec::new();
        message(&self.count.to_be_bytes(), staged.address)
            .encode(&mut bytes)
            .unwrap();
        self.staged.push(bytes);
    }

    async fn truncate(&mut self, log: &mut Log, entries: usize) -> Option<()> {
        let kept = self.staged.len().saturating_sub(entries);
        let bytes = |record: &Vec<u8>| ENVELOPE_BYTES + record.len() as u64;
        let address = self.staged[..kept].iter().map(bytes).sum();
        // Until it returns, the log may be cut or whole.
        self.synced = self.synced.min(kept);
        log.truncate(address).await.ok()?;
        self.staged.truncate(kept);
        self.see(log);
        Some(())
    }

    fn see(&mut self, log: &Log) {
        self.synced = (log.flushed().next_index - 1) as usize;
    }

    /// Checks what came back, and believes it from here on.
    fn admit(&mut self, records: Vec<Vec<u8>>, context: &str) {
        assert!(
            records.len() >= self.synced,
            "{context}: lost {} of {}",
            self.synced - records.len(),
            self.synced
        );
        assert!(self.staged.starts_with(&records), "{context}: not a prefix");
        self.synced = records.len();
        self.staged = records;
    }
}

/// Runs a script until it ends or the disk crashes.
async fn run(disk: &StepDisk, script: &[Op], witness: &mut Witness) -> Option<()> {
    let mut log = try_open(disk).await.ok()?.0;
    witness.admit(records(&log).await, "first start");
    for op in script {
        match *op {
            Op::Stage { length } => witness.stage(&mut log, length),
            Op::StageMessage => witness.stage_message(&mut log),
            Op::Write => drop(log.write().await.ok()?),
            Op::Job | Op::JobBesideWrite => {
                if let Some(job) = log.next_job() {
                    if matches!(op, Op::JobBesideWrite) {
                        witness.stage(&mut log, 70);
                        log.write().await.ok()?;
                    }
                    log.job_done(job.await).ok()?;
                    witness.see(&log);
                }
            }
            Op::Mark => drop(log.write_mark().await.ok()?),
            Op::Truncate { entries } => witness.truncate(&mut log, entries as usize).await?,
            Op::Checkpoint => log.checkpoint().await.ok()?,
            Op::Restart | Op::Kill => {
                if matches!(op, Op::Restart) {
                    log.close().await.ok()?;
                    witness.synced = witness.staged.len();
                }
                log = try_open(disk).await.ok()?.0;
                witness.admit(records(&log).await, "restart in a script");
            }
        }
    }
    Some(())
}

/// The script up to its crash: the disk and what is known of it.
fn crash_at(script: &[Op], operation: u64) -> (DiskModel, Witness, bool) {
    let disk = boot(&formatted());
    disk.crash_at(operation);
    let mut witness = Witness::default();
    let ended = block_on(run(&disk, script, &mut witness)).is_some();
    let model = disk.model().clone();
    (model, witness, ended)
}

/// Opens the log of a disk, checks it, and gives the disk after that.
fn recover(model: &DiskModel, witness: &mut Witness, context: &str) -> (DiskModel, Recovery) {
    let disk = boot(model);
    let (log, recovery) = block_on(try_open(&disk)).unwrap_or_else(|e| panic!("{context}: {e}"));
    witness.admit(block_on(records(&log)), context);
    drop(log);
    let model = disk.model().clone();
    (model, recovery)
}

/// Ways for a machine to die that differ for the process that comes after.
const FEW: [DiskSurvival; 3] = [
    DiskSurvival::None,
    DiskSurvival::SectorSubset,
    DiskSurvival::EntrySubset,
];

/// The disk after the death of the process, and after power losses.
fn deaths(model: &DiskModel, survivals: &[DiskSurvival], seed: u64) -> Vec<(String, DiskModel)> {
    let mut deaths = vec![("kill".to_owned(), reborn(model))];
    for survival in survivals {
        deaths.push((
            format!("power, {survival:?}"),
            powerless(model, *survival, seed),
        ));
    }
    deaths
}

/// Counts of the cases that were met, so that none of them is vacuous.
#[derive(Debug, Default)]
struct Seen {
    ambiguous: u64,
    copied: u64,
    clean: u64,
    lost_unsynced: u64,
}

impl Seen {
    fn count(&mut self, recovery: &Recovery, before: &Witness, after: &Witness) {
        self.ambiguous += u64::from(recovery.end != LogEnd::Clean);
        self.copied += u64::from(recovery.copied.is_some());
        self.clean += u64::from(recovery.clean);
        self.lost_unsynced += u64::from(after.staged.len() < before.staged.len());
    }
}

/// Calls `check` with every death at every operation of so many scripts.
fn at_every_death(
    scripts: u64,
    survivals: &[DiskSurvival],
    mut check: impl FnMut(&str, &DiskModel, &Witness, &mut Seen),
) {
    let mut seen = Seen::default();
    for seed in 0..scripts {
        let script = script(seed);
        for operation in operations() {
            let (model, witness, ended) = crash_at(&script, operation);
            for (death, dead) in deaths(&model, survivals, seed * 1000 + operation) {
                let context = format!("script {seed}, operation {operation}, {death}");
                check(&context, &dead, &witness, &mut seen);
            }
            if ended {
                break;
            }
        }
    }
    assert!(seen.ambiguous > 10 && seen.copied > 10, "{seen:?}");
    assert!(seen.clean > 10 && seen.lost_unsynced > 10, "{seen:?}");
}

/// And what recovery gives back survives a power loss right behind it, from
/// which nothing unsynced survives (D24, mutant K01).
#[test]
fn synced_entries_come_back_and_those_that_come_back_are_durable() {
    at_every_death(12, &DiskSurvival::ALL, |context, dead, before, seen| {
        let mut witness = before.clone();
        let (recovered, recovery) = recover(dead, &mut witness, context);
        seen.count(&recovery, before, &witness);
        let dark = powerless(&recovered, DiskSurvival::None, 0);
        let context = format!("{context}, then recovered, then dark");
        recover(&dark, &mut witness, &context);
    });
}

#[test]
fn recovery_may_crash_anywhere_and_be_repeated() {
    at_every_death(4, &FEW, |context, dead, before, seen| {
        for operation in operations() {
            let disk = boot(dead);
            disk.crash_at(operation);
            if let Ok((log, recovery)) = block_on(try_open(&disk)) {
                let mut witness = before.clone();
                witness.admit(block_on(records(&log)), context);
                seen.count(&recovery, before, &witness);
                break;
            }
            let model = disk.model().clone();
            for (death, dead) in deaths(&model, &[DiskSurvival::EntrySubset], operation) {
                let context = format!("{context}, recovery crashed at {operation}, {death}");
                recover(&dead, &mut before.clone(), &context);
            }
        }
    });
}

/// Twice: what the first crash left of a torn tail never comes back to life
/// between, or behind, what is appended after it (D6, mutant S14).
#[test]
fn cut_entries_stay_cut_when_the_log_goes_on() {
    let survivals = [
        DiskSurvival::SectorSubset,
        DiskSurvival::Torn,
        DiskSurvival::Prefix,
    ];
    at_every_death(8, &survivals, |context, dead, before, seen| {
        let mut witness = before.clone();
        let disk = boot(dead);
        let (mut log, recovery) = block_on(open(&disk));
        witness.admit(block_on(records(&log)), context);
        seen.count(&recovery, before, &witness);
        for length in [300, 700] {
            witness.stage(&mut log, length);
            block_on(flush(&mut log)).unwrap();
            witness.see(&log);
        }
        witness.stage(&mut log, 900);
        block_on(log.write()).unwrap();
        let model = disk.model().clone();
        for (death, dead) in deaths(&model, &FEW, 7) {
            let context = format!("{context}, then {death}");
            recover(&dead, &mut witness.clone(), &context);
        }
    });
}
