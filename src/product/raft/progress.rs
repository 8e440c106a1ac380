//! The knowledge of a leader about one follower.

use std::collections::VecDeque;

/// How a follower is fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feed {
    /// Where its log and ours part is not known: one append at a time.
    Probe {
        /// It is under way.
        sent: bool,
        /// One was sent and has not been answered: the next ones carry no entries, for
        /// the follower may be gone for long.
        unanswered: bool,
    },
    /// Its log equals ours up to `next_index`: appends follow each other.
    Replicate,
    /// It needs what is below our log (D8).
    Base {
        /// The base that is under way: its index, and when it left.
        sent: Option<(u64, u64)>,
    },
}

impl Feed {
    /// A probe is due, with entries.
    pub(super) const PROBE: Self = Self::Probe {
        sent: false,
        unanswered: false,
    };
}

/// Probes whose answers still count, at most: one leaves with each heartbeat, and the
/// answer to the first may take many of them.
const PROBES_MAX: usize = 1_024;

/// A follower, as the leader of one term sees it. Requests are numbered
/// through the whole leadership, over all followers.
///
/// 1. `matched_index < next_index` (R13: else appends go out for ever that
///    change nothing).
/// 2. `matched_index` was claimed durable by this very replica in this term. It
///    rises, except where the replica says itself that it lost entries (D12).
/// 3. An answer to a request from `floor_request` on was made after the
///    acknowledgement of `matched_index`.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    pub(super) disk: u64,
    pub(super) matched_index: u64,
    pub(super) next_index: u64,
    pub(super) feed: Feed,
    /// (request, last index) of appends under way; of a probe that was sent again, of
    /// the ones before it, too.
    pub(super) inflight: VecDeque<(u64, u64)>,
    /// The latest request that was answered, accepted or not: the follower was
    /// not in a later term then.
    pub(super) answered_request: u64,
    pub(super) heard_ns: u64,
    pub(super) floor_request: u64,
    /// Rejections of earlier requests have been acted on.
    pub(super) probed_request: u64,
    /// It lost this acknowledgement without knowing: it is out.
    pub(super) forgot: Option<u64>,
}

impl Progress {
    /// A follower of which nothing is known, behind a log that ends with
    /// `last_index`.
    pub(super) fn new(disk: u64, last_index: u64, now_ns: u64) -> Self {
        Self {
            disk,
            matched_index: 0,
            next_index: last_index + 1,
            feed: Feed::PROBE,
            inflight: VecDeque::new(),
            answered_request: 0,
            heard_ns: now_ns,
            floor_request: 0,
            probed_request: 0,
            forgot: None,
        }
    }

    /// Its durable log matches ours up to `index`; requests from `next_request`
    /// on have not been sent yet.
    pub(super) fn matched(&mut self, index: u64, next_request: u64) {
        if index > self.matched_index {
            self.matched_index = index;
            self.floor_request = next_request;
        }
        self.next_index = self.next_index.max(self.matched_index + 1);
        // A probe says where the logs part, however far that is matched.
        if !matches!(self.feed, Feed::Probe { .. }) {
            self.inflight
                .retain(|(_, upto_index)| *upto_index > self.matched_index);
        }
    }

    /// It has the `prev` of `request`, hence all entries sent before it.
    pub(super) fn accepted(&mut self, request: u64) {
        let Some(at) = self.inflight.iter().position(|(sent, _)| *sent == request) else {
            return;
        };
        let (_, upto_index) = self.inflight[at];
        self.inflight.drain(..=at);
        if let Feed::Probe { .. } = self.feed {
            self.next_index = self.next_index.max(upto_index + 1);
            self.feed = Feed::Replicate;
            self.inflight.clear();
        }
    }

    /// Our logs part, at the latest, behind `index`.
    pub(super) fn probe_from(&mut self, index: u64, next_request: u64) {
        self.next_index = index.max(self.matched_index) + 1;
        self.feed = Feed::PROBE;
        self.inflight.clear();
        self.probed_request = next_request;
    }

    /// It says itself that it lost entries (D12): what it acknowledged counts
    /// no more from now on.
    pub(super) fn lost(&mut self, last_index: u64, next_request: u64) {
        self.matched_index = 0;
        self.floor_request = next_request;
        self.probe_from(last_index, next_request);
    }

    /// Whether another append may leave.
    pub(super) fn has_room(&self, inflight_max: usize) -> bool {
        match self.feed {
            Feed::Probe { sent, .. } => !sent,
            Feed::Replicate => self.inflight.len() < inflight_max,
            Feed::Base { .. } => false,
        }
    }

