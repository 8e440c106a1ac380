//! The red-packet service: pulls the paid orders, issues each one's red packet,
//! and only then lets the group's offset pass it.
//!
//! ```text
//!   pulled ──▶ packet of order 7? ─┬─ none: row kept, synced ──▶ processed ──▶ offset
//!                                  └─ there: served again ────────▲        committed
//! ```
//!
//! Promise: one packet for one order, however often the order comes: its row is
//! durable before its offset is committed.

use std::collections::VecDeque;
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Progress;
use super::table::Table;
use crate::client::{Consumer, ConsumerConfig, ConsumerEvent, PullEnd};
use crate::env::{Either, Env, Timer, either};
use crate::history::{ClientId, Event, Queue, Recorder, Value};

/// The service's file.
pub const PACKETS_FILE: &str = "packets.db";

/// The actions of a red-packet service.
#[derive(Debug, Clone)]
pub struct PacketPlan {
    /// Its name in the history.
    pub client: ClientId,
    /// The time that issuing one packet takes beside its sync, nanoseconds.
    pub processing_ns: RangeInclusive<u64>,
    /// Decides how long each takes.
    pub seed: u64,
}

/// Issues red packets until it is killed. Ends only where its disk fails. It records
/// all that it durably issued, again in every life.
pub async fn issue_packets<E: Env>(
    env: E,
    plan: PacketPlan,
    config: ConsumerConfig,
    recorder: Recorder,
    progress: Progress,
) {
    let Ok(packets) = Table::open(&env.disk(), PACKETS_FILE).await else {
        return;
    };
    let issuing = Issuing {
        group: config.group.as_str().into(),
        consumer: Consumer::new(env.clone(), config),
        processing: env.timer(),
        env,
        plan,
        recorder,
        progress,
        packets,
        in_hand: VecDeque::new(),
        done: 0,
    };
    // A service whose database fails is a service that stops.
    issuing.run().await.ok();
}

struct Issuing<E: Env> {
    env: E,
    plan: PacketPlan,
    group: Arc<str>,
    recorder: Recorder,
    progress: Progress,
    consumer: Consumer<E>,
    processing: E::Timer,
    packets: Table<E::Disk>,
    /// Pulled and not processed; the first is being processed.
    in_hand: VecDeque<(Queue, u64, Option<Value>)>,
    done: u64,
}

impl<E: Env> Issuing<E> {
    async fn run(mut self) -> io::Result<()> {
        for (value, _) in self.packets.rows() {
            self.record(Event::Issued { value });
        }
        loop {
            match either(self.consumer.next(), self.processing.fired()).await {
                Either::First(event) => self.saw(event),
                Either::Second(()) => self.finish_one().await?,
            }
        }
    }

    fn saw(&mut self, event: ConsumerEvent) {
        let group = self.group.clone();
        let seen = match event {
            ConsumerEvent::Resumed {
                queue, recorded, ..
            } => Event::Resumed {
                group,
                queue,
                offset: recorded,
            },
            ConsumerEvent::PullBegan { op, queue, offset } => {
                Event::PullBegan { op, queue, offset }
            }
            ConsumerEvent::Pulled {
                op,
                queue,
                offset,
                end,
                next_begin_offset,
                messages,
                ..
            } => {
                let messages = messages.iter();
                let messages = messages.map(|m| (m.offset, Value::read(&m.body)));
                let messages: Vec<_> = messages.collect();
                self.take_in_hand(&queue, &messages);
                Event::Pulled {
                    op,
                    queue,
                    offset,
                    next_begin_offset,
                    messages,
                    found: end == PullEnd::Found,
                }
            }
            ConsumerEvent::CommitBegan { op, queue, offset } => Event::CommitBegan {
                op,
                group,
                queue,
                offset,
            },
            ConsumerEvent::CommitEnded {
                op, acknowledged, ..
            } => {
                if acknowledged {
                    self.progress.0.uncommitted.store(0, Ordering::Relaxed);
                }
                Event::CommitEnded { op, acknowledged }
            }
            ConsumerEvent::ResumeBegan { queue } => Event::ResumeBegan { group, queue },
            // It shares its queues with nobody, and sends nothing back.
            ConsumerEvent::PullFailed { .. }
            | ConsumerEvent::Ranked { .. }
            | ConsumerEvent::Released { .. }
            | ConsumerEvent::Left
            | ConsumerEvent::SendBackBegan { .. }
            | ConsumerEvent::SendBackEnded { .. } => return,
        };
        self.record(seen);
    }

    fn take_in_hand(&mut self, queue: &Queue, messages: &[(u64, Option<Value>)]) {
        let idle = self.in_hand.is_empty();
        let messages = messages.iter();
        self.in_hand
            .extend(messages.map(|(offset, value)| (queue.clone(), *offset, *value)));
        if idle {
            self.begin_one();
        }
    }

    fn begin_one(&mut self) {
        if self.in_hand.is_empty() {
            return;
        }
        let (low, high) = self.plan.processing_ns.clone().into_inner();
        let dice = xxh3_64_with_seed(&self.done.to_be_bytes(), self.plan.seed);
        let takes_ns = low + dice % (high - low + 1);
        self.processing.reset(Some(self.env.now_ns() + takes_ns));
    }

    async fn finish_one(&mut self) -> io::Result<()> {
        let Some((queue, offset, value)) = self.in_hand.pop_front() else {
            return Ok(());
        };
        if let Some(value) = value {
            for (value, _) in self.packets.put(&[(value, true)]).await? {
                self.record(Event::Issued { value });
            }
        }
        self.done += 1;
        self.progress.0.processed.fetch_add(1, Ordering::Relaxed);
        self.progress.0.uncommitted.fetch_add(1, Ordering::Relaxed);
        self.consumer.processed(&queue, offset);
        if let Some(value) = value {
            let group = self.group.clone();
            self.record(Event::Processed {
                group,
                queue,
                offset,
                value,
            });
        }
        self.begin_one();
        Ok(())
    }

    fn record(&self, event: Event) {
        self.recorder
            .record(self.env.now_ns(), self.plan.client, event);
    }
}
