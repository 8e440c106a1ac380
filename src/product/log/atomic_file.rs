//! Small files replaced as a whole: write aside, sync, rename, sync directory.
//!
//! Promise: after a crash at any point a file holds its old payload or its new
//! one, and what rot made of it is told apart from both. Used for what is
//! rewritten in full: identity, checkpoint, snapshots of derived state.
//!
//! ```text
//! magic 4 │ zero 4 │ payload length 8 │ xxh3-64 of payload, seeded by path 8 │ payload
//! ```
//!
//! The path is part of the checksum: one file's payload is never taken for
//! another's.

use std::io;

use bytes::{BufMut, Bytes};
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_64_with_seed};

use crate::env::failure::medium_lost_data;
use crate::env::{Disk, File, yield_once};

const MAGIC: [u8; 4] = *b"ZLA1";
const HEADER_BYTES: usize = 24;
const LENGTH_AT: usize = 8;
/// Bytes of a payload in pieces that are written at a time.
const PIECE_BYTES: usize = 64 << 10;

/// The content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtomicFile {
    /// The payload, verified.
    Whole(Bytes),
    /// No such file.
    Missing,
    /// A file that does not verify, or that the medium does not give back.
    Corrupt {
        /// The check that failed.
        why: String,
    },
}

/// Reads `path`.
///
/// # Errors
/// The disk's, except absence and what the medium alone is to blame for.
pub async fn read<D: Disk>(disk: &D, path: &str) -> io::Result<AtomicFile> {
    let bytes = match read_all(disk, path).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(AtomicFile::Missing),
        Err(error) if medium_lost_data(&error) => {
            return Ok(AtomicFile::Corrupt {
                why: error.to_string(),
            });
        }
        Err(error) => return Err(error),
    };
    Ok(match verify(path, &bytes) {
        Ok(()) => AtomicFile::Whole(bytes.slice(HEADER_BYTES..)),
        Err(why) => AtomicFile::Corrupt {
            why: why.to_owned(),
        },
    })
}

/// Replaces `path` by `payload`, durably.
///
/// # Errors
/// The disk's. The file then holds the old payload or the new one; another call
/// starts from a fresh file, so it does not rest on the failed sync (D23).
pub async fn replace<D: Disk>(disk: &D, path: &str, payload: &[u8]) -> io::Result<()> {
    let atomic_file = format!("{path}.tmp");
    let file = create_afresh(disk, &atomic_file).await?;
    file.write_at(0, encode(path, payload)).await?;
    // The rename may become durable before it is asked to: the bytes come first.
    file.sync_all().await?;
    disk.rename(&atomic_file, path).await?;
    disk.sync_dir(parent(path)).await
}

/// As [`replace`], by a payload that comes in pieces: it is made while it is written,
/// and the task that polls the future does something else between two pieces.
///
/// # Errors
/// As of [`replace`].
pub async fn replace_in_pieces<D: Disk>(
    disk: &D,
    path: &str,
    pieces: impl Iterator<Item = Vec<u8>>,
) -> io::Result<()> {
    let atomic_file = format!("{path}.tmp");
    let file = create_afresh(disk, &atomic_file).await?;
    let mut sum = Xxh3::with_seed(xxh3_64(path.as_bytes()));
    let (mut at, mut buffer) = (HEADER_BYTES as u64, Vec::new());
    for piece in pieces {
        sum.update(&piece);
        buffer.extend_from_slice(&piece);
        if buffer.len() >= PIECE_BYTES {
            let full = Bytes::from(std::mem::take(&mut buffer));
            at += full.len() as u64;
            file.write_at(at - full.len() as u64, full).await?;
            yield_once().await;
        }
    }
    let length = at - HEADER_BYTES as u64 + buffer.len() as u64;
    if !buffer.is_empty() {
        file.write_at(at, buffer.into()).await?;
    }
    file.write_at(0, header(length, sum.digest())).await?;
    file.sync_all().await?;
    disk.rename(&atomic_file, path).await?;
    disk.sync_dir(parent(path)).await
}

