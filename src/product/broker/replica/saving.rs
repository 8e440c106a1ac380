//! Term, vote and uncertain tail on the disk (D1).

use bytes::Bytes;

use crate::broker::base::BASE_FILE;
use crate::broker::error::StoreError;
use crate::broker::founding::{FOUNDING_FILE, Record};
use crate::env::Disk;
use crate::log::{
    AtomicFile, IDENTITY_FILE, Identity, read_atomic_file, renew_atomic_files, replace_atomic_file,
    replace_atomic_file_unsynced,
};
use crate::raft::{HARD_STATE_FILE, HardState};

/// Stores a hard state; durably, but where a preset says otherwise.
pub(super) async fn save<D: Disk>(
    disk: D,
    hard: HardState,
    sync: bool,
) -> Result<HardState, StoreError> {
    let payload = hard.encode();
    let stored = match sync {
        true => replace_atomic_file(&disk, HARD_STATE_FILE, &payload).await,
        false => replace_atomic_file_unsynced(&disk, HARD_STATE_FILE, &payload).await,
    };
    stored.map_err(|source| StoreError::Io {
        doing: "storing term and vote",
        source,
    })?;
    Ok(hard)
}

/// The files in which a replica says of itself what nobody else can tell it.
#[derive(Debug, Default)]
pub(super) struct Own {
    pub(super) identity: Option<Identity>,
    pub(super) hard: Option<HardState>,
    pub(super) founding: Option<Record>,
    pub(super) base: Option<Bytes>,
}

/// Paths and payloads.
pub(super) type Files = Vec<(&'static str, Bytes)>;

impl Own {
    fn files(self) -> Files {
        let identity = self.identity.map(|it| (IDENTITY_FILE, it.encode().into()));
        let hard = self.hard.map(|it| (HARD_STATE_FILE, it.encode().into()));
        let founding = self.founding.map(|it| (FOUNDING_FILE, it.encode().into()));
        let base = self.base.map(|it| (BASE_FILE, it));
        let small = identity.into_iter().chain(hard).chain(founding);
        small.chain(base).collect()
    }
}

/// Makes durable what a start read of a replica's own word: its term and vote, of
/// which epoch it is, and where its log begins. They may have been read from the page
/// cache, where a sync that failed or a kill left them; nothing is said or dropped by
/// them before they are written again (D1, D8, D16, D24). The identity is the log's to
/// write.
pub(super) async fn renew<D: Disk>(
    disk: &D,
    hard: HardState,
    record: &Record,
    base: Option<Bytes>,
) -> Result<(), StoreError> {
    let own = Own {
        identity: None,
        hard: Some(hard),
        founding: Some(record.clone()),
        base,
    };
    write_again(disk, &own.files()).await
}

/// Makes durable what a disk says of itself before there is a cluster: who it is,
/// that it has promised nothing, and with whom it is to begin. The founder counts on
/// all of it; formatting may have failed half-way, and left it in the page cache
/// alone (D24).
pub(in crate::broker) async fn renew_unfounded<D: Disk>(
    disk: &D,
    identity: Identity,
    record: &Record,
) -> Result<(), StoreError> {
    let own = Own {
        identity: Some(identity),
        hard: Some(load(disk).await?),
        founding: Some(record.clone()),
        base: None,
    };
    write_again(disk, &own.files()).await
}

/// Replaces files by themselves, durably.
pub(super) async fn write_again<D: Disk>(
    disk: &D,
    files: &[(&'static str, Bytes)],
) -> Result<(), StoreError> {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, it)| (*path, &**it)).collect();
    let renewed = renew_atomic_files(disk, &files).await;
    renewed.map_err(|source| StoreError::Io {
        doing: "writing its own files once more",
        source,
    })
}

/// Those of a replica's own files that do not verify any more, or say something
/// else. One that cannot be read now, for another reason than its medium, is looked
/// at the next time.
pub(super) async fn damaged<D: Disk>(disk: &D, own: Own) -> Files {
    let mut damaged = Files::new();
    for (path, payload) in own.files() {
        match read_atomic_file(disk, path).await {
            Ok(AtomicFile::Whole(found)) if found == payload => {}
            Ok(_) => damaged.push((path, payload)),
            Err(_) => {}
        }
    }
    damaged
}

/// The hard state of a disk of the dledger preset: what was not synced may be
/// missing, and DLedger begins without it, as if it had never voted.
pub(super) async fn load_or_begin_anew<D: Disk>(disk: &D) -> Result<HardState, StoreError> {
    match load(disk).await {
        Err(StoreError::Amnesia { .. }) => Ok(HardState::default()),
        loaded => loaded,
    }
}

/// The hard state of a formatted disk. Missing or unreadable it is forgotten,
/// and never term 0.
pub(super) async fn load<D: Disk>(disk: &D) -> Result<HardState, StoreError> {
    let forgotten = |why: &str| StoreError::Amnesia {
        path: HARD_STATE_FILE,
        why: why.to_owned(),
    };
    let read = read_atomic_file(disk, HARD_STATE_FILE).await;
    let read = read.map_err(|source| StoreError::Io {
        doing: "reading term and vote",
        source,
    })?;
    match read {
        AtomicFile::Missing => Err(forgotten("it is missing")),
        AtomicFile::Corrupt { why } => Err(forgotten(&why)),
        AtomicFile::Whole(payload) => {
            HardState::decode(&payload).ok_or_else(|| forgotten("it does not decode"))
        }
    }
}
