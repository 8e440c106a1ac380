//! Where reading for followers goes on in the log: an index alone is looked for from the
//! beginning of its group, which costs many times what a short message carries.

use std::collections::BTreeMap;

/// Cursors kept; the one that is behind most goes first.
const CURSORS_MAX: usize = 16;

/// Log addresses of entries that are asked for next, or once more, by index.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    addresses: BTreeMap<u64, u64>,
}

impl Cursors {
    /// Reading goes on with that entry.
    pub(super) fn leave(&mut self, index: u64, address: u64) {
        self.addresses.insert(index, address);
        if self.addresses.len() > CURSORS_MAX {
            self.addresses.pop_first();
        }
    }

    /// The address of an entry; `None`: it is to be looked for.
    pub(super) fn address_of(&self, index: u64) -> Option<u64> {
        self.addresses.get(&index).copied()
    }

    /// The log has other entries from there on, or none.
    pub(super) fn truncate(&mut self, from_index: u64) {
        self.addresses.split_off(&from_index);
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
    fn so_many_are_kept() {
        let mut cursors = Cursors::default();
        (1..=1 + CURSORS_MAX as u64).for_each(|index| cursors.leave(index, 10 * index));
        assert_eq!(
            (cursors.address_of(1), cursors.address_of(2)),
            (None, Some(20))
        );
    }
}
