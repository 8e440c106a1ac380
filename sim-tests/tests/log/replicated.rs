//! A follower's log: frames that another replica sealed, cuts where a new
//! leader's entries differ, and a crash at every operation.

use bytes::Bytes;
use zeroloss::env::Disk;
use zeroloss::log::{CommitLog, FrameError, LogError, Position, RECORD_BYTES_MAX};
use zeroloss::record::Defect;
use zeroloss::sim::disk::{DiskModel, DiskSurvival, RotKind, StepDisk, block_on};
use zeroloss::sim::random::{Purpose, Stream};

use crate::chain::{Chain, assert_is, open_at, try_open_at};
use crate::damage::read_file;
use crate::support::*;

/// How many operations each script has.
const LENGTH: usize = 24;

#[derive(Debug, Clone, Copy)]
enum Op {
    /// The leader seals an entry, and it arrives.
    Feed {
        length: u64,
    },
    Write,
    Job,
    JobBesideWrite,
    Mark,
    Checkpoint,
    /// A new leader has other entries from here back on, and this many.
    NewLeader {
        back: u64,
        entries: u64,
    },
    Restart,
    Kill,
}

fn script(seed: u64) -> Vec<Op> {
    let mut dice = Stream::new(seed, Purpose::Workload);
    let op = |dice: &mut Stream| match dice.below(40) {
        0..13 => Op::Feed {
            length: 8 + dice.below(700),
        },
        13..15 => Op::Feed {
            length: 1500 + dice.below(1500),
        },
        15..23 => Op::Write,
        23..29 => Op::Job,
        29..32 => Op::JobBesideWrite,
        32 => Op::Mark,
        33 => Op::Checkpoint,
        34..37 => Op::NewLeader {
            back: dice.below(7),
            entries: dice.below(4),
        },
        37 => Op::Restart,
        _ => Op::Kill,
    };
    (0..LENGTH).map(|_| op(&mut dice)).collect()
}

/// The knowledge that the outside has.
#[derive(Debug, Clone)]
struct Witness {
    chain: Chain,
    /// Entries known durable.
    synced: usize,
    /// While a cut is under way: what stood there before.
    before: Option<Chain>,
    /// Entries ever sealed.
    count: u64,
    term: u64,
}

impl Witness {
    fn new() -> Self {
        Self {
            chain: Chain::new(),
            synced: 0,
            before: None,
            count: 0,
            term: 1,
        }
    }

    fn feed<D: Disk>(&mut self, log: &mut CommitLog<D>, length: u64) {
        self.count += 1;
        self.chain.push(self.term, &record(self.count, length));
        let frame = self.chain.frames.last().unwrap();
        let staged = log.stage_frame(frame).unwrap();
        let end = self.chain.end();
        assert_eq!(
            (staged.index, staged.term, staged.end_address, staged.hash),
            (end.next_index - 1, end.term, end.address, end.hash)
        );
        assert_eq!(log.staged_frame(&staged)[32..], frame[32..]);
        assert_eq!(log.tail(), end);
    }

    async fn new_leader<D: Disk>(
        &mut self,
        log: &mut CommitLog<D>,
        back: u64,
        entries: u64,
    ) -> Option<()> {
        let kept = self.chain.frames.len().saturating_sub(back as usize);
        let from = self.chain.base.next_index + kept as u64;
        let place = log.position_of(from).await.unwrap();
        assert_eq!(place, self.chain.at(from));
        self.before = Some(self.chain.clone());
        self.synced = self.synced.min(kept);
        self.chain.truncate(kept);
        self.term += 1;
        log.truncate(place.address).await.ok()?;
        self.before = None;
        self.see(log);
        for _ in 0..entries {
            self.feed(log, 90);
        }
        Some(())
    }

    fn see<D: Disk>(&mut self, log: &CommitLog<D>) {
        self.synced = (log.flushed().next_index - self.chain.base.next_index) as usize;
    }

    /// Checks what came back, and believes it from here on.
    async fn admit<D: Disk>(&mut self, log: &CommitLog<D>, context: &str) {
        let count = (log.appended().next_index - self.chain.base.next_index) as usize;
        assert!(count >= self.synced, "{context}: lost");
        if let Some(before) = self.before.take_if(|before| {
            let end = log.appended().next_index;
            before.end().next_index >= end && before.at(end) == log.appended()
        }) {
            self.chain = before;
        }
        self.before = None;
        assert_is(log, &self.chain, context).await;
        self.chain.truncate(count);
        self.synced = count;
    }
}

