//! Segment files: `commitlog/` and 20 digits, the log address they begin at.
//!
//! ```text
//!  header ── padded to a sector
//!  group  ┐ one write: envelopes and records end to end,
//!  group  │ zero-padded to a sector (D26)
//!  mark   │ one sector
//!  group  ┘
//!  zeros  ── preallocated
//! ```
//!
//! A file has its final name only once its header, its size and whatever it was
//! born with are durable (write aside, sync, rename, sync directory). So a name
//! is a proof, and a named segment whose header does not verify has rotted.
//!
//! **Generations.** Each new segment has a higher generation than all before
//! it, and takes over every log address from its first one on: what an older
//! segment holds at or above that address is dead. A roll is the case where
//! there is nothing above it. A cut is the case where there is: the one rename
//! that names the new segment cuts the log, in one step, whatever the number of
//! older segments that it reaches over; and as nothing is overwritten or
//! truncated in place and the new file has an incarnation of its own, no stale
//! tail can come back to life in it (D6, mutant S14).

use std::io;
use std::ops::Range;

use bytes::{Buf, BufMut, Bytes};

use super::atomic_file::{create_afresh, put_aside};
use super::{COMMIT_LOG_DIR, Position};
use crate::env::failure::medium_lost_data;
use crate::env::{Disk, File};

const MAGIC: [u8; 4] = *b"ZLS1";
/// Bytes of a header that carry something.
pub(super) const SEGMENT_HEADER_BYTES: usize = 96;
const TMP_SUFFIX: &str = ".tmp";
/// Behind the name of a segment that a salvage gave up.
pub(super) const GIVEN_UP: &str = ".given-up-before-generation-";
/// Behind the name of a whole segment while it gets its name once more.
pub(super) const AGAIN_SUFFIX: &str = ".again";

/// The header of a segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// The cluster of the log (D27).
    pub(super) cluster_id: u64,
    /// The disk of the log.
    pub(super) disk_id: u64,
    /// Random; binds every byte of the file to this one file.
    pub(super) incarnation: u64,
    /// Above that of every segment that was there before.
    pub(super) generation: u64,
    /// The file's size.
    pub(super) segment_bytes: u64,
    /// The unit that groups are padded to in this file.
    pub(super) sector_bytes: u32,
    /// Where the log stood when the file was made: its first entry's place.
    pub(super) base: Position,
    /// Everything below this was durable once the file had its name, durably:
    /// `base`, and of a file that was made anew in the middle of the log, its end.
    pub(super) durable_address: u64,
}

/// Why a header does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFlaw {
    /// No header, or its checksum fails.
    #[error("the segment's header does not verify")]
    Unverified,
    /// The medium does not give it back.
    #[error("the segment's header cannot be read: {0}")]
    Unreadable(String),
    /// The file bears another segment's name.
    #[error("the segment was made to begin at log address {made_for}")]
    Renamed {
        /// The address in the header.
        made_for: u64,
        /// The incarnation in the header.
        incarnation: u64,
    },
}

impl SegmentHeader {
    /// Position of the first group.
    pub(super) fn data_from(&self) -> u64 {
        header_bytes(u64::from(self.sector_bytes))
    }

    /// The first sector boundary at or above `position`.
    pub(super) fn sector_up(&self, position: u64) -> u64 {
        position.next_multiple_of(u64::from(self.sector_bytes))
    }

    fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(self.data_from() as usize);
        bytes.put_slice(&MAGIC);
        bytes.put_u32(0);
        bytes.put_u64(self.cluster_id);
        bytes.put_u64(self.disk_id);
        bytes.put_u64(self.incarnation);
        bytes.put_u64(self.generation);
        bytes.put_u64(self.segment_bytes);
        bytes.put_u32(self.sector_bytes);
        bytes.put_u32(0);
        bytes.put_u64(self.base.address);
        bytes.put_u64(self.base.next_index);
        bytes.put_u64(self.base.term);
        bytes.put_u64(self.base.hash);
        bytes.put_u64(self.durable_address);
        let crc = crc32fast::hash(&bytes);
        bytes[4..8].copy_from_slice(&crc.to_be_bytes());
        bytes.resize(self.data_from() as usize, 0);
        bytes.into()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut header = *bytes.first_chunk::<SEGMENT_HEADER_BYTES>()?;
        let crc = u32::from_be_bytes(header[4..8].try_into().expect("4 bytes"));
        header[4..8].fill(0);
        if header[..4] != MAGIC || crc32fast::hash(&header) != crc {
            return None;
        }
        let mut fields = &header[8..];
        let (cluster_id, disk_id) = (fields.get_u64(), fields.get_u64());
        let (incarnation, generation) = (fields.get_u64(), fields.get_u64());
        let (segment_bytes, sector_bytes) = (fields.get_u64(), fields.get_u32());
        fields.advance(4);
        let (address, next_index) = (fields.get_u64(), fields.get_u64());
        let (term, hash) = (fields.get_u64(), fields.get_u64());
        let durable_address = fields.get_u64();
        let whole_sectors = sector_bytes > 0 && segment_bytes % u64::from(sector_bytes) == 0;
        whole_sectors.then_some(Self {
            cluster_id,
            disk_id,
            incarnation,
            generation,
            segment_bytes,
            sector_bytes,
            base: Position {
                next_index,
                term,
                address,
                hash,
            },
            durable_address,
        })
    }
}

