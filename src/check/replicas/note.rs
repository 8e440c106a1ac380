//! Each fact, to every check that it concerns.

use super::cluster::{Cluster, Node, Seated};
use super::fact::{Cause, Fact, HardState, Head, LogEntry, Medium, Moment, Replica, Seats};
use super::halts::{self, Announced};
use super::{
    acknowledgement, bases, founding, leader_append_only, leader_completeness, log::Log,
    membership, promises_kept,
};

impl Cluster {
    /// Takes a fact in; facts come in the order in which things happened.
    pub fn note(&mut self, moment: Moment, fact: Fact) {
        match fact {
            Fact::Disk { node, disk } => self.note_disk(node, disk),
            Fact::Appended {
                node,
                medium,
                entry,
            } => self.note_appended(moment, node, medium, &entry),
            Fact::Believed { node, index } => self.note_believed(moment, node, index),
            Fact::Cut {
                node,
                medium,
                from_index,
                cause,
            } => self.note_cut(moment, node, medium, from_index, cause),
            Fact::Based {
                node,
                medium,
                base,
                seats,
                cause,
            } => {
                if cause == Cause::Replica {
                    self.check_rebased(moment, node, medium, base);
                    let is_installed = medium == Medium::Durable && base.index > 0;
                    self.bases_installed += u64::from(is_installed);
                }
                self.log_mut(node, medium).rebase(base, seats, moment.event);
                self.note_rebased(moment, node, medium, base);
            }
            Fact::Founded { node, seats } => self.note_founded(moment, node, seats),
            Fact::Stands { node, base, digest } => self.note_stands(moment, node, base, digest),
            Fact::HardState { node, state, cause } => {
                self.note_hard_state(moment, node, state, cause);
            }
            Fact::Leads { node, term } => self.note_leads(moment, node, term),
            Fact::Seated {
                node,
                term,
                index,
                seats,
            } => self.note_seated(node, Seated { term, index, seats }),
            Fact::Voted {
                node,
                term,
                candidate,
            } => self.note_voted(moment, node, term, candidate),
            Fact::Answered {
                node,
                term,
                matched,
            } => self.note_answered(moment, node, term, matched),
            Fact::Spoke { node, disk } => self.note_spoke(moment, node, disk),
            Fact::Announced { node, disk } => {
                let at_ns = moment.at_ns;
                self.announced.insert(node, Announced { disk, at_ns });
            }
            Fact::Halted {
                node,
                named,
                seats_index,
                heard,
            } => self.note_halted(moment, (node, &named), seats_index, heard),
            Fact::Applied {
                node,
                index,
                digest,
            } => {
                let replica = self.replica(node);
                let broken = self.snapshots.applied(replica, index, digest).err();
                self.report(moment, broken);
            }
        }
    }

    fn node_mut(&mut self, node: u32) -> &mut Node {
        &mut self.nodes[node as usize]
    }

    fn log_mut(&mut self, node: u32, medium: Medium) -> &mut Log {
        match medium {
            Medium::Cached => &mut self.node_mut(node).cached,
            Medium::Durable => &mut self.node_mut(node).durable,
        }
    }

    /// The first disks are those of the configuration that `format` writes.
    fn note_disk(&mut self, node: u32, disk: u64) {
        let was_formatted = self.node_mut(node).disk != 0;
        let state = self.node_mut(node);
        (state.disk, state.state, state.has_state) = (disk, HardState::default(), false);
        (state.believed, state.is_lost) = (0, false);
        self.founded.remove(&node);
        if let Some(seat) = self.initial.0.get_mut(&node)
            && !was_formatted
        {
            *seat = Some(disk);
        }
    }

    fn note_spoke(&mut self, moment: Moment, node: u32, disk: u64) {
        let stored = self.nodes[node as usize].disk;
        // A preset that does not sync term and vote does not sync its name either.
        if self.media.hard_state == Medium::Durable {
            let broken = promises_kept::check_name(node, stored, disk);
            self.report(moment, broken);
        }
    }

