//! A disk that is full: a small tmpfs, as a user mounts one.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use zeroloss::client::{ClientConfig, FullReader, Producer, ProducerConfig};
use zeroloss::env::Env;
use zeroloss::env::real::RealEnv;
use zeroloss::history::SendOutcome;

use crate::support::{PATIENCE_NS, Served, ran, until};

const TOPIC: &str = "OrderPaySuccessTopic";
const SIZE: &str = "size=16m";
const ARGUMENTS: [&str; 4] = ["--listen", "127.0.0.1:0", "--reserve-bytes", "2097152"];

/// A small file system, unmounted with its owner.
struct Mounted {
    at: PathBuf,
}

impl Mounted {
    /// `None`, said loudly, where this user may not mount.
    fn new(at: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "zeroloss-test"])
            .arg(&at)
            .status();
        if mount.is_ok_and(|mount| mount.success()) {
            return Some(Self { at });
        }
        eprintln!("NOT TESTED: a full disk, for this user may not mount a tmpfs");
        None
    }

    /// Another program takes what is left.
    fn fill(&self) -> PathBuf {
        let path = self.at.join("of another program");
        let mut file = File::create(&path).unwrap();
        for bytes in [1 << 20, 4_096, 1] {
            while file.write_all(&vec![7; bytes]).is_ok() {}
        }
        path
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a process that still has a file there ends soon.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

struct Sender {
    producer: Producer<RealEnv>,
    next: u64,
}

impl Sender {
    fn to(env: &RealEnv, broker: SocketAddr, next: u64) -> Self {
        let client = ClientConfig::new(format!("producer-{next}"), vec![broker]);
        Self {
            producer: Producer::new(env.clone(), ProducerConfig::new(client, "orders")),
            next,
        }
    }

    /// Whether a message of 16 KiB was acknowledged.
    async fn send(&mut self) -> bool {
        let mut body = self.next.to_string().into_bytes();
        self.next += 1;
        body.resize(16 << 10, b' ');
        self.producer.submit(TOPIC, Some(0), body.into(), "");
        let (_, outcome) = self.producer.next().await;
        matches!(outcome, SendOutcome::Acknowledged { .. })
    }
}

async fn count(env: &RealEnv, broker: SocketAddr, name: &str) -> usize {
    let client = ClientConfig::new(name, vec![broker]);
    let mut reader = FullReader::new(env.clone(), client, 60_000);
    let queues = reader.read_all(TOPIC).await.expect("it can be read");
    queues.iter().map(|queue| queue.messages.len()).sum()
}

/// A formatted directory on a small file system of its own.
fn formatted(root: &Path) -> Option<(Mounted, PathBuf)> {
    let disk = Mounted::new(root.join("disk"))?;
    let dir = disk.at.join("broker");
    assert!(ran(&["format"], &dir).status.success());
    Some((disk, dir))
}

fn served(dir: &Path) -> Served {
    Served::with(&ARGUMENTS, dir)
}

/// Seen before: pulls were refused for as long as the disk was full, and a start
/// served nothing.
#[tokio::test]
async fn another_program_s_files_stop_sends_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let Some((disk, dir)) = formatted(root.path()) else {
        return;
    };
    let env = RealEnv::new(root.path().join("client")).unwrap();
    let broker = served(&dir);
    let mut sender = Sender::to(&env, broker.address, 0);
    for _ in 0..100 {
        assert!(sender.send().await);
    }
    let reserve = dir.join("reserve");
    let held = || std::fs::metadata(&reserve).map_or(0, |file| file.len());
    until(&env, || held() == 2 << 20).await;
    let other = disk.fill();
    // Messages that it had promised room for before may still be taken.
    let mut acknowledged = 100;
    while sender.send().await {
        acknowledged += 1;
    }
    assert_eq!(count(&env, broker.address, "first").await, acknowledged);
    assert_eq!(broker.signal("-KILL"), None, "killed");

    // After a crash the tail is copied, which takes room: the reserve's.
    let broker = served(&dir);
    assert!(count(&env, broker.address, "second").await >= acknowledged);
    let mut sender = Sender::to(&env, broker.address, 1_000);
    assert!(!sender.send().await, "sends are refused");
    std::fs::remove_file(other).unwrap();
    // With room again it goes on by itself.
    let deadline_ns = env.now_ns() + PATIENCE_NS;
    while !sender.send().await {
        assert!(env.now_ns() < deadline_ns, "sends are refused for ever");
    }
    assert_eq!(broker.signal("-TERM"), Some(0), "a clean stop");
}

/// Seen before: a broker that was asked to stop on a full disk ended with status 1,
/// for it could not write what would have saved the next start some work.
#[tokio::test]
async fn a_stop_on_a_full_disk_is_a_clean_exit() {
    let root = tempfile::tempdir().unwrap();
    let Some((disk, dir)) = formatted(root.path()) else {
        return;
    };
    let env = RealEnv::new(root.path().join("client")).unwrap();
    // Without a reserve there is nothing to take from.
    let without = ["--listen", "127.0.0.1:0", "--reserve-bytes", "0"];
    let broker = Served::with(&without, &dir);
    let mut sender = Sender::to(&env, broker.address, 0);
    for _ in 0..20 {
        assert!(sender.send().await);
    }
    let other = disk.fill();
    assert_eq!(broker.signal("-TERM"), Some(0), "nothing is lost by it");
    std::fs::remove_file(other).unwrap();

    let broker = Served::with(&without, &dir);
    assert_eq!(count(&env, broker.address, "after").await, 20);
    assert_eq!(broker.signal("-TERM"), Some(0));
}
