//! The actions of a consumer of a scenario, and its settings.

use super::clients::Setting;
use crate::client::{ClientConfig, ConsumeFrom, ConsumerConfig, GroupConfig, LockConfig, Share};
use crate::history::ClientId;
use crate::remoting::heartbeat;
use crate::remoting::retry::{dead_letter_topic, retry_topic};
use crate::remoting::send::SCHEDULE_TOPIC;
use crate::scenario::{
    Begin, Between, Consumers, Failing, Membership, Producers, Scenario, Spelling, Workload,
};
use crate::workload::{self, ConsumePlan, Stays, Wanted};

/// An offset that does not change is committed again after so many intervals.
const RECOMMIT_INTERVALS: u64 = 5;
/// A lock is renewed so often while it lasts.
const RENEWALS: u64 = 3;
/// The most time, beyond its delay, after which a delayed message comes,
/// milliseconds: the broker has to look for it, and to store it.
const COMES_LATE_MS: u64 = 2_000;

/// The consumer's own part.
pub(super) fn plan(
    what: &Consumers,
    scenario: &Scenario,
    setting: &Setting,
    client: ClientId,
    seed: u64,
) -> ConsumePlan {
    let membership = what.membership.as_ref();
    let failing = membership.and_then(|it| it.failing.as_ref());
    let stays = membership.and_then(|it| it.stays.as_ref());
    let tags = membership.and_then(|it| it.tags.as_ref());
    ConsumePlan {
        client,
        begins_at_ns: ns(what.begins_ms, 1_000_000),
        processing_ns: ns(what.processing_us, 1_000),
        wanted: tags.map(|tags| Wanted {
            of: u64::from(tags.of),
            tags: (tags.wanted.low..=tags.wanted.high).collect(),
        }),
        failing: failing.map(|failing| workload::Failing {
            one_in: u64::from(failing.one_in),
            times: failing.times.low..=failing.times.high,
            delays_ns: delays_ms(scenario, failing)
                .map(|ms| ms * 1_000_000)
                .collect(),
            // One for the whole group.
            seed: setting.seed,
        }),
        equal_ids: has_equal_ids(what),
        stays: stays.map(|stays| Stays {
            stay_ns: ns(stays.stay_ms, 1_000_000),
            away_ns: ns(stays.away_ms, 1_000_000),
            stop_at_ns: setting.stop_at_ns,
        }),
        seed,
    }
}

fn ns(range: Between, unit_ns: u64) -> std::ops::RangeInclusive<u64> {
    range.low * unit_ns..=range.high * unit_ns
}

/// When a message comes again that is sent back for the first time, the second,
/// and so on, up to the last time before it is given up.
fn delays_ms<'a>(
    scenario: &'a Scenario,
    failing: &'a Failing,
) -> impl Iterator<Item = u64> + use<'a> {
    (0..failing.retries_max).map(|times| {
        let level = match failing.delay_level {
            0 => 3 + times,
            level => level,
        };
        level_ms(scenario, level)
    })
}

/// How long a message waits at a level, milliseconds: at the last one where there
/// are not so many.
fn level_ms(scenario: &Scenario, level: u32) -> u64 {
    let levels_ms = &scenario.cluster.broker.delay_levels_ms;
    let place = (level.max(1) as usize).min(levels_ms.len());
    place.checked_sub(1).map_or(0, |place| levels_ms[place])
}

/// The levels of a producer's messages, and what they stand for, nanoseconds.
pub(super) fn delays(what: &Producers, scenario: &Scenario) -> Vec<(u32, u64)> {
    let levels = what.delay_level.into_iter().flat_map(|it| it.low..=it.high);
    levels
        .map(|level| (level as u32, level_ms(scenario, level as u32) * 1_000_000))
        .collect()
}

fn has_equal_ids(what: &Consumers) -> bool {
    what.membership.as_ref().is_some_and(|it| it.equal_ids)
}

/// The id of the client, where that is not its own.
pub(super) fn shared_id(what: &Consumers) -> Option<String> {
    has_equal_ids(what).then(|| format!("{}-twin", what.group))
}

/// A client that consumes by time takes what was stored so long before it
/// began, milliseconds.
const BEGINS_BEFORE_MS: u64 = 500;

