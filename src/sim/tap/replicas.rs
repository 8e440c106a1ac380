//! Replicated brokers: what their disks and their messages say, as facts for the
//! checks of [`crate::check::replicas`].
//!
//! ```text
//!   writes ─────────────────────────▶ cached log  ┐
//!   syncs ──▶ Holdings' watermark ──▶ durable log ├─▶ Cluster ──▶ findings
//!   renames ─▶ identity, hard state ─▶ promises   │
//!          └─▶ base ────────────────▶ both logs   │
//!   peer messages ──────────────────▶ roles       ┘
//! ```
//!
//! An entry is looked at once when it is written and once when it is durable.
//! Where a file with entries in it gets a segment's name (recovery's copies, a
//! cut), where a base is stored, and where a fault took something, the log is read
//! anew from the bytes.

mod notes;

use std::ops::RangeFrom;

use super::codecs::{Base, Said, atomic_file_bytes, base, disk_id, hard_state, said};
use super::damage::{Damage, Holes, Remembered};
use super::holdings::Holdings;
use super::image::{Image, View};
use crate::broker::BASE_FILE;
use crate::check::replicas::{
    Cause, Cluster, Fact, Forgot, HardState, Head, LogEntry, Media, Medium, Moment,
};
use crate::log::IDENTITY_FILE;
use crate::raft::{HARD_STATE_FILE, PeerMessage};
use crate::sim::disk::DiskModel;
use crate::sim::net::NodeId;

/// The fate of a machine's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The power went, and what was not synced.
    Cache,
    /// The disk is gone; a blank one is in its place.
    Disk,
    /// The disk is an older image of itself.
    Newer,
}

/// The knowledge about one node beside its logs.
#[derive(Debug, Default)]
struct Known {
    disk: Option<u64>,
    /// The last id that verified where it has its name, durably or not, since that
    /// name or the power last went.
    named_disk: Option<u64>,
    state: Option<HardState>,
    /// The last one that verified where it has its name, durably or not.
    named_state: Option<HardState>,
    /// The last base that verified.
    base: Option<Head>,
    /// Identity or hard state got a new file that may not be durable yet.
    is_renamed: bool,
    /// A sector of the hard state went bad: what it said counts until it says
    /// something else, or the disk is another.
    is_spoiled: bool,
    /// Lies that its disk had told when the power last went.
    lies_before: u64,
    /// How often a write that failed had taken bytes from its page cache, when the
    /// cached log was read last.
    reverts_before: u64,
    /// Where records do not verify, though they had been synced; `None` as long as
    /// no sector went bad.
    holes: Option<Holes>,
    /// A sync of its log failed when it was durable up to that index, and the log
    /// was not cut since: what is behind may be dropped.
    durable_at_failure: Option<u64>,
}

impl Known {
    fn first_hole(&self) -> Option<u64> {
        let (address, _) = self.holes.as_ref()?.first_key_value()?;
        Some(*address)
    }

    /// The log that has its names, durable or not, has these holes.
    fn adds(&mut self, holes: &[u64]) {
        for hole in holes {
            self.holes.get_or_insert_default().entry(*hole).or_default();
        }
    }

    /// The durable log was read anew, and has these holes.
    fn sees(&mut self, holes: &[u64]) {
        let known = self.holes.take().unwrap_or_default();
        let is_cut = |hole: &u64| known.get(hole).copied().unwrap_or(false);
        let holes = holes.iter().map(|hole| (*hole, is_cut(hole)));
        self.holes = Some(holes.collect());
    }
}

/// The account of all replicas.
#[derive(Debug)]
pub(super) struct Replicas {
    pub(super) cluster: Cluster,
    media: Media,
    nodes: Vec<Known>,
    /// How often a replica cut entries off its own log.
    pub(super) cuts: u64,
}

impl Replicas {
    pub(super) fn new(members: u32, machines: u32, media: Media) -> Self {
        Self {
            cluster: Cluster::new(members, machines, media),
            media,
            nodes: (0..machines).map(|_| Known::default()).collect(),
            cuts: 0,
        }
    }

    /// Whether a node's log, durable or not, has exactly that entry.
    pub(super) fn is_there(&self, node: NodeId, entry: &LogEntry) -> bool {
        let log = self.cluster.log(node, Medium::Cached);
        log.get(entry.head.index)
            .is_some_and(|here| here.is(&entry.head))
    }

