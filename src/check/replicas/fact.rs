//! The facts that a white-box tracker saw of replicas: bytes on disks and between
//! brokers, in the words of the guarantee.

use std::collections::BTreeMap;
use std::fmt;

/// Where something happened in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Nanoseconds since the start of the run.
    pub at_ns: u64,
    /// The event of the simulator: finer than time.
    pub event: u64,
}

/// "A replica is (node id, disk id, incarnation)" (D13): a replaced disk makes
/// another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Replica {
    /// The broker's number.
    pub node: u32,
    /// Its disk's id.
    pub disk: u64,
}

/// An entry's place in the log, and which one it is: the hash covers the record
/// and the hash of the entry before, so equal heads have equal logs below them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// Its number, from 1; 0: nothing.
    pub index: u64,
    /// The term it was appended in.
    pub term: u64,
    /// Its hash.
    pub hash: u64,
    /// One past its last log address.
    pub end_address: u64,
}

impl Head {
    /// "(term, hash)": whether both are the same entry.
    pub fn is(&self, other: &Self) -> bool {
        (self.index, self.term, self.hash) == (other.index, other.term, other.hash)
    }
}

/// An entry as it stands in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The entry.
    pub head: Head,
    /// The replicas with a seat from here on, where it says so (D15).
    pub seats: Option<Seats>,
    /// The log address below which all has expired, where it says so (D30).
    pub expired_address: Option<u64>,
}

/// A configuration: n seats, each with the disk that votes and acknowledges, or
/// with none while the seat "is being replaced", which "keeps counting in n".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seats(pub BTreeMap<u32, Option<u64>>);

impl Seats {
    /// ⌊n/2⌋+1.
    pub fn quorum(&self) -> usize {
        self.0.len() / 2 + 1
    }

    /// f: the minority size.
    pub fn minority(&self) -> usize {
        self.0.len().saturating_sub(1) / 2
    }

    /// Those that vote and acknowledge.
    pub fn voters(&self) -> impl Iterator<Item = Replica> {
        let seats = self.0.iter();
        seats.filter_map(|(node, disk)| disk.map(|disk| Replica { node: *node, disk }))
    }

    /// Whether that replica votes and acknowledges.
    pub fn has_voter(&self, replica: Replica) -> bool {
        self.0.get(&replica.node) == Some(&Some(replica.disk))
    }
}

/// The promise of a replica about terms (D1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HardState {
    /// The newest term it takes part in.
    pub term: u64,
    /// The candidate that it voted for in that term.
    pub vote: Option<Replica>,
}

/// Where bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Medium {
    /// In the page cache.
    Cached,
    /// On the disk.
    Durable,
}

impl Medium {
    /// The state of bytes on this medium.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::Durable => "synced",
        }
    }
}

/// Why something is gone from a log or a hard state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The replica did it.
    Replica,
    /// A fault that the replica can tell: a blank disk, a bad sector. Within the
    /// budget it costs nothing.
    Detected,
    /// The power went. It takes what was not synced, and nothing else.
    Crash,
    /// A fault that it cannot tell: what its disk lied about, an older image.
    Silent,
}

/// A fact that a tracker saw of replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The node has this disk, formatted and with nothing on it.
    Disk {
        /// The node.
        node: u32,
        /// The disk's id.
        disk: u64,
    },
    /// A log got longer by an entry.
    Appended {
        /// The node.
        node: u32,
        /// The one of its two logs.
        medium: Medium,
        /// The entry; its index follows the last one's.
        entry: LogEntry,
    },
    /// The disk said that all up to there is durable, and it is not: a lie, or a
    /// bad sector below that nobody has met.
    Believed {
        /// The node.
        node: u32,
        /// The last index.
        index: u64,
    },
    /// A log lost its end.
    Cut {
        /// The node.
        node: u32,
        /// The one of its two logs.
        medium: Medium,
        /// The first index that is gone.
        from_index: u64,
        /// Why.
        cause: Cause,
    },
    /// The node stored a base: what all up to an entry amounts to, in place of
    /// these entries (D8).
    Stands {
        /// The node.
        node: u32,
        /// The last entry that it stands for.
        base: Head,
        /// Digest of what it says.
        digest: u64,
    },
    /// The node stored the base of a cluster that begins: its first configuration.
    Founded {
        /// The node.
        node: u32,
        /// The replicas that have a seat.
        seats: Seats,
    },
    /// A log begins anew behind an entry that it does not hold: a base stands for
    /// what is below.
    Based {
        /// The node.
        node: u32,
        /// The one of its two logs.
        medium: Medium,
        /// The entry below which nothing is needed.
        base: Head,
        /// The configuration there, where it is known.
        seats: Option<Seats>,
        /// Why it is another log.
        cause: Cause,
    },
    /// A hard state is durable, or cached where the configuration does not sync
    /// it; `None`: there is none (any more).
    HardState {
        /// The node.
        node: u32,
        /// The state that it holds.
        state: Option<HardState>,
        /// Why it changed.
        cause: Cause,
    },
    /// The node sent an append as the leader of that term.
    Leads {
        /// The node.
        node: u32,
        /// The term.
        term: u64,
    },
    /// The node sent, as the leader of that term, an entry that says who has a
    /// seat: it has it in its log, whatever it has written of that.
    Seated {
        /// The node.
        node: u32,
        /// The term.
        term: u64,
        /// The entry's index.
        index: u64,
        /// The replicas that have a seat from there on (D15).
        seats: Seats,
    },
    /// The node granted its vote.
    Voted {
        /// The node.
        node: u32,
        /// In which term.
        term: u64,
        /// To whom.
        candidate: Replica,
    },
    /// The node answered an append: it has the leader's log up to there.
    Answered {
        /// The node.
        node: u32,
        /// In which term.
        term: u64,
        /// The last index.
        matched: u64,
    },
    /// The node sent a message to another one, in the name of this disk.
    Spoke {
        /// The node.
        node: u32,
        /// The disk.
        disk: u64,
    },
    /// The node announced that its disk is blank.
    Announced {
        /// The node.
        node: u32,
        /// The disk.
        disk: u64,
    },
    /// The node told its operator that no majority of disks is left.
    Halted {
        /// The node.
        node: u32,
        /// The nodes whose disks it calls blank.
        named: Vec<u32>,
        /// Where the configuration stands by which they are too many.
        seats_index: u64,
        /// The leader that it heard so lately that it must follow it, and the term that
        /// one leads.
        heard: Option<(u32, u64)>,
    },
    /// The node stored the state that applying the log up to there gives.
    Applied {
        /// The node.
        node: u32,
        /// The last index applied.
        index: u64,
        /// Digest of the state.
        digest: u64,
    },
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.node)
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            index, term, hash, ..
        } = self;
        if *index == 0 {
            return f.write_str("nothing");
        }
        write!(f, "entry {index} of term {term} ({:08x})", hash >> 32)
    }
}
