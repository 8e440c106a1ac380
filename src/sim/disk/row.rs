//! The rows of guarantee.md, section 4, each of its clauses by name, so that a
//! test can show every one of them and a report can count them.

macro_rules! rows {
    ($($(#[doc = $doc:literal])+ $row:ident,)+) => {
        /// A clause of the disk's contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Row {
            $($(#[doc = $doc])+ $row,)+
        }

        impl Row {
            /// Every row.
            pub const ALL: &'static [Row] = &[$(Row::$row,)+];

            /// The text of the row.
            pub fn text(self) -> &'static str {
                match self {
                    $(Row::$row => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

rows! {
    /// A write changes the cache only.
    Write,
    /// A pending sector may become durable on its own, before older ones.
    WriteAnyOrder,
    /// A data sync makes durable what was pending when it started, no more.
    SyncDataSince,
    /// It takes effect when it completes.
    SyncDataCompletes,
    /// It brings the size needed to read the data back, and no other growth.
    SyncDataSize,
    /// It does not bring the file's name.
    SyncDataName,
    /// A full sync brings all of the file's metadata.
    SyncAllSize,
    /// It does not bring the parent's entry either.
    SyncAllName,
    /// A directory sync brings that directory's pending names.
    SyncDir,
    /// A rename across directories needs both syncs.
    SyncDirBoth,
    /// A rename leaves the old name or the new one, never neither.
    RenameAtomic,
    /// A rename is not ordered with the file's data.
    RenameUnordered,
    /// A set length is durable only after a sync.
    SetLen,
    /// The part that a set length gained reads zero.
    SetLenZero,
    /// A recycled segment shows old records where new ones did not arrive.
    SetLenRecycled,
    /// A process kill keeps the page cache.
    Kill,
    /// A process kill ends its handles; a sync in flight may still complete.
    KillInFlight,
    /// Power loss: nothing unsynced survives.
    PowerNone,
    /// Power loss: everything had arrived.
    PowerAll,
    /// Power loss: a prefix survives.
    PowerPrefix,
    /// Power loss: an arbitrary subset of sectors survives.
    PowerSectorSubset,
    /// Power loss: sectors are torn, each byte old or new.
    PowerTorn,
    /// Power loss: torn sectors have garbage.
    PowerGarbage,
    /// Power loss: the size arrived, the data did not.
    PowerSizeWithoutData,
    /// Power loss: the data arrived, the size did not.
    PowerDataWithoutSize,
    /// Power loss: a subset of directory entries survives.
    PowerEntrySubset,
    /// A failed sync says so.
    SyncFailure,
    /// A failed writeback is reported at the next sync.
    SyncFailureDeferred,
    /// After a failure the cache may keep the new bytes.
    SyncFailureKeeps,
    /// After a failure the cache may revert.
    SyncFailureReverts,
    /// A retry returns success and writes nothing.
    SyncFailureRetry,
    /// A failure is reported once for each descriptor.
    SyncFailureOnce,
    /// A directory's sync fails in the same way.
    SyncFailureDir,
    /// A read error lasts until the sector is rewritten.
    ReadError,
    /// Rot gives the same wrong bytes on every retry.
    Rot,
    /// A misdirected write: old data in its place, new data elsewhere.
    MisdirectedWrite,
    /// A lost write is reported and never done.
    LostWrite,
    /// A full disk refuses.
    NoSpace,
    /// A write runs out of space half way; the part written stays.
    NoSpaceMiddle,
    /// Preallocation is no reservation.
    NoSpacePreallocated,
    /// The disk is slow.
    Slow,
    /// The disk stalls.
    Stalled,
    /// An operation never returns.
    Hung,
    /// The disk is destroyed and replaced: blank.
    Destroyed,
    /// The disk is set back to an older image.
    RolledBack,
    /// The disk lies: a sync does nothing.
    Lying,
}