    /// Where a node's log begins, and its entries, durable or not.
    pub(super) fn entries(&self, node: NodeId) -> (u64, impl Iterator<Item = Head>) {
        let log = self.cluster.log(node, Medium::Cached);
        let indices = log.base().index + 1..=log.last().index;
        let entries = indices.filter_map(|index| log.get(index));
        (log.base().end_address, entries)
    }

    /// An entry was written behind the one with that hash.
    pub(super) fn wrote(
        &mut self,
        moment: Moment,
        node: NodeId,
        entry: LogEntry,
        previous_hash: u64,
    ) {
        let (medium, from_index) = (Medium::Cached, entry.head.index);
        let log = self.cluster.log(node, medium);
        let base = log.base();
        let before = match from_index == base.index + 1 {
            true => Some(base),
            false => log.get(from_index.saturating_sub(1)),
        };
        let continues = before.is_some_and(|before| before.hash == previous_hash);
        if !continues || log.has(&entry.head) {
            return;
        }
        if log.last().index >= from_index {
            self.note_cut(moment, node, medium, from_index, Cause::Replica);
        }
        self.appended(moment, node, medium, entry);
    }

    /// A file got a segment's name: a process reads another log, maybe.
    pub(super) fn renamed_segment(
        &mut self,
        moment: Moment,
        disk: &DiskModel,
        node: NodeId,
        path: &str,
    ) {
        let name = path.rsplit('/').next().and_then(|name| name.parse().ok());
        // It takes the place of everything from its first address on.
        if let (Some(holes), Some(address)) = (&mut self.nodes[node as usize].holes, name) {
            let from_there: RangeFrom<u64> = address..;
            holes
                .range_mut(from_there)
                .for_each(|(_, is_cut)| *is_cut = true);
        }
        self.read_cached(moment, disk, node);
    }

    /// Whether a sector of a node's disk went bad.
    pub(super) fn is_damaged(&self, node: NodeId) -> bool {
        self.nodes[node as usize].holes.is_some()
    }

    /// The cached log is read off the bytes.
    pub(super) fn read_cached(&mut self, moment: Moment, disk: &DiskModel, node: NodeId) {
        let image = Image::of(disk, View::Cached, self.damage(node));
        // A write that failed took what is gone, where one did since: the process
        // learns of it only when its sync returns.
        let reverts = std::mem::replace(
            &mut self.nodes[node as usize].reverts_before,
            disk.reverts(),
        );
        let cause = match reverts == disk.reverts() {
            true => Cause::Replica,
            false => Cause::Crash,
        };
        self.becomes(moment, node, Medium::Cached, image, cause);
    }

    /// A base is stored: what it may stand for, before what becomes of the log.
    /// Whether it is a place in that log.
    pub(super) fn renamed_base(&mut self, moment: Moment, disk: &DiskModel, node: NodeId) -> bool {
        let mut is_in_log = false;
        if let Some(Base {
            head,
            digest,
            seats,
        }) = base(disk, View::Cached)
        {
            let base = head;
            self.nodes[node as usize].base = Some(base);
            if let Some(seats) = seats.filter(|_| base.index == 0) {
                self.cluster.note(moment, Fact::Founded { node, seats });
            }
            let log = self.cluster.log(node, Medium::Cached);
            is_in_log = log.base().index < base.index && log.has(&base);
            self.cluster
                .note(moment, Fact::Stands { node, base, digest });
        }
        self.renamed_segment(moment, disk, node, BASE_FILE);
        is_in_log
    }

    /// A file at the root of a disk got a new name.
    pub(super) fn renamed_state(
        &mut self,
        moment: Moment,
        disk: &DiskModel,
        node: NodeId,
        path: &str,
    ) {
        if path == IDENTITY_FILE {
            self.nodes[node as usize].named_disk = None;
        }
        if path == IDENTITY_FILE || path == HARD_STATE_FILE {
            self.nodes[node as usize].is_renamed = true;
            self.read_state(moment, disk, node, Cause::Replica);
        }
    }

