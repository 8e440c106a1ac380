//! The frames appended last, kept in memory for followers that keep up.
//!
//! Promise: a run of consecutive entries that ends with the log's tail, bounded in
//! bytes. A follower that needs older ones is served from the log; so what is not
//! written there yet stays, however many bytes it has: it is staged, which is bounded.

use std::collections::VecDeque;

use bytes::Bytes;

/// See the module.
#[derive(Debug)]
pub(super) struct RecentFrames {
    /// Bytes kept, at most, of entries that are written.
    bytes_max: usize,
    first_index: u64,
    frames: VecDeque<Bytes>,
    bytes: usize,
}

impl RecentFrames {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            first_index: 0,
            frames: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Adds the entry behind the last one. `unwritten_index`: the first entry that the
    /// log cannot give back yet.
    ///
    /// # Panics
    /// It is not the one behind the last.
    pub(super) fn push(&mut self, index: u64, frame: Bytes, unwritten_index: u64) {
        if self.frames.is_empty() {
            self.first_index = index;
        }
        assert_eq!(index, self.next_index(), "frames are kept without a gap");
        self.bytes += frame.len();
        self.frames.push_back(frame);
        while self.bytes > self.bytes_max && self.first_index < unwritten_index.min(index) {
            let oldest = self.frames.pop_front().expect("there are two");
            self.bytes -= oldest.len();
            self.first_index += 1;
        }
    }

    /// Forgets the entries from `index` on.
    pub(super) fn truncate(&mut self, index: u64) {
        let keep = index.saturating_sub(self.first_index) as usize;
        for frame in self.frames.drain(keep.min(self.frames.len())..) {
            self.bytes -= frame.len();
        }
    }

    /// The frames of `from..=upto`; `None` where not all are kept.
    pub(super) fn get(&self, from: u64, upto: u64) -> Option<impl Iterator<Item = &Bytes>> {
        if from < self.first_index || upto >= self.next_index() || from > upto {
            return None;
        }
        let skip = (from - self.first_index) as usize;
        let count = (upto - from + 1) as usize;
        Some(self.frames.range(skip..skip + count))
    }

    fn next_index(&self) -> u64 {
        self.first_index + self.frames.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(byte: u8, length: usize) -> Bytes {
        vec![byte; length].into()
    }

    fn first_bytes(recent: &RecentFrames, from: u64, upto: u64) -> Option<Vec<u8>> {
        recent
            .get(from, upto)
            .map(|frames| frames.map(|frame| frame[0]).collect())
    }

    #[test]
    fn gives_runs_that_are_whole_and_nothing_else() {
        let mut recent = RecentFrames::new(4 << 20);
        assert_eq!(first_bytes(&recent, 1, 1), None);
        for index in 5..9 {
            recent.push(index, frame(index as u8, 10), index);
        }
        assert_eq!(first_bytes(&recent, 5, 8), Some(vec![5, 6, 7, 8]));
        assert_eq!(first_bytes(&recent, 4, 6), None);
        assert_eq!(first_bytes(&recent, 7, 9), None);
        recent.truncate(7);
        assert_eq!(first_bytes(&recent, 5, 7), None);
        recent.push(7, frame(70, 10), 7);
        assert_eq!(first_bytes(&recent, 6, 7), Some(vec![6, 70]));
        recent.truncate(2);
        recent.push(2, frame(20, 10), 2);
        assert_eq!(first_bytes(&recent, 2, 2), Some(vec![20]));
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_bytes() {
        let mut recent = RecentFrames::new(4 << 20);
        for index in 1..=5 {
            recent.push(index, frame(index as u8, 1 << 20), index);
        }
        assert_eq!(first_bytes(&recent, 1, 2), None);
        assert_eq!(first_bytes(&recent, 2, 5), Some(vec![2, 3, 4, 5]));
        recent.push(6, frame(6, 9 << 20), 6);
        assert_eq!(first_bytes(&recent, 6, 6), Some(vec![6]));
        assert_eq!(first_bytes(&recent, 5, 6), None);
    }

    #[test]
    fn what_is_not_written_yet_stays() {
        let mut recent = RecentFrames::new(20);
        for index in 1..=6 {
            recent.push(index, frame(index as u8, 10), 3);
        }
        assert_eq!(first_bytes(&recent, 2, 6), None);
        assert_eq!(first_bytes(&recent, 3, 6), Some(vec![3, 4, 5, 6]));
        recent.push(7, frame(7, 10), 7);
        assert_eq!(first_bytes(&recent, 5, 7), None);
        assert_eq!(first_bytes(&recent, 6, 7), Some(vec![6, 7]));
    }
}
