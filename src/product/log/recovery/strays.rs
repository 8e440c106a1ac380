//! Files among the segments that are none of this log's: they say nothing about it.
//!
//! Only what verifies is evidence. A name is a proof that the log before it had been
//! synced only where the file is this log's own, and a stray file proves nothing:
//!
//! ```text
//!   the header verifies, is ours, goes with the name  ─▶ a segment
//!   it does, and is another disk's                    ─▶ refused: whose log is this?
//!   it does not, and an entry in it does              ─▶ a segment whose header rotted
//!   it cannot be read                                 ─▶ a segment: the medium failed
//!   a size that no segment has; a directory;          ─▶ a stray: reported, kept aside
//!   a copy under another name
//!   nothing but zeros (of a broker that stands alone) ─▶ a stray: no entry was in it
//!   none of these (of a broker that stands alone)     ─▶ refused: the operator looks
//! ```
//!
//! A segment gets its name once its size and its header are durable, and no fault
//! that is accounted for changes a size: so what is too short was never one. A
//! replica takes what is left for a segment that it lost: it is uncertain, and asks the
//! others (D12).

use std::io;

use crate::env::{Disk, File};
use crate::log::COMMIT_LOG_DIR;
use crate::log::atomic_file::put_aside;
use crate::log::error::{Doing, OpenError};
use crate::log::frames::find_incarnation;
use crate::log::identity::Identity;
use crate::log::segment::{
    AGAIN_SUFFIX, HeaderFlaw, Segment, SegmentHeader, header_bytes, segment_path,
};
use crate::log::{LogConfig, Position};

/// Sizes and places of segments are whole multiples of this on every disk.
const SECTOR_BYTES_MIN: u64 = 512;

/// The kinds of files that have a segment's name.
pub(super) enum Look<D: Disk> {
    /// A segment, whole or not.
    Segment(Result<Segment<D>, HeaderFlaw>),
    /// None of this log's.
    Stray,
    /// Nobody can say.
    Unrecognizable,
}

/// A file or directory that is none of the log's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// Where it was found.
    pub path: String,
    /// Its name now, where it had one that a segment may want.
    pub moved_to: Option<String>,
}

impl std::fmt::Display for Stray {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = &self.path;
        write!(
            f,
            "{path} is none of the log's files and says nothing about it; it was "
        )?;
        match &self.moved_to {
            None => f.write_str("left alone"),
            Some(to) => write!(f, "kept as {to}"),
        }
    }
}

/// Looks at the file that bears the name of a segment.
pub(super) async fn look<D: Disk>(
    disk: &D,
    identity: Identity,
    address: u64,
    config: LogConfig,
) -> io::Result<Look<D>> {
    let window_bytes = config.sizes.window_bytes;
    let flaw = match Segment::open(disk, address).await {
        Ok(Err(flaw @ (HeaderFlaw::Unverified | HeaderFlaw::Renamed { .. }))) => flaw,
        Ok(opened) => return Ok(Look::Segment(opened)),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => return Ok(Look::Stray),
        Err(error) => return Err(error),
    };
    let file = disk.open(&segment_path(address)).await?;
    let size_bytes = file.size_bytes().await?;
    let header = header_for(disk, identity, address, size_bytes);
    if !could_be_segment(size_bytes) {
        return Ok(Look::Stray);
    }
    let told = find_incarnation(file.clone(), &header, 0, window_bytes).await?;
    Ok(match (&flaw, told) {
        // A header that was written in another's place is not that of the entries.
        (HeaderFlaw::Renamed { incarnation, .. }, told)
            if told.as_ref().is_none_or(|(own, _)| own == incarnation) =>
        {
            Look::Stray
        }
        (_, Some((_, first))) if first.address >= address => Look::Segment(Err(flaw)),
        _ if config.replicated => Look::Segment(Err(flaw)),
        (_, None) if is_blank(&file, size_bytes, window_bytes).await? => Look::Stray,
        _ => Look::Unrecognizable,
    })
}

fn could_be_segment(size_bytes: u64) -> bool {
    let size_bytes_min = header_bytes(SECTOR_BYTES_MIN) + SECTOR_BYTES_MIN;
    size_bytes >= size_bytes_min && size_bytes.is_multiple_of(SECTOR_BYTES_MIN)
}

/// How to read a file whose own header says nothing.
fn header_for<D: Disk>(
    disk: &D,
    identity: Identity,
    address: u64,
    size_bytes: u64,
) -> SegmentHeader {
    let sector_bytes = disk.sector_bytes() as u64;
    SegmentHeader {
        cluster_id: identity.cluster_id,
        disk_id: identity.disk_id,
        incarnation: 0,
        generation: 0,
        segment_bytes: size_bytes / sector_bytes * sector_bytes,
        sector_bytes: sector_bytes as u32,
        base: Position::START,
        durable_address: address,
    }
}

/// Whether there is nothing behind where a header would be.
async fn is_blank<F: File>(file: &F, size_bytes: u64, window_bytes: u64) -> io::Result<bool> {
    let mut position = header_bytes(SECTOR_BYTES_MIN);
    while position < size_bytes {
        let length = window_bytes.min(size_bytes - position);
        let bytes = file.read_at(position, length as usize).await?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        position += length;
    }
    Ok(true)
}

/// Gives strays that have a name which a segment may want another one, so that no segment
/// takes their place; nothing of them is lost.
pub(in crate::log) async fn move_aside<D: Disk>(
    disk: &D,
    paths: &[String],
) -> Result<Vec<Stray>, OpenError> {
    let mut strays = Vec::new();
    for path in paths {
        let mut moved_to = None;
        if is_wanted(path) {
            let moved = put_aside(disk, path).await;
            moved_to = Some(moved.doing("moving a stray file aside")?);
        }
        let path = path.clone();
        strays.push(Stray { path, moved_to });
    }
    if strays.iter().any(|stray| stray.moved_to.is_some()) {
        let synced = disk.sync_dir(COMMIT_LOG_DIR).await;
        synced.doing("moving stray files aside")?;
    }
    Ok(strays)
}

/// Whether a segment may want that name: its own, or the one that it has for a moment while
/// it is named once more.
fn is_wanted(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.strip_suffix(AGAIN_SUFFIX).unwrap_or(name);
    name.bytes().all(|byte| byte.is_ascii_digit())
}
