//! The pending pieces that a power loss finds on the medium.
//!
//! A *piece* is a pending sector of one write, a pending size, or a pending
//! change of a directory entry. All pieces of a disk stand in one order, that
//! of the operations; within a write its sectors come before the size.

use std::collections::BTreeSet;

use crate::sim::random::Stream;

/// The part that survives of writes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskSurvival {
    /// Nothing.
    None,
    /// Everything.
    All,
    /// A prefix of all pieces, of random length.
    Prefix,
    /// The first so many pieces.
    PrefixOf(usize),
    /// Each sector, size and entry change for itself; the share is random.
    SectorSubset,
    /// As `SectorSubset`, and some of the surviving sectors are torn: each byte
    /// old or new, at random, or old and new on the two sides of a cut.
    Torn,
    /// As `Torn`, and a torn sector has random bytes too, anywhere in it (D26).
    Garbage,
    /// Every size and entry change, and no data: what is gained reads zero.
    SizeWithoutData,
    /// All data and every entry change, and no size: what was appended is cut.
    DataWithoutSize,
    /// Each entry change for itself, and neither data nor sizes.
    EntrySubset,
}

impl DiskSurvival {
    /// Every mode, once (`PrefixOf` with half a dozen pieces).
    pub const ALL: [DiskSurvival; 10] = [
        Self::None,
        Self::All,
        Self::Prefix,
        Self::PrefixOf(6),
        Self::SectorSubset,
        Self::Torn,
        Self::Garbage,
        Self::SizeWithoutData,
        Self::DataWithoutSize,
        Self::EntrySubset,
    ];
}

/// The kind of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceKind {
    Sector,
    Size,
    Entry,
}

/// How a sector arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    Lost,
    Whole,
    /// A random choice for each byte.
    Bytewise,
    /// New before the cut, old after it.
    Head,
    /// Old before the cut, new after it.
    Tail,
    /// A range of random bytes.
    Garbled,
}

/// Decides piece after piece, in order.
pub(super) struct Fates<'a> {
    survival: DiskSurvival,
    dice: &'a mut Stream,
    /// Where it was said which pieces survive.
    kept: Option<&'a BTreeSet<usize>>,
    /// For the modes that ask: of 8 pieces so many survive.
    share_of_8: u64,
    prefix: usize,
    decided: usize,
    /// A piece was lost, and a later one arrived.
    lost: bool,
    gap: bool,
}

impl<'a> Fates<'a> {
    pub(super) fn new(survival: DiskSurvival, pieces: usize, dice: &'a mut Stream) -> Self {
        let prefix = match survival {
            DiskSurvival::Prefix => dice.between(0, pieces as u64) as usize,
            DiskSurvival::PrefixOf(pieces) => pieces,
            _ => 0,
        };
        let share_of_8 = dice.between(1, 7);
        Self {
            survival,
            dice,
            kept: None,
            share_of_8,
            prefix,
            decided: 0,
            lost: false,
            gap: false,
        }
    }

    /// Those pieces and no others, by their places in the order of all.
    pub(super) fn keeping(kept: &'a BTreeSet<usize>, dice: &'a mut Stream) -> Self {
        Self {
            kept: Some(kept),
            ..Self::new(DiskSurvival::All, 0, dice)
        }
    }

    /// Half of all pieces, more or less: what a failed writeback got done.
    pub(super) fn subset(dice: &'a mut Stream) -> Self {
        Self::new(DiskSurvival::SectorSubset, 0, dice)
    }

    /// Whether a later piece arrived and an earlier one did not.
    pub(super) fn left_a_gap(&self) -> bool {
        self.gap
    }

    pub(super) fn next(&mut self, kind: PieceKind) -> Arrival {
        let index = self.decided;
        self.decided += 1;
        let survives = match self.survival {
            DiskSurvival::None => false,
            DiskSurvival::All => self.kept.is_none_or(|kept| kept.contains(&index)),
            DiskSurvival::Prefix | DiskSurvival::PrefixOf(_) => index < self.prefix,
            DiskSurvival::SectorSubset | DiskSurvival::Torn | DiskSurvival::Garbage => {
                self.chosen()
            }
            DiskSurvival::SizeWithoutData => kind != PieceKind::Sector,
            DiskSurvival::DataWithoutSize => kind != PieceKind::Size,
            DiskSurvival::EntrySubset => kind == PieceKind::Entry && self.chosen(),
        };
        self.gap |= self.lost && survives;
        self.lost |= !survives;
        match (survives, kind) {
            (false, _) => Arrival::Lost,
            (true, PieceKind::Sector) => self.sector(),
            (true, _) => Arrival::Whole,
        }
    }

    fn chosen(&mut self) -> bool {
        self.dice.below(8) < self.share_of_8
    }