    /// A sync completed: what the watermark has moved over is durable.
    pub(super) fn settle(
        &mut self,
        moment: Moment,
        disk: &DiskModel,
        node: NodeId,
        holdings: &mut Holdings,
    ) {
        if self.nodes[node as usize].is_renamed {
            self.read_state(moment, disk, node, Cause::Replica);
        }
        let held_end = holdings.look(disk, self.damage(node));
        if let Some(image) = holdings.take_image() {
            let named = match self.damage(node) {
                Damage::None => Vec::new(),
                damage => Image::of(disk, View::Cached, damage).damaged_addresses(),
            };
            self.read_durable(moment, node, image, Cause::Replica);
            self.nodes[node as usize].adds(&named);
        }
        let hole = self.nodes[node as usize].first_hole();
        let whole_end = hole.map_or(held_end, |hole| held_end.min(hole));
        self.catches_up(moment, node, whole_end);
        let believed_end = held_end.max(holdings.believed_end(disk));
        let cached = self.cluster.log(node, Medium::Cached);
        let index = cached.index_at_end(believed_end);
        // A base that is not durable yet stands for nothing.
        let is_above_base = believed_end >= cached.base().end_address;
        if is_above_base && index > self.cluster.believed(node) {
            self.cluster.note(moment, Fact::Believed { node, index });
        }
    }

    /// A fault took something of the disk, and the power with it.
    pub(super) fn lost(
        &mut self,
        moment: Moment,
        disk: &DiskModel,
        node: NodeId,
        image: Image,
        taken: Taken,
    ) {
        let believed = self.cluster.believed(node);
        let has_lied = self.has_lied(disk, node);
        let is_less = image.last().index < believed;
        let cause = match taken {
            Taken::Cache if has_lied => Cause::Silent,
            Taken::Cache => Cause::Crash,
            Taken::Disk => Cause::Detected,
            Taken::Newer => Cause::Silent,
        };
        match taken {
            Taken::Disk => self.cluster.forgets(node, Forgot::Everything),
            Taken::Cache | Taken::Newer if is_less && cause == Cause::Silent => {
                self.cluster.forgets(node, Forgot::Unknown);
            }
            Taken::Cache | Taken::Newer => {}
        }
        let stands = base(disk, View::Cached).map(|base| base.head);
        if stands.is_none() {
            self.cluster.unfounded(node);
        }
        let before = self.nodes[node as usize].base;
        let remembered = before.filter(|_| taken != Taken::Disk);
        self.nodes[node as usize].base = stands.or(remembered);
        self.nodes[node as usize].lies_before = disk.lies();
        self.nodes[node as usize].durable_at_failure = None;
        self.nodes[node as usize].is_spoiled &= taken != Taken::Disk;
        self.nodes[node as usize].named_state = None;
        self.nodes[node as usize].named_disk = None;
        if taken == Taken::Cache {
            self.settle_cut(moment, node, &image);
        }
        self.read_durable(moment, node, image.clone(), cause);
        self.becomes(moment, node, Medium::Cached, image, cause);
        self.read_state(moment, disk, node, cause);
    }

    /// A sector of the disk went bad.
    pub(super) fn damaged(&mut self, moment: Moment, disk: &DiskModel, node: NodeId) {
        let remembered = Remembered {
            log: self.cluster.log(node, Medium::Cached),
            upto: match self.has_lied(disk, node) {
                true => self.cluster.log(node, Medium::Durable).last().index,
                false => self.cluster.believed(node),
            },
            base: self.nodes[node as usize].base,
        };
        let damage = Damage::Anywhere(remembered);
        let image = Image::of(disk, View::Durable, damage);
        // A segment that was just named anew is not that of the durable name yet.
        let named = Image::of(disk, View::Cached, damage).damaged_addresses();
        let durable = self.cluster.log(node, Medium::Durable);
        let upto = durable.last().index;
        let took = image.prefix().last().index < upto;
        // The replica reads what has the name now, and cannot read the other.
        let took_named = || named.iter().any(|hole| durable.index_at_end(*hole) < upto);
        // What was synced behind an older hole may be gone now, too.
        if took || took_named() || !image.holes.is_empty() {
            let upto = upto.max(remembered.upto);
            self.cluster.forgets(node, Forgot::Record { upto });
        }
        if took {
            self.read_durable(moment, node, image, Cause::Detected);
        } else {
            self.nodes[node as usize].sees(&image.damaged_addresses());
        }
        self.nodes[node as usize].adds(&named);
        self.nodes[node as usize].is_spoiled = true;
        self.read_state(moment, disk, node, Cause::Detected);
    }

    /// A sync of its log failed.
    pub(super) fn sync_failed(&mut self, node: NodeId) {
        let durable = self.cluster.log(node, Medium::Durable).last().index;
        let known = &mut self.nodes[node as usize];
        known.durable_at_failure.get_or_insert(durable);
    }

    /// A replica sent something to a peer, in the name of that disk.
    pub(super) fn spoke(&mut self, moment: Moment, node: NodeId, disk: u64) {
        if self.nodes[node as usize].disk != Some(disk) {
            self.cluster.note(moment, Fact::Spoke { node, disk });
        }
    }