    fn note_appended(&mut self, moment: Moment, node: u32, medium: Medium, entry: &LogEntry) {
        self.log_mut(node, medium).push(entry, moment.event);
        if let Some(below_address) = entry.expired_address {
            self.expiries.says(entry.head, below_address);
        }
        if medium == Medium::Cached {
            if let Some(seats) = &entry.seats {
                self.decide(node, entry.head.term, entry.head.index, seats);
            }
            let replica = self.replica(node);
            let led = self.leaders.newest_of(replica);
            let broken = led.and_then(|term| {
                leader_completeness::check_written(replica, term, entry.head, &self.committed)
            });
            self.report(moment, broken);
            let broken = membership::check(replica, led, entry, &self.committed);
            self.report(moment, broken);
            if self.leads_alone(replica, entry.head.term) {
                self.note_leads(moment, node, entry.head.term);
            }
        }
        if medium == self.media.log {
            self.note_held(moment, node, entry.head);
        }
        if medium == Medium::Durable {
            self.settle_amnesia(node);
        }
    }

    /// Whether a replica that wrote an entry leads its term: nobody else has a vote, so
    /// it sends no appends that would tell.
    fn leads_alone(&self, replica: Replica, term: u64) -> bool {
        let node = &self.nodes[replica.node as usize];
        let own = HardState {
            term,
            vote: Some(replica),
        };
        let seats = node.cached.latest_seats().1;
        node.state == own && seats.is_some_and(|it| it.quorum() == 1 && it.has_voter(replica))
    }

    /// A node took the first configuration. The nodes that are named in it begin: earlier
    /// losses are nobody's amnesia.
    fn note_founded(&mut self, moment: Moment, node: u32, seats: Seats) {
        let broken = founding::check(self.replica(node), &seats, &self.founded);
        self.report(moment, broken);
        self.founded.insert(node, seats.clone());
        for node in 0..self.nodes.len() as u32 {
            let is_there = !self.nodes[node as usize].is_lost;
            let is_new = self.held(node).last().index == 0;
            if is_there && is_new && seats.has_voter(self.replica(node)) {
                self.amnesia.begins(node);
            }
        }
        self.initial = seats;
    }

    /// A replica stored what all up to an entry amounts to.
    fn note_stands(&mut self, moment: Moment, node: u32, base: Head, digest: u64) {
        if let Some((term, leader)) = self.leaders.newest() {
            self.advance(moment, term, leader.node);
        }
        let replica = self.replica(node);
        let expired_address = self.expiries.expired_address(&self.committed);
        let broken = bases::check(replica, base, expired_address, &self.committed);
        self.report(moment, broken);
        // Of first configurations, `founding` judges.
        let is_first = base.index == 0;
        let broken = (!is_first).then(|| self.snapshots.applied(replica, base.index, digest));
        self.report(moment, broken.and_then(Result::err));
    }

    /// A replica gives up its log for one that begins behind `base`: what it had
    /// otherwise than that stands for, it cuts.
    fn check_rebased(&mut self, moment: Moment, node: u32, medium: Medium, base: Head) {
        let log = self.log(node, medium);
        let shared = log.base().index + 1..=log.last().index.min(base.index);
        let parts = shared.into_iter().find(|index| {
            let (own, fixed) = (log.get(*index), self.committed.get(*index));
            own.zip(fixed).is_some_and(|(own, fixed)| !own.is(&fixed))
        });
        if let Some(from_index) = parts {
            self.note_cut(moment, node, medium, from_index, Cause::Replica);
        }
    }

    /// A replica with a base holds all that the base stands for.
    fn note_rebased(&mut self, moment: Moment, node: u32, medium: Medium, base: Head) {
        if medium == self.media.log && base.index > 0 {
            self.note_held(moment, node, base);
        }
        if medium == Medium::Durable {
            self.settle_amnesia(node);
        }
    }

    fn note_believed(&mut self, moment: Moment, node: u32, index: u64) {
        let from = self.believed(node) + 1;
        let state = self.node_mut(node);
        state.believed = index.max(state.believed);
        if self.media.log == Medium::Durable {
            for index in from..=index {
                if let Some(head) = self.nodes[node as usize].cached.get(index) {
                    self.note_held(moment, node, head);
                }
            }
        }
    }

    /// A node holds one more entry.
    fn note_held(&mut self, moment: Moment, node: u32, head: Head) {
        let replica = self.replica(node);
        let broken = self.matching.holds(replica, head).err();
        self.report(moment, broken);
        if self.nodes[node as usize].state.term == head.term {
            self.accept(moment, node, head);
        }
    }

