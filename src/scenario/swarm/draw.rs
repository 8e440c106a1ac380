//! The things that a seed leaves out, and the sizes and rates that it gives the rest.

use std::collections::BTreeSet;

use super::{Range, Swarm, crash_after, habits};
use crate::broker::Replication;
use crate::history::FaultKind;
use crate::scenario::random::{Purpose, Stream};
use crate::scenario::setting::{DRAWN_IN_ORDER, Of};
use crate::scenario::{
    Between, Condition, CpuSpeed, FaultRule, NetworkSettings, Producers, RestartWith, Scenario,
    Target, Workload,
};

/// The lanes of [`Purpose::Swarm`], so that one more draw in one never shifts
/// another. Kinds of faults have a lane each behind these.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lane {
    Sizes,
    Features,
    Topics,
    LastFault,
    Faults,
    /// Behind those of all kinds of faults.
    Cpu = 1_000,
    Bounds = 1_001,
    Calm = 1_002,
    Crowd = 1_003,
    Commands = 1_004,
    /// Kinds of faults have a lane each behind it.
    CrashAfter = 2_000,
}

/// The lane of [`Purpose::Operator`] for whether the members start apart.
const FIRST_STARTS: u32 = 99;

fn lane(seed: u64, lane: Lane) -> Stream {
    lane_of(seed, lane, 0)
}

/// The lane of that number behind another.
pub(super) fn lane_of(seed: u64, lane: Lane, number: u32) -> Stream {
    Stream::lane(seed, Purpose::Swarm, lane as u32 + number)
}

pub(super) fn draw(full: &Scenario, swarm: &Swarm, seed: u64) -> Scenario {
    let mut drawn = full.clone();
    drawn.swarm = None;
    settings_of_their_own(swarm).for_each(|range| setting(&mut drawn, range, seed));
    sizes(&mut drawn, swarm, &mut lane(seed, Lane::Sizes));
    features(&mut drawn, swarm, seed, &mut lane(seed, Lane::Features));
    cpu(&mut drawn, swarm, &mut lane(seed, Lane::Cpu));
    settings(&mut drawn, swarm, &mut Stream::new(seed, Purpose::Settings));
    habits::draw(&mut drawn, swarm.habits, seed);
    topics(&mut drawn, swarm, &mut lane(seed, Lane::Topics));
    in_time(&mut drawn);
    in_measure(&mut drawn);
    bounds(&mut drawn, swarm, &mut lane(seed, Lane::Bounds));
    calm(&mut drawn, swarm, &mut lane(seed, Lane::Calm));
    drawn.faults = faults(&drawn, swarm, seed);
    crash_after::draw(&mut drawn.faults, swarm.crash_after, seed);
    drawn
}

/// Whether the cluster is founded before the first fault comes.
fn calm(drawn: &mut Scenario, swarm: &Swarm, stream: &mut Stream) {
    if swarm.calm_ms == 0 || !stream.chance(swarm.calm) {
        return;
    }
    drawn.cluster.first_start_ms = Between { low: 0, high: 0 };
    let end_ms = drawn.run.duration_ms;
    let later = |at_ms: &mut Between| {
        at_ms.low = (at_ms.low + swarm.calm_ms).min(end_ms);
        at_ms.high = (at_ms.high + swarm.calm_ms).min(end_ms);
    };
    drawn
        .faults
        .iter_mut()
        .for_each(|rule| later(&mut rule.at_ms));
    let operations = drawn.operations.iter_mut();
    operations.for_each(|rule| later(&mut rule.at_ms));
}

/// The settings that are drawn in lanes of their own.
pub(super) fn settings_of_their_own(swarm: &Swarm) -> impl Iterator<Item = &Range> {
    let mut ranges = swarm.settings.iter();
    std::iter::from_fn(move || ranges.find(|of| !DRAWN_IN_ORDER.contains(&of.row.key.name)))
}

/// Draws a setting, for each workload by itself where it is theirs.
fn setting(drawn: &mut Scenario, range: &Range, seed: u64) {
    let mut values = values(range, seed);
    let mut value = || values.next().expect("they do not end");
    match range.row.of {
        Of::Broker { set, .. } => set(&mut drawn.cluster.broker, value()),
        Of::Scenario(set) => set(drawn, value()),
        Of::Workload(set) => {
            let workloads = drawn.workloads.iter_mut();
            workloads.for_each(|workload| set(workload, value()));
        }
    }
}

