//! A cluster is founded once, with all its first members present; from then on a
//! blank disk is a replacement, whatever it was formatted as.

use std::fs;

use zeroloss::env::real::RealEnv;
use zeroloss::history::SendOutcome;

use crate::recover::{Replicas, Sender, read, until};

/// Issue 14: `format --members` gave a blank disk the name of the lost one, and
/// with it the lost one's vote. One destroyed disk of three lost 100 messages.
#[tokio::test]
async fn a_lost_disk_that_is_formatted_as_a_first_one_again_is_a_replacement() {
    let replicas = Replicas::formatted();
    let env = RealEnv::new(replicas.root.path().join("client")).unwrap();
    let mut sender = Sender::to(&env, &replicas.clients);
    let mut served: Vec<_> = (0..3).map(|node| replicas.serve(node)).collect();
    let mut sent = sender.send(10).await;
    served.pop().unwrap().signal("-KILL");
    sent.extend(sender.send(40).await);
    for served in served {
        served.signal("-KILL");
    }
    fs::remove_dir_all(replicas.dir(1)).unwrap();
    replicas.format(1, &["--members", "0,1,2"]);

    let blank = replicas.serve(1);
    let behind = replicas.serve(2);
    for _ in 0..5 {
        let (_, outcome) = sender.try_send().await;
        assert!(
            !matches!(outcome, SendOutcome::Acknowledged { .. }),
            "0 is off"
        );
    }
    let whole = replicas.serve(0);
    sent.extend(sender.send(10).await);
    until(&env, "the blank disk is let in", || {
        blank.has_told("promoted")
    })
    .await;
    let kept = read(&env, &replicas.clients).await;
    assert!(sent.iter().all(|(number, _)| kept.contains(number)));
    drop((whole, behind));
}

/// After a recovery on one survivor, the old disks came back and deposed it: 25 of
/// 30 messages acknowledged since were not served.
#[tokio::test]
async fn old_disks_that_come_back_after_a_recovery_stop_and_say_so() {
    let replicas = Replicas::formatted();
    let env = RealEnv::new(replicas.root.path().join("client")).unwrap();
    let mut sender = Sender::to(&env, &replicas.clients);
    let served: Vec<_> = (0..3).map(|node| replicas.serve(node)).collect();
    let mut sent = sender.send(10).await;
    for served in served {
        served.signal("-TERM");
    }
    let (exit, said, _) = replicas.recover(0, &["--unsafe"]);
    assert_eq!(exit, Some(0));
    assert!(said.contains("old disks"), "{said}");
    let survivor = replicas.serve(0);
    sent.extend(sender.send(30).await);
    for node in [1, 2] {
        let arguments = [vec!["serve"], replicas.peer_arguments()].concat();
        for _ in 0..2 {
            let (exit, why) = crate::support::complaint(&arguments, &replicas.dir(node));
            assert_eq!(exit, Some(15), "{why}");
            assert!(why.contains("recovered without this disk"), "{why}");
        }
    }
    let mut blank = Vec::new();
    for node in [1, 2] {
        fs::remove_dir_all(replicas.dir(node)).unwrap();
        replicas.format(node, &["--replacement"]);
        blank.push(replicas.serve(node));
    }
    for blank in &blank {
        until(&env, "the new disks are let in", || {
            blank.has_told("promoted")
        })
        .await;
    }
    let kept = read(&env, &replicas.clients).await;
    assert!(sent.iter().all(|(number, _)| kept.contains(number)));
    drop(survivor);
}