/// The settings of the client. `begins_ms`: its wall clock; `late_ns`: when the
/// faults are over, on its monotonic one.
pub(super) fn config(
    what: &Consumers,
    scenario: &Scenario,
    client: ClientConfig,
    queues: &[u32],
    (begins_ms, late_ns): (u64, u64),
) -> ConsumerConfig {
    let lease_ms = LockConfig::longest_lease_ms(scenario.cluster.broker.queue_lock_ms);
    let mut config = ConsumerConfig::new(client, what.group.clone(), what.topic.clone());
    config.pull_batch_size = what.batch_max;
    config.suspend_timeout_ms = scenario.client.pull_suspend_ms;
    config.commit_interval_ms = what.commit_interval_ms;
    config.recommit_interval_ms = RECOMMIT_INTERVALS * what.commit_interval_ms;
    config.commit_from_ns = if what.commits_late { late_ns } else { 0 };
    config.consume_from = match what.from {
        Begin::First => ConsumeFrom::FirstOffset,
        Begin::Last => ConsumeFrom::LastOffset,
        Begin::Timestamp => ConsumeFrom::Timestamp {
            wall_ms: begins_ms.saturating_sub(BEGINS_BEFORE_MS),
        },
    };
    config.spelling = match what.spelling {
        Spelling::Java => heartbeat::Spelling::Java,
        Spelling::Cpp => heartbeat::Spelling::Cpp,
        Spelling::Go => heartbeat::Spelling::Go,
    };
    config.share = match &what.membership {
        None => Share::These(queues.to_vec()),
        Some(membership) => {
            config.unprocessed_max = membership.in_hand_max as usize;
            config.retry_delay_ms = config.retry_delay_ms.min(membership.rebalance_interval_ms);
            config.client.heartbeat_interval_ms = scenario.client.heartbeat_ms;
            Share::Group(group(membership, lease_ms))
        }
    };
    config
}

fn group(membership: &Membership, lease_ms: u64) -> GroupConfig {
    let mut group = GroupConfig {
        rebalance_interval_ms: membership.rebalance_interval_ms,
        // A member believes in its lock for as long as it may, from when it asked.
        lock: membership.ordered.then_some(LockConfig {
            renew_interval_ms: lease_ms / RENEWALS,
            lease_ms,
        }),
        ..GroupConfig::default()
    };
    if let Some(failing) = &membership.failing {
        group.reconsume_times_max = failing.retries_max;
        group.retry_delay_level = failing.delay_level;
    }
    group
}

/// Topics beside those that are sent to: of the groups, with those that consume
/// them, and that in which messages wait.
pub(super) fn topics(scenario: &Scenario) -> Vec<(String, Vec<String>)> {
    let mut topics = Vec::new();
    for workload in &scenario.workloads {
        if let Workload::Consume(consume) = workload
            && consume.membership.is_some()
        {
            let group = &consume.group;
            topics.push((retry_topic(group), vec![group.clone()]));
            topics.push((dead_letter_topic(group), Vec::new()));
        }
    }
    if delay_ms_max(scenario).is_some() {
        topics.push((SCHEDULE_TOPIC.to_owned(), Vec::new()));
    }
    topics
}

/// How long nothing may come before nothing comes any more, milliseconds.
pub(super) fn settle_ms(scenario: &Scenario) -> u64 {
    delay_ms_max(scenario).map_or(0, |ms| ms + COMES_LATE_MS)
}

/// How long messages wait, at most, milliseconds; `None`: none does.
fn delay_ms_max(scenario: &Scenario) -> Option<u64> {
    let delays = scenario.workloads.iter().map(|workload| match workload {
        Workload::Send(send) => {
            let delays = delays(send, scenario);
            delays.into_iter().map(|(_, ns)| ns / 1_000_000).max()
        }
        Workload::Consume(consume) => {
            let membership = consume.membership.as_ref()?;
            // In order, nothing is sent back.
            let failing = membership
                .failing
                .as_ref()
                .filter(|_| !membership.ordered)?;
            delays_ms(scenario, failing).max()
        }
        Workload::Pay(_) | Workload::RedPacket(_) => None,
    });
    delays.max().flatten()
}