/// Whether a file still begins with the header that it was opened with.
pub(super) async fn header_stands<F: File>(file: &F, header: &SegmentHeader) -> io::Result<bool> {
    match file.read_at(0, SEGMENT_HEADER_BYTES).await {
        Ok(bytes) => Ok(SegmentHeader::decode(&bytes).as_ref() == Some(header)),
        Err(error) if medium_lost_data(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Bytes before the first group.
pub(super) fn header_bytes(sector_bytes: u64) -> u64 {
    (SEGMENT_HEADER_BYTES as u64).next_multiple_of(sector_bytes)
}

/// The place of one entry in a segment; the entries behind it follow without a
/// gap, in address and in position alike, until the next of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    /// Its number in the log.
    pub(super) index: u64,
    /// Its log address.
    pub(super) address: u64,
    /// Its file position.
    pub(super) position: u64,
}

/// An open segment.
pub(super) struct Segment<D: Disk> {
    pub(super) header: SegmentHeader,
    pub(super) file: D::File,
    /// One for each group, in order: the sparse map from address to position.
    pub(super) groups: Vec<Group>,
    /// The header in the file does not verify: this one was made out from what
    /// stands behind it.
    pub(super) corrupt_header: bool,
}

/// Where the entry at `address` stands, if it begins one of the groups, which are in
/// order, and that one is behind `position`: nothing in between is an entry, but padding
/// or a mark.
pub(super) fn begins_behind(groups: &[Group], address: u64, position: u64) -> Option<u64> {
    let number = groups.binary_search_by_key(&address, |group| group.address);
    let group = groups[number.ok()?];
    (group.position > position).then_some(group.position)
}

impl<D: Disk> Segment<D> {
    pub(super) fn path(&self) -> String {
        segment_path(self.header.base.address)
    }

    /// Opens a file and reads its header.
    pub(super) async fn open(disk: &D, address: u64) -> io::Result<Result<Self, HeaderFlaw>> {
        let file = disk.open(&segment_path(address)).await?;
        let bytes = match file.read_at(0, SEGMENT_HEADER_BYTES).await {
            Ok(bytes) => bytes,
            Err(error) if medium_lost_data(&error) => {
                return Ok(Err(HeaderFlaw::Unreadable(error.to_string())));
            }
            Err(error) => return Err(error),
        };
        Ok(match SegmentHeader::decode(&bytes) {
            None => Err(HeaderFlaw::Unverified),
            Some(header) if header.base.address != address => Err(HeaderFlaw::Renamed {
                made_for: header.base.address,
                incarnation: header.incarnation,
            }),
            Some(header) => Ok(Self {
                header,
                file,
                groups: Vec::new(),
                corrupt_header: false,
            }),
        })
    }

    /// Takes the place of one more entry into the map.
    pub(super) fn add_group(&mut self, group: Group) {
        let at = self
            .groups
            .partition_point(|old| old.address < group.address);
        if self.groups.get(at) != Some(&group) {
            self.groups.insert(at, group);
        }
    }

    /// The group that the entry at `index` would be in.
    pub(super) fn group_of_index(&self, index: u64) -> Option<Group> {
        let after = self.groups.partition_point(|group| group.index <= index);
        self.groups.get(after.checked_sub(1)?).copied()
    }

    /// The groups that begin at these addresses.
    pub(super) fn groups_in(&self, addresses: Range<u64>) -> Vec<Group> {
        let below = |address| self.groups.partition_point(|group| group.address < address);
        self.groups[below(addresses.start)..below(addresses.end)].to_vec()
    }

    /// The group that an entry at `address` would be in.
    pub(super) fn group_of(&self, address: u64) -> Option<Group> {
        let after = self
            .groups
            .partition_point(|group| group.address <= address);
        self.groups.get(after.checked_sub(1)?).copied()
    }
}

/// A segment that has no final name yet.
pub(super) struct Draft<D: Disk> {
    disk: D,
    pub(super) segment: Segment<D>,
}

impl<D: Disk> Draft<D> {
    /// A preallocated file with its header, under a temporary name.
    pub(super) async fn create(disk: &D, header: SegmentHeader) -> io::Result<Self> {
        let path = segment_path(header.base.address) + TMP_SUFFIX;
        let file = create_afresh(disk, &path).await?;
        file.set_len(header.segment_bytes).await?;
        file.write_at(0, header.encode()).await?;
        let segment = Segment {
            header,
            file,
            groups: Vec::new(),
            corrupt_header: false,
        };
        Ok(Self {
            disk: disk.clone(),
            segment,
        })
    }

    /// Makes it durable, then names it, then makes the name durable: only now
    /// may anything rest on it (mutants S05, S23).
    pub(super) async fn publish(self) -> io::Result<Segment<D>> {
        let path = self.segment.path();
        self.segment.file.sync_all().await?;
        self.disk
            .rename(&(path.clone() + TMP_SUFFIX), &path)
            .await?;
        self.disk.sync_dir(COMMIT_LOG_DIR).await?;
        Ok(self.segment)
    }
}

/// The content of the commit log's directory.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// First addresses of the named segments, ascending.
    pub(super) segments: Vec<u64>,
    /// Paths of drafts that a crash left.
    pub(super) drafts: Vec<String>,
    /// Paths of what is none of ours.
    pub(super) strays: Vec<String>,
}

/// Lists segments and drafts, and what is neither.
pub(super) async fn list<D: Disk>(disk: &D) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for name in disk.list(COMMIT_LOG_DIR).await? {
        let path = format!("{COMMIT_LOG_DIR}/{name}");
        let draft = name.strip_suffix(TMP_SUFFIX).and_then(parse_name);
        if draft.is_some() {
            listing.drafts.push(path);
        } else if let Some(address) = parse_name(&name) {
            listing.segments.push(address);
        } else if !name.contains(GIVEN_UP) {
            listing.strays.push(path);
        }
    }
    listing.segments.sort_unstable();
    Ok(listing)
}