/// The values of a setting: one, or for each workload one.
pub(super) fn values(range: &Range, seed: u64) -> impl Iterator<Item = u64> {
    let (range, lane) = (range.values, range.row.lane());
    let mut stream = Stream::lane(seed, Purpose::Setting, lane);
    std::iter::repeat_with(move || by_magnitude(range, &mut stream))
}

fn sizes(drawn: &mut Scenario, swarm: &Swarm, stream: &mut Stream) {
    if !swarm.brokers.is_empty() {
        drawn.cluster.brokers = swarm.brokers[stream.below(swarm.brokers.len() as u64) as usize];
    }
    let broker = &mut drawn.cluster.broker;
    if let Some(bytes) = swarm.range("segment_bytes") {
        // Whole sectors, of any disk.
        broker.segment_bytes = by_magnitude(bytes, stream) & !4_095;
    }
    if let Some(interval_ms) = swarm.range("checkpoint_interval_ms") {
        broker.checkpoint_interval_ms = by_magnitude(interval_ms, stream);
    }
    if let Some(files) = swarm.range("open_files_max") {
        broker.open_files_max = by_magnitude(files, stream) as usize;
    }
    drawn.disk.sync_us = part_of(drawn.disk.sync_us, stream);
    drawn.network.latency_us = part_of(drawn.network.latency_us, stream);
    for workload in &mut drawn.workloads {
        let in_flight = swarm.in_flight.map(|of| by_magnitude(of, stream) as u32);
        let batch = swarm.batch_max.map(|of| by_magnitude(of, stream) as u32);
        match workload {
            Workload::Send(send) => {
                send.in_flight = in_flight.unwrap_or(send.in_flight);
                send.body_bytes = part_of(send.body_bytes, stream);
            }
            Workload::Pay(pay) => {
                pay.in_flight = in_flight.unwrap_or(pay.in_flight);
                pay.payment_us = part_of(pay.payment_us, stream);
            }
            Workload::Consume(consume) | Workload::RedPacket(consume) => {
                consume.batch_max = batch.unwrap_or(consume.batch_max);
                consume.processing_us = part_of(consume.processing_us, stream);
            }
        }
    }
}

/// The bounds of the resources that clients and peers may use.
fn bounds(drawn: &mut Scenario, swarm: &Swarm, stream: &mut Stream) {
    let bounds = &mut drawn.cluster.broker.bounds;
    let mut size = |range: Option<Between>| {
        let drawn = range.map(|of| by_magnitude(of, stream));
        drawn.map(|drawn| usize::try_from(drawn).unwrap_or(usize::MAX))
    };
    if let Some(bytes) = size(swarm.range("peer_message_bytes")) {
        bounds.peer_message_bytes = bytes;
    }
    if let Some(connections) = size(swarm.range("connections_max")) {
        bounds.connections = connections;
        bounds.connections_of_host = connections;
    }
    if let Some(bytes) = size(swarm.range("partial_bytes_max")) {
        bounds.partial_bytes = bytes;
    }
    if let Some(bytes) = size(swarm.range("recent_bytes")) {
        drawn.cluster.broker.recent_bytes = bytes;
    }
    drawn.stranger = drawn.stranger.filter(|_| stream.chance(swarm.keep_feature));
}

/// A value of the range, each power of two in it about as likely as the next.
pub(super) fn by_magnitude(range: Between, stream: &mut Stream) -> u64 {
    let magnitude = |value: u64| u64::from(value.checked_ilog2().map_or(0, |bits| bits + 1));
    let drawn = stream.between(magnitude(range.low), magnitude(range.high));
    let (low, high) = match drawn {
        0 => (0, 0),
        bits => (1 << (bits - 1), (1 << bits) - 1),
    };
    stream.between(low.max(range.low), high.min(range.high))
}

/// A part of the range.
pub(super) fn part_of(range: Between, stream: &mut Stream) -> Between {
    let (one, other) = (by_magnitude(range, stream), by_magnitude(range, stream));
    Between {
        low: one.min(other),
        high: one.max(other),
    }
}

