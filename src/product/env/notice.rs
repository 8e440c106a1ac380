//! Notices: everything that a broker tells its operator, as data.
//!
//! Promise: a notice is a value first and a sentence second. A judge of a broker's
//! deeds matches on the variant; nobody reads words.
//!
//! To add one, add a row to the table below: its doc, its name, its data, its
//! level and its words. `Display` and [`Notice::level`] follow from the row. Data
//! that the words leave out is there for those who match.

use std::fmt;

/// How much a notice asks of the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing: it is good to know.
    Info,
    /// A look: something failed that mends itself.
    Warning,
    /// A decision: it does not mend itself.
    Error,
}

macro_rules! notices {
    ($(
        $(#[$doc:meta])*
        $name:ident $({ $($(#[$field_doc:meta])* $field:ident: $kind:ty),* $(,)? })?
        $level:ident $words:literal;
    )*) => {
        /// One thing that a broker tells its operator: what was found, what failed,
        /// what to do.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Notice {
            $($(#[$doc])* $name $({ $($(#[$field_doc])* $field: $kind),* })?,)*
        }

        impl Notice {
            /// How much it asks of the operator.
            pub fn level(&self) -> Level {
                match self {
                    $(Self::$name { .. } => Level::$level,)*
                }
            }
        }

        impl fmt::Display for Notice {
            fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name $({ $($field),* })? => {
                        $($(let _ = $field;)*)?
                        write!(to, $words)
                    })*
                }
            }
        }
    };
}

notices! {
    /// The log was opened.
    LogOpened {
        /// How it had been closed.
        stop: Stop,
        /// How it ended.
        end: FoundEnd,
        /// The entries that were copied because nothing proved them durable.
        copied: FoundTail,
    } Info "log opened {stop}{end}{copied}";
    /// Something stands among the log's files that is none of them.
    StrayFile {
        /// The file, and its place now.
        what: String,
    } Warning "{what}";
    /// A cluster is not founded yet (D13).
    FoundingWaits {
        /// The missing replicas, and the operator's part.
        why: String,
        /// Nodes whose blank disks were formatted as replacements, once everybody has
        /// answered: only their operator can end the wait.
        replacements: Vec<u64>,
    } Warning "{why}";
    /// A cluster began, with this disk among its first ones (D13).
    Founded {
        /// The nodes.
        nodes: Vec<u64>,
    } Info "the cluster is founded by brokers {nodes:?}";
    /// A disk that was formatted as a first one found a cluster (D13).
    StoodBack Info "there is a cluster already, and this disk is none of those that began it: it \
                    waits to be let in, as a replacement";
    /// The snapshot of the applied state does not verify, and is made again.
    StateUnreadable {
        /// Its file.
        path: &'static str,
        /// The reason.
        why: String,
    } Warning "{path} is unreadable ({why}); it is made again from the log";
    /// Something derived does not verify: all of it is made again.
    DerivedUnreadable {
        /// The reason.
        why: String,
        /// From what it is made.
        from: MadeFrom,
    } Warning "{why}; everything derived is made again from the {from}";
    /// Entries that had been synced do not verify: other replicas are asked.
    EntriesDamaged {
        /// The first one's index.
        from_index: u64,
        /// One past the last one's.
        upto_index: u64,
    } Warning "entries {from_index}..{upto_index} are damaged; they are asked for";
    /// Something has been waited for for long, which only others can give. Said again
    /// while it is.
    Waits {
        /// For how long, seconds.
        for_s: u64,
        /// The thing waited for, and the way to end the wait.
        what: WaitedFor,
    } Warning "for {for_s} s: {what}";
    /// A small file did not say any more what this replica knows (D28).
    OwnFileRewritten {
        /// The file.
        path: &'static str,
    } Warning "{path} did not say any more what it should, and was written again: its sectors \
               rot; think of replacing the disk";
    /// The store is closed and opened again.
    StoreReopened {
        /// For which reason.
        reason: Reopening,
        /// In words.
        why: String,
    } Warning "{why}; the store is opened again";
    /// Too little room is left for messages.
    DiskFull {
        /// Bytes left for what goes on.
        left_bytes: u64,
    } Error "the disk is full: sends are refused, pulls are served, and offsets and decisions are \
             taken for another {left_bytes} bytes. Free space, or shorten the retention";
    /// Something was taken into the log while sends are refused because the disk is full.
    GoesOnWhileFull {
        /// Bytes left for more of it.
        left_bytes: u64,
    } Info "the disk is full, and offsets and decisions go on: {left_bytes} bytes are left for them";
    /// A store could not be opened because the disk is full, and got the reserve.
    ReserveUsed {
        /// Its bytes.
        held_bytes: u64,
    } Error "no room is left to open the store: the reserve of {held_bytes} bytes is given back";
    /// A stop could not record that it was a clean one.
    StopUnrecorded {
        /// The failure.
        why: String,
    } Warning "{why}; the stop is not recorded as a clean one. Nothing is lost: the next start \
               recovers from the log, as after a crash";
    /// The process may hold few descriptors.
    FewDescriptors {
        /// How many.
        limit: u64,
        /// How many a broker with a few clients needs.
        wanted: u64,
    } Warning "the process may hold only {limit} file descriptors, and a broker with a few clients \
               needs {wanted}: raise its limit (`ulimit -n`, LimitNOFILE)";
    /// Something failed though nothing is damaged: only that request is refused.
    TriedAgain {
        /// The failure, and its cure.
        why: String,
    } Warning "{why}; it is tried again";
    /// A message whose delay is over cannot be stored in its queue. It waits until the
    /// broker is started again.
    NotDelivered {
        /// Where it waits, a log address.
        address: u64,
        /// The obstacle.
        why: String,
    } Error "the message that waits at log address {address} cannot be delivered: {why}. It is \
             kept, and tried again at the next start";
    /// The state is too long for a base: what has expired stays.
    StateTooLong {
        /// How long, bytes.
        state_bytes: u64,
        /// The longest base, bytes.
        base_bytes_max: u64,
    } Error "the state takes {state_bytes} bytes, more than a base that others could be given \
             ({base_bytes_max}): nothing of the log goes";
    /// A base came that is none.
    BaseRefused {
        /// The sender.
        node: u64,
        /// The reason.
        why: String,
    } Warning "the base that node {node} sent is none: {why}";
    /// Clients ask for what is not served here. Said once for each kind.
    NotServed {
        /// The code by which it is refused.
        code: i32,
        /// The request.
        what: String,
    } Warning "a client asks for what is not served, and is refused with code {code}: {what}";
    /// This broker leads its cluster.
    LeaderElected {
        /// Since this term.
        term: u64,
    } Info "leads since term {term}";
    /// This broker led its cluster.
    LeaderSteppedDown {
        /// In this term.
        term: u64,
        /// It heard no majority of replicas for an election timeout.
        unheard: bool,
    } Info "led in term {term} and no longer does";
    /// This replica got a vote.
    Promoted Info "promoted: votes and counts from now on";
    /// This replica has a vote no more.
    Demoted Info "neither votes nor counts any more";
    /// The uncertain tail of the log is resolved (D12).
    TailCertain Info "nothing in the log is uncertain any more";
    /// Too many disks are gone for a majority (D16).
    Halted {
        /// The nodes that announced blank disks.
        blank_nodes: Vec<u64>,
        /// The log index of the configuration that they are a majority of; 0: the
        /// replica is blank itself.
        configuration_index: u64,
    } Error "halted: the disks of nodes {blank_nodes:?} are blank, and no majority of disks is \
             left; what they alone held is lost. `recover --unsafe` goes on without them";
}

/// Something that a replica cannot go on without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitedFor {
    /// Entries that it cannot read.
    Entries {
        /// The first one's index.
        from_index: u64,
        /// One past the last one's.
        upto_index: u64,
        /// The nodes that are asked.
        nodes: Vec<u64>,
    },
    /// The word of others on what stood behind the end of its log (D12).
    Word {
        /// The first uncertain index.
        from_index: u64,
        /// The nodes that have not answered.
        nodes: Vec<u64>,
    },
    /// A leader that lets its blank disk in (D14).
    LettingIn {
        /// The nodes that may know one.
        nodes: Vec<u64>,
    },
    /// A leader.
    Leader {
        /// The nodes of which a majority elects one.
        nodes: Vec<u64>,
    },
}

impl fmt::Display for WaitedFor {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entries {
                from_index,
                upto_index,
                nodes,
            } => write!(
                to,
                "waits for entries {from_index}..{upto_index}, which cannot be read here, from any of \
                 nodes {nodes:?}; nothing is served before they come. Start every one of them that is \
                 down, and see that they reach this node"
            ),
            Self::Word { from_index, nodes } => write!(
                to,
                "waits for the word of nodes {nodes:?} on what stood here from entry {from_index} on; \
                 until then it leads nobody. Start those that are down; where one's disk is gone for \
                 good, put in a blank one and format it as a replacement: that is an answer, too"
            ),
            Self::LettingIn { nodes } => write!(
                to,
                "waits with a blank disk for a leader among nodes {nodes:?} to let it in. A majority \
                 of them has to be up and to reach each other and this node"
            ),
            Self::Leader { nodes } => write!(
                to,
                "knows no leader: a majority of nodes {nodes:?} has to be up and to reach each other. \
                 Start those that are down"
            ),
        }
    }
}

