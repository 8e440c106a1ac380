//! A script of single steps, told line by line with a column for each replica.
//!
//! ```text
//!   L2 1 2|2 3~     leads term 2; entries of terms 1, 2, 2, 3; two committed as
//!                   far as it knows; the last not durable
//!   F C P B         follows, stands, asks before standing, is blank
//!   F3 1 …?         nobody knows what stood there
//!   #               off
//!   ·               as before
//! ```
//!
//! Every replica has a clock of its own, so a deadline comes to one alone; and
//! a message waits until it is told to arrive.

use std::fmt::Write as _;

use super::cluster::{Cluster, Flight, Node};
use crate::raft::{Input, Message, Raft, Role};

pub(super) struct Script {
    pub(super) cluster: Cluster,
    late: Vec<Flight>,
    columns: Vec<String>,
    text: String,
}

/// Width of what happened, and of a column.
const WIDTHS: (usize, usize) = (50, 17);

impl Script {
    pub(super) fn new(n: u64) -> Self {
        let mut script = Self {
            cluster: Cluster::new(n, 7),
            late: Vec::new(),
            columns: vec![String::new(); usize::try_from(n).expect("few")],
            text: String::new(),
        };
        let heads = (0..n).map(|node| format!("{node:<width$}", width = WIDTHS.1));
        let heads: String = heads.collect();
        let _ = writeln!(
            script.text,
            "{:width$}{}",
            "",
            heads.trim_end(),
            width = WIDTHS.0
        );
        script.line("all formatted");
        script
    }

    pub(super) fn told(self) -> String {
        self.text
    }

    /// A remark.
    pub(super) fn say(&mut self, words: &str) {
        let _ = writeln!(self.text, "\n-- {words}");
    }

    fn line(&mut self, what: &str) {
        let mut line = format!("{what:<width$}", width = WIDTHS.0);
        for (node, place) in &self.cluster.nodes {
            let now = column(place);
            let before = &mut self.columns[*node as usize];
            let shown = if *before == now { "·" } else { &now };
            let _ = write!(line, "{shown:<width$}", width = WIDTHS.1);
            *before = now;
        }
        let _ = writeln!(self.text, "{}", line.trim_end());
        for told in std::mem::take(&mut self.cluster.told) {
            let _ = writeln!(self.text, "    ! {told}");
        }
    }

    /// Its deadline comes.
    pub(super) fn timeout(&mut self, node: u64) {
        self.let_deadline_come(node);
        self.line(&format!("{node} waits in vain"));
    }

    fn let_deadline_come(&mut self, node: u64) {
        let deadline_ns = self.cluster.raft(node).expect("it is on").deadline_ns();
        let now_ns = self.cluster.now_ns;
        let place = self.cluster.node(node);
        place.ahead_ns = place.ahead_ns.max(deadline_ns.saturating_sub(now_ns));
        self.cluster.step(node, Input::Timeout, &[]);
    }

    /// It has not heard of a leader for so long that it is free to vote.
    pub(super) fn forget_leader(&mut self, node: u64) {
        let now_ns = self.cluster.now_ns;
        let timeout_ns = self.cluster.settings.election_timeout_ns;
        let heard_ns = self
            .cluster
            .raft(node)
            .and_then(|raft| raft.leader_heard_ns);
        if let Some(heard_ns) = heard_ns {
            let place = self.cluster.node(node);
            let free_ns = (heard_ns + timeout_ns).saturating_sub(now_ns);
            place.ahead_ns = place.ahead_ns.max(free_ns);
        }
    }

    /// Messages between the two that are under way arrive, oldest first, one
    /// line each.
    pub(super) fn arrive(&mut self, from: u64, to: u64) {
        for flight in self.take(from, to) {
            let what = format!("{from} → {to}  {}", words(&flight));
            self.cluster.arrive(flight);
            self.line(&what);
        }
    }

    /// The same, untold.
    fn carry(&mut self, from: u64, to: u64) {
        for flight in self.take(from, to) {
            self.cluster.arrive(flight);
        }
    }

    fn take(&mut self, from: u64, to: u64) -> Vec<Flight> {
        let bag = std::mem::take(&mut self.cluster.bag);
        let meant = |flight: &Flight| flight.from.node == from && flight.to.node == to;
        let (taken, left) = bag.into_iter().partition(meant);
        self.cluster.bag = left;
        taken
    }

    /// Messages between the two are lost.
    pub(super) fn lose(&mut self, from: u64, to: u64) {
        self.take(from, to);
    }

