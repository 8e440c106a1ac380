//! Bytes that change on the medium: reported, never silently left out (D11).

use crate::chain::{Chain, assert_is, open_at, try_open_at};
use crate::files::scribble;
use crate::support::*;
use zeroloss::env::{Disk, File};
use zeroloss::log::{
    CHECKPOINT_FILE, COMMIT_LOG_DIR, Corruption, Flaw, IDENTITY_FILE, LogEnd, OpenError, Position,
    Proof, Recovery,
};
use zeroloss::record::{Defect, Parsed, Placement, parse, place, seal};
use zeroloss::sim::disk::{DiskModel, RotKind, StepDisk, block_on};
use zeroloss::sim::random::{Purpose, Stream};

pub(crate) const FIRST_SEGMENT: &str = "commitlog/00000000000000000000";

pub(crate) async fn read_file(disk: &StepDisk, path: &str) -> Vec<u8> {
    let file = disk.open(path).await.unwrap();
    let length = file.size_bytes().await.unwrap();
    file.read_at(0, length as usize).await.unwrap().to_vec()
}

fn corruption(opened: Result<(Log, Recovery), OpenError>) -> Corruption {
    match opened {
        Err(OpenError::Corrupt(corruption)) => *corruption,
        other => panic!("{:?}", other.map(|(_, recovery)| recovery)),
    }
}

/// Groups of one record each, every one synced before the next is written.
async fn synced_groups(disk: &StepDisk, lengths: &[u64]) -> Log {
    let mut log = open(disk).await.0;
    for (number, length) in lengths.iter().enumerate() {
        stage(&mut log, number as u64, *length);
        flush(&mut log).await.unwrap();
    }
    log
}

/// S08: what a later record calls durable is not the log's end.
#[test]
fn rot_below_a_later_record_is_corruption_with_its_proof() {
    on_simulated(async |disk| {
        drop(synced_groups(&disk, &[20, 20, 20]).await);
        scribble(&disk, FIRST_SEGMENT, 512 + 90, b"rot").await;
        let found = corruption(try_open(&disk).await);
        assert_eq!((found.address, found.position), (0, 512));
        assert_eq!(found.flaw, Flaw::Envelope(Defect::Hash));
        let proof = Proof::Placement {
            path: FIRST_SEGMENT.to_owned(),
            position: 512 + 2 * 512,
            durable_address: 200,
        };
        assert_eq!(found.proof, proof);
        insta::assert_snapshot!(found.to_string());
    });
}

/// A header speaks for what is before it even when its own record has rotted.
#[test]
fn a_header_that_verifies_counts_though_its_record_does_not() {
    on_simulated(async |disk| {
        drop(synced_groups(&disk, &[20, 20, 20]).await);
        scribble(&disk, FIRST_SEGMENT, 1024 + 90, b"rot").await;
        scribble(&disk, FIRST_SEGMENT, 1536 + 90, b"rot").await;
        let found = corruption(try_open(&disk).await);
        assert_eq!((found.address, found.position), (100, 1024));
    });
}

/// Rot beside the entries takes none of them: the chain goes on behind it.
#[test]
fn rot_of_padding_or_of_a_mark_costs_a_single_broker_nothing() {
    on_simulated(async |disk| {
        let mut log = synced_groups(&disk, &[20, 20]).await;
        assert!(log.write_mark().await.unwrap());
        flush(&mut log).await.unwrap();
        stage(&mut log, 9, 20);
        flush(&mut log).await.unwrap();
        drop(log);
        scribble(&disk, FIRST_SEGMENT, 1000, b"rot").await;
        scribble(&disk, FIRST_SEGMENT, 1536 + 30, b"rot").await;
        let (log, recovery) = try_open(&disk).await.unwrap();
        assert_eq!(recovery.end, LogEnd::Clean);
        assert_eq!(records(&log).await.len(), 3);
    });
}

