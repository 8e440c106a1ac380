//! A disk that can lose exactly what a real one can: guarantee.md, section 4,
//! row by row ([`Row`]).
//!
//! Promise: a pure, synchronous, deterministic data structure. No clock, no task, no
//! randomness but what a fault or a power loss carries. Time is the business of the
//! driver: a sync *begins* and *finishes* as two calls, and between them lies
//! whatever latency the driver invents.
//!
//! ```text
//!          write, set_len            begin_sync … finish_sync
//!   caller ───────────────▶ cached ─────────────────────────▶ durable
//!             resolves here    │  pending: ordered, by sector     │
//!                              │                                  │
//!     kill: cached stays ◀─────┤     power_loss(survival): which  │
//!                              └──── pending pieces had arrived? ─┘
//! ```
//!
//! Names work the same way: a directory has cached and durable entries, and
//! [`DiskModel::begin_sync_dir`] is what carries a change across.
//!
//! [`StepDisk`] puts [`crate::env::Disk`] on top of a model, every operation
//! ending at once, for tests that crash at each operation in turn.
//!
//! Bytes that are written and not synced survive the process, and not the power:
//!
//! ```
//! use zeroloss::sim::disk::{DiskConfig, DiskModel, DiskSurvival, SyncKind};
//! use zeroloss::sim::random::{Purpose, Stream};
//!
//! let mut disk = DiskModel::new(DiskConfig::default());
//! let file = disk.create("a")?;
//! disk.write(file, 0, "first".into())?;
//! let (bytes, name) = (disk.begin_sync(file, SyncKind::Data)?, disk.begin_sync_dir("")?);
//! disk.finish_sync(bytes)?;
//! disk.finish_sync_dir(name)?;
//! disk.write(file, 5, ", second".into())?;
//!
//! disk.kill();
//! let file = disk.open("a")?;
//! assert_eq!(disk.read(file, 0, 100)?, "first, second");
//! disk.power_loss(DiskSurvival::None, &mut Stream::new(1, Purpose::Survival));
//! let file = disk.open("a")?;
//! assert_eq!(disk.read(file, 0, 100)?, "first");
//! # Ok::<(), std::io::Error>(())
//! ```

mod content;
mod damage;
mod data;
mod digest;
mod error;
mod fault;
mod file;
mod image;
mod left;
mod met;
mod model;
mod names;
mod observe;
mod power;
mod row;

mod step;
mod survival;
mod sync;

pub use content::Content;
pub use error::DiskError;
pub use fault::{ArmedFault, CacheAfterError, DiskFault, DiskSpeed, FiredFault, RotKind};
pub use image::DiskImage;
pub use met::Met;
pub use model::{DiskConfig, DiskModel, Handle};
pub use observe::Pending;
pub use power::{FileLoss, PowerLossReport};
pub use row::Row;

#[cfg(test)]
pub(crate) use step::Woken;
pub use step::{StepDisk, StepFile, block_on};
pub use survival::DiskSurvival;
pub use sync::{DirSyncDone, SyncDone, SyncId, SyncKind};

/// A file or directory, whatever its name. Never reused on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ino(pub u64);

/// The position of a change in the order of all changes of a disk, files and
/// directories together. The first is 1.
pub type Seq = u64;

#[cfg(test)]
mod tests;