async fn run<D: Disk>(disk: &D, script: &[Op], witness: &mut Witness) -> Option<()> {
    let mut log = open_at(disk, Position::START).await.ok()?.0;
    witness.admit(&log, "first start").await;
    for op in script {
        match *op {
            Op::Feed { length } => witness.feed(&mut log, length),
            Op::Write => drop(log.write().await.ok()?),
            Op::Job | Op::JobBesideWrite => {
                if let Some(job) = log.next_job() {
                    if matches!(op, Op::JobBesideWrite) {
                        witness.feed(&mut log, 70);
                        log.write().await.ok()?;
                    }
                    log.job_done(job.await).ok()?;
                    witness.see(&log);
                }
            }
            Op::Mark => drop(log.write_mark().await.ok()?),
            Op::Checkpoint => log.checkpoint().await.ok()?,
            Op::NewLeader { back, entries } => {
                witness.new_leader(&mut log, back, entries).await?;
            }
            Op::Restart | Op::Kill => {
                if matches!(op, Op::Restart) {
                    log.close().await.ok()?;
                    witness.synced = witness.chain.frames.len();
                }
                log = open_at(disk, Position::START).await.ok()?.0;
                witness.admit(&log, "restart in a script").await;
            }
        }
    }
    log.write().await.ok()?;
    assert_is(&log, &witness.chain, "at the end of a script").await;
    Some(())
}

/// Opens the log of a disk and checks it: at most that is uncertain which was not
/// synced, and what comes back is durable (D24).
fn recover(model: &DiskModel, witness: &mut Witness, context: &str) -> (DiskModel, bool) {
    let disk = boot(model);
    let opened = block_on(open_at(&disk, Position::START));
    let (log, recovery, uncertain_tail) =
        opened.unwrap_or_else(|error| panic!("{context}: {error}"));
    if let Some(uncertain_tail) = &uncertain_tail {
        let sure = (uncertain_tail.from.next_index - 1) as usize;
        assert!(sure >= witness.synced, "{context}: {uncertain_tail:?}");
    }
    assert!(recovery.holes.is_empty(), "{context}: nothing has rotted");
    block_on(witness.admit(&log, context));
    drop(log);
    let model = disk.model().clone();
    (model, uncertain_tail.is_some())
}

#[test]
fn entries_come_back_as_a_leader_sealed_them() {
    let (mut uncertain_tails, mut cuts_undone) = (0, 0);
    for seed in 0..12 {
        let script = script(seed);
        for operation in operations() {
            let disk = boot(&formatted());
            disk.crash_at(operation);
            let mut witness = Witness::new();
            let ended = block_on(run(&disk, &script, &mut witness)).is_some();
            let model = disk.model().clone();
            let mut deaths = vec![reborn(&model)];
            deaths.extend(
                DiskSurvival::ALL
                    .map(|survival| powerless(&model, survival, seed * 999 + operation)),
            );
            for (number, dead) in deaths.iter().enumerate() {
                let context = format!("script {seed}, operation {operation}, death {number}");
                let mut witness = witness.clone();
                let cutting = witness.before.is_some();
                let (recovered, uncertain) = recover(dead, &mut witness, &context);
                uncertain_tails += u64::from(uncertain);
                cuts_undone += u64::from(cutting);
                let dark = powerless(&recovered, DiskSurvival::None, 0);
                let (_, uncertain) = recover(&dark, &mut witness, &format!("{context}, dark"));
                assert!(!uncertain, "{context}: what was cut is cut for good");
            }
            if ended {
                break;
            }
        }
    }
    assert!(
        uncertain_tails > 50 && cuts_undone > 50,
        "{uncertain_tails} {cuts_undone}"
    );
}

#[test]
fn scripts_run_on_a_real_disk() {
    for seed in 0..6 {
        on_real(async |disk| {
            let ended = run(&disk, &script(seed), &mut Witness::new()).await;
            assert!(ended.is_some());
        });
    }
}

