//! Room on the disk for what must go on when it is full (D31).
//!
//! Promise: a full disk refuses sends, and nothing else that a broker has room for.
//! Offset commits, decisions and messages that come back are taken until the last
//! quarter of the reserve, which stays for term and vote, cuts, repairs, and for the
//! copy of the tail that a start after a crash makes (D24).
//!
//! ```text
//!   free │ sends stop here │ offsets, decisions │ hard state, cuts, starts │ 0
//!        └──── segment ────┴──────── ¾ ─────────┴─────────── ¼ ────────────┘
//!                          └───────────────── reserve ─────────────────────┘
//! ```
//!
//! The reserve is held as a file where the configuration says so: then nobody else
//! can take it. It is given back in pieces as room runs out, wholly where a start
//! finds none, and filled again when there is plenty.

use std::io;

use bytes::Bytes;

use super::config::BrokerConfig;
use super::error::StoreError;
use super::server::{Broker, Serving};
use crate::env::{Disk, Env, File, Notice};

/// The file that holds the reserve, at the root of the disk.
pub const RESERVE_FILE: &str = "reserve";
/// The reserve is given back in so many pieces.
const PIECES: u64 = 8;
/// Bytes of it that are written at a time, at most.
const WRITE_BYTES_MAX: u64 = 1 << 20;
/// Bytes of it that are written in one step of the loop.
const PART_BYTES: u64 = 256 << 10;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Reserve {
    /// Bytes that the file holds; `None` until it was looked at.
    held_bytes: Option<u64>,
    /// Sends are refused because the disk is full, and the operator knows.
    is_full: bool,
    /// Something was taken since, and the operator knows.
    pub(super) goes_on: bool,
}

/// The result of a look at the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Space {
    free_bytes: u64,
    held_bytes: u64,
    staged_bytes: u64,
}

impl Space {
    fn kept(self, kept_bytes: u64) -> u64 {
        let all = self.free_bytes.saturating_add(self.held_bytes);
        all.saturating_sub(kept_bytes.saturating_add(self.staged_bytes))
    }

    /// Room for sends.
    fn for_sends(self, reserve_bytes: u64) -> u64 {
        self.kept(reserve_bytes)
    }

    /// Room for what goes on when sends are refused.
    fn for_what_goes_on(self, reserve_bytes: u64) -> u64 {
        self.kept(reserve_bytes / 4)
    }
}

impl Reserve {
    async fn held<D: Disk>(&mut self, disk: &D) -> io::Result<u64> {
        if let Some(held_bytes) = self.held_bytes {
            return Ok(held_bytes);
        }
        let held_bytes = match disk.open(RESERVE_FILE).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            opened => opened?.size_bytes().await?,
        };
        self.held_bytes = Some(held_bytes);
        Ok(held_bytes)
    }

    /// How much room there is; where it runs out, a piece of the reserve is given
    /// back first.
    async fn look<D: Disk>(&mut self, disk: &D, config: &BrokerConfig) -> io::Result<Space> {
        let piece_bytes = config.reserve_bytes / PIECES;
        let mut held_bytes = self.held(disk).await?;
        let mut free_bytes = disk.free_bytes().await?;
        if held_bytes > 0 && free_bytes < piece_bytes {
            held_bytes = held_bytes.saturating_sub(piece_bytes);
            self.shrink(disk, held_bytes).await?;
            free_bytes = disk.free_bytes().await?;
        }
        Ok(Space {
            free_bytes,
            held_bytes,
            staged_bytes: 0,
        })
    }

    async fn shrink<D: Disk>(&mut self, disk: &D, held_bytes: u64) -> io::Result<()> {
        // Where it fails halfway the next look finds out.
        self.held_bytes = None;
        // Synced: what is given back in the cache alone is nobody's yet.
        match held_bytes {
            0 => {
                disk.remove(RESERVE_FILE).await?;
                disk.sync_dir("").await?;
            }
            _ => {
                let file = disk.open(RESERVE_FILE).await?;
                file.set_len(held_bytes).await?;
                file.sync_all().await?;
            }
        }
        self.held_bytes = Some(held_bytes);
        Ok(())
    }

    /// Fills the reserve by so many bytes at most, where there is plenty of room.
    async fn fill<D: Disk>(
        &mut self,
        disk: &D,
        config: &BrokerConfig,
        bytes_max: u64,
    ) -> io::Result<()> {
        let held_bytes = self.held(disk).await?;
        let lacking_bytes = config.reserve_bytes.saturating_sub(held_bytes);
        let plenty = config.reserve_bytes + 2 * config.segment_bytes;
        if !config.holds_reserve || lacking_bytes == 0 || disk.free_bytes().await? < plenty {
            return Ok(());
        }
        self.held_bytes = None;
        let file = match held_bytes {
            0 => begin(disk).await?,
            _ => disk.open(RESERVE_FILE).await?,
        };
        let mut at = held_bytes;
        let upto = config
            .reserve_bytes
            .min(held_bytes.saturating_add(bytes_max));
        while at < upto {
            let length = WRITE_BYTES_MAX.min(upto - at);
            file.write_at(at, Bytes::from(vec![0; length as usize]))
                .await?;
            at += length;
        }
        self.held_bytes = Some(at);
        Ok(())
    }
}