/// The last synced batch looks like a torn write; a mark behind it makes the
/// difference (D12's last sentence).
#[test]
fn rot_of_the_last_batch_is_ambiguous_without_a_mark_and_corrupt_with_one() {
    for marked in [false, true] {
        on_simulated(async |disk| {
            let mut log = synced_groups(&disk, &[20, 20]).await;
            assert!(log.write_mark().await.unwrap());
            flush(&mut log).await.unwrap();
            if !marked {
                stage(&mut log, 9, 20);
                flush(&mut log).await.unwrap();
            }
            drop(log);
            let last = if marked { 1024 } else { 2048 };
            scribble(&disk, FIRST_SEGMENT, last + 90, b"rot").await;
            let opened = try_open(&disk).await;
            if marked {
                let proof = corruption(opened).proof;
                assert!(
                    matches!(
                        proof,
                        Proof::Placement {
                            durable_address: 200,
                            ..
                        }
                    ),
                    "{proof:?}"
                );
            } else {
                let (log, recovery) = opened.unwrap();
                let LogEnd::Ambiguous {
                    address, position, ..
                } = recovery.end
                else {
                    panic!("{recovery:?}")
                };
                assert_eq!((address, position), (200, 2048));
                assert_eq!(records(&log).await.len(), 2);
            }
        });
    }
}

#[test]
fn a_checkpoint_proves_what_no_record_proves() {
    on_simulated(async |disk| {
        let log = synced_groups(&disk, &[20]).await;
        log.checkpoint().await.unwrap();
        drop(log);
        scribble(&disk, FIRST_SEGMENT, 512, &[0; 512]).await;
        let found = corruption(try_open(&disk).await);
        assert_eq!(
            found.proof,
            Proof::Checkpoint {
                durable_address: 100
            }
        );
        // Without it the tail cannot be called merely torn.
        scribble(&disk, FIRST_SEGMENT, 512, &[7; 512]).await;
        scribble(&disk, CHECKPOINT_FILE, 30, b"rot").await;
        let proof = corruption(try_open(&disk).await).proof;
        assert!(
            matches!(proof, Proof::CheckpointUnreadable { .. }),
            "{proof:?}"
        );
    });
}

#[test]
fn everything_before_a_successor_was_synced() {
    on_simulated(async |disk| {
        drop(synced_groups(&disk, &[1000, 1000, 1000, 1000]).await);
        let segments = disk.list(COMMIT_LOG_DIR).await.unwrap();
        assert_eq!(segments.len(), 2);
        // The first segment's last group: nothing in that file speaks for it.
        scribble(&disk, FIRST_SEGMENT, 512 + 1536 + 90, b"rot").await;
        let found = corruption(try_open(&disk).await);
        let path = format!("{COMMIT_LOG_DIR}/{}", segments[1]);
        assert_eq!(found.proof, Proof::Successor { path: path.clone() });
        // Nor may a segment be missing.
        scribble(&disk, FIRST_SEGMENT, 512 + 1536, &record_of_zeros(512)).await;
        disk.remove(FIRST_SEGMENT).await.unwrap();
        let found = corruption(try_open(&disk).await);
        assert_eq!(
            (found.flaw, found.proof),
            (Flaw::Missing, Proof::Successor { path })
        );
    });
}

fn record_of_zeros(length: usize) -> Vec<u8> {
    vec![0; length]
}

#[test]
fn a_segment_header_that_rots_is_corruption() {
    on_simulated(async |disk| {
        drop(synced_groups(&disk, &[20]).await);
        scribble(&disk, FIRST_SEGMENT, 40, b"rot").await;
        let found = corruption(try_open(&disk).await);
        assert!(matches!(found.flaw, Flaw::Header(_)), "{found}");
        disk.remove(FIRST_SEGMENT).await.unwrap();
        let found = corruption(try_open(&disk).await);
        assert_eq!(
            found.flaw,
            Flaw::Missing,
            "a log that was there has segments"
        );
    });
}

#[test]
fn an_unreadable_sector_is_judged_like_a_damaged_one() {
    on_simulated(async |disk| {
        drop(synced_groups(&disk, &[20, 20, 20]).await);
        disk.model().make_unreadable(FIRST_SEGMENT, 1536).unwrap();
        let (log, recovery) = open(&disk).await;
        let LogEnd::Ambiguous {
            flaw: Flaw::Unreadable(_),
            address: 200,
            ..
        } = recovery.end
        else {
            panic!("{recovery:?}")
        };
        assert_eq!(records(&log).await.len(), 2);
        drop(log);
        // The copied entries were durable before the checkpoint was written.
        disk.model()
            .make_unreadable("commitlog/00000000000000000100", 512)
            .unwrap();
        let proof = corruption(try_open(&disk).await).proof;
        assert!(
            matches!(
                proof,
                Proof::Checkpoint {
                    durable_address: 200,
                }
            ),
            "{proof:?}"
        );
    });
}

