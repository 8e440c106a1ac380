//! The bytes behind the last entry that verifies.
//!
//! Under group commit a power loss may leave a hole with valid records behind
//! it, so that valid records follow proves nothing; what they *say was durable*
//! when they were written does (D11). A forged claim does not count: a header
//! must verify, be of this segment's incarnation, which no client knows, and
//! stand at the position that it was written for.

use std::io;

use crate::env::File;
use crate::log::frames::{Flaw, Frame, Frames};

/// The message of a header behind the log's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    /// Where it stands.
    pub(super) position: u64,
    /// Below this all was durable when it was written.
    pub(super) durable_address: u64,
}

/// The bytes behind the log's end.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The first bytes that are neither zero nor another segment's.
    pub(super) dirty: Option<(u64, Flaw)>,
    /// The highest claim.
    pub(super) claim: Option<Claim>,
}

impl Tail {
    fn dirty(&mut self, position: u64, flaw: Flaw, durable_address: Option<u64>) {
        self.dirty.get_or_insert((position, flaw));
        let claim = durable_address.map(|durable_address| Claim {
            position,
            durable_address,
        });
        self.claim = [self.claim, claim]
            .into_iter()
            .flatten()
            .max_by_key(|c| c.durable_address);
    }
}

/// Goes from `from` to the end of the segment: first to the next sector
/// boundary, then from one to the next, as every group and mark begins at one.
pub(super) async fn search_tail<F: File>(frames: &mut Frames<F>, from: u64) -> io::Result<Tail> {
    let mut tail = Tail::default();
    let mut position = from;
    while position < frames.end() {
        let mut next = frames.next_sector(position);
        match frames.at(position).await? {
            Frame::Padding | Frame::Blank => next = frames.skip_hole(next).await?,
            // An old record goes on in the sectors behind its header.
            Frame::OtherIncarnation { framed_bytes } => {
                next = position.saturating_add(framed_bytes);
            }
            Frame::Entry { envelope, .. } => {
                let durable_address = envelope.placement.durable_address;
                tail.dirty(position, Flaw::Unchained, Some(durable_address));
            }
            Frame::Mark(mark) => {
                let durable_address = mark.placement.durable_address;
                tail.dirty(position, Flaw::MarkMismatch, Some(durable_address));
            }
            Frame::Bad {
                flaw,
                durable_address,
            } => tail.dirty(position, flaw, durable_address),
        }
        position = next;
    }
    Ok(tail)
}
