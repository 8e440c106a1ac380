//! Reading what is there, changing nothing.

use super::strays::{Look, look};
use crate::env::Disk;
use crate::log::checkpoint::{self, CheckpointState};
use crate::log::error::{Corruption, Doing, OpenError};
use crate::log::frames::Flaw;
use crate::log::hole::Hole;
use crate::log::identity::Identity;
use crate::log::index::TermRuns;
use crate::log::segment::{HeaderFlaw, Segment, list, segment_path};
use crate::log::{LogConfig, Position};

/// The judgement of a survey about the log's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::log) enum EndVerdict {
    Clean,
    Ambiguous {
        path: String,
        position: u64,
        flaw: Flaw,
    },
    Corrupt(Corruption),
    /// Of a replica's log: headers that verify and do not fit together. No
    /// fault that is accounted for does this; nothing is built on it.
    Inconsistent(Corruption),
}

/// The content of the disk.
pub(in crate::log) struct Survey<D: Disk> {
    /// Where it says so, damage is not the end of the log: others have what it took.
    pub(in crate::log) config: LogConfig,
    /// Nothing below is needed.
    pub(in crate::log) base: Position,
    /// The chain was found to go through the base.
    pub(in crate::log) holds_base: bool,
    /// Live segments by address, with their maps, as far as the log goes. None
    /// on a disk that never had a log.
    pub(in crate::log) segments: Vec<Segment<D>>,
    /// First addresses of the segments that newer ones reach over.
    pub(in crate::log) dead: Vec<u64>,
    /// First addresses, ascending, of the segments that the log did not reach:
    /// behind a corrupt record, or behind a header that does not verify.
    pub(in crate::log) beyond: Vec<u64>,
    /// First addresses of a replica's segments whose header does not verify.
    pub(in crate::log) lost: Vec<u64>,
    /// Paths of unfinished segments.
    pub(in crate::log) drafts: Vec<String>,
    /// Paths of what is in the directory and none of this log's.
    pub(in crate::log) strays: Vec<String>,
    /// First addresses, by name, of files of which nobody can say whether they are
    /// this log's; of a broker that stands alone.
    pub(in crate::log) unrecognizable: Vec<u64>,
    /// The end of what verifies.
    pub(in crate::log) end: Position,
    /// Where in the last segment its valid part ends.
    pub(in crate::log) stop_position: u64,
    /// Where in the last segment the next group goes.
    pub(in crate::log) write_position: u64,
    /// The highest log address, not above the end, below which all is proved to
    /// have been synced.
    pub(in crate::log) proved_address: u64,
    /// Whether the last frame says that all before it was durable.
    pub(in crate::log) marked: bool,
    /// The highest generation, dead segments included.
    pub(in crate::log) generation: u64,
    pub(in crate::log) checkpoint: CheckpointState,
    /// The terms of the entries that verify.
    pub(in crate::log) terms: TermRuns,
    /// The parts that do not verify and are followed by parts that do; a replica's only.
    pub(in crate::log) holes: Vec<Damage>,
    pub(in crate::log) verdict: EndVerdict,
}

impl<D: Disk> Survey<D> {
    /// Not below any segment's generation, be its header readable or not.
    fn generation_at_most(&self) -> u64 {
        let recorded = match &self.checkpoint {
            CheckpointState::Whole(checkpoint) => checkpoint.generation,
            _ => 0,
        };
        let corrupt_header = self
            .segments
            .iter()
            .filter(|segment| segment.corrupt_header);
        let untold = self.lost.len() + corrupt_header.count();
        match untold {
            0 => self.generation,
            _ => self.generation.max(recorded) + untold as u64,
        }
    }

    pub(in crate::log) fn known_holes(&self) -> impl Iterator<Item = Hole> {
        self.holes.iter().map(|damage| damage.hole)
    }
}

/// A hole, and where it was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::log) struct Damage {
    pub(in crate::log) hole: Hole,
    pub(in crate::log) path: String,
    pub(in crate::log) position: u64,
    pub(in crate::log) flaw: Flaw,
}

/// A named file: its first address and what its header says.
pub(super) type Named<D> = (u64, Result<Segment<D>, HeaderFlaw>);