    /// A replica sent a message to a peer; returns whether it gave a vote.
    pub(super) fn sent(&mut self, moment: Moment, node: NodeId, packet: &PeerMessage) -> bool {
        let fact = match said(packet) {
            Some((term, Said::Leads(seated))) => {
                self.cluster.note(moment, Fact::Leads { node, term });
                match seated {
                    Some((index, seats)) => Fact::Seated {
                        node,
                        term,
                        index,
                        seats,
                    },
                    None => return false,
                }
            }
            Some((term, Said::Voted(candidate))) => Fact::Voted {
                node,
                term,
                candidate,
            },
            Some((term, Said::Matched(matched))) => Fact::Answered {
                node,
                term,
                matched,
            },
            Some((_, Said::Blank(disk))) => Fact::Announced { node, disk },
            None => return false,
        };
        let votes = matches!(fact, Fact::Voted { .. });
        self.cluster.note(moment, fact);
        votes
    }

    /// A replica told its operator that no majority of disks is left, for those are
    /// blank.
    pub(super) fn halted(
        &mut self,
        moment: Moment,
        node: NodeId,
        (blank_nodes, seats_index): (&[u64], u64),
        heard: Option<(NodeId, u64)>,
    ) {
        let named = blank_nodes.iter().map(|node| *node as NodeId).collect();
        let halted = Fact::Halted {
            node,
            named,
            seats_index,
            heard,
        };
        self.cluster.note(moment, halted);
    }

    /// One past the last log address that a node holds durably.
    pub(super) fn durable_end(&self, node: NodeId) -> u64 {
        self.cluster.log(node, Medium::Durable).last().end_address
    }

    /// As [`Replicas::durable_end`], by what its disk lets it believe.
    pub(super) fn believed_end(&self, node: NodeId) -> u64 {
        let believed = self.cluster.believed(node);
        let head = self.cluster.log(node, Medium::Cached).get(believed);
        let believed_end = head.map_or(0, |head| head.end_address);
        believed_end.max(self.durable_end(node))
    }

    fn has_lied(&self, disk: &DiskModel, node: NodeId) -> bool {
        disk.lies() > self.nodes[node as usize].lies_before
    }

