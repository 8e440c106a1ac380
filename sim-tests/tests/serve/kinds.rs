//! A directory is what it was formatted as: flags that say otherwise are refused
//! with the right cure, and files that are none of the log's say nothing about it.

use std::fs;
use std::io::Write;
use std::path::Path;

use zeroloss::env::real::RealEnv;

use crate::recover::{Replicas, Sender};
use crate::support::{Served, complaint, ran};
use crate::{read, send};

fn write(path: &Path, bytes: &[u8]) {
    let mut file = fs::File::create_new(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// Every file below a directory, and its bytes; without the lock.
fn content(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => left.push(path),
                false if path.ends_with("lock") => {}
                false => all.push((path.display().to_string(), fs::read(&path).unwrap())),
            }
        }
    }
    all.sort();
    all
}

/// Issue 14: 30 sends were acknowledged, and all were gone.
#[tokio::test]
async fn a_replica_is_not_served_as_a_broker_that_stands_alone() {
    let replicas = Replicas::formatted();
    let dir = replicas.dir(0);
    let blank = content(&dir);
    let (exit, why) = complaint(&["serve", "--listen", "127.0.0.1:0"], &dir);
    assert_eq!(exit, Some(2), "{why}");
    assert!(why.contains("a replica") && why.contains("--peer"), "{why}");
    assert_eq!(content(&dir), blank, "nothing is written");

    let env = RealEnv::new(replicas.root.path().join("client")).unwrap();
    let served: Vec<_> = (0..3).map(|node| replicas.serve(node)).collect();
    Sender::to(&env, &replicas.clients).send(10).await;
    served.into_iter().for_each(|served| {
        served.signal("-TERM");
    });
    let full = content(&dir);
    for command in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["salvage", "--unsafe"],
    ] {
        let (exit, why) = complaint(command, &dir);
        assert_eq!(exit, Some(2), "{command:?}: {why}");
        assert!(why.contains("a replica"), "{command:?}: {why}");
    }
    assert_eq!(content(&dir), full, "nothing is written");
}

/// Issue 14: they were told to replace the disk, which was the only copy.
#[tokio::test]
async fn a_broker_that_stands_alone_is_neither_recovered_nor_served_as_a_replica() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("broker");
    assert!(ran(&["format"], &dir).status.success());
    let env = RealEnv::new(root.path().join("client")).unwrap();
    let served = Served::start(&dir);
    send(&env, served.address, 0).await;
    served.signal("-TERM");
    let full = content(&dir);
    let peers = ["0=127.0.0.1:1/127.0.0.1:2", "1=127.0.0.1:3/127.0.0.1:4"];
    let serve = ["serve", "--peer", peers[0], "--peer", peers[1]];
    for command in [&serve[..], &["recover"], &["recover", "--unsafe"]] {
        let (exit, why) = complaint(command, &dir);
        assert_eq!(exit, Some(2), "{command:?}: {why}");
        assert!(why.contains("stands alone"), "{command:?}: {why}");
        assert!(!why.contains("replace"), "{command:?}: {why}");
    }
    assert_eq!(content(&dir), full, "nothing is written");
}

/// Issue 14: a stray file of 3 bytes counted as evidence that the log before it
/// was synced, and the advice gave up every record.
#[tokio::test]
async fn a_stray_file_among_the_segments_is_reported_and_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("broker");
    assert!(ran(&["format"], &dir).status.success());
    let env = RealEnv::new(root.path().join("client")).unwrap();
    let served = Served::start(&dir);
    let mut sent = send(&env, served.address, 0).await;
    served.signal("-KILL");
    sent.sort();
    let log = dir.join("commitlog");
    let own = fs::read(log.join("00000000000000000000")).unwrap();
    for (name, bytes) in [
        ("00000000000000000001", b"abc".to_vec()),
        ("00000000000000000700", Vec::new()),
        ("00000000000009999999", b"abc".to_vec()),
        ("00000000000088888888", own),
        ("00000000000077777777", vec![0; 8192]),
        ("notes.txt", b"abc".to_vec()),
        ("mine.tmp", b"abc".to_vec()),
    ] {
        write(&log.join(name), &bytes);
        let served = Served::start(&dir);
        assert_eq!(read(&env, served.address).await, sent, "{name}");
        assert!(served.has_told(name), "{name} is reported");
        served.signal("-KILL");
        let salvaged = ran(&["salvage", "--unsafe"], &dir);
        let said = String::from_utf8(salvaged.stdout).unwrap();
        assert!(said.starts_with("the log is sound"), "{name}: {said}");
        let kept = fs::read_dir(&log)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let kept = kept.filter(|path| path.display().to_string().contains(name));
        let kept: Vec<_> = kept.collect();
        assert_eq!(kept.len(), 1, "{name} is still there");
        assert_eq!(fs::read(&kept[0]).unwrap(), bytes, "{name} is as it was");
        fs::remove_file(&kept[0]).unwrap();
    }
    fs::create_dir(log.join("00000000000000000007")).unwrap();
    let served = Served::start(&dir);
    assert_eq!(read(&env, served.address).await, sent, "beside a directory");
}

/// A file that may be a segment which rotted beyond recognition, or may be none:
/// the start is refused, and nothing that is whole is given up for it.
#[tokio::test]
async fn a_file_that_nobody_can_read_costs_no_record_that_is_whole() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("broker");
    assert!(ran(&["format"], &dir).status.success());
    let env = RealEnv::new(root.path().join("client")).unwrap();
    let served = Served::start(&dir);
    let mut sent = send(&env, served.address, 0).await;
    served.signal("-KILL");
    sent.sort();
    let stray = dir.join("commitlog/00000000000000000300");
    let noise: Vec<u8> = (0..8192_u32)
        .map(|at| (at * 7 + at / 251) as u8 | 1)
        .collect();
    write(&stray, &noise);
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let (exit, why) = complaint(&serve, &dir);
    assert_ne!(exit, Some(0), "{why}");
    assert!(why.contains("move it out of"), "{why}");
    assert!(!why.contains("salvage"), "{why}");
    assert_eq!(fs::read(&stray).unwrap(), noise);
    ran(&["salvage", "--unsafe"], &dir);
    let served = Served::start(&dir);
    assert_eq!(read(&env, served.address).await, sent);
}

/// Segments of another disk: nothing is lost by moving them out, and all would be
/// by going on without them where the identity is the wrong one.
#[tokio::test]
async fn a_segment_of_another_disk_is_refused_with_a_harmless_cure() {
    let root = tempfile::tempdir().unwrap();
    let dirs = ["one", "other"].map(|name| root.path().join(name));
    let env = RealEnv::new(root.path().join("client")).unwrap();
    let mut sent = Vec::new();
    for dir in &dirs {
        assert!(ran(&["format"], dir).status.success());
        let served = Served::start(dir);
        sent = send(&env, served.address, 0).await;
        served.signal("-KILL");
    }
    sent.sort();
    let [foreign, own] = dirs
        .each_ref()
        .map(|dir| dir.join("commitlog/00000000000000000000"));
    let aside = root.path().join("aside");
    fs::rename(&own, &aside).unwrap();
    fs::copy(foreign, &own).unwrap();
    for command in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["salvage", "--unsafe"],
    ] {
        let (exit, why) = complaint(command, &dirs[1]);
        assert_ne!(exit, Some(0), "{why}");
        assert!(
            why.contains("another disk") && why.contains("move it out"),
            "{why}"
        );
    }
    fs::rename(&aside, &own).unwrap();
    let served = Served::start(&dirs[1]);
    assert_eq!(read(&env, served.address).await, sent);
}
