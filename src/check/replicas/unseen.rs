//! The words and answers of a leader under a configuration that nobody has seen yet.
//!
//! "A configuration takes effect when appended" (D15), and from then on its majority
//! decides what is committed. Appended means in the leader's memory: what rests on it
//! may leave before it is written or sent to anybody. (That is safe: the majorities
//! of two configurations in a row meet.) So what too few held is not called broken
//! before the next configuration of that leader is known; and then by those who held
//! it at that moment.

use super::Broken;
use super::cluster::{Cluster, ahead_of};
use super::fact::{Head, Moment, Replica, Seats};

/// Too few held it, unless the leader had a newer configuration by then.
#[derive(Debug, Clone)]
pub(super) struct Undecided {
    node: u32,
    term: u64,
    /// The newest configuration that was known.
    known_index: u64,
    holders: Vec<Replica>,
    moment: Moment,
    is_waived: bool,
    broken: Broken,
}

impl Cluster {
    /// A promise about an entry that a leader told of or served is broken, or it is not
    /// known yet whether.
    pub(super) fn report_as_leader(
        &mut self,
        moment: Moment,
        node: u32,
        head: Option<Head>,
        broken: Option<Broken>,
    ) {
        let Some(broken) = broken else {
            return;
        };
        let undecided = head.and_then(|head| self.undecided(moment, node, head, &broken));
        match undecided {
            Some(undecided) => self.undecided.push(undecided),
            None => self.report(moment, [broken]),
        }
    }

    fn undecided(
        &self,
        moment: Moment,
        node: u32,
        head: Head,
        broken: &Broken,
    ) -> Option<Undecided> {
        let fixed = self.committed.get(head.index);
        let contradicts = fixed.is_some_and(|fixed| !fixed.is(&head));
        let term = self.leaders.newest_of(self.replica(node))?;
        let known = &self.nodes[node as usize];
        let ahead = ahead_of(term, &known.cached, known.seated.as_ref());
        let (written_index, _, _) = known.cached.latest_seats();
        (!contradicts).then(|| Undecided {
            node,
            term,
            known_index: ahead.map_or(written_index, |ahead| ahead.index),
            holders: self.committed.accepted_by(term, head.index),
            moment,
            is_waived: self.is_waived,
            broken: broken.clone(),
        })
    }

    /// A leader wrote or sent a configuration: what it had said by then rested on
    /// that, or is broken.
    pub(super) fn decide(&mut self, node: u32, term: u64, index: u64, seats: &Seats) {
        let is_about = |it: &Undecided| (it.node, it.term) == (node, term);
        let (decided, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.undecided)
            .into_iter()
            .partition(|it| is_about(it) && it.known_index < index);
        self.undecided = rest;
        for it in decided {
            let voters = it.holders.iter().filter(|holder| seats.has_voter(**holder));
            if voters.count() < seats.quorum() {
                self.report_as(it.is_waived, it.moment, it.broken);
            }
        }
    }

    /// No further configuration comes.
    pub(super) fn decide_all(&mut self) {
        for it in std::mem::take(&mut self.undecided) {
            self.report_as(it.is_waived, it.moment, it.broken);
        }
    }
}