/// Writes files of one directory that were read back once more, to fresh sectors
/// and under names that are synced again (D24).
///
/// Bytes that are read may stand in the page cache alone, after a kill as after a
/// sync that failed; and so may the name that leads to them. Another sync of either
/// would prove nothing. So before anything rests on such a file, it is replaced by
/// itself: one sync for each, and one for the names.
///
/// # Errors
/// The disk's. Each file then holds what it held; another call starts afresh.
pub async fn renew<D: Disk>(disk: &D, files: &[(&str, &[u8])]) -> io::Result<()> {
    for (path, payload) in files {
        let file = create_afresh(disk, &format!("{path}.tmp")).await?;
        file.write_at(0, encode(path, payload)).await?;
        file.sync_all().await?;
    }
    for (path, _) in files {
        disk.rename(&format!("{path}.tmp"), path).await?;
    }
    match files {
        [] => Ok(()),
        [(path, _), ..] => disk.sync_dir(parent(path)).await,
    }
}

/// Removes a small file, durably, whether or not its name is still seen: one that
/// an earlier call removed may come back with the power, if its directory could
/// not be synced then.
///
/// # Errors
/// The disk's.
pub async fn remove<D: Disk>(disk: &D, path: &str) -> io::Result<()> {
    // A removal that was lost cannot be synced again: only a new one can.
    create_afresh(disk, path).await?;
    disk.remove(path).await?;
    disk.sync_dir(parent(path)).await
}

/// As [`replace`], without a sync anywhere: what a power loss leaves is old, new
/// or nothing. For presets that do as others do, never for a promise.
///
/// # Errors
/// The disk's.
pub async fn replace_unsynced<D: Disk>(disk: &D, path: &str, payload: &[u8]) -> io::Result<()> {
    let atomic_file = format!("{path}.tmp");
    let file = create_afresh(disk, &atomic_file).await?;
    file.write_at(0, encode(path, payload)).await?;
    disk.rename(&atomic_file, path).await
}

/// Creates `path` as a new empty file, whatever a crash left under that name. A directory
/// is somebody else's, and is put aside.
pub(super) async fn create_afresh<D: Disk>(disk: &D, path: &str) -> io::Result<D::File> {
    match disk.create(path).await {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            match disk.remove(path).await {
                Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                    put_aside(disk, path).await?;
                }
                removed => removed?,
            }
            disk.create(path).await
        }
        created => created,
    }
}

/// Gives what is none of the store's a name that no file of the store has, in the same
/// directory, which the caller syncs; and that path.
pub(super) async fn put_aside<D: Disk>(disk: &D, path: &str) -> io::Result<String> {
    let taken = disk.list(parent(path)).await?;
    let is_taken = |path: &String| {
        let name = path.rsplit('/').next();
        taken.iter().any(|taken| Some(taken.as_str()) == name)
    };
    let mut paths = (0..).map(|number| match number {
        0 => format!("{path}.stray"),
        _ => format!("{path}.stray-{number}"),
    });
    let free = paths.find(|path| !is_taken(path));
    let to = free.expect("numbers do not end");
    disk.rename(path, &to).await?;
    Ok(to)
}

/// The directory that holds `path`; `""` is the root.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn encode(path: &str, payload: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
    bytes.put_slice(&header(payload.len() as u64, checksum(path, payload)));
    bytes.put_slice(payload);
    bytes.into()
}

fn header(length: u64, sum: u64) -> Bytes {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.put_slice(&MAGIC);
    bytes.put_u32(0);
    bytes.put_u64(length);
    bytes.put_u64(sum);
    bytes.into()
}

fn checksum(path: &str, payload: &[u8]) -> u64 {
    xxh3_64_with_seed(payload, xxh3_64(path.as_bytes()))
}

async fn read_all<D: Disk>(disk: &D, path: &str) -> io::Result<Bytes> {
    let file = disk.open(path).await?;
    let length = file.size_bytes().await?;
    let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
    file.read_at(0, length).await
}

fn verify(path: &str, bytes: &[u8]) -> Result<(), &'static str> {
    let Some((header, payload)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err("shorter than its header");
    };
    let word = |at: usize| u64::from_be_bytes(header[at..at + 8].try_into().expect("8 bytes"));
    if header[..LENGTH_AT] != [MAGIC, [0; 4]].concat() {
        Err("not a file of this kind")
    } else if word(LENGTH_AT) != payload.len() as u64 {
        Err("its length is not what it declares")
    } else if word(LENGTH_AT + 8) != checksum(path, payload) {
        Err("its checksum fails")
    } else {
        Ok(())
    }
}
