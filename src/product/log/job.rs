//! The jobs that make the log durable, as futures that stand alone.
//!
//! Promise: a [`Job`] borrows nothing from the log, so the owner's loop polls it
//! beside everything else; a [`Done`] names what it covers, and that counts as
//! flushed once [`super::CommitLog::job_done`] has it. No job is under way while a
//! repair, a cut or a reset sets the flushed position.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Position;
use super::segment::{Draft, Segment, SegmentHeader};
use crate::env::{Disk, File};

/// The kinds of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// Syncs the segment that is appended to.
    Sync {
        /// The position up to which all is durable after it.
        upto: Position,
    },
    /// Syncs that segment, then makes the next one.
    Roll {
        /// The position up to which all is durable after it, and at which the next
        /// segment begins.
        upto: Position,
    },
}

/// A sync or a roll under way. Poll it to its end and hand the [`Done`] back:
/// one that is dropped leaves the log waiting for it.
#[must_use = "the log waits for its outcome"]
pub struct Job<D: Disk> {
    kind: JobKind,
    future: Pin<Box<dyn Future<Output = Done<D>> + Send>>,
}

/// A job's outcome.
#[must_use = "the log waits for it: hand it to CommitLog::job_done"]
pub struct Done<D: Disk> {
    pub(super) kind: JobKind,
    pub(super) outcome: io::Result<Option<Segment<D>>>,
}

impl<D: Disk> Done<D> {
    /// The kind of the job.
    #[must_use]
    pub fn kind(&self) -> JobKind {
        self.kind
    }

    /// Whether it did.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.outcome.is_ok()
    }
}

impl<D: Disk> Job<D> {
    /// The kind of the job.
    #[must_use]
    pub fn kind(&self) -> JobKind {
        self.kind
    }

    /// Syncs `file`, in which everything below `upto` is cached.
    pub(super) fn sync(file: D::File, upto: Position) -> Self {
        let kind = JobKind::Sync { upto };
        let future = Box::pin(async move {
            let outcome = file.sync_data().await.map(|()| None);
            Done { kind, outcome }
        });
        Self { kind, future }
    }

    /// Syncs `old`, then makes the segment of `header`.
    pub(super) fn roll(disk: D, old: D::File, header: SegmentHeader) -> Self {
        let kind = JobKind::Roll { upto: header.base };
        let future = Box::pin(async move {
            let outcome = roll(&disk, &old, header).await.map(Some);
            Done { kind, outcome }
        });
        Self { kind, future }
    }
}

/// The old segment first: the new one's name says that everything before it was
/// durable (S06).
pub(super) async fn roll<D: Disk>(
    disk: &D,
    old: &D::File,
    header: SegmentHeader,
) -> io::Result<Segment<D>> {
    old.sync_data().await?;
    Draft::create(disk, header).await?.publish().await
}

impl<D: Disk> Future for Job<D> {
    type Output = Done<D>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Done<D>> {
        self.future.as_mut().poll(context)
    }
}

impl<D: Disk> fmt::Debug for Job<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Job").field(&self.kind).finish()
    }
}

impl<D: Disk> fmt::Debug for Done<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.outcome.as_ref().err();
        f.debug_struct("Done")
            .field("kind", &self.kind)
            .field("failed", &failed)
            .finish()
    }
}
