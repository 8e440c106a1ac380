//! The last reader: waits until the consumers have caught up, then reads
//! everything as somebody who was never there before.

use crate::client::{ClientConfig, FullReader, ReadError};
use crate::env::{Env, Timer};
use crate::history::{ClientId, Event, Queue, Recorder, Value};
use crate::remoting::send::SCHEDULE_TOPIC;

/// The things that there are to read.
#[derive(Debug, Clone)]
pub struct FinalPlan {
    /// The reader's name in the history.
    pub client: ClientId,
    /// Every topic, with the groups that consume it.
    pub topics: Vec<(String, Vec<String>)>,
    /// The topic of discarded half messages, where they are to be read.
    pub discards: Option<String>,
    /// How long the groups may take to catch up, milliseconds.
    pub catch_up_ms: u64,
    /// The groups have caught up only once no queue has grown for so long,
    /// milliseconds: what is to come later is not to be missed.
    pub settle_ms: u64,
    /// How long the reading may take then, milliseconds.
    pub read_ms: u64,
}

/// The outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Finished {
    /// When every group's offset was at the end of every queue; `None`: never.
    pub caught_up_ns: Option<u64>,
    /// Whether everything could be read.
    pub read: bool,
}

/// Pause between two looks at the groups' offsets, nanoseconds.
const LOOK_EVERY_NS: u64 = 100_000_000;
/// Limit of one look, milliseconds: it asks for each queue of each group, one after
/// the other, however far away the brokers are.
const LOOK_MS: u64 = 10_000;
/// A reading that does not come to its end is begun anew so many times, at least.
const READINGS: u64 = 6;

/// Waits for the groups, reads every queue, and records both.
pub async fn read_everything<E: Env>(
    env: E,
    plan: FinalPlan,
    config: ClientConfig,
    recorder: Recorder,
) -> Finished {
    let reading = Reading {
        env,
        plan,
        config,
        recorder,
    };
    let deadline_ns = reading.env.now_ns() + reading.plan.catch_up_ms * 1_000_000;
    loop {
        let caught_up = reading.wait_for_groups(deadline_ns).await;
        let read = reading.read_topics().await;
        // A message that was sent back meanwhile was read in one place and not in the
        // other.
        let is_still = match &caught_up {
            Some((_, ends)) => reading.caught_up().await.as_ref() == Some(ends),
            None => true,
        };
        if !is_still && reading.env.now_ns() < deadline_ns {
            continue;
        }
        return Finished {
            caught_up_ns: caught_up.map(|(since_ns, _)| since_ns),
            read: read && reading.read_discards().await.is_some(),
        };
    }
}

struct Reading<E: Env> {
    env: E,
    plan: FinalPlan,
    config: ClientConfig,
    recorder: Recorder,
}

impl<E: Env> Reading<E> {
    /// Since when every group is at the end of every queue, and these ends; `None`:
    /// they do not come there.
    async fn wait_for_groups(&self, deadline_ns: u64) -> Option<(u64, Vec<u64>)> {
        let settle_ns = self.plan.settle_ms * 1_000_000;
        let mut pause = self.env.timer();
        let mut level: Option<(u64, Vec<u64>)> = None;
        loop {
            let now_ns = self.env.now_ns();
            level = match (self.caught_up().await, level) {
                (Some(ends), Some((since_ns, before))) if ends == before => Some((since_ns, ends)),
                (Some(ends), _) => Some((now_ns, ends)),
                (None, _) => None,
            };
            if level
                .as_ref()
                .is_some_and(|(since_ns, _)| now_ns >= since_ns + settle_ns)
            {
                return level;
            }
            if now_ns >= deadline_ns + settle_ns {
                return None;
            }
            pause.reset(Some(self.env.now_ns() + LOOK_EVERY_NS));
            pause.fired().await;
        }
    }

    /// The ends of all queues, where every group is there; `None`: one is not,
    /// or nobody says.
    async fn caught_up(&self) -> Option<Vec<u64>> {
        let mut all_ends = Vec::new();
        for (topic, groups) in &self.plan.topics {
            // Of a message that waits, no group knows yet.
            if groups.is_empty() && topic != SCHEDULE_TOPIC {
                continue;
            }
            let mut reader = self.reader(LOOK_MS);
            let ends = match reader.queue_ends(topic).await {
                // No message has waited yet.
                Err(ReadError::NoSuchTopic(_)) if groups.is_empty() => Vec::new(),
                ends => ends.ok()?,
            };
            for group in groups {
                let offsets = reader.group_offsets(group, topic).await.ok()?;
                let lags = offsets
                    .iter()
                    .zip(&ends)
                    .any(|(offset, end)| offset.unwrap_or(0) < *end);
                if lags {
                    return None;
                }
            }
            all_ends.extend(ends);
        }
        Some(all_ends)
    }