/// Removes segments that a newer one reaches over, durably. The newer one is
/// durable by now, and they stay dead until they are gone; gone they must be
/// before it is.
pub(super) async fn remove_dead<D: Disk>(disk: &D, addresses: &[u64]) -> io::Result<()> {
    if addresses.is_empty() {
        return Ok(());
    }
    for address in addresses {
        disk.remove(&segment_path(*address)).await?;
    }
    disk.sync_dir(COMMIT_LOG_DIR).await
}

/// A crash may have come between the two renames by which a segment gets its name
/// once more. A file that somebody else made under that name meanwhile is put aside.
pub(super) async fn finish_naming<D: Disk>(disk: &D) -> io::Result<()> {
    let names = disk.list(COMMIT_LOG_DIR).await?;
    for name in &names {
        let named = name.strip_suffix(AGAIN_SUFFIX);
        let Some(address) = named.and_then(parse_name) else {
            continue;
        };
        let (from, to) = (format!("{COMMIT_LOG_DIR}/{name}"), segment_path(address));
        if names.iter().any(|other| Some(other.as_str()) == named) {
            if !is_segment(disk, &from, address).await? || is_segment(disk, &to, address).await? {
                continue;
            }
            put_aside(disk, &to).await?;
        }
        disk.rename(&from, &to).await?;
    }
    Ok(())
}

/// Whether a file begins with the header of the segment at `address`.
async fn is_segment<D: Disk>(disk: &D, path: &str, address: u64) -> io::Result<bool> {
    let read = async {
        disk.open(path)
            .await?
            .read_at(0, SEGMENT_HEADER_BYTES)
            .await
    };
    match read.await {
        Ok(bytes) => {
            let header = SegmentHeader::decode(&bytes);
            Ok(header.is_some_and(|header| header.base.address == address))
        }
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(false),
        Err(error) if medium_lost_data(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn parse_name(name: &str) -> Option<u64> {
    (name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| name.parse().ok())
        .flatten()
}

/// The path of the segment that begins at `address`.
pub(super) fn segment_path(address: u64) -> String {
    format!("{COMMIT_LOG_DIR}/{address:020}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: SegmentHeader = SegmentHeader {
        cluster_id: 1,
        disk_id: 2,
        incarnation: 0xfeed_f00d,
        generation: 3,
        segment_bytes: 1 << 30,
        sector_bytes: 512,
        base: Position {
            next_index: 8,
            term: 4,
            address: 0xabcd,
            hash: 0x1122_3344_5566_7788,
        },
        durable_address: 0xabef,
    };

    /// A change here is a change of format: it must be seen.
    #[test]
    fn a_segment_begins_with_these_bytes() {
        let bytes = HEADER.encode();
        assert_eq!(bytes.len(), 512);
        assert!(bytes[SEGMENT_HEADER_BYTES..].iter().all(|byte| *byte == 0));
        let line = |line: &[u8]| {
            line.iter()
                .map(|byte| format!("{byte:02x} "))
                .collect::<String>()
        };
        let lines = bytes[..SEGMENT_HEADER_BYTES].chunks(16).map(line);
        insta::assert_snapshot!(
            lines
                .map(|line| line.trim_end().to_owned() + "\n")
                .collect::<String>()
        );
    }

    #[test]
    fn a_header_reads_back_and_no_flipped_bit_does() {
        let bytes = HEADER.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Some(HEADER));
        assert_eq!(SegmentHeader::decode(&bytes[..95]), None);
        for bit in 0..SEGMENT_HEADER_BYTES * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn names_are_twenty_digits_and_nothing_else() {
        assert_eq!(segment_path(7), "commitlog/00000000000000000007");
        assert_eq!(parse_name("00000000000000000007"), Some(7));
        for name in [
            "7",
            "0000000000000000000x",
            "00000000000000000007.tmp",
            "99999999999999999999",
        ] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }
}