    /// All messages under way are lost.
    pub(super) fn lose_all(&mut self) {
        self.cluster.bag.clear();
    }

    /// Messages between the two are late.
    pub(super) fn delay(&mut self, from: u64, to: u64) {
        let taken = self.take(from, to);
        self.late.extend(taken);
    }

    /// The late messages arrive.
    pub(super) fn arrive_late(&mut self, from: u64, to: u64) {
        let late = std::mem::take(&mut self.late);
        let meant = |flight: &Flight| flight.from.node == from && flight.to.node == to;
        let (taken, left): (Vec<_>, Vec<_>) = late.into_iter().partition(meant);
        self.late = left;
        for flight in taken {
            let what = format!("{from} → {to}  late: {}", words(&flight));
            self.cluster.arrive(flight);
            self.line(&what);
        }
    }

    /// Its hard state becomes durable.
    pub(super) fn save(&mut self, node: u64) {
        if self.cluster.save(node) {
            let hard = self.cluster.nodes[&node].disk.hard;
            let vote = hard
                .vote
                .map_or(String::new(), |vote| format!(", vote {}", vote.node));
            self.line(&format!("{node} saved term {}{vote}", hard.term));
        }
    }

    /// Its log becomes durable.
    pub(super) fn sync(&mut self, node: u64) {
        self.cluster.begin_sync(node);
        self.cluster.end_sync(node);
        self.line(&format!("{node} synced"));
    }

    /// It takes an entry from a client.
    pub(super) fn propose(&mut self, node: u64) {
        assert!(self.cluster.propose(node), "{node} does not lead");
        let last = self.cluster.nodes[&node].disk.last();
        self.line(&format!("{node} appends {last}"));
    }

    /// `node` stands, `voters` vote for it, and it appends its no-op. Other
    /// messages wait.
    pub(super) fn elect(&mut self, node: u64, voters: &[u64]) {
        self.try_elect(node, voters);
        assert_eq!(self.cluster.role(node), Some(Role::Leader), "{}", self.text);
    }

    pub(super) fn try_elect(&mut self, node: u64, voters: &[u64]) {
        self.let_deadline_come(node);
        // Pre-vote, then vote.
        for voter in voters.iter().chain(voters) {
            if self.cluster.role(node) != Some(Role::Leader) {
                self.forget_leader(*voter);
                self.carry(node, *voter);
                self.cluster.save(*voter);
                self.carry(*voter, node);
                self.cluster.save(node);
            }
        }
        self.cluster.bag.retain(|flight| {
            !matches!(
                flight.message,
                Message::PreVote { .. } | Message::Vote { .. }
            )
        });
        let term = self.cluster.raft(node).expect("it is on").term();
        let outcome = match self.cluster.role(node) {
            Some(Role::Leader) => "leads",
            _ => "does not lead",
        };
        let names: Vec<String> = voters.iter().map(u64::to_string).collect();
        self.line(&format!(
            "{node} asks {} and {outcome} (term {term})",
            names.join(", ")
        ));
    }

    /// The follower takes what the leader has for it, syncs and answers.
    pub(super) fn replicate(&mut self, leader: u64, follower: u64) {
        self.cluster.save(follower);
        for _ in 0..8 {
            self.arrive(leader, follower);
            if self.cluster.save(follower) {
                continue;
            }
            let disk = &self.cluster.nodes[&follower].disk;
            if disk.durable_index < disk.last().index {
                self.sync(follower);
            }
            self.arrive(follower, leader);
        }
    }

    /// The leader's next heartbeat is due.
    pub(super) fn beat(&mut self, leader: u64) {
        self.let_deadline_come(leader);
        self.line(&format!("{leader}'s heartbeat is due"));
    }

    /// The power fails; what was not durable is gone.
    pub(super) fn crash(&mut self, node: u64) {
        self.cluster.crash(node, 0, false);
        self.line(&format!("{node} loses power"));
    }

    /// The process is killed and starts again: it reads back what it had cached,
    /// and none of that is durable (D24).
    pub(super) fn kill(&mut self, node: u64) {
        self.cluster.start(node);
        self.line(&format!("{node} is killed and starts again"));
    }

    pub(super) fn sync_if_needed(&mut self, node: u64) {
        let disk = &self.cluster.nodes[&node].disk;
        if disk.durable_index < disk.last().index {
            self.sync(node);
        }
    }

    pub(super) fn restart(&mut self, node: u64) {
        self.cluster.start(node);
        self.line(&format!("{node} starts"));
    }

