//! The part of a run that a check looks at.

use super::judge::Evidence;
use super::lost::{Blame, Lost};
use super::{Facts, Waived};

/// A run, once it is known what may be lost in it.
pub(super) struct Case<'a> {
    pub(super) facts: &'a Facts<'a>,
    pub(super) evidence: &'a Evidence<'a>,
    /// The losses that a fault excuses.
    pub(super) excused: &'a [&'a (Lost, Blame)],
    /// The places and offsets that they were at.
    pub(super) waived: &'a Waived,
    /// Nothing that was stored may be gone.
    pub(super) is_kept: bool,
}
