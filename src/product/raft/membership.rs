//! Disks that come and go (D13–D16), and the operator's changes (thesis,
//! chapter 4: one step at a time).

use std::collections::BTreeSet;

use super::configuration::SeatState;
use super::progress::{Feed, Progress};
use super::replica::{Raft, State};
use super::{ANY_DISK, Change, Configuration, Message, Output, ReplicaId};

impl Raft {
    /// A blank replica says that it is there, until it gets a base.
    pub(super) fn tick_blank(&mut self) {
        let every_ns = self.settings.election_timeout_ns;
        let State::Blank {
            join_due_ns,
            challenge,
        } = &mut self.state
        else {
            return;
        };
        if self.now_ns < *join_due_ns {
            return;
        }
        *join_due_ns = self.now_ns + every_ns;
        let challenge = *challenge;
        self.announce(challenge);
    }

    fn announce(&mut self, challenge: u64) {
        for node in self.peers.clone() {
            let disk = ANY_DISK;
            if node != self.me.node {
                self.send(ReplicaId { node, disk }, Message::Join { challenge });
            }
        }
    }

    /// The leader wants to know that the announcement was made just now.
    pub(super) fn on_challenge(&mut self, fresh: u64) {
        if let State::Blank { challenge, .. } = &mut self.state {
            *challenge = fresh;
            self.announce(fresh);
        }
    }

    pub(super) fn on_join(&mut self, from: ReplicaId, challenge: u64) {
        // A voter that says it is blank lost a log under its old name; it must
        // not come back as the same voter (D14). The operator formats it anew.
        if !self.configurations.latest().is_voter(from) {
            self.joins.insert(from.node, (from.disk, self.now_ns));
            self.check_halted();
        }
        let place = self.configurations.latest();
        let Some(change) = place.let_in(from).filter(|_| !place.is_voter(from)) else {
            return;
        };
        let fresh = self.rng.next().max(1);
        let State::Leader(leader) = &mut self.state else {
            return;
        };
        // One challenge for as long as the disk is the same: with a new one for
        // every stale join, repeated messages would chase each other for ever.
        let expected = leader
            .challenges
            .entry(from.node)
            .or_insert((from.disk, fresh));
        if expected.0 != from.disk {
            *expected = (from.disk, fresh);
        }
        if challenge != expected.1 {
            let challenge = expected.1;
            return self.send(from, Message::Challenge { challenge });
        }
        if let Some(progress) = leader.progress(from) {
            // It is fed already, and has nothing to begin with.
            if !matches!(progress.feed, Feed::Base { .. }) {
                progress.feed = Feed::Base { sent: None };
            }
        } else {
            self.propose(change);
        }
    }

    /// D16: too few disks are left for any quorum; nothing can be committed, and nothing
    /// is. A replica that is blank itself does not know who is a member, and says so only
    /// where nobody is left who could.
    fn check_halted(&mut self) {
        let configuration = self.configurations.latest();
        let since_ns = self.now_ns.saturating_sub(self.blank_for_ns());
        // A disk that said it is blank may have been filled and promoted since.
        let is_blank = |node: u64, (disk, said_ns): (u64, u64)| {
            said_ns >= since_ns && !configuration.is_voter(ReplicaId { node, disk })
        };
        let gone = |node: u64| {
            let seat = configuration.seats.get(&node);
            let joined = self.joins.get(&node);
            joined.is_some_and(|joined| is_blank(node, *joined))
                || node == self.me.node && self.is_blank()
                || seat.is_some_and(|seat| seat.state == SeatState::Replaced)
        };
        let nodes: Vec<u64> = if self.is_blank() {
            self.peers.iter().copied().chain([self.me.node]).collect()
        } else {
            configuration.seats.keys().copied().collect()
        };
        let nodes = BTreeSet::from_iter(nodes);
        let blank: BTreeSet<u64> = nodes.iter().copied().filter(|node| gone(*node)).collect();
        let quorum = match self.is_blank() {
            true => 1,
            false => nodes.len() / 2 + 1,
        };
        // A leader that is heard has a majority, or steps down: what it knows of the
        // members may be newer. One that leads says so within an election timeout.
        let has_listened = self.now_ns >= self.began_ns + self.settings.election_timeout_ns;
        let is_led = self.is_loyal() || !has_listened;
        let halted = !is_led && nodes.len() - blank.len() < quorum;
        let now = if halted { blank } else { BTreeSet::new() };
        if now != self.halted {
            self.halted = now.clone();
            if halted {
                let blank_nodes = now.into_iter().collect();
                self.outputs.push_back(Output::Halted {
                    blank_nodes,
                    configuration_index: self.configurations.latest_index(),
                });
            }
        }
    }

