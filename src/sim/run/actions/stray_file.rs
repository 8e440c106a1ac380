//! The process dies, and while it is down somebody else leaves a file on its disk: an
//! operator, a backup, an editor, a copy that was interrupted.
//!
//! Left out is what the guarantee does not promise:
//!
//! - a file under a name that the store's own file has or may have as it is (`state`,
//!   `abort`, the directory of a queue): that is an edit of the store;
//! - a file of a segment's name and of a size that a segment may have, which is no copy of
//!   another: a broker that stands alone refuses what nobody can read (D11), and zeros alone
//!   are none of that; a replica takes it for a segment that it lost (D12), which is rot, and rot has
//!   a budget;
//! - a copy of a segment under that segment's own name, once it is gone: that puts an older
//!   file in the place of a newer one, as a disk that is rolled back does;
//! - anything before the disk is formatted for good: `format` refuses what holds something
//!   else (D27), and its operator clears it first.

use bytes::Bytes;

use crate::broker::{AGES_FILE, BASE_FILE, FOUNDING_FILE, QUARANTINE_FILE, STATE_FILE};
use crate::history::FaultKind;
use crate::log::{CHECKPOINT_FILE, COMMIT_LOG_DIR, IDENTITY_FILE};
use crate::raft::HARD_STATE_FILE;
use crate::scenario::random::{Purpose, Stream};
use crate::scenario::{StrayContent, StrayName, Victim};
use crate::sim::disk::DiskModel;
use crate::sim::run::phases::Run;
use crate::sim::run::process::Operator;
use crate::sim::tap::{segment_address, segment_named};

/// The small files that the store replaces as a whole.
const REPLACED: [&str; 8] = [
    IDENTITY_FILE,
    HARD_STATE_FILE,
    FOUNDING_FILE,
    BASE_FILE,
    STATE_FILE,
    AGES_FILE,
    CHECKPOINT_FILE,
    QUARANTINE_FILE,
];
/// Names that operators, editors and systems leave; `*` is a file that is there.
const ANY: [&str; 9] = [
    ".DS_Store",
    "lost+found",
    "core.1234",
    "1.bak",
    "nohup.out",
    "*.bak",
    "*~",
    ".*.swp",
    "copy of *",
];
/// Sizes and places of segments are whole multiples of this.
const SEGMENT_UNIT_BYTES: u64 = 512;
/// How many names are tried until one is free.
const ATTEMPTS: usize = 8;

impl Run<'_> {
    pub(super) fn leave_file(
        &mut self,
        machine: usize,
        (name, content): (StrayName, StrayContent),
        down_ns: u64,
        seed: u64,
    ) {
        let death = self.death_of(Victim::Broker(machine as u32));
        let dirty = self.dirty(machine as u32);
        let eligible = self.sends_in_flight() > 0;
        self.end_process(machine, false);
        let segment_bytes = self.scenario.cluster.broker.segment_bytes;
        let replicated = self.scenario.cluster.is_replicated();
        let entry = self.ledger.fired.len();
        let left = {
            let mut inner = self.world.lock();
            let inner = &mut *inner;
            let disk = &mut inner.disks[machine];
            disk.process_died();
            let end_address = inner.tap.durable_end(disk, machine as u32);
            let mut left = Leaves {
                disk: &mut disk.model,
                drawn: Stream::lane(seed, Purpose::Faults, LANE),
                end_address,
                segment_bytes,
                replicated,
            };
            left.leave(name, content, entry)
        };
        let note = format!("killed, and somebody leaves {left}");
        self.enter(FaultKind::StrayFile, machine as u32, eligible, dirty, note);
        self.is_death(death);
        self.start_later(machine, down_ns, Operator::None);
    }
}

/// The lane of a hit's draw.
const LANE: u32 = 1;

/// Somebody who leaves a file on a disk.
struct Leaves<'a> {
    disk: &'a mut DiskModel,
    drawn: Stream,
    /// One past the last log address that is durable.
    end_address: u64,
    segment_bytes: u64,
    replicated: bool,
}