/// D12: the disk stays as it is until the owner has stored its uncertain tail, however
/// often it is opened; then the cut is durable, wherever it crashes.
#[test]
fn an_uncertain_tail_is_reported_until_it_is_stored_and_then_cut_for_good() {
    let chain = Chain::of(9, |number| 100 + 150 * number);
    let disk = boot(&formatted());
    block_on(async {
        let mut log = try_open_at(&disk, Position::START).await.unwrap().0;
        for frame in &chain.frames {
            log.stage_frame(frame).unwrap();
            flush(&mut log).await.unwrap();
        }
    });
    let mut model = reborn(&disk.model());
    let names = block_on(boot(&model).list("commitlog")).unwrap();
    let last = format!("commitlog/{}", names.last().unwrap());
    let file = block_on(read_file(&boot(&model), &last));
    let at = file.iter().rposition(|byte| *byte != 0).unwrap();
    model.rot(&last, at as u64, RotKind::Garbage, 1).unwrap();
    let is_uncertain = |disk: &StepDisk| match block_on(try_open_at(disk, Position::START)) {
        Err(zeroloss::log::OpenError::TailUncertain(uncertain_tail)) => *uncertain_tail,
        other => panic!("{:?}", other.map(|(_, recovery)| recovery)),
    };
    let disk = boot(&model);
    let uncertain_tail = is_uncertain(&disk);
    assert_eq!(is_uncertain(&disk), uncertain_tail);
    let written_again = 2 * 5;
    assert_eq!(
        disk.operations(),
        written_again,
        "the identity, and nothing else"
    );
    for crash in operations() {
        let disk = boot(&model);
        disk.crash_at(crash);
        let cut = CommitLog::open_cutting_uncertain_tail(
            disk.clone(),
            replica(&disk),
            Position::START,
            ENTROPY,
        );
        let done = block_on(cut).is_ok();
        for survival in DiskSurvival::ALL {
            let after = boot(&powerless(&disk.model(), survival, crash));
            let context = format!("crash {crash}, {survival:?}");
            let (log, _, again) = block_on(open_at(&after, Position::START)).unwrap();
            assert!(again.is_none() || !done, "{context}");
            assert_eq!(log.flushed(), uncertain_tail.from, "{context}");
            block_on(assert_is(&log, &chain, &context));
        }
        if done {
            break;
        }
    }
}

fn refusal(log: &mut Log, frame: &[u8]) -> FrameError {
    let before = (log.tail(), log.staged_bytes(), log.term_runs());
    let refused = match log.stage_frame(frame) {
        Err(LogError::Frame(refused)) => refused,
        other => panic!("{other:?}"),
    };
    let after = (log.tail(), log.staged_bytes(), log.term_runs());
    assert_eq!(before, after, "nothing was staged");
    refused
}

#[test]
fn a_frame_that_is_not_the_next_entry_is_refused_with_the_reason() {
    on_simulated(async |disk| {
        let mut log = try_open_at(&disk, Position::START).await.unwrap().0;
        let chain = Chain::of(12, |number| 30 + number);
        for frame in &chain.frames[..6] {
            log.stage_frame(frame).unwrap();
        }
        let next = &chain.frames[6];
        for at in 32..next.len() {
            let mut rotten = next.to_vec();
            rotten[at] ^= 4;
            assert!(matches!(refusal(&mut log, &rotten), FrameError::Damaged(_)));
        }
        for length in [0, 79, 80, next.len() - 1] {
            let short = refusal(&mut log, &next[..length]);
            assert!(matches!(short, FrameError::Damaged(Defect::Length { .. })));
        }
        let (expected, index) = (7, 7);
        for (frame, found) in [(7, 8), (5, 6), (0, 1)] {
            let refused = refusal(&mut log, &chain.frames[frame]);
            assert_eq!(refused, FrameError::Index { expected, found });
        }
        let mut other = chain.clone();
        other.truncate(5);
        other.push(3, b"another leader's");
        other.push(3, b"and its next");
        let refused = refusal(&mut log, &other.frames[6]);
        assert_eq!(refused, FrameError::Unchained { index });
        let mut past = chain.clone();
        past.truncate(6);
        past.push(1, b"of an older term");
        let refused = refusal(&mut log, &past.frames[6]);
        assert_eq!(refused, FrameError::Term { last: 2, found: 1 });
        log.stage_frame(next).unwrap();
    });
}

/// Recovery would take it for rot (S11), so it never gets there.
#[test]
fn a_frame_whose_message_is_malformed_is_refused() {
    use zeroloss::record::{EntryKind, LogPart, seal};
    on_simulated(async |disk| {
        let mut log = try_open_at(&disk, Position::START).await.unwrap().0;
        let mut frame = vec![0; 100];
        let part = LogPart {
            kind: EntryKind::Message,
            index: 1,
            term: 1,
            address: 0,
            record_bytes: 0,
            previous_hash: 0,
            hash: 0,
        };
        seal(&mut frame, part);
        assert!(matches!(refusal(&mut log, &frame), FrameError::Message(_)));
        let long: Bytes = {
            let mut chain = Chain::new();
            chain.push(1, &record(1, RECORD_BYTES_MAX + 1));
            chain.frames[0].clone()
        };
        let refused = log.stage_frame(&long);
        assert!(matches!(refused, Err(LogError::RecordTooLong { .. })));
    });
}