/// Surveys the disk of `identity`, whose log begins at `base`.
pub(in crate::log) async fn survey<D: Disk>(
    disk: &D,
    identity: Identity,
    base: Position,
    config: LogConfig,
) -> Result<Survey<D>, OpenError> {
    let listing = list(disk).await.doing("listing the segments")?;
    let checkpoint = checkpoint::read(disk)
        .await
        .doing("reading the checkpoint")?;
    let (mut named, mut strays, mut unrecognizable) = (Vec::new(), listing.strays, Vec::new());
    for address in listing.segments {
        let looked = look(disk, identity, address, config).await;
        match looked.doing("opening a segment")? {
            Look::Segment(opened) => {
                if let Ok(segment) = &opened {
                    check_owner(segment, identity)?;
                }
                named.push((address, opened));
            }
            Look::Stray => strays.push(segment_path(address)),
            Look::Unrecognizable => unrecognizable.push(address),
        }
    }
    let headers = named.iter().filter_map(|(_, opened)| opened.as_ref().ok());
    let generation = headers
        .clone()
        .map(|segment| segment.header.generation)
        .max()
        .unwrap_or(0);
    let checkpoint_address = checkpoint_claim(&checkpoint, headers);
    let Split { live, dead, beyond } = match config.replicated {
        false => split_single(named, base),
        true => split_replica(named, base),
    };
    let mut survey = Survey {
        config,
        base,
        holds_base: false,
        segments: Vec::new(),
        dead,
        beyond,
        lost: Vec::new(),
        drafts: listing.drafts,
        strays,
        unrecognizable,
        end: base,
        stop_position: 0,
        write_position: 0,
        proved_address: 0,
        marked: true,
        generation,
        checkpoint,
        terms: TermRuns::default(),
        holes: Vec::new(),
        verdict: EndVerdict::Clean,
    };
    match config.replicated {
        false => survey.walk(live, checkpoint_address).await,
        true => {
            let whose = (disk, identity);
            survey
                .walk_past_damage(whose, live, checkpoint_address)
                .await
        }
    }
    .doing("reading the segments")?;
    survey.proved_address = survey.proved_address.max(checkpoint_address);
    survey.generation = survey.generation_at_most();
    survey.settle_base();
    Ok(survey)
}

fn check_owner<D: Disk>(segment: &Segment<D>, identity: Identity) -> Result<(), OpenError> {
    let header = &segment.header;
    if (header.cluster_id, header.disk_id) == (identity.cluster_id, identity.disk_id) {
        return Ok(());
    }
    Err(OpenError::ForeignSegment {
        path: segment.path(),
        disk_id: header.disk_id,
        cluster_id: header.cluster_id,
    })
}

/// The address up to which the checkpoint proves entries durable: not what a later
/// segment has cut off.
fn checkpoint_claim<'a, D: Disk>(
    state: &CheckpointState,
    segments: impl Iterator<Item = &'a Segment<D>>,
) -> u64 {
    let CheckpointState::Whole(checkpoint) = state else {
        return 0;
    };
    segments
        .filter(|segment| segment.header.generation > checkpoint.generation)
        .map(|segment| segment.header.base.address)
        .fold(checkpoint.durable.address, u64::min)
}

/// The named segments, told apart by generation.
struct Split<D: Disk> {
    /// By address; of those whose header does not verify at most one, the last.
    live: Vec<Named<D>>,
    /// Begin at or above a newer one's beginning.
    dead: Vec<u64>,
    /// Begin at or above one whose header does not verify: live or dead, who
    /// knows.
    beyond: Vec<u64>,
}

/// Tells live from dead. A header that does not verify gives no generation:
/// counted as the newest, it ends what is known.
fn split<D: Disk>(mut named: Vec<Named<D>>) -> Split<D> {
    let age = |(address, opened): &Named<D>| match opened {
        Ok(segment) => (u64::MAX - segment.header.generation, *address),
        Err(_) => (0, *address),
    };
    named.sort_by_key(age);
    let flawed = named
        .iter()
        .find(|(_, opened)| opened.is_err())
        .map(|(address, _)| *address);
    let mut split = Split {
        live: Vec::new(),
        dead: Vec::new(),
        beyond: Vec::new(),
    };
    for (address, opened) in named {
        if split.live.last().is_none_or(|(floor, _)| address < *floor) {
            split.live.push((address, opened));
        } else if flawed.is_some_and(|flawed| flawed <= address) {
            split.beyond.push(address);
        } else {
            split.dead.push(address);
        }
    }
    split.live.reverse();
    split
}

/// As [`split`] of the log of a broker that stands alone: what is wholly below the
/// base is dead, be its header readable or not.
fn split_single<D: Disk>(mut named: Vec<Named<D>>, base: Position) -> Split<D> {
    let reaches_base = |named: &&Named<D>| named.1.is_ok() && named.0 <= base.address;
    let first = named
        .iter()
        .filter(reaches_base)
        .map(|(address, _)| *address);
    let first = first.max().unwrap_or(Position::START.address);
    let below = named.extract_if(.., |(address, _)| *address < first);
    let below: Vec<u64> = below.map(|(address, _)| address).collect();
    let mut split = split(named);
    split.dead.extend(below);
    split
}

/// As [`split`] of a replica's log: a header that does not verify takes nothing with
/// it. Segments that a cut leaves dead are gone before anything is written behind the
/// cut, so a segment that stands beyond one with a bad header is either live or was
/// cut off by a cut that nobody was told of.
fn split_replica<D: Disk>(named: Vec<Named<D>>, base: Position) -> Split<D> {
    let (whole, flawed): (Vec<_>, Vec<_>) =
        named.into_iter().partition(|(_, opened)| opened.is_ok());
    let mut split = split(whole);
    split.live.extend(flawed);
    split.live.sort_by_key(|(address, _)| *address);
    let begun = split
        .live
        .partition_point(|(address, _)| *address <= base.address);
    let below = split.live.drain(..begun.saturating_sub(1));
    split.dead.extend(below.map(|(address, _)| address));
    split
}