/// The envelope at a position of the first segment, its record changed and both
/// checksums made right again.
async fn forge(disk: &StepDisk, position: u64, change: impl FnOnce(&mut Vec<u8>, &mut Placement)) {
    let file = read_file(disk, FIRST_SEGMENT).await;
    let incarnation = u64::from_be_bytes(file[24..32].try_into().unwrap());
    let Parsed::Entry(envelope) = parse(&file[position as usize..], incarnation, position) else {
        panic!("no entry at {position}")
    };
    let length = envelope.log.framed_bytes() as usize;
    let mut frame = file[position as usize..][..length].to_vec();
    let mut placement = envelope.placement;
    change(&mut frame, &mut placement);
    seal(&mut frame, envelope.log);
    place(&mut frame, placement);
    scribble(disk, FIRST_SEGMENT, position, &frame).await;
}

/// S11: the envelope verifies, the message's own body checksum does not.
#[test]
fn a_message_whose_body_checksum_fails_is_not_recovered() {
    on_simulated(async |disk| {
        let mut log = open(&disk).await.0;
        stage_message(&mut log, 1);
        flush(&mut log).await.unwrap();
        drop(log);
        let body = (1_u64).to_be_bytes();
        forge(&disk, 512, |frame, _| {
            let at = frame.windows(8).rposition(|window| window == body).unwrap();
            frame[at] ^= 1;
        })
        .await;
        let (log, recovery) = open(&disk).await;
        let LogEnd::Ambiguous {
            flaw: Flaw::Message(_),
            ..
        } = recovery.end
        else {
            panic!("{recovery:?}")
        };
        assert!(records(&log).await.is_empty());
    });
}

/// S10: a whole record of the right incarnation that does not continue the
/// chain: an older one, brought back by a lost write.
#[test]
fn a_record_that_does_not_continue_the_chain_is_not_recovered() {
    on_simulated(async |disk| {
        let mut log = open(&disk).await.0;
        for number in 0..3 {
            stage(&mut log, number, 20);
            flush(&mut log).await.unwrap();
        }
        drop(log);
        forge(&disk, 512, |frame, _| frame[85] ^= 1).await;
        let found = corruption(try_open(&disk).await);
        assert_eq!((found.address, found.flaw), (100, Flaw::Unchained));
    });
}

/// A claim counts only from a header of this segment, at its own place: a
/// client may put whatever it likes into a message.
#[test]
fn forged_marks_do_not_count() {
    let other_incarnation = |_: &mut Vec<u8>, placement: &mut Placement| {
        placement.incarnation ^= 1;
    };
    let other_place = |_: &mut Vec<u8>, placement: &mut Placement| placement.position += 512;
    for forgery in [
        other_incarnation as fn(&mut Vec<u8>, &mut Placement),
        other_place,
    ] {
        on_simulated(async |disk| {
            drop(synced_groups(&disk, &[20, 20, 20]).await);
            // The second record is gone; the third, which proves it synced,
            // turns out not to be the log's.
            scribble(&disk, FIRST_SEGMENT, 1024 + 90, b"rot").await;
            forge(&disk, 1536, forgery).await;
            let recovery = open(&disk).await.1;
            assert!(
                matches!(recovery.end, LogEnd::Ambiguous { address: 100, .. }),
                "{recovery:?}"
            );
        });
    }
}

/// Bytes of another incarnation behind the log are a clean end, as zeros are:
/// the medium's earlier use, not a write of this log.
#[test]
fn bytes_of_another_incarnation_are_a_clean_end() {
    on_simulated(async |disk| {
        drop(synced_groups(&disk, &[20, 20, 1000]).await);
        forge(&disk, 1536, |_, placement| placement.incarnation ^= 1).await;
        let (log, recovery) = open(&disk).await;
        assert_eq!(recovery.end, LogEnd::Clean);
        assert_eq!(records(&log).await.len(), 2);
    });
}