    fn sector(&mut self) -> Arrival {
        let shapes: &[Arrival] = match self.survival {
            DiskSurvival::Torn => &[Arrival::Bytewise, Arrival::Head, Arrival::Tail],
            DiskSurvival::Garbage => &[
                Arrival::Bytewise,
                Arrival::Head,
                Arrival::Tail,
                Arrival::Garbled,
            ],
            _ => return Arrival::Whole,
        };
        match self.dice.below(2) {
            0 => Arrival::Whole,
            _ => shapes[self.dice.below(shapes.len() as u64) as usize],
        }
    }

    /// The content of the medium in a sector that was `old` and should be `new`.
    pub(super) fn mix(&mut self, arrival: Arrival, old: &[u8], new: &[u8]) -> Vec<u8> {
        let mut mixed = old.to_vec();
        let cut = 1 + self.dice.below(new.len() as u64 - 1) as usize;
        match arrival {
            Arrival::Lost => {}
            Arrival::Whole => mixed.copy_from_slice(new),
            Arrival::Head => mixed[..cut].copy_from_slice(&new[..cut]),
            Arrival::Tail => mixed[cut..].copy_from_slice(&new[cut..]),
            Arrival::Bytewise => self.interleave(&mut mixed, new),
            Arrival::Garbled => {
                mixed.copy_from_slice(new);
                let end = cut + 1 + self.dice.below((new.len() - cut) as u64) as usize;
                self.dice.fill(&mut mixed[cut - 1..end]);
            }
        }
        mixed
    }

    fn interleave(&mut self, mixed: &mut [u8], new: &[u8]) {
        let mut mask = vec![0; new.len()];
        self.dice.fill(&mut mask);
        for (index, bits) in mask.into_iter().enumerate() {
            if bits & 1 == 1 {
                mixed[index] = new[index];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::random::Purpose;

    /// How `mode` treats eight writes, each a sector and a size, and an entry.
    fn arrivals(mode: DiskSurvival, seed: u64) -> Vec<Arrival> {
        let mut dice = Stream::new(seed, Purpose::Survival);
        let mut fates = Fates::new(mode, 24, &mut dice);
        let kinds = [PieceKind::Sector, PieceKind::Size, PieceKind::Entry];
        (0..24).map(|index| fates.next(kinds[index % 3])).collect()
    }

    #[test]
    fn a_prefix_has_one_end() {
        for seed in 0..50 {
            let all = arrivals(DiskSurvival::Prefix, seed);
            let kept = all.iter().take_while(|a| **a == Arrival::Whole).count();
            assert!(all[kept..].iter().all(|a| *a == Arrival::Lost));
        }
        let kept = |all: Vec<Arrival>| all.iter().filter(|a| **a == Arrival::Whole).count();
        assert_eq!(kept(arrivals(DiskSurvival::PrefixOf(5), 0)), 5);
    }

    #[test]
    fn a_subset_leaves_gaps_and_only_torn_modes_tear() {
        let whole_or_lost = |a: &Arrival| matches!(a, Arrival::Whole | Arrival::Lost);
        let mut gaps = 0;
        for seed in 0..50 {
            let all = arrivals(DiskSurvival::SectorSubset, seed);
            assert!(all.iter().all(whole_or_lost));
            gaps += all
                .windows(2)
                .filter(|w| *w == [Arrival::Lost, Arrival::Whole])
                .count();
        }
        assert!(gaps > 50);
        let torn = |mode| {
            (0..50)
                .flat_map(|s| arrivals(mode, s))
                .filter(|a| !whole_or_lost(a))
                .count()
        };
        assert!(torn(DiskSurvival::Torn) > 50 && torn(DiskSurvival::Garbage) > 50);
        let garbled = |mode| {
            (0..50)
                .flat_map(|s| arrivals(mode, s))
                .any(|a| a == Arrival::Garbled)
        };
        assert!(garbled(DiskSurvival::Garbage) && !garbled(DiskSurvival::Torn));
    }

    #[test]
    fn a_torn_sector_has_old_or_new_at_every_byte() {
        let mut dice = Stream::new(3, Purpose::Survival);
        let mut fates = Fates::new(DiskSurvival::Torn, 0, &mut dice);
        let (old, new) = ([0u8; 512], [1u8; 512]);
        for arrival in [Arrival::Bytewise, Arrival::Head, Arrival::Tail] {
            let mixed = fates.mix(arrival, &old, &new);
            assert!(mixed.iter().all(|byte| *byte < 2));
            assert!(mixed != old && mixed != new, "{arrival:?}");
        }
        let garbled = fates.mix(Arrival::Garbled, &old, &new);
        assert!(garbled.iter().any(|byte| *byte > 1));
    }
}
