use crate::scenario::{Scenario, Workload, parse, plan};

const ALL: &str = r#"
title = "everything at once"
why = "Things that never come together where everything is always there."

[cluster]
brokers = 3
replication = "raft"
flush = "sync"
spares = 1
preferred_leader = 1
retention_ms = 60_000
producer_dedup = true

[[workload]]
kind = "send"
topic = "plain"
rate_per_s = 100

[[workload]]
kind = "consume"
topic = "plain"
group = "readers"

[[workload]]
kind = "pay"
topic = "orders"

[[workload]]
kind = "red-packet"
topic = "orders"

[disk]
sync_tail = 0.1

[network]
loss = 0.1
duplicate = 0.1
reorder = 0.1

[[fault]]
kind = "kill"
target = "leader"
every_ms = [300, 600]

[[fault]]
kind = "power-loss"
count = 8

[[fault]]
kind = "client-kill"
target = "database"
when = "check-open"

[[operator]]
kind = "add-node"

[swarm]
brokers = [3, 5, 7]
segment_bytes = [8_192, 262_144]
checkpoint_interval_ms = [100, 5_000]
in_flight = [1, 32]
batch_max = [1, 64]

[run]
seeds = "0..8"

[expect]
outcome = "zero-loss"
"#;

fn scenario() -> Scenario {
    match parse("swarm", "scenarios/swarm.toml", ALL) {
        Ok(scenario) => scenario,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn equal_seeds_draw_alike_and_others_otherwise() {
    let full = scenario();
    assert_eq!(full.drawn(7), full.drawn(7));
    let distinct = (0..50).filter(|seed| full.drawn(*seed) != full.drawn(seed + 1));
    assert_eq!(distinct.count(), 50);
}

/// Whether a scenario has something.
type Has<'a> = &'a dyn Fn(&Scenario) -> bool;

#[test]
fn every_feature_is_sometimes_there_and_sometimes_left_out() {
    let full = scenario();
    let drawn: Vec<Scenario> = (0..200).map(|seed| full.drawn(seed)).collect();
    let broker = |it: &Scenario| it.cluster.broker.clone();
    let features: [(&str, Has<'_>); 10] = [
        ("five brokers", &|it| it.cluster.brokers == 5),
        ("small segments", &|it| broker(it).segment_bytes < 16_384),
        ("deduplication", &|it| broker(it).producer_dedup),
        ("operator", &|it| !it.operations.is_empty()),
        ("loss", &|it| it.network.loss > 0.0),
        ("long syncs", &|it| it.disk.sync_tail > 0.0),
        ("orders", &|it| !it.producer_groups().is_empty()),
        ("plain", &|it| {
            it.workloads.iter().any(|of| of.topic() == "plain")
        }),
        ("kills", &|it| {
            it.faults.iter().any(|rule| rule.every_ms.is_some())
        }),
        ("client kills", &|it| {
            it.faults
                .iter()
                .any(|rule| rule.action.kind().is_client_s())
        }),
    ];
    for (name, has) in features {
        let with = drawn.iter().filter(|it| has(it)).count();
        assert!((20..=180).contains(&with), "{name}: {with} of 200");
    }
}

#[test]
fn drawn_settings_fit_together() {
    let full = scenario();
    for seed in 0..200 {
        let drawn = full.drawn(seed);
        assert!(!drawn.workloads.is_empty() && !drawn.faults.is_empty());
        let hits_brokers = |it: &Scenario| {
            let mut kinds = it.faults.iter().map(|rule| rule.action.kind());
            kinds.any(|kind| !kind.is_client_s())
        };
        assert!(hits_brokers(&drawn));
        let services = !drawn.producer_groups().is_empty();
        let client_faults = drawn
            .faults
            .iter()
            .any(|rule| rule.action.kind().is_client_s());
        assert!(services || !client_faults, "nobody to kill");
        for workload in &drawn.workloads {
            if let Workload::Send(send) = workload {
                assert!(send.body_bytes.low <= send.body_bytes.high);
            }
        }
        // A plan can be made of it.
        plan(&drawn, seed);
    }
}

#[test]
fn a_draw_is_told_in_words() {
    insta::assert_snapshot!(scenario().words_of_draw(3).join("\n"));
}

#[test]
fn a_swarm_that_some_seed_could_not_run_is_refused() {
    let refused = |from: &str, to: &str| {
        let text = ALL.replace(from, to);
        assert_ne!(text, ALL);
        parse("swarm", "scenarios/swarm.toml", &text)
            .expect_err(to)
            .to_string()
    };
    insta::assert_snapshot!(
        [
            refused("brokers = [3, 5, 7]", "brokers = [3, 4]"),
            refused("brokers = [3, 5, 7]", "brokers = []"),
            refused("batch_max = [1, 64]", "keep_fault = 0"),
            refused("target = \"leader\"", "target = 3"),
        ]
        .join("\n")
    );
}
