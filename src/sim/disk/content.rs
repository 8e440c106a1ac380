//! The bytes of a file, with a tail that costs nothing while it is zero.

use bytes::Bytes;

/// A file's content: `bytes`, then zeros up to `size_bytes`.
///
/// Invariant: `bytes.len() <= size_bytes`. Only the application of surviving
/// pieces after a power loss leaves it for a moment, and ends by clipping.
#[derive(Debug, Clone, Default)]
pub struct Content {
    bytes: Vec<u8>,
    size_bytes: u64,
}

impl Content {
    /// The bytes up to the last one ever written; what follows is zero.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file's size.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// All of the file, its zero tail included.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = self.bytes.clone();
        all.resize(index(self.size_bytes), 0);
        all
    }

    /// Up to `length` bytes from `position`, fewer at the end of the file.
    pub fn read(&self, position: u64, length: usize) -> Bytes {
        let length = (length as u64).min(self.size_bytes.saturating_sub(position));
        let mut out = vec![0; index(length)];
        self.copy_to(position, &mut out);
        Bytes::from(out)
    }

    /// True where the file holds exactly `expected` at `position`.
    pub fn matches(&self, position: u64, expected: &[u8]) -> bool {
        if position + expected.len() as u64 > self.size_bytes {
            return false;
        }
        let start = index(position).min(self.bytes.len());
        let kept = &self.bytes[start..self.bytes.len().min(start + expected.len())];
        let (head, tail) = expected.split_at(kept.len());
        head == kept && tail.iter().all(|byte| *byte == 0)
    }

    /// Fills `out` from `position`, with zeros where nothing was written.
    pub(super) fn copy_to(&self, position: u64, out: &mut [u8]) {
        let start = index(position).min(self.bytes.len());
        let kept = &self.bytes[start..self.bytes.len().min(start + out.len())];
        let (head, tail) = out.split_at_mut(kept.len());
        head.copy_from_slice(kept);
        tail.fill(0);
    }

    /// Puts bytes in place and leaves the size alone.
    pub(super) fn put(&mut self, position: u64, bytes: &[u8]) {
        let start = index(position);
        if start > self.bytes.len() {
            self.bytes.resize(start, 0);
        }
        let inside = bytes.len().min(self.bytes.len() - start);
        self.bytes[start..start + inside].copy_from_slice(&bytes[..inside]);
        self.bytes.extend_from_slice(&bytes[inside..]);
    }

    /// Puts bytes in place and makes the file long enough to read up to `end`;
    /// what lies past the size then is cut off (a sector's padding).
    pub(super) fn write(&mut self, position: u64, bytes: &[u8], end: u64) {
        self.grow(end);
        let room = index(self.size_bytes.saturating_sub(position)).min(bytes.len());
        if room > 0 {
            self.put(position, &bytes[..room]);
        }
    }

    pub(super) fn grow(&mut self, size_bytes: u64) {
        self.size_bytes = self.size_bytes.max(size_bytes);
    }

    pub(super) fn shrink(&mut self, size_bytes: u64) {
        self.size_bytes = self.size_bytes.min(size_bytes);
        self.bytes.truncate(index(size_bytes));
    }

    /// Forgets bytes that lie past the size.
    pub(super) fn clip(&mut self) {
        self.bytes.truncate(index(self.size_bytes));
    }
}

/// Equal as read: where the zero tail begins does not matter.
impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        let (short, long) = match self.bytes.len() <= other.bytes.len() {
            true => (self, other),
            false => (other, self),
        };
        let (head, tail) = long.bytes.split_at(short.bytes.len());
        self.size_bytes == other.size_bytes
            && head == short.bytes
            && tail.iter().all(|byte| *byte == 0)
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
        content.write(3, b"abc", 6);
        assert_eq!(content.bytes(), b"\0\0\0abc");
        assert_eq!(&content.read(4, 5)[..], b"bc\0\0\0");
        assert!(content.matches(5, b"c\0\0"));
        assert!(!content.matches(5, b"c\0x"));
        assert!(!content.matches((1 << 40) - 1, b"\0\0"), "past the end");
    }

    #[test]
    fn what_was_cut_off_reads_zero_when_the_file_grows_again() {
        let mut content = Content::default();
        content.write(0, b"abcdef", 6);
        content.shrink(2);
        content.grow(6);
        assert_eq!(content.to_vec(), b"ab\0\0\0\0");
    }

    #[test]
    fn padding_past_the_size_is_cut() {
        let mut content = Content::default();
        content.write(0, b"abc\0\0\0\0\0", 3);
        assert_eq!((content.bytes(), content.size_bytes()), (&b"abc"[..], 3));
    }

    #[test]
    fn equal_means_reads_equal() {
        let (mut left, mut right) = (Content::default(), Content::default());
        left.write(0, b"a\0\0", 3);
        right.write(0, b"a", 3);
        assert_eq!(left, right);
        right.write(2, b"x", 3);
        assert_ne!(left, right);
    }
}