    /// A configuration takes effect when appended (D15). To whom it gives a vote is
    /// not blank, whatever an earlier disk of that node may have said.
    pub(super) fn take_configuration(&mut self, index: u64, configuration: Configuration) {
        let before = self.configurations.latest();
        self.joins.retain(|node, _| {
            let seat = configuration.seats.get(node);
            let votes = seat.is_some_and(|seat| seat.state == SeatState::Voter);
            !votes || seat == before.seats.get(node)
        });
        self.configurations.push(index, configuration);
    }

    /// For how long an announcement counts: a blank replica repeats it every
    /// election timeout, and some of them are lost.
    fn blank_for_ns(&self) -> u64 {
        8 * self.settings.election_timeout_ns
    }

    pub(super) fn on_change(&mut self, change: Change) {
        if self.may_change() && self.configurations.latest().has(change) {
            self.outputs.push_back(Output::AlreadyChanged(change));
        } else if !self.propose(change) {
            self.outputs.push_back(Output::ChangeRefused(change));
        }
    }

    /// One change at a time, the one before committed, and an entry of this
    /// term, too: else two leaders could each have a majority of their own
    /// (D15; Ongaro, "bug in single-server membership changes", raft-dev 2015).
    fn may_change(&self) -> bool {
        let settled = self.configurations.latest_index() <= self.commit_index;
        let idle = matches!(&self.state, State::Leader(leader) if !leader.proposing);
        self.is_serving() && settled && idle
    }

    fn propose(&mut self, change: Change) -> bool {
        if !self.may_change() || !self.may_promote(change) {
            return false;
        }
        let Some(configuration) = self.configurations.latest().after(change) else {
            return false;
        };
        let State::Leader(leader) = &mut self.state else {
            return false;
        };
        leader.proposing = true;
        let term = leader.term;
        self.outputs.push_back(Output::AppendConfiguration {
            term,
            configuration,
        });
        true
    }

    /// A voter must hold what is committed before it counts: it has answered
    /// in this term, and what it matched is durable (D14).
    fn may_promote(&self, change: Change) -> bool {
        let (Change::Promote { node }, State::Leader(leader)) = (change, &self.state) else {
            return true;
        };
        leader.followers.get(&node).is_some_and(|progress| {
            progress.forgot.is_none() && progress.matched_index >= self.commit_index
        })
    }

    /// Promotes what has caught up where it was put.
    pub(super) fn drive_membership(&mut self) {
        if !self.may_change() {
            return;
        }
        let latest = self.configurations.latest();
        let waiting = latest.to_promote().map(|node| Change::Promote { node });
        let ready = waiting.into_iter().find(|change| self.may_promote(*change));
        if let Some(change) = ready {
            self.propose(change);
        }
    }

    /// The configuration in force changed: feed whom it names, and nobody else.
    pub(super) fn follow_configuration(&mut self) {
        let State::Leader(leader) = &mut self.state else {
            return;
        };
        let configuration = self.configurations.latest();
        leader.followers.retain(|node, progress| {
            let disk = progress.disk;
            configuration.is_member(ReplicaId { node: *node, disk })
        });
        for ReplicaId { node, disk } in configuration.members() {
            if node != self.me.node {
                let last_index = self.log.last().index;
                leader
                    .followers
                    .entry(node)
                    .or_insert_with(|| Progress::new(disk, last_index, self.now_ns));
            }
        }
    }

    /// A leader whose own removal is committed has done its work (thesis,
    /// §4.2.2).
    pub(super) fn on_committed(&mut self) {
        let settled = self.configurations.latest_index() <= self.commit_index;
        if settled && !self.configurations.latest().is_voter(self.me) {
            self.step_down();
        }
    }
}
