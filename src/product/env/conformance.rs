//! The duties of every [`Disk`], whatever implements it: one suite, run on the real
//! disk and on the simulated one, so that what a simulation proves is about the same
//! verbs.

use std::io::{self, ErrorKind};

use bytes::Bytes;

use crate::env::{Disk, File};

/// Runs the suite; `fresh` gives an empty disk for the test of that name.
pub(crate) async fn all<D: Disk>(mut fresh: impl FnMut(&str) -> D) {
    names(fresh("names")).await;
    refusals(fresh("refusals")).await;
    paths(fresh("paths")).await;
    bytes_in_place(fresh("bytes")).await;
    lengths(fresh("lengths")).await;
    holes(fresh("holes")).await;
    open_files_outlive_their_names(fresh("open")).await;
    syncs(fresh("syncs")).await;
}

fn kind<T>(result: io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

async fn put<D: Disk>(disk: &D, path: &str, bytes: &'static [u8]) -> D::File {
    let file = disk.create(path).await.unwrap();
    file.write_at(0, Bytes::from_static(bytes)).await.unwrap();
    file
}

async fn text<D: Disk>(disk: &D, path: &str) -> Bytes {
    disk.open(path)
        .await
        .unwrap()
        .read_at(0, 100)
        .await
        .unwrap()
}

async fn names<D: Disk>(disk: D) {
    assert!(disk.list("").await.unwrap().is_empty());
    disk.create_dir("d/e").await.unwrap();
    disk.create_dir("d/e").await.unwrap();
    disk.create_dir("").await.unwrap();
    for path in ["d/b", "d/a", "c"] {
        put(&disk, path, b"x").await;
    }
    assert_eq!(disk.list("").await.unwrap(), ["c", "d"]);
    assert_eq!(disk.list("d").await.unwrap(), ["a", "b", "e"]);
    disk.rename("d/b", "d/e/b").await.unwrap();
    disk.remove("d/a").await.unwrap();
    assert_eq!(disk.list("d").await.unwrap(), ["e"]);
    put(&disk, "new", b"new").await;
    disk.rename("new", "c").await.unwrap();
    assert_eq!(text(&disk, "c").await, "new");
    disk.rename("c", "c").await.unwrap();
    disk.rename("d", "moved").await.unwrap();
    assert_eq!(text(&disk, "moved/e/b").await, "x");
    assert_eq!(disk.list("").await.unwrap(), ["c", "moved"]);
}

async fn refusals<D: Disk>(disk: D) {
    use ErrorKind::*;
    disk.create_dir("d").await.unwrap();
    put(&disk, "d/f", b"x").await;
    put(&disk, "f", b"kept").await;
    assert_eq!(kind(disk.create("f").await), Some(AlreadyExists));
    assert_eq!(kind(disk.create("d").await), Some(AlreadyExists));
    assert_eq!(text(&disk, "f").await, "kept");
    assert_eq!(kind(disk.create("absent/f").await), Some(NotFound));
    assert_eq!(kind(disk.create("f/f").await), Some(NotADirectory));
    assert_eq!(kind(disk.open("absent").await), Some(NotFound));
    assert_eq!(kind(disk.open("d").await), Some(IsADirectory));
    assert_eq!(kind(disk.remove("absent").await), Some(NotFound));
    assert_eq!(kind(disk.remove("d").await), Some(IsADirectory));
    assert_eq!(kind(disk.rename("absent", "g").await), Some(NotFound));
    assert_eq!(kind(disk.rename("f", "absent/g").await), Some(NotFound));
    assert_eq!(kind(disk.rename("f", "d").await), Some(IsADirectory));
    assert_eq!(kind(disk.rename("d", "f").await), Some(NotADirectory));
    assert_eq!(kind(disk.rename("d", "d/g").await), Some(InvalidInput));
    assert_eq!(kind(disk.list("absent").await), Some(NotFound));
    assert_eq!(kind(disk.list("f").await), Some(NotADirectory));
    assert_eq!(kind(disk.create_dir("f").await), Some(AlreadyExists));
    assert_eq!(kind(disk.create_dir("f/g").await), Some(NotADirectory));
    assert_eq!(kind(disk.sync_dir("absent").await), Some(NotFound));
    assert_eq!(kind(disk.sync_dir("f").await), Some(NotADirectory));
}

async fn paths<D: Disk>(disk: D) {
    for path in ["/f", "../f", "d/../f", "./f", "d//f", "f/", "a\0b", ".."] {
        let refused = Some(ErrorKind::InvalidInput);
        assert_eq!(kind(disk.create(path).await), refused, "{path:?}");
        assert_eq!(kind(disk.open(path).await), refused, "{path:?}");
        assert_eq!(kind(disk.remove(path).await), refused, "{path:?}");
        assert_eq!(kind(disk.rename(path, "f").await), refused, "{path:?}");
        assert_eq!(kind(disk.list(path).await), refused, "{path:?}");
        assert_eq!(kind(disk.create_dir(path).await), refused, "{path:?}");
        assert_eq!(kind(disk.sync_dir(path).await), refused, "{path:?}");
    }
    assert_eq!(kind(disk.create("").await), Some(ErrorKind::InvalidInput));
}

async fn bytes_in_place<D: Disk>(disk: D) {
    let file = put(&disk, "f", b"hello").await;
    file.write_at(3, Bytes::from_static(b"p me")).await.unwrap();
    assert_eq!(file.read_at(0, 100).await.unwrap(), "help me");
    assert_eq!(file.read_at(5, 2).await.unwrap(), "me");
    assert_eq!(file.read_at(7, 1).await.unwrap(), "");
    assert_eq!(file.read_at(1 << 40, 1).await.unwrap(), "");
    file.write_at(10_000, Bytes::from_static(b"z"))
        .await
        .unwrap();
    assert_eq!(file.size_bytes().await.unwrap(), 10_001);
    assert_eq!(file.read_at(6, 3).await.unwrap(), "e\0\0");
    file.write_at(20_000, Bytes::new()).await.unwrap();
    assert_eq!(file.size_bytes().await.unwrap(), 10_001);
    let other = disk.open("f").await.unwrap();
    other.write_at(0, Bytes::from_static(b"H")).await.unwrap();
    assert_eq!(file.clone().read_at(0, 2).await.unwrap(), "He");
}

async fn lengths<D: Disk>(disk: D) {
    let file = put(&disk, "f", b"hello").await;
    file.set_len(2).await.unwrap();
    file.set_len(1 << 20).await.unwrap();
    assert_eq!(file.size_bytes().await.unwrap(), 1 << 20);
    assert_eq!(file.read_at(0, 6).await.unwrap(), "he\0\0\0\0");
    assert_eq!(file.read_at((1 << 20) - 1, 6).await.unwrap(), "\0");
    assert!(disk.free_bytes().await.unwrap() > 0);
    assert!(disk.sector_bytes().is_power_of_two());
}

/// Bytes that were never written may be passed over, and no others.
async fn holes<D: Disk>(disk: D) {
    const FAR: u64 = 3 << 20;
    let file = put(&disk, "f", b"x").await;
    file.set_len(8 << 20).await.unwrap();
    file.write_at(FAR, Bytes::from_static(b"y")).await.unwrap();
    assert_eq!(file.data_from(0).await.unwrap(), Some(0));
    let data = file.data_from(1 << 20).await.unwrap();
    assert!(data.is_some_and(|at| at <= FAR), "{data:?}");
    assert_eq!(file.data_from(FAR).await.unwrap(), Some(FAR));
    let behind = file.data_from(FAR + (1 << 20)).await.unwrap();
    assert!(behind.is_none_or(|at| at == FAR + (1 << 20)), "{behind:?}");
}

async fn open_files_outlive_their_names<D: Disk>(disk: D) {
    let (old, moved) = (
        put(&disk, "old", b"old").await,
        put(&disk, "new", b"new").await,
    );
    disk.rename("new", "old").await.unwrap();
    assert_eq!(
        old.read_at(0, 10).await.unwrap(),
        "old",
        "replaced, and open"
    );
    disk.remove("old").await.unwrap();
    disk.sync_dir("").await.unwrap();
    moved.write_at(3, Bytes::from_static(b"er")).await.unwrap();
    moved.sync_all().await.unwrap();
    assert_eq!(
        moved.read_at(0, 10).await.unwrap(),
        "newer",
        "removed, and open"
    );
    assert_eq!(kind(disk.open("old").await), Some(ErrorKind::NotFound));
}

async fn syncs<D: Disk>(disk: D) {
    disk.create_dir("d").await.unwrap();
    let file = put(&disk, "d/f", b"x").await;
    file.sync_data().await.unwrap();
    file.sync_all().await.unwrap();
    file.sync_all().await.unwrap();
    disk.sync_dir("d").await.unwrap();
    disk.sync_dir("").await.unwrap();
    assert_eq!(text(&disk, "d/f").await, "x");
}
