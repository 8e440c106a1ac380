//! The bytes of a file: runs that were written, shared with their writers, and zeros
//! between and behind them, which cost nothing.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// Bytes as they were written. Never changed in place: cache, medium, forks and
/// pending writes share them.
#[derive(Debug, Clone)]
struct Run {
    at: u64,
    bytes: Bytes,
}

impl Run {
    fn end(&self) -> u64 {
        self.at + self.bytes.len() as u64
    }

    /// The part of it that lies in `range`, if there is one.
    fn within(&self, range: Range<u64>) -> Option<Run> {
        let at = self.at.max(range.start);
        let end = self.end().min(range.end);
        (at < end).then(|| Run {
            at,
            bytes: self.bytes.slice(index(at - self.at)..index(end - self.at)),
        })
    }
}

/// A file's content: what was written, and zeros up to `size_bytes`.
///
/// Invariants:
/// 1. `runs` are in order, not empty, and do not overlap.
/// 2. The last run's end <= `written_bytes` <= `size_bytes`. Only the
///    application of surviving pieces after a power loss leaves the second half
///    for a moment, and ends by clipping.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Shared by copies until one of them is written to.
    runs: Arc<Vec<Run>>,
    written_bytes: u64,
    size_bytes: u64,
}

impl Content {
    /// How far it was ever written; what follows is zero.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// The file's size.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The bytes up to the last one ever written.
    pub fn written(&self) -> Bytes {
        self.gather(0, index(self.written_bytes))
    }

    /// All of the file, its zero tail included.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = vec![0; index(self.size_bytes)];
        self.copy_to(0, &mut all);
        all
    }

    /// Up to `length` bytes from `position`, fewer at the end of the file.
    pub fn read(&self, position: u64, length: usize) -> Bytes {
        let length = (length as u64).min(self.size_bytes.saturating_sub(position));
        self.gather(position, index(length))
    }

    /// The first position at or behind `position` that was ever written.
    pub fn data_from(&self, position: u64) -> Option<u64> {
        let behind = self.touched(position..u64::MAX);
        let run = self.runs.get(behind.start)?;
        Some(run.at.max(position)).filter(|at| *at < self.size_bytes)
    }

    /// A part, size or not: copied only where it is not a part of one run.
    fn gather(&self, position: u64, length: usize) -> Bytes {
        let range = position..position + length as u64;
        let run = self.touched(range.clone()).start;
        if let Some(whole) = self.runs.get(run).and_then(|run| run.within(range))
            && whole.bytes.len() == length
        {
            return whole.bytes;
        }
        let mut out = Vec::with_capacity(length);
        let range = position..position + length as u64;
        for run in &self.runs[self.touched(range.clone())] {
            if let Some(part) = run.within(range.clone()) {
                out.resize(index(part.at - position), 0);
                out.extend_from_slice(&part.bytes);
            }
        }
        out.resize(length, 0);
        Bytes::from(out)
    }

    /// True where the file holds exactly `expected` at `position`.
    pub fn matches(&self, position: u64, expected: &[u8]) -> bool {
        self.read(position, expected.len()) == expected
    }

    /// Fills `out` from `position`, with zeros where nothing was written.
    pub(super) fn copy_to(&self, position: u64, out: &mut [u8]) {
        out.fill(0);
        self.copy_runs(position, out);
    }

    fn copy_runs(&self, position: u64, out: &mut [u8]) {
        let range = position..position + out.len() as u64;
        for run in &self.runs[self.touched(range.clone())] {
            if let Some(part) = run.within(range.clone()) {
                let from = index(part.at - position);
                out[from..from + part.bytes.len()].copy_from_slice(&part.bytes);
            }
        }
    }

    /// The runs that have bytes in the range.
    fn touched(&self, range: Range<u64>) -> Range<usize> {
        let first = self.runs.partition_point(|run| run.end() <= range.start);
        let behind = self.runs[first..].partition_point(|run| run.at < range.end);
        first..first + behind
    }

    /// Puts bytes in place and leaves the size alone.
    pub(super) fn put(&mut self, position: u64, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let end = position + bytes.len() as u64;
        let hit = self.touched(position..end);
        let run = Run {
            at: position,
            bytes,
        };
        let runs = Arc::make_mut(&mut self.runs);
        if hit.start == runs.len() {
            runs.push(run);
        } else {
            let old = &runs[hit.clone()];
            let head = old.first().and_then(|first| first.within(0..position));
            let tail = old.last().and_then(|last| last.within(end..u64::MAX));
            runs.splice(hit, head.into_iter().chain([run]).chain(tail));
        }
        self.written_bytes = self.written_bytes.max(end);
    }

    /// Puts bytes in place and makes the file long enough to read up to `end`;
    /// what lies past the size then is cut off (a sector's padding).
    pub(super) fn write(&mut self, position: u64, bytes: &Bytes, end: u64) {
        self.grow(end);
        let room = index(self.size_bytes.saturating_sub(position)).min(bytes.len());
        self.put(position, bytes.slice(..room));
    }

    pub(super) fn grow(&mut self, size_bytes: u64) {
        self.size_bytes = self.size_bytes.max(size_bytes);
    }

    pub(super) fn shrink(&mut self, size_bytes: u64) {
        self.size_bytes = self.size_bytes.min(size_bytes);
        self.cut(size_bytes);
    }

    /// Forgets bytes that lie past the size.
    pub(super) fn clip(&mut self) {
        self.cut(self.size_bytes);
    }

    fn cut(&mut self, end: u64) {
        if self.runs.last().is_some_and(|last| last.end() > end) {
            let runs = Arc::make_mut(&mut self.runs);
            runs.truncate(runs.partition_point(|run| run.at < end));
            let last = runs.pop().and_then(|last| last.within(0..end));
            runs.extend(last);
        }
        self.written_bytes = self.written_bytes.min(end);
    }
}