    /// Reads until it was read in one piece: a log that was salvaged meanwhile is
    /// shorter than it was at the reading's begin. And, for half of the time, until
    /// the groups are at its end: while members change hands, a late commit may
    /// set one back, until it is committed again.
    async fn read_topic(&self, topic: &str, groups: &[String]) -> Option<()> {
        let half_ns = self.plan.read_ms * 500_000;
        let patient_until_ns = self.env.now_ns() + half_ns;
        let deadline_ns = patient_until_ns + half_ns;
        let mut pause = self.env.timer();
        while self.env.now_ns() < deadline_ns {
            let patient = self.env.now_ns() < patient_until_ns;
            if let Some(()) = self.try_topic(topic, groups, patient).await {
                return Some(());
            }
            pause.reset(Some(self.env.now_ns() + LOOK_EVERY_NS));
            pause.fired().await;
        }
        None
    }

    /// Reads every topic; says whether it could.
    async fn read_topics(&self) -> bool {
        let mut read = true;
        for (topic, groups) in &self.plan.topics {
            read &= self.read_topic(topic, groups).await.is_some();
        }
        read
    }

    /// Reads the discard topic, where there is one to read; one that there is not
    /// holds nothing.
    async fn read_discards(&self) -> Option<()> {
        let Some(topic) = &self.plan.discards else {
            return Some(());
        };
        let contents = match self.reader(self.plan.read_ms).read_all(topic).await {
            Err(ReadError::NoSuchTopic(_)) => Vec::new(),
            read => read.ok()?,
        };
        let messages = contents.iter().flat_map(|contents| &contents.messages);
        let values = messages.filter_map(|message| Value::read(&message.body));
        let values = values.collect();
        self.record(Event::FinalDiscards { values });
        Some(())
    }

    async fn try_topic(&self, topic: &str, groups: &[String], patient: bool) -> Option<()> {
        let mut reader = self.reader(self.plan.read_ms.div_ceil(READINGS));
        let mut recorded = Vec::new();
        let queues = reader.queue_ends(topic).await.ok()?.len() as u32;
        for group in groups {
            // Members that change hands still may commit meanwhile.
            for queue_id in 0..queues {
                self.record(Event::ResumeBegan {
                    group: group.as_str().into(),
                    queue: Queue {
                        topic: topic.into(),
                        queue_id,
                    },
                });
            }
            let offsets = reader.group_offsets(group, topic).await.ok()?;
            recorded.push((group, offsets));
        }
        let contents = reader.read_all(topic).await.ok()?;
        let ends = || contents.iter().map(|contents| contents.max_offset);
        let lags = |offsets: &[Option<u64>]| {
            let mut pairs = offsets.iter().zip(ends());
            pairs.any(|(offset, end)| offset.unwrap_or(0) < end)
        };
        if patient && recorded.iter().any(|(_, offsets)| lags(offsets)) {
            return None;
        }
        for (group, offsets) in recorded {
            for (queue_id, offset) in (0..).zip(offsets) {
                let queue = Queue {
                    topic: topic.into(),
                    queue_id,
                };
                self.record(Event::FinalGroupOffset {
                    group: group.as_str().into(),
                    queue,
                    offset,
                });
            }
        }
        for contents in contents {
            let readable = contents.messages.iter();
            let readable = readable.map(|m| (m.offset, Value::read(&m.body)));
            let bad = contents.bad.iter().map(|(offset, _)| (*offset, None));
            let mut messages: Vec<_> = readable.chain(bad).collect();
            messages.sort_by_key(|(offset, _)| *offset);
            self.record(Event::FinalRead {
                queue: Queue {
                    topic: topic.into(),
                    queue_id: contents.queue_id,
                },
                min_offset: contents.min_offset,
                max_offset: contents.max_offset,
                messages,
            });
        }
        Some(())
    }

    fn reader(&self, timeout_ms: u64) -> FullReader<E> {
        FullReader::new(self.env.clone(), self.config.clone(), timeout_ms)
    }

    fn record(&self, event: Event) {
        self.recorder
            .record(self.env.now_ns(), self.plan.client, event);
    }
}
