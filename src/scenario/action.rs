//! The actions of faults: one row for each kind.

use toml::Value;

use super::parameter::{
    Among, Choice, Files, LeftOut, Maybe, Parameter, Span, Survivors, Unit, Until, Way,
};
use super::random::Stream;
use super::read::{Key, Problem, Table};
use super::{
    Between, CutDirection, CutLinks, DiskVerb, PartitionShape, Refusal, RotForm, StrayContent,
    StrayName, SyncErrorCache, SyncForm,
};
use crate::history::FaultKind;

/// How much faster or slower than time a clock may go, parts per million: a
/// tenth (guarantee.md, section 3).
pub const DRIFT_PPM_MAX: u64 = 100_000;

/// Until a victim is started again, where nothing is said, milliseconds.
const DOWN_MS: (u64, u64) = (100, 1_000);
/// Until a fault is taken back.
const LASTS_MS: (u64, u64) = (200, 2_000);
/// A pause: longer than a leader's term survives by itself.
const PAUSE_MS: (u64, u64) = (1_000, 5_000);
/// Operations that pass before one that is struck.
const SKIPS: std::ops::Range<u64> = 0..10_001;
/// How many times as long: a hundred times, where nothing is said.
const FACTOR: (std::ops::Range<u64>, (u64, u64)) = (2..10_001, (100, 100));
const PPM: (std::ops::Range<u64>, (u64, u64)) = (1..DRIFT_PPM_MAX + 1, (1_000, DRIFT_PPM_MAX));

/// Whether a hit's draw decides further about an action.
macro_rules! is_chance {
    (certain) => {
        false
    };
    (chance) => {
        true
    };
}