impl Leaves<'_> {
    /// Leaves a file; what it is, in words.
    fn leave(&mut self, name: StrayName, content: StrayContent, mark: usize) -> String {
        if !is_broker_s(self.disk) {
            return "nothing: the disk is blank".to_owned();
        }
        for _ in 0..ATTEMPTS {
            let directory = self.directory(name);
            let named = self.name(name, &directory);
            let path = in_directory(&directory, &named);
            if content == StrayContent::Directory {
                if self.disk.leave_directory(&path, mark).is_ok() {
                    return format!("the directory {path}");
                }
                continue;
            }
            let Some((bytes, size_bytes)) = self.content(content, &directory, &named) else {
                continue;
            };
            let left = self.disk.leave_file(&path, &bytes, size_bytes, mark);
            if left.is_ok() {
                return format!("{path} of {size_bytes} bytes ({content:?})");
            }
        }
        "nothing: no name was free".to_owned()
    }

    /// As a rule the directory where such names belong.
    fn directory(&mut self, name: StrayName) -> String {
        let directories = self.disk.directories();
        let is_of_queue = |it: &&String| it.matches('/').count() == 2;
        let queues = directories.iter().filter(is_of_queue);
        let usual: Vec<String> = match name {
            StrayName::Segment | StrayName::SegmentDraft | StrayName::SegmentAgain => {
                vec![COMMIT_LOG_DIR.to_owned()]
            }
            StrayName::OwnDraft => vec![String::new()],
            StrayName::QueueFile => queues.cloned().collect(),
            StrayName::Any => Vec::new(),
        };
        let among = match usual.is_empty() || self.drawn.chance(0.2) {
            true => directories,
            false => usual,
        };
        // Blank, it has no directory but the root.
        self.one_of(&among).unwrap_or_default()
    }

    fn name(&mut self, name: StrayName, directory: &str) -> String {
        match name {
            StrayName::Segment => self.absent_segment(),
            StrayName::SegmentDraft => self.any_segment() + ".tmp",
            StrayName::SegmentAgain => self.any_segment() + ".again",
            StrayName::OwnDraft => self.one_of(&REPLACED).unwrap_or_default().to_owned() + ".tmp",
            StrayName::QueueFile => self.queue_file(directory),
            StrayName::Any => {
                let like = self.one_of(&ANY).unwrap_or_default();
                let there = self.disk.list(directory).unwrap_or_default();
                let original = self.one_of(&there).unwrap_or_default();
                like.replace('*', &original)
            }
        }
    }

    /// A queue's files are called by their first byte.
    fn queue_file(&mut self, directory: &str) -> String {
        let there = self.disk.list(directory).unwrap_or_default();
        let begins: Vec<u64> = there.iter().filter_map(|name| name.parse().ok()).collect();
        let begins = self.one_of(&begins).unwrap_or_default();
        let away = self.drawn.below(4) * 20 * (1 + self.drawn.below(64));
        let begins = match self.drawn.chance(0.5) {
            true => begins.saturating_sub(away),
            false => begins + away,
        };
        // Where queues have directories of their own, a short number is one.
        match self.drawn.chance(0.2) && directory.matches('/').count() == 2 {
            true => begins.to_string(),
            false => format!("{begins:020}"),
        }
    }

    /// First addresses of the segments.
    fn segments(&self) -> Vec<u64> {
        let names = self.disk.list(COMMIT_LOG_DIR).unwrap_or_default();
        names
            .iter()
            .filter_map(|name| segment_named(name))
            .collect()
    }

    fn any_segment(&mut self) -> String {
        let there = self.segments();
        match self.one_of(&there) {
            Some(address) if self.drawn.chance(0.5) => format!("{address:020}"),
            _ => self.absent_segment(),
        }
    }

    /// Below the first segment, between two, in the last one, where the log ends, behind it.
    fn absent_segment(&mut self) -> String {
        let there = self.segments();
        let first = there.first().copied().unwrap_or(0);
        let last = there.last().copied().unwrap_or(0);
        let (begins, ends) = match self.drawn.below(5) {
            0 => (0, first),
            1 => (first, last),
            2 => (last, self.end_address.max(last)),
            3 => (self.end_address, self.end_address),
            _ => (last, last + 4 * self.segment_bytes),
        };
        let address = self.drawn.between(begins, ends);
        let is_taken = there.contains(&address);
        format!("{:020}", address + u64::from(is_taken))
    }

    /// The first bytes, and the size. `None`: nothing there can be copied.
    fn content(
        &mut self,
        content: StrayContent,
        directory: &str,
        name: &str,
    ) -> Option<(Bytes, u64)> {
        let sizes = [
            0,
            3,
            511,
            512,
            self.disk.sector_bytes(),
            self.segment_bytes,
            self.segment_bytes + 1,
            self.segment_bytes + self.drawn.below(SEGMENT_UNIT_BYTES * 8),
            self.drawn.below(self.segment_bytes),
        ];
        let size_bytes = self.one_of(&sizes).unwrap_or_default();
        let (bytes, size_bytes) = match content {
            StrayContent::Zeros | StrayContent::Directory => (Bytes::new(), size_bytes),
            StrayContent::Random => {
                let mut bytes = vec![0; size_bytes as usize];
                self.drawn.fill(&mut bytes);
                (bytes.into(), size_bytes)
            }
            StrayContent::Copy => self.copy(directory, size_bytes)?,
        };
        let address = segment_of(name).filter(|_| directory == COMMIT_LOG_DIR);
        let Some(address) = address else {
            return Some((bytes, size_bytes));
        };
        match segment_address(&bytes) {
            Some(original) => (original != address).then_some((bytes, size_bytes)),
            None if bytes.is_empty() && !self.replicated => Some((bytes, size_bytes)),
            None => {
                let has_size = size_bytes.is_multiple_of(SEGMENT_UNIT_BYTES);
                let size_bytes = size_bytes.saturating_sub(u64::from(has_size));
                let length = bytes.len().min(size_bytes as usize);
                Some((bytes.slice(..length), size_bytes))
            }
        }
    }

    /// So much of another file of the directory, or all of it.
    fn copy(&mut self, directory: &str, size_bytes: u64) -> Option<(Bytes, u64)> {
        let names = self.disk.list(directory).unwrap_or_default();
        let paths = names.iter().map(|name| in_directory(directory, name));
        let is_file = |path: &String| self.disk.cached_file(path).is_some();
        let files: Vec<String> = paths.filter(is_file).collect();
        let original = self.one_of(&files)?;
        let is_whole = self.drawn.chance(0.25);
        let original = self.disk.cached_file(&original)?;
        let size_bytes = match is_whole {
            true => original.size_bytes(),
            false => size_bytes.min(original.size_bytes()),
        };
        Some((original.read(0, size_bytes as usize), size_bytes))
    }

    fn one_of<T: Clone>(&mut self, among: &[T]) -> Option<T> {
        let index = self.drawn.below(among.len() as u64) as usize;
        among.get(index).cloned()
    }
}

/// Whether a disk is formatted for good. `format` refuses one that holds something else.
pub(in crate::sim::run) fn is_broker_s(disk: &DiskModel) -> bool {
    disk.durable_file(IDENTITY_FILE).is_some()
}

/// The address of the segment that is called so, or will be at the next start.
fn segment_of(name: &str) -> Option<u64> {
    segment_named(name.strip_suffix(".again").unwrap_or(name))
}

/// The path of a name in a directory; `""` is the root.
fn in_directory(directory: &str, name: &str) -> String {
    match directory.is_empty() {
        true => name.to_owned(),
        false => format!("{directory}/{name}"),
    }
}