fn features(drawn: &mut Scenario, swarm: &Swarm, seed: u64, stream: &mut Stream) {
    let mut keeps = || stream.chance(swarm.keep_feature);
    let (dedup, preferred, retention) = (keeps(), keeps(), keeps());
    let operator = keeps();
    let broker = &mut drawn.cluster.broker;
    broker.producer_dedup &= dedup;
    broker.retention_ms = broker.retention_ms.filter(|_| retention);
    if let Replication::Raft(raft) = &mut broker.replication {
        raft.preferred_leader = raft.preferred_leader.filter(|_| preferred);
    }
    if !operator {
        drawn.operations.clear();
        drawn.cluster.spares = 0;
    }
    let NetworkSettings {
        loss,
        duplicate,
        reorder,
        split,
        garbage,
        ..
    } = &mut drawn.network;
    if !Stream::lane(seed, Purpose::Operator, FIRST_STARTS).chance(swarm.keep_feature) {
        drawn.cluster.first_start_ms = Between { low: 0, high: 0 };
    }
    let meets = lane(seed, Lane::Commands).chance(swarm.keep_feature);
    drawn.disk.refuses_commands &= meets;
    let sync_tail = &mut drawn.disk.sync_tail;
    for trouble in [loss, duplicate, reorder, split, garbage, sync_tail] {
        let percent = stream.between(1, 100) as f64;
        *trouble = match stream.chance(swarm.keep_feature) {
            true => *trouble * percent / 100.0,
            false => 0.0,
        };
    }
    drawn.cluster.preferences_differ &= stream.chance(swarm.keep_feature) && preferred;
}

/// In some runs what brokers do takes no time, as if there were a faster machine
/// always.
fn cpu(drawn: &mut Scenario, swarm: &Swarm, stream: &mut Stream) {
    let Some(slowdown) = swarm.cpu_slowdown else {
        return;
    };
    let speed = CpuSpeed {
        slowdown: by_magnitude(slowdown, stream),
    };
    drawn.cluster.cpu = stream.chance(swarm.keep_feature).then_some(speed);
}

/// Keeps a machine fast enough for Raft's timing requirement (paper, section 5.6): the
/// longest message is handed to all replicas within half an election timeout. Where
/// that takes longer, leaders come and go, and nothing is due.
fn in_time(drawn: &mut Scenario) {
    let limit = drawn.cluster.broker.max_message_bytes as u64;
    let at_limit = |send: &Producers| match send.limit_one_in {
        0 => 0,
        _ => limit,
    };
    let longest = drawn.workloads.iter().map(|workload| match workload {
        Workload::Send(send) => send
            .long
            .map_or(send.body_bytes.high, |long| long.bytes.high)
            .max(at_limit(send)),
        Workload::Pay(_) | Workload::Consume(_) | Workload::RedPacket(_) => 0,
    });
    // It is heard once, and said to each of the others.
    let copies = u64::from(drawn.cluster.brokers);
    let broadcast_ns = copies * longest.max().unwrap_or(0) * CpuSpeed::COPIED_BYTE_NS;
    let half_ns = drawn.cluster.election_timeout_ms.low * 500_000;
    if let Some(cpu) = &mut drawn.cluster.cpu {
        let most = half_ns / broadcast_ns.max(1);
        cpu.slowdown = cpu.slowdown.min(most.max(1));
    }
}

/// The longest body of a topic whose consumers multiply it, bytes.
const MULTIPLIED_BODY_BYTES_MAX: u64 = 60_000;

/// Retries of a group whose members multiply what they send back.
const MULTIPLYING_RETRIES_MAX: u32 = 2;

/// Keeps what a group sends back within the disks. Members with one id each consume
/// every message, and send back each copy of one that fails: the third attempt at it is
/// made of 27. Five long ones filled the disks for good.
fn in_measure(drawn: &mut Scenario) {
    let multiplies = |workload: &Workload| match workload {
        Workload::Consume(consume) => consume
            .membership
            .as_ref()
            .is_some_and(|members| members.equal_ids && members.failing.is_some()),
        Workload::Send(_) | Workload::Pay(_) | Workload::RedPacket(_) => false,
    };
    for workload in &mut drawn.workloads {
        if multiplies(workload)
            && let Workload::Consume(consume) = workload
            && let Some(failing) = consume
                .membership
                .as_mut()
                .and_then(|it| it.failing.as_mut())
        {
            failing.retries_max = failing.retries_max.min(MULTIPLYING_RETRIES_MAX);
        }
    }
    let multiplied = drawn.workloads.iter().filter(|it| multiplies(it));
    let topics: BTreeSet<String> = multiplied.map(|it| it.topic().to_owned()).collect();
    for workload in &mut drawn.workloads {
        if let Workload::Send(send) = workload
            && topics.contains(&send.topic)
        {
            send.limit_one_in = 0;
            if let Some(long) = &mut send.long {
                long.bytes.high = long.bytes.high.min(MULTIPLIED_BODY_BYTES_MAX);
                long.bytes.low = long.bytes.low.min(long.bytes.high);
            }
        }
    }
}