    /// Invariant 1.
    fn valid(&self) -> bool {
        self.matched_index < self.next_index
    }

    /// An append with entries up to `upto_index` leaves.
    ///
    /// # Panics
    /// Where it begins with what the follower has acknowledged.
    pub(super) fn sent(&mut self, request: u64, upto_index: u64) {
        assert!(self.valid(), "entries that are held are not sent again");
        self.inflight.push_back((request, upto_index));
        match &mut self.feed {
            Feed::Probe { sent, .. } => *sent = true,
            Feed::Replicate => self.next_index = upto_index + 1,
            Feed::Base { .. } => unreachable!("a base is sent otherwise"),
        }
    }

    /// A heartbeat is due: what was sent once and not answered is asked again. An answer
    /// to the one before may take longer than that, and still counts.
    pub(super) fn ask_again(&mut self, now_ns: u64, timeout_ns: u64) {
        match &mut self.feed {
            Feed::Probe { sent, unanswered } => {
                *unanswered |= *sent;
                *sent = false;
                if self.inflight.len() >= PROBES_MAX {
                    self.inflight.pop_front();
                }
            }
            Feed::Base { sent } => {
                sent.take_if(|(_, sent_ns)| now_ns >= *sent_ns + timeout_ns);
            }
            Feed::Replicate => {}
        }
    }

    /// It says how far it follows: where it has what the base that was sent stands
    /// for, however it came by it, what is behind can follow. It may have started
    /// anew behind the base and not know who had sent that.
    pub(super) fn has_base(&mut self) {
        if let Feed::Base {
            sent: Some((base_index, _)),
        } = self.feed
            && self.matched_index >= base_index
        {
            self.feed = Feed::PROBE;
            self.next_index = self.matched_index + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicating() -> Progress {
        let mut progress = Progress::new(1, 10, 0);
        progress.sent(1, 12);
        progress.accepted(1);
        progress
    }

    /// R13: whatever comes late, the next entry lies beyond the matched one.
    #[test]
    fn the_next_index_never_falls_to_the_matched_one() {
        let mut progress = replicating();
        progress.matched(12, 2);
        for hint in [0, 5, 11, 12] {
            progress.probe_from(hint, 3);
            assert_eq!(progress.next_index, 13, "hint {hint}");
        }
        progress.matched(7, 4);
        assert_eq!((progress.matched_index, progress.next_index), (12, 13));
    }

    #[test]
    fn a_probe_that_is_accepted_opens_the_pipeline() {
        let mut progress = Progress::new(1, 10, 0);
        assert!(progress.has_room(2));
        progress.sent(1, 10);
        assert!(!progress.has_room(2), "one probe at a time");
        progress.accepted(7);
        assert!(!progress.has_room(2), "not the probe's");
        progress.accepted(1);
        progress.sent(2, 12);
        progress.sent(3, 14);
        assert_eq!(progress.next_index, 15);
        assert!(!progress.has_room(2), "two under way");
        progress.accepted(3);
        assert!(progress.has_room(2), "what lies before it has arrived, too");
    }

    /// Finding 083: entries went out to a follower that was gone, with each heartbeat.
    #[test]
    fn a_probe_that_is_not_answered_is_repeated_without_entries() {
        let mut progress = Progress::new(1, 10, 0);
        let carries = |progress: &Progress| match progress.feed {
            Feed::Probe { unanswered, .. } => !unanswered,
            _ => true,
        };
        assert!(carries(&progress), "at first it may be there");
        progress.sent(1, 12);
        let last = PROBES_MAX as u64 + 20;
        for request in 2..=last {
            progress.ask_again(0, 0);
            assert!(!carries(&progress) && progress.has_room(2));
            progress.sent(request, 10);
        }
        assert_eq!(progress.inflight.len(), PROBES_MAX);
        // A round trip may take many heartbeats (finding 098).
        progress.matched(10, last + 1);
        progress.accepted(last - 900);
        assert_eq!((progress.feed, progress.next_index), (Feed::Replicate, 11));
        assert!(carries(&progress) && progress.has_room(2));
    }

    #[test]
    fn a_follower_that_lost_entries_and_says_so_starts_again() {
        let mut progress = replicating();
        progress.matched(12, 2);
        progress.lost(4, 9);
        assert_eq!((progress.matched_index, progress.next_index), (0, 5));
        assert_eq!(progress.floor_request, 9);
    }
}
