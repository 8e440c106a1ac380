//! Limits of a search, and the ones that have a name.

/// How a search begins. Each is a state that the rules lead to, so that what is found
/// from there is real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// All disks are new, and nobody leads.
    Cold,
    /// Node 0 leads term 1, and its first entry is committed, durable and known as that on
    /// all nodes.
    Led,
}

/// Limits of a search. What happens at most so often is counted over a whole path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Voters at first.
    pub voters: u64,
    /// Further nodes, which are learners at first.
    pub learners: u64,
    /// The state from which everything goes out.
    pub begin: Begin,
    /// A replica in this term does not stand any more.
    pub terms: u64,
    /// Entries that clients send.
    pub entries: u64,
    /// Power losses.
    pub crashes: u64,
    /// Durable ends of logs that do not verify any more.
    pub tears: u64,
    /// Ranges of durable entries that cannot be read any more.
    pub rots: u64,
    /// Disks that are replaced by blank ones.
    pub wipes: u64,
    /// Nodes that may lose what was durable, beyond the smallest minority: with any, something
    /// is bound to be lost.
    pub harmed_beyond: u64,
    /// Messages that arrive and stay under way.
    pub repeats: u64,
    /// Messages that stay under way although the sender has said something newer of
    /// the same kind to the same receiver.
    pub lates: u64,
    /// Leaders that step down, since they hear no majority.
    pub step_downs: u64,
    /// Election timeouts after which nobody answers.
    pub unheard: u64,
    /// Heartbeats that come while an append or its answer is under way; the older append is
    /// lost.
    pub losses: u64,
    /// Changes of members.
    pub changes: u64,
    /// Logs whose committed beginning is dropped.
    pub drops: u64,
    /// Entries in one append.
    pub append_entries: u64,
    /// A save of term and vote is a step of its own. Otherwise it ends within the step
    /// that began it, or is lost with the power in that step.
    pub slow_saves: bool,
    /// A sync begins in one step and ends in another.
    pub slow_syncs: bool,
    /// Refusals of earlier terms arrive, which tell of a later term and of nothing else.
    pub refusals: bool,
    /// Promises count that only a look inside can tell (see
    /// [`Promise::is_inside`](super::Promise::is_inside)).
    pub inside: bool,
    /// Steps of a path.
    pub depth: u64,
    /// CPU seconds of the search.
    pub cpu_s: u64,
}

impl Bounds {
    /// The ones of that name.
    ///
    /// - `elections`: three nodes, no client, one power loss; searched to the end in seconds.
    /// - `gate`: three nodes and every kind of step, to a depth that takes seconds.
    /// - `3`: three nodes, one entry of a client, a power loss, a torn end and a hole.
    /// - `3+1`, `4`, `4+1`: voters and learners, and two changes of members.
    /// - `5`: five nodes, as `3`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let three = Self {
            voters: 3,
            learners: 0,
            begin: Begin::Led,
            terms: 2,
            entries: 1,
            crashes: 1,
            tears: 1,
            rots: 1,
            wipes: 0,
            harmed_beyond: 0,
            repeats: 1,
            lates: 0,
            step_downs: 1,
            unheard: 0,
            losses: 1,
            changes: 0,
            drops: 0,
            append_entries: 2,
            slow_saves: false,
            slow_syncs: false,
            refusals: false,
            inside: true,
            depth: u64::MAX,
            cpu_s: 600,
        };
        let members = Self {
            terms: 3,
            entries: 0,
            crashes: 0,
            tears: 0,
            rots: 0,
            repeats: 0,
            step_downs: 0,
            losses: 0,
            changes: 2,
            ..three.clone()
        };
        Some(match name {
            "gate" => Self {
                wipes: 1,
                unheard: 1,
                changes: 1,
                drops: 1,
                depth: 5,
                ..three
            },
            "elections" => Self {
                entries: 0,
                tears: 0,
                rots: 0,
                repeats: 0,
                step_downs: 0,
                losses: 0,
                ..three
            },
            "3" => Self { cpu_s: 60, ..three },
            "3+1" => Self {
                learners: 1,
                ..members
            },
            "4" => Self {
                voters: 4,
                ..members
            },
            "4+1" => Self {
                voters: 4,
                learners: 1,
                ..members
            },
            "5" => Self { voters: 5, ..three },
            _ => return None,
        })
    }

    /// The names of [`Bounds::named`].
    pub const NAMES: [&'static str; 7] = ["elections", "gate", "3", "3+1", "4", "4+1", "5"];

    /// All nodes.
    #[must_use]
    pub fn nodes(&self) -> u64 {
        self.voters + self.learners
    }
}