/// How a log had been closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// By a clean stop.
    Clean,
    /// By none.
    Crash,
}

impl fmt::Display for Stop {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Clean => "after a clean stop",
            Self::Crash => "after a crash",
        })
    }
}

/// How a log ended that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundEnd {
    /// Nothing stood behind the last entry.
    Clean,
    /// Something that does not verify was cut off.
    Cut {
        /// The log address of the cut.
        address: u64,
        /// The file.
        path: String,
        /// Where in the file.
        position: u64,
        /// The error that was found in it.
        flaw: String,
    },
}

impl fmt::Display for FoundEnd {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean => Ok(()),
            Self::Cut {
                address,
                path,
                position,
                flaw,
            } => write!(
                to,
                ", cut at address {address}: {flaw} at {path} position {position}, \
                 torn by a crash or rotten since"
            ),
        }
    }
}

/// How much of a log was copied to fresh sectors (D24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundTail {
    /// Nothing: all of it was proved durable.
    Durable,
    /// The tail.
    Copied {
        /// The first entry's log address.
        from_address: u64,
        /// The last one's end.
        upto_address: u64,
        /// How many.
        entries: u64,
    },
}

impl fmt::Display for FoundTail {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Durable => Ok(()),
            Self::Copied {
                from_address,
                upto_address,
                entries,
            } => write!(
                to,
                ", {entries} entries of {from_address}..{upto_address} copied to fresh sectors"
            ),
        }
    }
}