    /// A node holds an entry of the term that its own hard state says.
    fn accept(&mut self, moment: Moment, node: u32, head: Head) {
        let replica = self.replica(node);
        let before = self.committed.last().index;
        self.committed.accept(replica, head.term, head.index);
        self.advance(moment, head.term, node);
        if self.committed.last().index > before && !self.amnesia.outstanding().is_empty() {
            (0..self.nodes.len() as u32).for_each(|node| self.settle_amnesia(node));
        }
    }

    fn settle_amnesia(&mut self, node: u32) {
        let replica = self.replica(node);
        let durable = &self.nodes[node as usize].durable;
        self.amnesia.settle(replica, durable, &self.committed);
    }

    fn note_cut(
        &mut self,
        moment: Moment,
        node: u32,
        medium: Medium,
        from_index: u64,
        cause: Cause,
    ) {
        let replica = self.replica(node);
        let is_held = medium == self.media.log
            || medium == Medium::Cached && self.nodes[node as usize].believed >= from_index;
        match cause {
            Cause::Replica => self.check_cut(moment, node, medium, from_index),
            Cause::Detected => self.promises.lost(replica, from_index),
            Cause::Crash if self.media.log == Medium::Durable => {
                // Nothing that was synced goes with the power.
                let broken = self.promises.check_cut(replica, 0, from_index);
                let broken = broken.filter(|_| medium == Medium::Durable);
                self.report(moment, broken);
            }
            Cause::Crash | Cause::Silent => {
                self.is_waived |= is_held;
                self.promises.lost(replica, from_index);
            }
        }
        let state = self.node_mut(node);
        state.believed = match cause {
            // The replica believes that it holds rotten entries until it reads them: it
            // did hold it, until a ledgered fault took it. Not so what it has cut itself,
            // though the cut may not be durable yet.
            Cause::Detected => state.believed.max(state.durable.agrees_upto(&state.cached)),
            _ => state.believed.min(from_index.saturating_sub(1)),
        };
        self.log_mut(node, medium)
            .cut(from_index, moment.event, cause);
    }

    /// A replica cut its log by itself.
    fn check_cut(&mut self, moment: Moment, node: u32, medium: Medium, from_index: u64) {
        let replica = self.replica(node);
        let state = self.nodes[node as usize].state;
        if medium == Medium::Cached {
            let led = self.leaders.newest_of(replica);
            let broken = leader_append_only::check(replica, led, state, from_index);
            if let Some(broken) = broken {
                self.node_mut(node).cut_in_own_term = Some((state.term, broken));
            }
        }
        if medium == self.media.log {
            let broken = self.promises.check_cut(replica, state.term, from_index);
            self.report(moment, broken);
            let first = self.log(node, medium).get(from_index);
            let broken = first
                .and_then(|first| leader_completeness::check_cut(replica, first, &self.committed));
            self.report(moment, broken);
            self.amnesia.cut(node, from_index);
            self.settle_amnesia(node);
        }
    }

    fn note_hard_state(
        &mut self,
        moment: Moment,
        node: u32,
        state: Option<HardState>,
        cause: Cause,
    ) {
        let replica = self.replica(node);
        let known = self.node_mut(node);
        let was = known.has_state.then_some(known.state);
        (known.state, known.has_state) = (state.unwrap_or_default(), state.is_some());
        let broken = was.and_then(|was| match state {
            Some(is) => promises_kept::check_change(replica, was, is),
            None => Some(promises_kept::check_gone(replica, was)),
        });
        let is_synced = self.media.hard_state == Medium::Durable;
        match cause {
            Cause::Silent => self.forgets_state(moment, node, broken.is_some()),
            Cause::Crash if !is_synced => self.forgets_state(moment, node, broken.is_some()),
            Cause::Detected => {}
            Cause::Replica | Cause::Crash => self.report(moment, broken),
        }
        let last = self.held(node).last();
        if last.index > 0 && state.is_some_and(|state| state.term == last.term) {
            self.accept(moment, node, last);
        }
    }

