//! The files that somebody else leaves on a broker's disk.

use serde::{Deserialize, Serialize};

/// The names that a stray file's name is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StrayName {
    /// A segment that is not there.
    Segment,
    /// A segment in the making.
    SegmentDraft,
    /// A segment that gets its name once more.
    SegmentAgain,
    /// A small file of the store's in the making.
    OwnDraft,
    /// A file of a queue.
    QueueFile,
    /// Any other.
    Any,
}

impl StrayName {
    /// Every one, with its word in scenario files.
    pub(super) const ALL: [(&'static str, Self); 6] = [
        ("segment", Self::Segment),
        ("segment-draft", Self::SegmentDraft),
        ("segment-again", Self::SegmentAgain),
        ("own-draft", Self::OwnDraft),
        ("queue-file", Self::QueueFile),
        ("any", Self::Any),
    ];
}

/// The content of a stray file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StrayContent {
    /// Zeros.
    Zeros,
    /// Random bytes.
    Random,
    /// The first bytes of another file of its directory: an interrupted copy.
    Copy,
    /// It is a directory.
    Directory,
}

impl StrayContent {
    /// Every one, with its word in scenario files.
    pub(super) const ALL: [(&'static str, Self); 4] = [
        ("zeros", Self::Zeros),
        ("random", Self::Random),
        ("copy", Self::Copy),
        ("directory", Self::Directory),
    ];
}