/// An empty file for the reserve.
async fn begin<D: Disk>(disk: &D) -> io::Result<D::File> {
    match disk.create(RESERVE_FILE).await {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => disk.open(RESERVE_FILE).await,
        created => created,
    }
}

impl<E: Env> Broker<E> {
    /// Looks how much room there is. Where that cannot be told there is none for
    /// now: the store stays open, and it is asked again.
    pub(super) async fn look_for_room(&mut self, serving: &mut Serving<E>) {
        let looked = self.reserve.look(&self.env.disk(), &self.config).await;
        let space = looked.unwrap_or_else(|source| {
            self.tell(&StoreError::Io {
                doing: "asking for free space",
                source,
            });
            Space {
                free_bytes: 0,
                held_bytes: 0,
                staged_bytes: 0,
            }
        });
        let space = Space {
            staged_bytes: serving.store.log.staged_bytes(),
            ..space
        };
        serving.room_bytes = space.for_sends(self.config.reserve_bytes);
        serving.own_room_bytes = space.for_what_goes_on(self.config.reserve_bytes);
        let is_full = serving.room_bytes < self.config.segment_bytes;
        if is_full && !self.reserve.is_full {
            self.env.report(Notice::DiskFull {
                left_bytes: serving.own_room_bytes,
            });
        }
        self.reserve.is_full = is_full;
        self.reserve.goes_on &= is_full;
    }

    /// Fills the reserve; that it cannot be filled is told, and harms nothing now.
    /// All at once before anybody is served; in parts, `in_part`, beside others.
    pub(super) async fn fill_reserve(&mut self, in_part: bool) {
        let bytes_max = match in_part {
            true => PART_BYTES,
            false => u64::MAX,
        };
        let disk = self.env.disk();
        let filled = self.reserve.fill(&disk, &self.config, bytes_max).await;
        if let Err(source) = filled {
            self.tell(&StoreError::Io {
                doing: "filling the reserve",
                source,
            });
        }
    }

    /// Gives the whole reserve back, for a store that cannot be opened on a full disk.
    /// Whether there was one.
    pub(super) async fn give_reserve_back(&mut self, failed: &StoreError) -> bool {
        if !failed.is_of_a_full_disk() {
            return false;
        }
        let disk = self.env.disk();
        match self.reserve.held(&disk).await {
            Ok(held_bytes @ 1..) => {
                self.env.report(Notice::ReserveUsed { held_bytes });
                self.reserve.shrink(&disk, 0).await.is_ok()
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Space;

    /// At the bound, and one byte past it.
    #[test]
    fn sends_stop_first_and_the_last_quarter_is_for_neither() {
        let at = |free_bytes| Space {
            free_bytes,
            held_bytes: 100,
            staged_bytes: 10,
        };
        let room = |free| (at(free).for_sends(400), at(free).for_what_goes_on(400));
        assert_eq!(room(1_000), (690, 990));
        assert_eq!(room(311), (1, 301));
        assert_eq!(room(310), (0, 300), "sends are refused");
        assert_eq!(room(11), (0, 1));
        assert_eq!(room(10), (0, 0), "offsets are refused, too");
        assert_eq!(room(0), (0, 0));
    }
}
