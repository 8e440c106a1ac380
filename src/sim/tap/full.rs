//! A full disk, seen from outside: what must go on does, as long as the reserve
//! holds room for it (D34).

use super::Tap;
use crate::broker::RESERVE_FILE;
use crate::check::{Finding, Promise};
use crate::remoting::{Glance, ResponseCode};
use crate::sim::disk_io::DiskIo;
use crate::sim::net::NodeId;
use crate::sim::world::Core;

/// The words of a refusal because the disk is full; other refusals have the same code.
const FULL: &str = "the disk is full";

impl Tap {
    /// An offset commit was refused.
    pub(super) fn commit_refused(
        &mut self,
        core: &Core,
        disk: &DiskIo,
        node: NodeId,
        answer: &Glance<'_>,
    ) {
        if answer.code == ResponseCode::SERVICE_NOT_AVAILABLE.0 && answer.remark() == FULL {
            self.has_room(core, disk, node, "refuses an offset");
        }
    }

    /// A store is opened again after it found no room, and has not got the reserve.
    pub(crate) fn opens_without_room(&mut self, core: &Core, disk: &DiskIo, node: NodeId) {
        self.has_room(core, disk, node, "fails to open its store");
    }

    /// Whether most of the reserve is there, and nobody's yet; not while the disk refuses
    /// to give it back.
    fn has_room(&mut self, core: &Core, disk: &DiskIo, node: NodeId, does: &str) {
        let held_bytes = disk.model.size_at(RESERVE_FILE).unwrap_or(0);
        let most_bytes = self.reserve_bytes / 4 * 3;
        let spoken_for_bytes = self.owed.body_bytes(node);
        if held_bytes <= most_bytes + spoken_for_bytes || disk.is_refusing() {
            return;
        }
        self.findings.push(Finding {
            promise: Promise::Liveness,
            lines: vec![format!(
                "b{node} {does} because its disk is full, with {held_bytes} bytes of its reserve left"
            )],
            at_ns: core.now_ns,
            event: core.trace_events(),
            moments_ns: Vec::new(),
        });
    }
}