    /// The disk is gone; a new one with this name is put in, and formatted as a
    /// replacement.
    pub(super) fn replace(&mut self, node: u64, disk: u64) {
        self.cluster.replace(node, disk);
        self.cluster.start(node);
        self.line(&format!("{node}'s disk is destroyed and replaced"));
    }

    /// The log does not verify from there on.
    pub(super) fn tear(&mut self, node: u64, from_index: u64) {
        self.cluster.crash(node, 0, false);
        self.cluster.tear(node, from_index);
        self.cluster.start(node);
        self.line(&format!("{node} starts; its log is torn from {from_index}"));
    }

    pub(super) fn compact(&mut self, node: u64, upto_index: u64) {
        let base = self.cluster.node(node).disk.drop_to(upto_index);
        self.cluster.step(node, Input::Dropped { base }, &[]);
        self.line(&format!("{node} drops its log up to {upto_index}"));
    }

    /// The index up to which that replica knows entries to be committed.
    #[track_caller]
    pub(super) fn assert_commit(&self, node: u64, index: u64) {
        let commit_index = self.cluster.raft(node).map_or(0, Raft::commit_index);
        assert_eq!(commit_index, index, "of {node}, in\n{}", self.text);
    }
}

/// A replica in a word.
fn column(place: &Node) -> String {
    let Some(raft) = &place.raft else {
        return "#".to_owned();
    };
    let role = match raft.role() {
        Role::Blank => return format!("B{}", raft.term()),
        Role::Follower => 'F',
        Role::PreCandidate => 'P',
        Role::Candidate => 'C',
        Role::Leader => 'L',
    };
    let mut column = format!("{role}{} ", raft.term());
    let (base, disk) = (raft.log().base().index, &place.disk);
    if base > 0 {
        let _ = write!(column, "[..{base}]");
    }
    let committed = raft.commit_index();
    for entry in &disk.log {
        let id = entry.head.id;
        let gap = match id.index - 1 {
            index if index == committed && index > 0 => "|",
            0 => "",
            _ => " ",
        };
        let unsynced = if id.index > disk.durable_index {
            "~"
        } else {
            ""
        };
        let _ = write!(column, "{gap}{}{unsynced}", id.term);
    }
    if committed > 0 && committed == disk.last().index {
        column.push('|');
    }
    if raft.hard_state().uncertain_tail.is_some() {
        column.push_str(" …?");
    }
    column
}

/// A message in words.
fn words(flight: &Flight) -> String {
    let term = flight.term;
    match &flight.message {
        Message::PreVote { next_term, last } => {
            format!("would you vote in {next_term}? last {last}")
        }
        Message::PreVoteAnswer { granted: true, .. } => "would".to_owned(),
        Message::PreVoteAnswer { granted: false, .. } => "would not".to_owned(),
        Message::Vote { last, .. } => format!("vote for me in {term}, last {last}"),
        Message::VoteAnswer { granted: true } => format!("you have my vote in {term}"),
        Message::VoteAnswer { granted: false } => format!("no vote (term {term})"),
        Message::Append(append) => match append.heads.last() {
            None => format!(
                "heartbeat behind {}, commit {}",
                append.prev, append.commit_index
            ),
            Some(last) => format!("append {last} behind {}", append.prev, last = last.id),
        },
        Message::AppendAnswer(answer) if answer.accepted => {
            format!("have up to {} (term {term})", answer.matched_index)
        }
        Message::AppendAnswer(answer) => format!("no, try behind {} (term {term})", answer.hint),
        Message::TimeoutNow => "stand at once".to_owned(),
        Message::Join { challenge: 0 } => "I am blank".to_owned(),
        Message::Join { .. } => "I am blank, as of now".to_owned(),
        Message::Challenge { .. } => "as of when?".to_owned(),
        Message::Install { base, .. } => format!("begin behind {base}"),
        Message::Ask { previous, .. } => format!("what stands behind {previous}?"),
        Message::Tail(tail) => match tail.heads.first() {
            Some(head) => format!("{} does", head.id),
            None if tail.uncertain_from.is_some() => "I lost it, too".to_owned(),
            None => "nothing".to_owned(),
        },
        Message::YouForgot { acknowledged_index } => format!("you had {acknowledged_index}!"),
        Message::Fetch { .. }
        | Message::Fetched { .. }
        | Message::Expired { .. }
        | Message::WantBase { .. }
        | Message::BasePiece { .. } => "for the drivers".to_owned(),
    }
}