/// A log with a bit of everything, and every record staged in it.
async fn history(disk: &StepDisk, seed: u64) -> Vec<Vec<u8>> {
    let mut dice = Stream::new(seed, Purpose::Workload);
    let mut log = open(disk).await.0;
    for number in 0..24 {
        stage(&mut log, number, 8 + dice.below(500));
        match dice.below(8) {
            0 => {}
            1 => drop(log.write().await.unwrap()),
            2 => log.checkpoint().await.unwrap(),
            3 => {
                log.write().await.unwrap();
                log = open(disk).await.0;
            }
            4 => {
                log.close().await.unwrap();
                log = open(disk).await.0;
            }
            5 => {
                flush(&mut log).await.unwrap();
                log.write_mark().await.unwrap();
            }
            _ => drop(flush(&mut log).await.unwrap()),
        }
    }
    log.write().await.unwrap();
    let all = records(&log).await;
    if seed.is_multiple_of(3) {
        log.close().await.unwrap();
    }
    all
}

/// Damage to one file: what it becomes, and where.
#[derive(Debug)]
struct Damage {
    path: String,
    position: usize,
    bytes: Vec<u8>,
    zeros: bool,
}

fn damage(disk: &StepDisk, dice: &mut Stream) -> Damage {
    let mut paths = vec![IDENTITY_FILE.to_owned(), CHECKPOINT_FILE.to_owned()];
    let segments = block_on(disk.list(COMMIT_LOG_DIR)).unwrap();
    let segments: Vec<_> = segments
        .iter()
        .map(|name| format!("{COMMIT_LOG_DIR}/{name}"))
        .collect();
    // The last segments are where it is hardest to tell.
    paths.extend(
        segments
            .iter()
            .rev()
            .take(3)
            .flat_map(|path| [path.clone(), path.clone()]),
    );
    paths.extend(segments);
    let path = paths.swap_remove(dice.below(paths.len() as u64) as usize);
    let content = block_on(read_file(disk, &path));
    let sectors = content.len() as u64 / 512;
    let position = match dice.below(2) {
        0 => dice.below(content.len() as u64) as usize,
        _ => 512 * dice.below(sectors.max(1)) as usize,
    };
    let length = (1 + dice.below(1200) as usize).min(content.len() - position);
    let mut bytes = vec![0; length];
    let kind = dice.below(4);
    match kind {
        0 => {}
        // A write that belongs elsewhere in the file.
        1 => {
            let from = 512 * dice.below(sectors.max(1)) as usize;
            let copied = length.min(content.len() - from);
            bytes[..copied].copy_from_slice(&content[from..from + copied]);
        }
        2 => bytes[..].copy_from_slice(&content[position..][..length]),
        _ => dice.fill(&mut bytes),
    }
    if kind == 2 {
        bytes[0] ^= 1 << dice.below(8);
    }
    Damage {
        path,
        position,
        bytes,
        zeros: kind < 2,
    }
}

/// The address up to which entries are proved durable by something that the damage
/// does not touch: read off the undamaged disk, header by header.
fn proved_beside(disk: &StepDisk, damage: &Damage) -> u64 {
    let range = damage.position..damage.position + damage.bytes.len();
    let mut proved = 0;
    for name in block_on(disk.list(COMMIT_LOG_DIR)).unwrap() {
        let path = format!("{COMMIT_LOG_DIR}/{name}");
        let file = block_on(read_file(disk, &path));
        let spared = |from: usize, upto: usize| {
            path != damage.path || upto <= range.start || range.end <= from
        };
        if !spared(0, 96) {
            // Nothing in the file counts any more; the name still does.
            proved = proved.max(name.parse().unwrap());
            continue;
        }
        let word = |at: usize| u64::from_be_bytes(file[at..at + 8].try_into().unwrap());
        proved = proved.max(word(88));
        for position in (512..file.len())
            .step_by(512)
            .filter(|at| spared(*at, at + 80))
        {
            proved = proved.max(match parse(&file[position..], word(24), position as u64) {
                Parsed::Entry(envelope) => envelope.placement.durable_address,
                Parsed::Mark(mark) => mark.placement.durable_address,
                _ => 0,
            });
        }
    }
    proved
}

#[derive(Debug, Default)]
struct Outcomes {
    whole: u64,
    ambiguous: u64,
    corrupt: u64,
    refused: u64,
}