    /// The knowledge about the bad sectors of a node's disk.
    pub(super) fn damage(&self, node: NodeId) -> Damage<'_> {
        let cached = self.cluster.log(node, Medium::Cached);
        let durable = self.cluster.log(node, Medium::Durable);
        // A base that stands for more than the log had is stored, and not durable yet.
        let (log, upto) = match cached.base().index > durable.last().index {
            true => (durable, durable.last().index),
            false => (cached, self.cluster.believed(node)),
        };
        let base = self.nodes[node as usize].base;
        let remembered = Remembered { log, upto, base };
        match &self.nodes[node as usize].holes {
            None => Damage::None,
            Some(holes) => Damage::At(holes, remembered),
        }
    }

    /// A cut whose name was not durable yet, and survived the power all the same,
    /// is the replica's own, and not the crash's.
    fn settle_cut(&mut self, moment: Moment, node: NodeId, image: &Image) {
        let cached = self.cluster.log(node, Medium::Cached);
        let durable = self.cluster.log(node, Medium::Durable);
        let mut indices = durable.base().index + 1..=durable.last().index;
        let is_cut = |index: &u64| durable.get(*index).is_some_and(|head| !cached.has(&head));
        let Some(from_index) = indices.find(is_cut) else {
            return;
        };
        if image.last().index < from_index {
            self.note_cut(moment, node, Medium::Durable, from_index, Cause::Replica);
        }
    }

    /// The durable log was read anew: it ends before the first hole, and what is
    /// gone there, a bad sector took, whatever else happened.
    fn read_durable(&mut self, moment: Moment, node: NodeId, image: Image, cause: Cause) {
        let prefix = image.prefix();
        let upto = self.cluster.log(node, Medium::Durable).last().index;
        let hole = prefix.last().index + 1;
        let taken = image.entries.get((hole - image.base.index - 1) as usize);
        let log = self.cluster.log(node, Medium::Durable);
        let was_there = taken.is_some_and(|entry| hole <= upto && log.has(&entry.head));
        // A sector of a newer segment went bad before that segment had its name
        // durably: the replica gave up what it could not read, and what the older one
        // has is gone with it.
        let holes = self.nodes[node as usize].holes.as_ref();
        let is_given_up = |holes: &Holes| holes.get(&prefix.last().end_address) == Some(&true);
        let was_named = hole <= upto && log.has(&prefix.last()) && holes.is_some_and(is_given_up);
        if was_there || was_named {
            self.note_cut(moment, node, Medium::Durable, hole, Cause::Detected);
        }
        if cause == Cause::Detected || self.nodes[node as usize].holes.is_some() {
            self.nodes[node as usize].sees(&image.damaged_addresses());
        }
        self.becomes(moment, node, Medium::Durable, prefix, cause);
    }

    /// The disk's own account. Term and vote that a disk lied about count as stored, as
    /// entries do.
    fn read_state(&mut self, moment: Moment, disk: &DiskModel, node: NodeId, cause: Cause) {
        let has_lied = self.has_lied(disk, node);
        let view = match self.media.hard_state {
            Medium::Durable if !has_lied => View::Durable,
            _ => View::Cached,
        };
        let mut state = hard_state(disk, view);
        let cached = hard_state(disk, View::Cached);
        let known = &mut self.nodes[node as usize];
        let stands = |path| {
            atomic_file_bytes(disk, path, View::Durable)
                == atomic_file_bytes(disk, path, View::Cached)
        };
        known.named_disk = disk_id(disk, View::Cached).or(known.named_disk);
        // A file that got its name durably, and whose sector was bad by then, has the
        // id that its replica wrote: the bad sector is no fault of the replica's.
        let spoilt_id = || known.named_disk.filter(|_| stands(IDENTITY_FILE));
        let id = disk_id(disk, View::Durable).or_else(spoilt_id);
        let is_behind = state != cached || id != known.named_disk;
        known.named_state = cached.or(known.named_state);
        known.is_renamed &= is_behind;
        if let Some(disk) = id
            && id != known.disk
        {
            (known.disk, known.state) = (id, None);
            self.cluster.note(moment, Fact::Disk { node, disk });
        }
        let known = &mut self.nodes[node as usize];
        known.is_spoiled &= state.is_none() || cached.is_none();
        if known.is_spoiled && state.is_none() {
            // The newest one got its name durably, and its sector was bad by then: that
            // is no fault of the replica's.
            if !stands(HARD_STATE_FILE) || known.named_state.is_none() {
                return;
            }
            state = known.named_state;
        }
        if known.disk.is_some() && known.state != state {
            known.state = state;
            self.cluster
                .note(moment, Fact::HardState { node, state, cause });
        }
    }

    /// The durable log grows by what the cached one has up to there.
    fn catches_up(&mut self, moment: Moment, node: NodeId, end_address: u64) {
        let (medium, cached) = (Medium::Durable, Medium::Cached);
        loop {
            let durable = self.cluster.log(node, medium).last();
            let log = self.cluster.log(node, cached);
            let within = |next: &LogEntry| next.head.end_address <= end_address;
            let next = log.entry(durable.index + 1).filter(within);
            // Where the cached log lacks the durable one's end, that was cut, and
            // the cut is not durable yet.
            let Some(entry) = next.filter(|_| log.has(&durable)) else {
                return;
            };
            self.appended(moment, node, medium, entry);
        }
    }

    /// A log is what was read off the bytes: the difference, as facts.
    fn becomes(
        &mut self,
        moment: Moment,
        node: NodeId,
        medium: Medium,
        image: Image,
        cause: Cause,
    ) {
        let log = self.cluster.log(node, medium);
        let (base, last) = (log.base(), log.last());
        let overlaps = image.base.index <= last.index
            && base.index <= image.last().index
            && log.has(&image.base);
        let is_new = |entry: &&LogEntry| entry.head.index > base.index && !log.has(&entry.head);
        let first_new = image.entries.iter().find(is_new);
        let from_index = match first_new {
            Some(entry) => entry.head.index,
            None => image.last().index + 1,
        };
        if from_index <= last.index {
            let from_index = from_index.max(base.index + 1);
            if (medium, cause) == (Medium::Cached, Cause::Replica) {
                self.note_taken(moment, node, from_index);
            }
            self.note_cut(moment, node, medium, from_index, cause);
        }
        let behind = if overlaps {
            from_index
        } else {
            self.rebase(moment, node, medium, &image, cause);
            image.base.index + 1
        };
        let new = image.entries.into_iter();
        for entry in new.filter(|entry| entry.head.index >= behind) {
            self.appended(moment, node, medium, entry);
        }
    }
}
