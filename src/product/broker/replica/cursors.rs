//! Where reading for followers goes on in the log: an index alone is looked for from the
//! beginning of its group, which costs many times what a short message carries.

use std::collections::VecDeque;

/// Cursors kept: followers of a large cluster, each with a few reads on their way.
const CURSORS_MAX: usize = 64;

/// Log addresses of entries that are asked for next, or once more, by index; those that
/// were used last at the end. The one that was not used for longest goes first, or a
/// follower that is far behind would be looked up for each time that others read.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    addresses: VecDeque<(u64, u64)>,
}

impl Cursors {
    /// Reading goes on with that entry.
    pub(super) fn leave(&mut self, index: u64, address: u64) {
        self.addresses.retain(|(known, _)| *known != index);
        self.addresses.push_back((index, address));
        if self.addresses.len() > CURSORS_MAX {
            self.addresses.pop_front();
        }
    }

    /// The address of an entry; `None`: it is to be looked for.
    pub(super) fn address_of(&self, index: u64) -> Option<u64> {
        let mut known = self.addresses.iter();
        let found = known.find(|(known, _)| *known == index);
        found.map(|(_, address)| *address)
    }

    /// The log has other entries from there on, or none.
    pub(super) fn truncate(&mut self, from_index: u64) {
        self.addresses.retain(|(index, _)| *index < from_index);
    }
}

#[cfg(test)]
mod tests {
    use super::{CURSORS_MAX, Cursors};

    #[test]
    fn a_cursor_stands_until_the_log_is_cut_before_it() {
        let mut cursors = Cursors::default();
        cursors.leave(7, 700);
        cursors.leave(9, 900);
        assert_eq!(cursors.address_of(7), Some(700));
        assert_eq!(cursors.address_of(8), None);
        cursors.truncate(9);
        assert_eq!(
            (cursors.address_of(7), cursors.address_of(9)),
            (Some(700), None)
        );
        cursors.truncate(7);
        assert_eq!(cursors.address_of(7), None);
    }

    #[test]
    fn the_one_that_was_not_used_for_longest_goes() {
        let mut cursors = Cursors::default();
        let most = CURSORS_MAX as u64;
        (1..=most).for_each(|index| cursors.leave(index, 10 * index));
        cursors.leave(1, 10);
        cursors.leave(most + 1, 0);
        assert_eq!(
            (cursors.address_of(1), cursors.address_of(2)),
            (Some(10), None)
        );
    }
}