    /// A fault took what nobody had promised to keep.
    fn forgets_state(&mut self, moment: Moment, node: u32, has_forgotten: bool) {
        if has_forgotten {
            self.is_waived = true;
            self.forgotten.push((node, moment.event));
        }
    }

    /// A replica says something in a term, which it has stored, where that is synced.
    fn note_spoken(&mut self, moment: Moment, replica: Replica, term: u64) {
        if self.media.hard_state == Medium::Durable {
            let broken = self.promises.speaks(replica, term).err();
            self.report(moment, broken);
        }
    }

    fn note_leads(&mut self, moment: Moment, node: u32, term: u64) {
        let replica = self.replica(node);
        self.note_spoken(moment, replica, term);
        let cut = self.node_mut(node).cut_in_own_term.take();
        let broken = cut.and_then(|(led, broken)| (led == term).then_some(broken));
        self.report(moment, broken);
        match self.leaders.leads(replica, term) {
            Err(broken) => self.report(moment, [broken]),
            Ok(false) => {}
            Ok(true) => {
                let log = self.log(node, Medium::Cached);
                let broken = leader_completeness::check(replica, term, log, &self.committed);
                self.report(moment, broken);
            }
        }
    }

    fn note_halted(
        &mut self,
        moment: Moment,
        (node, named): (u32, &[u32]),
        seats_index: u64,
        heard: Option<(u32, u64)>,
    ) {
        let own_term = self.nodes[node as usize].state.term;
        let log = &self.nodes[node as usize].cached;
        let (index, newest, _) = log.latest_seats();
        // A configuration holds from when it is heard of, and is written a little later.
        let mut logs = self.nodes.iter().map(|node| &node.cached);
        let taken = || logs.find_map(|log| log.entry(seats_index)?.seats);
        let ahead = (seats_index > index).then(taken).flatten();
        let known = ahead.as_ref().or(newest).unwrap_or(&self.initial);
        let halt = halts::Halt {
            replica: self.replica(node),
            at_ns: moment.at_ns,
            named,
            seats: (log.last().index > 0).then_some(known),
            heard: heard.filter(|(_, term)| *term >= own_term),
        };
        let broken = halts::check(&halt, |node| self.announced.get(&node).copied());
        self.report(moment, broken);
    }

    fn note_seated(&mut self, node: u32, seated: Seated) {
        self.decide(node, seated.term, seated.index, &seated.seats);
        let newest = &mut self.node_mut(node).seated;
        let place = |seated: &Seated| (seated.term, seated.index);
        if newest
            .as_ref()
            .is_none_or(|old| place(old) < place(&seated))
        {
            *newest = Some(seated);
        }
    }

    fn note_voted(&mut self, moment: Moment, node: u32, term: u64, candidate: Replica) {
        let replica = self.replica(node);
        let state = self.nodes[node as usize].state;
        let broken = acknowledgement::check_voted(replica, term, candidate, state);
        self.report(moment, broken);
        self.note_spoken(moment, replica, term);
        let broken = self.promises.votes(replica, term, candidate).err();
        self.report(moment, broken);
    }

    fn note_answered(&mut self, moment: Moment, node: u32, term: u64, matched: u64) {
        let (replica, state) = (self.replica(node), self.nodes[node as usize].state);
        let held_upto = match self.media.log {
            Medium::Cached => self.log(node, Medium::Cached).last().index,
            Medium::Durable => self.believed(node),
        };
        let medium = self.media.log;
        let broken =
            acknowledgement::check_answered(replica, (term, matched), state, held_upto, medium);
        let is_early = broken.is_some();
        self.report(moment, broken);
        if !is_early {
            let broken = self.check_matched(replica, term, matched);
            self.report(moment, broken);
        }
        self.note_spoken(moment, replica, term);
        self.promises.answers(replica, term, matched);
    }

    /// Compares with the leader's log, as long as that is what it was when it led.
    fn check_matched(&self, replica: Replica, term: u64, matched: u64) -> Option<super::Broken> {
        let leader = self.leaders.of(term)?;
        let leads = &self.nodes[leader.node as usize];
        if self.replica(leader.node) != leader || leads.state.term != term {
            return None;
        }
        let own = self.log(replica.node, Medium::Cached).get(matched);
        acknowledgement::check_matched(replica, own, leader, leads.cached.get(matched))
    }
}
