//! The account's changes, told to the checker of replicas.

use super::Replicas;
use crate::check::replicas::{Cause, Fact, LogEntry, Medium, Moment};
use crate::sim::net::NodeId;
use crate::sim::tap::image::Image;

impl Replicas {
    /// A replica cuts its log. Where the cached one is what counts, a fault took
    /// what lies behind a sector that went bad, which is uncertain to the replica from then
    /// on (D12), and what a failed sync left neither durable nor to be trusted. (A
    /// durable log is read anew as soon as a sector goes bad.)
    pub(super) fn note_taken(&mut self, moment: Moment, node: NodeId, from_index: u64) {
        if self.media.log != Medium::Cached {
            return;
        }
        let log = self.cluster.log(node, Medium::Cached);
        let known = &mut self.nodes[node as usize];
        let hole = known.first_hole().map(|hole| log.index_at_end(hole));
        let dropped = known.durable_at_failure.take();
        for (kept, cause) in [(hole, Cause::Detected), (dropped, Cause::Crash)] {
            let taken = kept.map(|kept| from_index.max(kept + 1));
            let last = self.cluster.log(node, Medium::Cached).last().index;
            if let Some(taken) = taken.filter(|taken| *taken <= last) {
                self.note_cut(moment, node, Medium::Cached, taken, cause);
            }
        }
    }

    pub(super) fn appended(
        &mut self,
        moment: Moment,
        node: NodeId,
        medium: Medium,
        entry: LogEntry,
    ) {
        self.cluster.note(
            moment,
            Fact::Appended {
                node,
                medium,
                entry,
            },
        );
    }

    pub(super) fn note_cut(
        &mut self,
        moment: Moment,
        node: NodeId,
        medium: Medium,
        from_index: u64,
        cause: Cause,
    ) {
        if (medium, cause) == (Medium::Cached, Cause::Replica) {
            self.cuts += 1;
        }
        self.cluster.note(
            moment,
            Fact::Cut {
                node,
                medium,
                from_index,
                cause,
            },
        );
    }

    /// The log begins elsewhere: with the configuration that its base names, or
    /// that any other log has there.
    pub(super) fn rebase(
        &mut self,
        moment: Moment,
        node: NodeId,
        medium: Medium,
        image: &Image,
        cause: Cause,
    ) {
        let base = image.base;
        let stands = image.stands.as_ref().filter(|it| it.head.is(&base));
        let nodes = 0..self.nodes.len() as u32;
        let mut logs = nodes.map(|other| self.cluster.log(other, Medium::Cached));
        let others = || {
            let log = logs.find(|log| log.base().is(&base) || log.get(base.index) == Some(base))?;
            log.seats_at(base.index).cloned()
        };
        let seats = stands.and_then(|it| it.seats.clone()).or_else(others);
        let seats = seats.filter(|_| base.index > 0);
        self.cluster.note(
            moment,
            Fact::Based {
                node,
                medium,
                base,
                seats,
                cause,
            },
        );
    }
}
