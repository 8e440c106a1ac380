//! Where the log begins: what is below goes (D8, D30), or everything does (an
//! installed base).
//!
//! The owner keeps the base in a file of its own and stores it *first*; the log
//! then follows. [`CommitLog::open_at`] finishes what a crash in between left.

use std::io;

use super::Position;
use super::commit_log::CommitLog;
use super::error::LogError;
use super::hole;
use super::index::TermRuns;
use super::segment::{Draft, Group, SegmentHeader, remove_dead};
use super::staging::Staging;
use crate::env::Disk;

impl<D: Disk> CommitLog<D> {
    /// Removes the segments that are wholly below `base`, which the owner has
    /// stored durably and which is a place in this log, not above
    /// [`CommitLog::flushed`].
    ///
    /// # Errors
    /// The disk failed: the log is poisoned.
    ///
    /// # Panics
    /// `base` is below the log's base, or above what is durable.
    pub async fn drop_below(&mut self, base: Position) -> Result<(), LogError> {
        self.healthy()?;
        assert!(
            (self.base.address..=self.flushed.address).contains(&base.address),
            "nothing is dropped below the base or above what is durable"
        );
        let begun = self
            .segments
            .partition_point(|segment| segment.header.base.address <= base.address);
        let below = self.segments.drain(..begun.saturating_sub(1));
        let mut dead: Vec<_> = below.map(|segment| segment.header.base.address).collect();
        let first = self.segments[0].header.base.address;
        dead.extend(self.lost.extract_if(.., |address| *address < first));
        self.raise_base(base).await;
        let removed = remove_dead(&self.disk, &dead).await;
        removed.map_err(|source| self.poisoned("removing segments before", source))
    }

    /// From here on nothing below `base` is read, verified or repaired.
    async fn raise_base(&mut self, base: Position) {
        let entry = match self.place(base.address) {
            Ok(place) => place.entry(base.address).await.ok().zip(Some(place)),
            Err(_) => None,
        };
        if let Some((entry, place)) = entry {
            let (position, number) = (place.position, place.number);
            assert_eq!(entry.previous_hash, base.hash, "the base is in the log");
            self.segments[number].add_group(Group {
                index: base.next_index,
                address: base.address,
                position,
            });
        }
        self.base = base;
        self.terms.raise(base.next_index, self.tail.next_index);
        let first = self.segments[0].header.base.address;
        self.holes.retain(|hole| hole.upto.address > first);
        hole::split_at(&mut self.holes, base);
    }

    /// Discards everything and begins anew at `base`, which the owner has stored
    /// durably. Where the log holds `base`, [`CommitLog::drop_below`] is called
    /// instead: a matching suffix is kept (N03).
    ///
    /// # Errors
    /// The disk failed: the log is poisoned.
    ///
    /// # Panics
    /// A job is under way.
    pub async fn reset_to(&mut self, base: Position) -> Result<(), LogError> {
        self.healthy()?;
        assert!(
            self.job.is_none(),
            "the owner waits for the job under way before it resets"
        );
        self.poison = Some("a reset was given up halfway".to_owned());
        let reset = self.begin_at(base).await;
        self.poison = None;
        reset.map_err(|source| self.poisoned("resetting", source))
    }

    /// A cut that reaches over everything: the new segment is of a higher
    /// generation than those above it, and those below it are below the base.
    async fn begin_at(&mut self, base: Position) -> io::Result<()> {
        let header = SegmentHeader {
            base,
            durable_address: base.address,
            ..self.next_header()
        };
        let segment = Draft::create(&self.disk, header).await?.publish().await?;
        let old = self.segments.drain(..);
        let mut dead: Vec<_> = old.map(|segment| segment.header.base.address).collect();
        dead.append(&mut self.lost);
        dead.retain(|address| *address != base.address);
        self.staging = Staging::default();
        self.terms = TermRuns::default();
        self.holes.clear();
        (self.base, self.tail) = (base, base);
        (self.appended, self.flushed) = (base, base);
        self.go_on_in(segment);
        remove_dead(&self.disk, &dead).await
    }
}