/// The ground on which everything derived is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MadeFrom {
    /// The log.
    Log,
    /// A replica's base.
    Base,
}

impl fmt::Display for MadeFrom {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Log => "log",
            Self::Base => "base",
        })
    }
}

/// The reason for which a store is opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reopening {
    /// The disk failed, or something stored did not verify.
    Failure,
    /// There was no room left.
    Full,
    /// A queue does not say what the log does: it is made again from it.
    QueueDamaged,
    /// A base was stored, where the log begins anew (D8).
    BaseInstalled,
    /// Damaged entries were filled in from another replica (D12).
    Repaired,
    /// More is damaged than was known.
    Damaged,
    /// A segment's header does not verify: it is made anew (D28).
    CorruptHeader,
    /// Others were committed in place of damaged entries.
    Superseded,
    /// The founder of the cluster asks a disk that had stood back (D13).
    FoundingAgain,
    /// A leader has other entries than were committed here, where nothing promised
    /// that they last.
    Overruled,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_level_follow_from_the_row() {
        let cut = FoundEnd::Cut {
            address: 96,
            path: "commitlog/0".to_owned(),
            position: 4096,
            flaw: "a checksum differs".to_owned(),
        };
        let opened = Notice::LogOpened {
            stop: Stop::Crash,
            end: cut,
            copied: FoundTail::Copied {
                from_address: 0,
                upto_address: 96,
                entries: 2,
            },
        };
        assert_eq!(
            opened.to_string(),
            "log opened after a crash, cut at address 96: a checksum differs at commitlog/0 \
             position 4096, torn by a crash or rotten since, 2 entries of 0..96 copied to fresh \
             sectors"
        );
        assert_eq!(opened.level(), Level::Info);
        let halted = Notice::Halted {
            blank_nodes: vec![1, 2],
            configuration_index: 0,
        };
        assert!(halted.to_string().contains("nodes [1, 2] are blank"));
        assert_eq!(halted.level(), Level::Error);
    }
}