/// Arbitrary bytes over any part of any file.
#[test]
fn no_damage_to_one_file_takes_what_something_else_proves_durable() {
    let mut outcomes = Outcomes::default();
    for seed in 0..12 {
        let disk = boot(&formatted());
        let all = block_on(history(&disk, seed));
        let model: DiskModel = reborn(&disk.model());
        let mut dice = Stream::new(seed, Purpose::Faults);
        for number in 0..250 {
            let disk = boot(&model);
            let damage = damage(&disk, &mut dice);
            let proved = proved_beside(&disk, &damage);
            block_on(scribble(
                &disk,
                &damage.path,
                damage.position as u64,
                &damage.bytes,
            ));
            let context = format!(
                "seed {seed}, damage {number} at {}:{}+{}",
                damage.path,
                damage.position,
                damage.bytes.len()
            );
            judge(
                block_on(try_open(&disk)),
                &all,
                &damage,
                proved,
                &context,
                &mut outcomes,
            );
        }
    }
    let Outcomes {
        whole,
        ambiguous,
        corrupt,
        refused,
    } = outcomes;
    assert!(
        whole > 100 && ambiguous > 100 && corrupt > 500 && refused > 100,
        "{outcomes:?}"
    );
}

fn judge(
    opened: Result<(Log, Recovery), OpenError>,
    all: &[Vec<u8>],
    damage: &Damage,
    proved: u64,
    context: &str,
    outcomes: &mut Outcomes,
) {
    match opened {
        Ok((log, recovery)) => {
            let recovered = block_on(records(&log));
            assert!(all.starts_with(&recovered), "{context}: not a prefix");
            let end = log.flushed().address;
            assert!(
                end >= proved,
                "{context}: {end} of {proved} came back, {recovery:?}"
            );
            let lost = recovered.len() < all.len();
            if lost && !damage.zeros {
                assert_ne!(
                    recovery.end,
                    LogEnd::Clean,
                    "{context}: lost without a word"
                );
            }
            match lost {
                true => outcomes.ambiguous += 1,
                false => outcomes.whole += 1,
            }
        }
        Err(OpenError::Corrupt(found)) => {
            assert!(!found.to_string().is_empty());
            outcomes.corrupt += 1;
        }
        // Nothing was given up: the operator looks at the file first.
        Err(OpenError::Unrecognizable { path }) => {
            assert_eq!(damage.path, path, "{context}");
            outcomes.corrupt += 1;
        }
        Err(OpenError::Identity(_)) => {
            assert_eq!(damage.path, IDENTITY_FILE, "{context}");
            outcomes.refused += 1;
        }
        Err(error) => panic!("{context}: {error}"),
    }
}

/// Where the last segment has nothing but a header, and that and the header before
/// have rotted, what takes over begins below the last one: that one goes.
#[test]
fn a_lost_segment_at_the_cut_does_not_come_back() {
    let chain = Chain::of(8, |_| 100);
    let disk = boot(&formatted());
    block_on(async {
        let mut log = try_open_at(&disk, Position::START).await.unwrap().0;
        for frame in &chain.frames[..2] {
            log.stage_frame(frame).unwrap();
            flush(&mut log).await.unwrap();
        }
        drop(log);
        // A segment of its own follows, with nothing in it yet.
        drop(try_open_at(&disk, Position::START).await.unwrap());
        let names = disk.list(COMMIT_LOG_DIR).await.unwrap();
        assert_eq!(names.len(), 2, "{names:?}");
        for name in &names {
            let path = format!("{COMMIT_LOG_DIR}/{name}");
            disk.model().rot(&path, 0, RotKind::Zeros, 1).unwrap();
        }
        let (mut log, ..) = open_at(&disk, Position::START).await.unwrap();
        let from = log.tail().next_index;
        for frame in chain.range(from, 9) {
            log.stage_frame(frame).unwrap();
            flush(&mut log).await.unwrap();
        }
        drop(log);
        let (log, recovery, _) = open_at(&disk, Position::START).await.unwrap();
        assert_eq!(recovery.holes, []);
        assert_is(&log, &chain, "opened again").await;
        assert_eq!(log.flushed(), chain.end());
    });
}
