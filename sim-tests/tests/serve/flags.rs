//! Flags that contradict each other, or the directory: refused before anything is
//! written or served, with the reason and the cure.

use sim_tests::ports::free_addresses;

use crate::support::{Served, complaint, ran};

/// Each list of first members that is refused, and a word of the reason.
#[test]
fn a_list_of_first_members_that_is_no_cluster_is_refused() {
    for (members, why) in [
        ("0,0,1", "broker 0 twice"),
        ("0,1", "an even number"),
        ("0,1,2,3", "an even number"),
        ("0", "one member"),
        ("1,2,3", "must name this broker"),
    ] {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("broker");
        let (exit, said) = complaint(&["format", "--members", members], &dir);
        assert_eq!(exit, Some(2), "{members}: {said}");
        assert!(said.contains(why), "{members}: {said}");
        assert!(!dir.exists(), "{members}: nothing is written");
    }
}

#[test]
fn peers_that_contradict_each_other_or_the_directory_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("broker");
    assert!(
        ran(&["format", "--members", "0,1,2"], &dir)
            .status
            .success()
    );
    let free = free_addresses(7);
    let peer = |node: usize| format!("{node}={}/{}", free[2 * node], free[2 * node + 1]);
    let peers = [peer(0), peer(1), peer(2)];
    let again = format!("1={}/{}", free[6], free[3]);
    let same = format!("2={}/{}", free[0], free[5]);
    let unspecified = "2=0.0.0.0:10912/127.0.0.1:10911".to_owned();
    let named = |more: &[&str], peers: &[&String]| {
        let mut arguments = vec!["serve".to_owned()];
        arguments.extend(
            peers
                .iter()
                .flat_map(|peer| ["--peer".to_owned(), (*peer).clone()]),
        );
        arguments.extend(more.iter().map(|word| (*word).to_owned()));
        arguments
    };
    let elsewhere = free[6].to_string();
    let all: Vec<&String> = peers.iter().collect();
    for (arguments, why) in [
        (
            named(&[], &[&peers[0], &peers[1], &peers[2], &again]),
            "broker 1 twice",
        ),
        (
            named(&[], &[&peers[0], &peers[1], &same]),
            "the same address",
        ),
        (
            named(&[], &[&peers[0], &peers[1], &unspecified]),
            "name one that",
        ),
        (
            named(&["--preferred-leader", "7"], &all),
            "no --peer names it",
        ),
        (named(&["--listen", &elsewhere], &all), "contradicts"),
        (named(&[], &[&peers[1], &peers[2]]), "no --peer names it"),
        (named(&[], &[&peers[0], &peers[1]]), "no --peer names it"),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (exit, said) = complaint(&arguments, &dir);
        assert_eq!(exit, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
}

#[test]
fn an_address_or_a_directory_that_somebody_else_has_is_named() {
    let root = tempfile::tempdir().unwrap();
    let mine = root.path().join("mine");
    assert!(ran(&["format"], &mine).status.success());
    let owner = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = owner.local_addr().unwrap().to_string();
    for (address, why) in [
        (taken.as_str(), "Address already in use"),
        ("192.0.2.1:10911", "Cannot assign requested address"),
    ] {
        let (exit, said) = complaint(&["serve", "--listen", address], &mine);
        assert_eq!(exit, Some(1), "{said}");
        assert!(said.contains(address) && said.contains(why), "{said}");
        assert!(said.contains("choose another address"), "{said}");
    }
    // Nothing has happened to the directory: it is served.
    let broker = Served::start(&mine);
    let (exit, said) = complaint(&["serve", "--listen", "127.0.0.1:0"], &mine);
    assert_eq!(exit, Some(2), "{said}");
    assert!(said.contains("another process works on"), "{said}");
    drop(broker);
}
