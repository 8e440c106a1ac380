//! Strangers take what they can get, and the others are served as before: frames
//! that never end, and streams that never say anything.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use zeroloss::env::real::RealEnv;

use crate::support::{Served, ran};
use crate::{read, send};

const HALF_FRAMES: usize = 40;
const IDLE: usize = 1_012;
/// The length that each frame announces, and how much of it comes.
const ANNOUNCED_BYTES: u32 = 15 << 20;
const COME_BYTES: usize = 12 << 20;
/// Without a bound the beginnings alone would be 480 MiB.
const MEMORY_KIB_MAX: u64 = 256 << 10;
/// Descriptors that the broker may have, as many systems have it.
const DESCRIPTORS: &str = "1024";

/// Holds on to whatever it gets.
fn take_all(broker: SocketAddr) -> Vec<TcpStream> {
    let mut held = Vec::new();
    let connect = || {
        let stream = TcpStream::connect_timeout(&broker, Duration::from_secs(2)).ok()?;
        let patience = Some(Duration::from_secs(2));
        stream.set_write_timeout(patience).ok()?;
        Some(stream)
    };
    let piece = vec![0; 1 << 20];
    for _ in 0..HALF_FRAMES {
        let Some(mut stream) = connect() else {
            continue;
        };
        // One that is closed meanwhile takes no more.
        let _ = stream.write_all(&ANNOUNCED_BYTES.to_be_bytes());
        for _ in 0..COME_BYTES / piece.len() {
            if stream.write_all(&piece).is_err() {
                break;
            }
        }
        held.push(stream);
    }
    held.extend((0..IDLE).filter_map(|_| connect()));
    held
}

#[expect(
    clippy::disallowed_methods,
    reason = "a stranger has a thread of its own, outside of any world"
)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_take_little_and_others_are_served() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("broker");
    assert!(ran(&["format"], &dir).status.success());
    let env = RealEnv::new(root.path().join("client")).unwrap();
    let served = Served::limited(DESCRIPTORS, &dir);
    let broker = served.address;

    let mut sent = send(&env, broker, 0).await;
    let strangers = std::thread::spawn(move || take_all(broker));
    while !strangers.is_finished() {
        let next = sent.len();
        sent.extend(send(&env, broker, next).await);
    }
    let held = strangers.join().unwrap();
    assert!(held.len() > HALF_FRAMES, "{} streams", held.len());
    // A new client is served beside all of them.
    let next = sent.len();
    sent.extend(send(&env, broker, next).await);
    sent.sort();
    assert_eq!(read(&env, broker).await, sent);
    let peak_kib = served.peak_memory_kib();
    assert!(peak_kib < MEMORY_KIB_MAX, "{peak_kib} KiB");
    drop(held);
    assert_eq!(served.signal("-TERM"), Some(0), "a clean stop");
}