/// Makes the type of all actions, and its reader, its draw and its writer, of one row for
/// each kind. The parameters of a row are drawn in its order: another order is another
/// run for every recorded seed.
macro_rules! fault_actions {
    (
        $(
            $(#[doc = $doc:literal])+
            $kind:ident, $chance:ident {
                $($(#[doc = $field_doc:literal])+ $field:ident: $key:literal, $type:ty = $rule:expr;)*
            }
        )+
        settings: $($setting:ident)+
    ) => {
        /// The action of a fault. In a scenario its parameters are ranges and choices; in a
        /// plan the same ones have nothing left to draw.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum FaultAction {
            $(
                $(#[doc = $doc])+
                $kind {
                    $($(#[doc = $field_doc])+ $field: $type,)*
                },
            )+
        }

        impl FaultAction {
            /// The kind under which it is counted.
            pub fn kind(&self) -> FaultKind {
                match self {
                    $(Self::$kind { .. } => FaultKind::$kind,)+
                }
            }

            /// The keys that a kind has beside the common ones.
            pub(super) fn keys(kind: FaultKind, unit: Unit) -> Vec<Key> {
                match kind {
                    $(FaultKind::$kind => vec![$(Key {
                        name: key!(unit, $type, $key),
                        meaning: concat!($($field_doc),+),
                    }),*],)+
                    $(FaultKind::$setting)|+ => Vec::new(),
                }
            }

            /// The meaning of a kind, in a sentence.
            pub(super) fn meaning(kind: FaultKind) -> &'static str {
                match kind {
                    $(FaultKind::$kind => concat!($($doc),+),)+
                    $(FaultKind::$setting)|+ => "",
                }
            }

            /// Reads the action of that kind.
            pub(super) fn read(
                kind: FaultKind,
                table: &Table<'_>,
                unit: Unit,
            ) -> Result<Self, Problem> {
                Ok(match kind {
                    $(FaultKind::$kind => Self::$kind {
                        $($field: <$type as Parameter>::read(
                            table,
                            key!(unit, $type, $key),
                            $rule,
                            unit,
                        )?,)*
                    },)+
                    $(FaultKind::$setting)|+ => {
                        unreachable!("no [[fault]] has the kind of a setting")
                    }
                })
            }

            /// With nothing left to draw.
            pub(super) fn drawn(&self, stream: &mut Stream) -> Self {
                match self {
                    $(Self::$kind { $($field),* } => Self::$kind {
                        $($field: $field.drawn(stream),)*
                    },)+
                }
            }

            /// Whether nothing is left to draw.
            pub(super) fn is_drawn(&self) -> bool {
                match self {
                    $(Self::$kind { $($field),* } => true $(&& $field.is_drawn())*,)+
                }
            }

            /// As a plan has it; nothing may be left to draw.
            pub(super) fn written(&self) -> Value {
                let mut table = toml::Table::new();
                table.insert("kind".to_owned(), Value::String(self.kind().name().to_owned()));
                match self {
                    $(Self::$kind { $($field),* } => {
                        $(if let Some(value) = $field.written() {
                            table.insert(key!(Unit::Ns, $type, $key).to_owned(), value);
                        })*
                    })+
                }
                Value::Table(table)
            }

            /// Whether a hit's draw decides about it further.
            pub fn leaves_to_chance(&self) -> bool {
                match self {
                    $(Self::$kind { $($field),* } => {
                        is_chance!($chance) $(&& !$field.decides_all())*
                    })+
                }
            }
        }
    };
}

macro_rules! key {
    ($unit:expr, $type:ty, $key:literal) => {
        <$type as Parameter>::key($unit, $key, concat!($key, "_ms"), concat!($key, "_ns"))
    };
}

fault_actions! {
    /// The process dies.
    Kill, certain {
        /// Until it is started again.
        down: "down", Span = DOWN_MS;
    }
    /// The process is asked to stop cleanly.
    Restart, certain {
        /// Until it is started again, once it has stopped.
        down: "down", Span = DOWN_MS;
    }
    /// The machine loses power.
    PowerLoss, chance {
        /// Until it is started again.
        down: "down", Span = DOWN_MS;
        /// The part that survives.
        survival: "survival", Survivors = ();
    }
    /// The disk is gone; the operator puts in a formatted blank one.
    DiskDestroyed, certain {
        /// Until it is started again.
        down: "down", Span = DOWN_MS;
    }
    /// The disk is replaced by an image that was taken of it earlier.
    DiskRolledBack, certain {
        /// The age of the image.
        age: "age", Span = (100, 2_000);
        /// Until it is started again.
        down: "down", Span = DOWN_MS;
    }
    /// The next sync fails.
    SyncError, chance {
        /// The content of the cache afterwards.
        cache: "cache", Choice<SyncErrorCache> = LeftOut::Drawn;
        /// Of these files.
        file: "file", Files = Among::Files;
        /// The step that fails.
        form: "form", Choice<SyncForm> = LeftOut::This(SyncForm::default());
        /// Matching operations that pass before the one that it strikes.
        skip: "skip", Maybe = SKIPS;
    }
    /// A sector that holds data cannot be read until it is rewritten.
    ReadError, chance {
        /// Of these files.
        file: "file", Files = Among::Sectors;
    }
    /// A durable sector that holds data changes.
    Rot, chance {
        /// Of these files.
        file: "file", Files = Among::Sectors;
        /// How it changes.
        form: "form", Choice<RotForm> = LeftOut::This(RotForm::default());
    }
    /// No space left.
    DiskFull, chance {
        /// Until space is free again.
        lasts: "lasts", Span = LASTS_MS;
    }
    /// Operations are refused: nothing of what the disk holds is lost.
    DiskError, certain {
        /// Until they succeed again.
        lasts: "lasts", Span = LASTS_MS;
        /// With which error.
        error: "error", Choice<Refusal> = LeftOut::Drawn;
        /// The operations.
        operation: "operation", Choice<DiskVerb> = LeftOut::Drawn;
        /// On these files only.
        file: "file", Files = Among::AnyOrFiles;
    }
    /// Every sync takes longer.
    DiskSlow, certain {
        /// The time that one takes in addition.
        extra: "extra", Span = (10, 200);
        /// Until the disk is fast again.
        lasts: "lasts", Span = LASTS_MS;
    }
    /// Every sync takes so many times as long.
    DiskLimping, certain {
        /// Until the disk is fast again.
        lasts: "lasts", Span = LASTS_MS;
        /// How many times as long.
        factor: "factor", Between = FACTOR;
    }
    /// Syncs do not return until the disk comes back; or those that were begun
    /// never do, and the operator starts the broker again once it is back. The hit's draw
    /// decides between the two.
    DiskHung, chance {
        /// Until syncs return.
        lasts: "lasts", Span = LASTS_MS;
    }
    /// Syncs return OK and do nothing.
    DiskLying, certain {
        /// Until syncs mean something again.
        lasts: "lasts", Span = LASTS_MS;
    }
    /// The next write lands elsewhere.
    MisdirectedWrite, chance {
        /// Of these files.
        file: "file", Files = Among::Files;
        /// Matching operations that pass before the one that it strikes.
        skip: "skip", Maybe = SKIPS;
    }
    /// The next write is reported and never done.
    LostWrite, chance {
        /// Of these files.
        file: "file", Files = Among::Files;
        /// Matching operations that pass before the one that it strikes.
        skip: "skip", Maybe = SKIPS;
    }
    /// Links are cut.
    Partition, certain {
        /// Until they are whole again.
        lasts: "lasts", Span = LASTS_MS;
        /// The sides that are cut off from each other.
        shape: "shape", Choice<PartitionShape> = LeftOut::Only(PartitionShape::Isolate);
        /// The links that are meant.
        links: "links", Choice<CutLinks> = LeftOut::Only(CutLinks::All);
        /// The direction that is cut.
        cut: "cut", Choice<CutDirection> = LeftOut::Drawn;
    }
    /// Messages on links of the victim take so many times as long.
    LinkLimping, certain {
        /// The links that are meant.
        links: "links", Choice<CutLinks> = LeftOut::Only(CutLinks::All);
        /// Until they are fast again.
        lasts: "lasts", Span = LASTS_MS;
        /// The direction.
        way: "way", Choice<CutDirection> = LeftOut::Drawn;
        /// How many times as long.
        factor: "factor", Between = FACTOR;
    }
    /// The wall clock is wrong by so much from the start.
    ClockSkew, certain {
        /// By how much.
        by: "by", Span = (10, 5_000);
        /// Ahead or behind.
        way: "way", Way = ["ahead", "behind"];
    }
    /// The wall clock is set.
    ClockJump, certain {
        /// Until it is set back.
        lasts: "lasts", Until = ("for-good", LASTS_MS);
        /// By how much.
        by: "by", Span = (100, 60_000);
        /// Forward or back.
        way: "way", Way = ["forward", "back"];
    }
    /// Both clocks go faster or slower than time does.
    ClockDrift, certain {
        /// Until they go right again, or until everything heals.
        lasts: "lasts", Until = ("to-the-end", LASTS_MS);
        /// By how much, parts per million.
        by_ppm: "by_ppm", Between = PPM;
        /// Faster or slower.
        way: "way", Way = ["fast", "slow"];
    }
    /// The process stops: nothing of it runs, and messages for it wait. Then it goes on.
    Pause, certain {
        /// Until it goes on.
        lasts: "lasts", Span = PAUSE_MS;
        /// It strikes at that reading of the process' clock from then on, so in the
        /// middle of a step; 0 is between two steps, and so is none.
        reading: "reading", Maybe = 0..10_001;
    }
    /// A client dies.
    ClientKill, certain {
        /// Until a client of the same kind is started in its place.
        down: "down", Until = ("never", DOWN_MS);
    }
    /// A client's machine loses power.
    ClientPower, chance {
        /// Until a client of the same kind is started in its place.
        down: "down", Until = ("never", DOWN_MS);
        /// The part that survives on its disk.
        survival: "survival", Survivors = ();
    }
    /// A client's process stops, and goes on.
    ClientPause, certain {
        /// Until it goes on.
        lasts: "lasts", Span = PAUSE_MS;
    }
    /// A client's clocks go faster or slower than time does.
    ClientClockDrift, certain {
        /// Until they go right again, or until everything heals.
        lasts: "lasts", Until = ("to-the-end", LASTS_MS);
        /// By how much, parts per million.
        by_ppm: "by_ppm", Between = PPM;
        /// Faster or slower.
        way: "way", Way = ["fast", "slow"];
    }
    /// The process dies, and while it is down somebody else leaves a file, or a directory, on
    /// its disk. The hit's draw decides about name, size and content further.
    StrayFile, chance {
        /// Until it is started again.
        down: "down", Span = DOWN_MS;
        /// The names that its name is like.
        name: "name", Choice<StrayName> = LeftOut::Drawn;
        /// The content.
        content: "content", Choice<StrayContent> = LeftOut::Drawn;
    }
    settings: NetworkLoss NetworkDuplicate NetworkReorder NetworkSplit
}
