//! The operator's way past a corrupt record, on a broker that has no replica to
//! repair it from (D16: an explicit unsafe recovery says what may be lost).
//!
//! Everything below the first corrupt record is kept, everything from it on is
//! given up. Nothing is destroyed: the segments that are wholly given up are
//! renamed aside, and the one that is partly given up stays as it is, reached
//! over by a new one.

use super::COMMIT_LOG_DIR;
use super::error::{Corruption, Doing, OpenError};
use super::frames::{Frame, Frames};
use super::identity::read_identity;
use super::recovery::{EndVerdict, Opening, Survey, checked, strays, survey};
use super::segment::{GIVEN_UP, Segment, finish_naming, remove_dead, segment_path};
use super::{LogConfig, Position};
use crate::env::Disk;

/// The part that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SalvageReport {
    /// The corruption for which the log was refused. Its address is where the log now
    /// ends.
    pub corruption: Corruption,
    /// Whole records seen behind the cut: so many, at least, are lost, and some
    /// of them were acknowledged.
    pub records_lost_min: u64,
    /// The end of the last of them, as a log address.
    pub lost_upto_address_min: u64,
    /// Where the segments went that were wholly given up.
    pub moved_aside: Vec<String>,
}

/// Why nothing was salvaged.
#[derive(Debug, thiserror::Error)]
pub enum SalvageError {
    /// The log opens as it is: there is nothing to give up.
    #[error("the log is not corrupt; nothing was changed")]
    NotCorrupt,
    /// A replica's log: the others have what is lost.
    #[error(
        "this is the directory of a replica, whose log is repaired from the others: serve it with \
         its peers. Where a majority of the disks is lost: `recover`"
    )]
    OfReplica,
    /// The disk is not ours, or fails.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Cuts a corrupt log at its first corrupt record, durably. To be started by an
/// operator's explicit word only: acknowledged messages are lost by it.
///
/// A crash in between leaves a log that is still corrupt, or that ends where
/// this would have ended it.
///
/// # Errors
/// The log is not corrupt, or not ours, or the disk fails.
pub async fn salvage<D: Disk>(
    disk: D,
    config: LogConfig,
    base: Position,
    entropy: u64,
) -> Result<SalvageReport, SalvageError> {
    let config = LogConfig {
        replicated: false,
        ..checked(&disk, config)?
    };
    let identity = read_identity(&disk).await.map_err(OpenError::from)?;
    finish_naming(&disk)
        .await
        .doing("finishing to name a segment")?;
    let mut survey = survey(&disk, identity, base, config).await?;
    // An unreadable header takes no whole entry with it.
    let unrecognizable = std::mem::take(&mut survey.unrecognizable);
    survey
        .strays
        .extend(unrecognizable.iter().map(|address| segment_path(*address)));
    let strays = strays::move_aside(&disk, &survey.strays).await?;
    let EndVerdict::Corrupt(corruption) = survey.verdict.clone() else {
        return Err(SalvageError::NotCorrupt);
    };
    let mut report = SalvageReport {
        lost_upto_address_min: corruption.address,
        corruption,
        records_lost_min: 0,
        moved_aside: strays
            .into_iter()
            .filter_map(|stray| stray.moved_to)
            .collect(),
    };
    count_lost(&disk, &survey, &mut report).await?;
    let opening = Opening {
        disk,
        config,
        identity,
        entropy,
    };
    opening.remove_drafts(&survey).await?;
    move_aside(&opening.disk, &mut survey, &mut report).await?;
    opening.renew(&mut survey).await?;
    remove_dead(&opening.disk, &survey.dead)
        .await
        .doing("removing dead segments")?;
    Ok(report)
}

/// Counts the whole records behind the cut.
async fn count_lost<D: Disk>(
    disk: &D,
    survey: &Survey<D>,
    report: &mut SalvageReport,
) -> Result<(), OpenError> {
    let window_bytes = survey.config.sizes.window_bytes;
    if let Some(cut) = survey.segments.last() {
        count_lost_in(cut, survey.stop_position, window_bytes, report).await?;
    }
    for address in &survey.beyond {
        if let Ok(segment) = Segment::open(disk, *address)
            .await
            .doing("opening a segment")?
        {
            count_lost_in(&segment, segment.header.data_from(), window_bytes, report).await?;
        }
    }
    Ok(())
}

async fn count_lost_in<D: Disk>(
    segment: &Segment<D>,
    from: u64,
    window_bytes: u64,
    report: &mut SalvageReport,
) -> Result<(), OpenError> {
    let end = segment.header.segment_bytes;
    let mut frames = Frames::new(segment.file.clone(), &segment.header, end, window_bytes);
    let mut position = from;
    while position < end {
        match frames.at(position).await.doing("counting what is lost")? {
            Frame::Entry { envelope, .. } => {
                position += envelope.log.framed_bytes();
                report.records_lost_min += 1;
                let upto = report.lost_upto_address_min.max(envelope.log.end_address());
                report.lost_upto_address_min = upto;
            }
            _ => {
                let next = frames.next_sector(position);
                position = frames
                    .skip_hole(next)
                    .await
                    .doing("counting what is lost")?;
            }
        }
    }
    Ok(())
}

/// Renames what is wholly given up, the highest first: what a crash in between
/// leaves is a log without its end, never one with a hole.
async fn move_aside<D: Disk>(
    disk: &D,
    survey: &mut Survey<D>,
    report: &mut SalvageReport,
) -> Result<(), OpenError> {
    let given_up = |segment: &Segment<D>| segment.header.base.address == survey.end.address;
    let mut moved = survey.beyond.clone();
    if survey.segments.last().is_some_and(given_up) {
        // The new segment would take its name, and its bytes with it.
        moved.insert(0, survey.end.address);
        survey.segments.pop();
    }
    for address in moved.into_iter().rev() {
        let path = segment_path(address);
        let kept = format!("{path}{GIVEN_UP}{}", survey.generation + 1);
        disk.rename(&path, &kept)
            .await
            .doing("moving a segment aside")?;
        report.moved_aside.push(kept);
    }
    disk.sync_dir(COMMIT_LOG_DIR)
        .await
        .doing("moving segments aside")
}
