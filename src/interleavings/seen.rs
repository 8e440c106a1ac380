//! The names of the states that were met.

/// A set of names that are drawn as if at random. It forgets none, and has no order.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// 0 where nothing is; a power of two in number.
    slots: Vec<u128>,
    count: usize,
}

impl Seen {
    /// Gives whether the name is new.
    pub(super) fn insert(&mut self, name: u128) -> bool {
        if 2 * self.count >= self.slots.len() {
            self.grow();
        }
        let name = name.max(1);
        let at = self.slot_of(name);
        let is_new = self.slots[at] == 0;
        self.slots[at] = name;
        self.count += usize::from(is_new);
        is_new
    }

    /// Where the name is, or belongs.
    fn slot_of(&self, name: u128) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = name as usize & mask;
        while self.slots[at] != 0 && self.slots[at] != name {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let size = (2 * self.slots.len()).max(1 << 12);
        let old = std::mem::replace(&mut self.slots, vec![0; size]);
        for name in old.into_iter().filter(|name| *name != 0) {
            let at = self.slot_of(name);
            self.slots[at] = name;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn every_name_is_new_once() {
        let mut seen = Seen::default();
        let name = |number: u128| number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834);
        for number in 0..20_000 {
            assert!(seen.insert(name(number)));
        }
        assert!((0..20_000).all(|number| !seen.insert(name(number))));
    }
}