/// Whether brokers start again with other settings, and whether some bodies are long.
fn settings(drawn: &mut Scenario, swarm: &Swarm, stream: &mut Stream) {
    if !stream.chance(swarm.keep_feature) {
        drawn.cluster.restart_with = RestartWith::default();
    }
    let has_long = stream.chance(swarm.keep_feature);
    for workload in &mut drawn.workloads {
        if let Workload::Send(send) = workload {
            send.long = send.long.filter(|_| has_long);
        }
    }
}

/// Leaves topics out, with the clients that send to them and consume them; one stays.
fn topics(drawn: &mut Scenario, swarm: &Swarm, stream: &mut Stream) {
    let all: BTreeSet<String> = drawn
        .workloads
        .iter()
        .map(|workload| workload.topic().to_owned())
        .collect();
    let one = stream.below(all.len() as u64) as usize;
    let kept: BTreeSet<String> = (0..)
        .zip(all)
        .filter(|(place, _)| stream.chance(swarm.keep_feature) || *place == one)
        .map(|(_, topic)| topic)
        .collect();
    drawn
        .workloads
        .retain(|workload| kept.contains(workload.topic()));
}

/// The rules that stay, at the rates of this seed. One kind that harms brokers
/// stays.
fn faults(drawn: &Scenario, swarm: &Swarm, seed: u64) -> Vec<FaultRule> {
    let possible: Vec<&FaultRule> = drawn
        .faults
        .iter()
        .filter(|rule| has_victims(drawn, rule))
        .collect();
    let mut crowd = lane(seed, Lane::Crowd);
    let percent = by_magnitude(swarm.keep_fault_percent, &mut crowd);
    let keep_fault = swarm.keep_fault * percent as f64 / 100.0;
    let kinds: BTreeSet<FaultKind> = possible.iter().map(|rule| rule.action.kind()).collect();
    let rates = kinds.iter().map(|kind| {
        let mut stream = lane_of(seed, Lane::Faults, *kind as u32);
        let kept = stream.chance(keep_fault);
        (*kind, kept, by_magnitude(swarm.rate_percent, &mut stream))
    });
    let mut rates: Vec<(FaultKind, bool, u64)> = rates.collect();
    if !rates
        .iter()
        .any(|(kind, kept, _)| *kept && !kind.is_client_s())
    {
        let mut brokers: Vec<_> = rates
            .iter_mut()
            .filter(|(kind, _, _)| !kind.is_client_s())
            .collect();
        let one = lane(seed, Lane::LastFault).below(brokers.len() as u64) as usize;
        brokers[one].1 = true;
    }
    let rate_of = |rule: &FaultRule| {
        let mut rates = rates.iter();
        let found = rates.find(|(kind, kept, _)| *kept && *kind == rule.action.kind());
        found.map(|(_, _, percent)| *percent)
    };
    possible
        .into_iter()
        .filter_map(|rule| Some(at_rate(rule, rate_of(rule)?)))
        .collect()
}

/// Whether a scenario has whom the rule may hit, and what it waits for.
fn has_victims(scenario: &Scenario, rule: &FaultRule) -> bool {
    let has_services = !scenario.producer_groups().is_empty();
    let has_consumers = !scenario.consumers().is_empty();
    let has_target = match rule.target {
        Target::AnyConsumer => has_consumers,
        Target::LivingProducer | Target::AnyProducerGroup | Target::AnyDatabase => has_services,
        _ => true,
    };
    has_target && (has_services || !matches!(rule.when, Condition::At(_)))
}

/// A rule whose faults come more or less often.
fn at_rate(rule: &FaultRule, percent: u64) -> FaultRule {
    let mut rule = rule.clone();
    match &mut rule.every_ms {
        Some(every_ms) => {
            let scaled = |pause_ms: u64| (pause_ms * 100 / percent).max(1);
            every_ms.low = scaled(every_ms.low);
            every_ms.high = scaled(every_ms.high);
        }
        None => {
            let count = (u64::from(rule.count) * percent).div_ceil(100);
            rule.count = u32::try_from(count).unwrap_or(u32::MAX);
        }
    }
    rule
}
