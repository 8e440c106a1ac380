//! A consumer that processes what it pulls, in its own time.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Progress;
use crate::client::{Consumer, ConsumerConfig, ConsumerEvent, PullEnd};
use crate::env::{Either, Env, Timer, either};
use crate::history::{ClientId, Event, Queue, Recorder, Value};

/// What one consumer does.
#[derive(Debug, Clone)]
pub struct ConsumePlan {
    /// Its name in the history.
    pub client: ClientId,
    /// What processing one message takes, nanoseconds.
    pub processing_ns: RangeInclusive<u64>,
    /// Decides how long each takes.
    pub seed: u64,
}

/// Consumes for ever, and records what it sees and does.
pub async fn consume<E: Env>(
    env: E,
    plan: ConsumePlan,
    config: ConsumerConfig,
    recorder: Recorder,
    progress: Progress,
) {
    let group = config.group.as_str().into();
    let consumer = Consumer::new(env.clone(), config);
    let processing = env.timer();
    let in_hand = VecDeque::new();
    Consuming {
        env,
        plan,
        group,
        recorder,
        progress,
        consumer,
        processing,
        in_hand,
        done: 0,
    }
    .run()
    .await;
}

struct Consuming<E: Env> {
    env: E,
    plan: ConsumePlan,
    group: Arc<str>,
    recorder: Recorder,
    progress: Progress,
    consumer: Consumer<E>,
    processing: E::Timer,
    /// Pulled and not processed, and what they say; the first is being processed.
    in_hand: VecDeque<(Queue, u64, Option<Value>)>,
    done: u64,
}

impl<E: Env> Consuming<E> {
    async fn run(mut self) {
        loop {
            match either(self.consumer.next(), self.processing.fired()).await {
                Either::First(event) => self.saw(event),
                Either::Second(()) => self.finish_one(),
            }
        }
    }

    fn saw(&mut self, event: ConsumerEvent) {
        match event {
            ConsumerEvent::Resumed {
                queue, recorded, ..
            } => {
                self.record(Event::Resumed {
                    group: self.group.clone(),
                    queue,
                    offset: recorded,
                });
            }
            ConsumerEvent::PullBegan { op, queue, offset } => {
                self.record(Event::PullBegan { op, queue, offset });
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
                let values: Vec<_> = messages
                    .iter()
                    .map(|m| (m.offset, Value::read(&m.body)))
                    .collect();
                self.take_in_hand(&queue, &values);
                self.record(Event::Pulled {
                    op,
                    queue,
                    offset,
                    next_begin_offset,
                    messages: values,
                    found: end == PullEnd::Found,
                });
            }
            ConsumerEvent::CommitBegan { op, queue, offset } => {
                let group = self.group.clone();
                self.record(Event::CommitBegan {
                    op,
                    group,
                    queue,
                    offset,
                });
            }
            ConsumerEvent::CommitEnded {
                op, acknowledged, ..
            } => {
                if acknowledged {
                    self.progress.0.uncommitted.store(0, Ordering::Relaxed);
                }
                self.record(Event::CommitEnded { op, acknowledged });
            }
            ConsumerEvent::PullFailed { .. } => {}
        }
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
        let range = &self.plan.processing_ns;
        let spread = range.end() - range.start() + 1;
        let dice = xxh3_64_with_seed(&self.done.to_be_bytes(), self.plan.seed);
        self.processing
            .reset(Some(self.env.now_ns() + range.start() + dice % spread));
    }

    fn finish_one(&mut self) {
        let Some((queue, offset, value)) = self.in_hand.pop_front() else {
            return;
        };
        self.done += 1;
        self.progress.0.processed.fetch_add(1, Ordering::Relaxed);
        self.progress.0.uncommitted.fetch_add(1, Ordering::Relaxed);
        self.consumer.processed(queue.queue_id, offset);
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
    }

    fn record(&self, event: Event) {
        self.recorder
            .record(self.env.now_ns(), self.plan.client, event);
    }
}

/// Which queues each of several consumers of a group takes: in turn.
pub fn share_of_queues(queues: u32, consumers: u32, consumer: u32) -> Vec<u32> {
    (0..queues)
        .filter(|queue| queue % consumers == consumer)
        .collect()
}