/// Equal as read: how it was written does not matter.
impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        let written = index(self.written_bytes.max(other.written_bytes));
        self.size_bytes == other.size_bytes && self.gather(0, written) == other.gather(0, written)
    }
}

impl Eq for Content {}

/// A position as an index: a simulated file fits in memory, or nothing does.
fn index(position: u64) -> usize {
    usize::try_from(position).expect("a simulated file fits the address space")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_tail_costs_nothing_and_reads_zero() {
        let mut content = Content::default();
        content.grow(1 << 40);
        content.write(3, &Bytes::from_static(b"abc"), 6);
        assert_eq!(content.written(), &b"\0\0\0abc"[..]);
        assert_eq!(&content.read(4, 5)[..], b"bc\0\0\0");
        assert!(content.matches(5, b"c\0\0"));
        assert!(!content.matches(5, b"c\0x"));
        assert!(!content.matches((1 << 40) - 1, b"\0\0"), "past the end");
    }

    #[test]
    fn a_part_cut_off_reads_zero_when_the_file_grows_again() {
        let mut content = Content::default();
        content.write(0, &Bytes::from_static(b"abcdef"), 6);
        content.shrink(2);
        content.grow(6);
        assert_eq!(content.to_vec(), b"ab\0\0\0\0");
    }

    #[test]
    fn padding_past_the_size_is_cut() {
        let mut content = Content::default();
        content.write(0, &Bytes::from_static(b"abc\0\0\0\0\0"), 3);
        assert_eq!(content.written(), &b"abc"[..]);
        assert_eq!(content.size_bytes(), 3);
    }

    #[test]
    fn equal_means_reads_equal() {
        let (mut left, mut right) = (Content::default(), Content::default());
        left.write(0, &Bytes::from_static(b"a\0\0"), 3);
        right.write(0, &Bytes::from_static(b"a"), 3);
        assert_eq!(left, right);
        right.write(2, &Bytes::from_static(b"x"), 3);
        assert_ne!(left, right);
    }

    #[test]
    fn a_write_over_others_leaves_what_stands_out_of_it() {
        let mut content = Content::default();
        for (position, bytes) in [(0, "aaaa"), (4, "bbbb"), (10, "cc"), (2, "vwwww"), (8, "y")] {
            let bytes = Bytes::from_static(bytes.as_bytes());
            content.write(position, &bytes, position + bytes.len() as u64);
        }
        assert_eq!(content.to_vec(), b"aavwwwwby\0cc");
        content.write(5, &Bytes::from_static(b"z"), 6);
        assert_eq!(content.to_vec(), b"aavwwzwby\0cc");
        assert_eq!(content.read(5, 1), &b"z"[..]);
        content.shrink(7);
        assert_eq!(content.to_vec(), b"aavwwzw");
    }

    #[test]
    fn forks_do_not_see_each_others_writes() {
        let mut content = Content::default();
        content.write(0, &Bytes::from_static(b"abc"), 3);
        let fork = content.clone();
        content.write(1, &Bytes::from_static(b"X"), 3);
        assert_eq!(
            (content.to_vec(), fork.to_vec()),
            (b"aXc".to_vec(), b"abc".to_vec())
        );
    }
}
