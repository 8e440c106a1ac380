//! A consumer that processes what it pulls, in its own time.

mod failing;
mod plan;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use failing::Failing;
use plan::drawn;
pub(super) use plan::tag;
pub use plan::{ConsumePlan, Stays, Wanted, share_of_queues};

use super::Progress;
use crate::client::{
    ConsumeFrom, Consumer, ConsumerConfig, ConsumerEvent, PullEnd, Received, Share, Spelling,
};
use crate::env::{Either, Env, Timer, either};
use crate::history::{Event, Happening, OpId, Queue, Recorder, Value};

/// Consumes for ever, and records what it sees and does. Where it leaves its
/// group it comes back as another client.
pub async fn consume<E: Env>(
    env: E,
    plan: ConsumePlan,
    mut config: ConsumerConfig,
    recorder: Recorder,
    progress: Progress,
) {
    let begins_at_ns = drawn(&plan.begins_at_ns, 0, plan.seed ^ 2);
    if env.now_ns() < begins_at_ns {
        let mut beginning = env.timer();
        beginning.reset(Some(begins_at_ns));
        beginning.fired().await;
    }
    if let Some(wanted) = &plan.wanted {
        config.tags = wanted.tags.iter().map(|number| tag(*number)).collect();
        let subscribed = Event::Subscribed {
            group: config.group.as_str().into(),
            topic: config.topic.as_str().into(),
            of: wanted.of,
            wanted: wanted.tags.as_slice().into(),
        };
        recorder.record(env.now_ns(), plan.client, subscribed);
    }
    let notice = |what| recorder.record(env.now_ns(), plan.client, Event::Noticed(what));
    if plan.equal_ids {
        notice(Happening::SharedId);
    }
    if config.spelling != Spelling::Java {
        notice(Happening::ForeignHeartbeat);
    }
    let name = config.client.client_id.clone();
    for stay in 0_u64.. {
        if stay > 0 && !plan.equal_ids {
            config.client.client_id = numbered(&name, stay);
        }
        let mut consuming = Consuming::new(
            env.clone(),
            plan.clone(),
            config.clone(),
            recorder.clone(),
            progress.clone(),
        );
        consuming.run(stay).await;
        let Some(stays) = &plan.stays else {
            return;
        };
        let mut pause = env.timer();
        let away_ns = drawn(&stays.away_ns, stay, plan.seed ^ 1);
        pause.reset(Some(env.now_ns() + away_ns));
        pause.fired().await;
    }
}

/// Longest name of a client, bytes (RocketMQ's `CHARACTER_MAX_LENGTH`).
const NAME_BYTES_MAX: usize = 255;

/// The name of a member that came back: as long as a name may be, at most.
fn numbered(name: &str, stay: u64) -> String {
    let number = format!("-{stay}");
    let room = NAME_BYTES_MAX - number.len();
    let kept = name.get(..room).unwrap_or(name);
    format!("{kept}{number}")
}

/// A message that was pulled and is not done.
struct InHand {
    queue: Queue,
    message: Received,
    value: Option<Value>,
    /// Vain attempts made here.
    tries: u32,
}

struct Consuming<E: Env> {
    env: E,
    plan: ConsumePlan,
    group: Arc<str>,
    /// Where nothing is recorded it may begin behind a queue's first message.
    skips: bool,
    /// Messages are processed again in their place, and not sent back.
    ordered: bool,
    recorder: Recorder,
    progress: Progress,
    consumer: Consumer<E>,
    processing: E::Timer,
    leaving: E::Timer,
    /// The first is being processed.
    in_hand: VecDeque<InHand>,
    /// On their way back to the broker: what they say, and how often that was
    /// done before.
    returning: BTreeMap<(Queue, u64), (Value, u32)>,
    send_backs: BTreeMap<OpId, (Queue, u64)>,
    done: u64,
}

impl<E: Env> Consuming<E> {
    fn new(
        env: E,
        plan: ConsumePlan,
        config: ConsumerConfig,
        recorder: Recorder,
        progress: Progress,
    ) -> Self {
        let group = config.group.as_str().into();
        let skips = config.consume_from != ConsumeFrom::FirstOffset;
        let ordered = match &config.share {
            Share::Group(group) => group.lock.is_some(),
            Share::All | Share::These(_) => false,
        };
        Self {
            consumer: Consumer::new(env.clone(), config),
            processing: env.timer(),
            leaving: env.timer(),
            env,
            plan,
            group,
            skips,
            ordered,
            recorder,
            progress,
            in_hand: VecDeque::new(),
            returning: BTreeMap::new(),
            send_backs: BTreeMap::new(),
            done: 0,
        }
    }

    /// Until it has left its group.
    async fn run(&mut self, stay: u64) {
        if let Some(stays) = &self.plan.stays {
            let stay_ns = drawn(&stays.stay_ns, stay, self.plan.seed);
            let until_ns = self.env.now_ns() + stay_ns;
            self.leaving
                .reset((until_ns < stays.stop_at_ns).then_some(until_ns));
        }
        loop {
            let timers = either(self.processing.fired(), self.leaving.fired());
            match either(self.consumer.next(), timers).await {
                Either::First(ConsumerEvent::Left) => return,
                Either::First(event) => self.saw(event),
                Either::Second(Either::First(())) => self.finish_one(),
                Either::Second(Either::Second(())) => self.consumer.leave(),
            }
        }
    }

    fn saw(&mut self, event: ConsumerEvent) {
        let group = Arc::clone(&self.group);
        match event {
            ConsumerEvent::Ranked { place, members } => self.record(Event::Ranked {
                group,
                place,
                members,
            }),
            ConsumerEvent::ResumeBegan { queue } => {
                self.record(Event::ResumeBegan { group, queue });
            }
            ConsumerEvent::Resumed {
                queue, recorded, ..
            } => {
                if self.skips && recorded.is_none() {
                    self.record(Event::Noticed(Happening::BegunByPolicy));
                }
                self.record(Event::Resumed {
                    group,
                    queue,
                    offset: recorded,
                });
            }
            ConsumerEvent::Released { queue } => self.released(queue),
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
                self.record(Event::Pulled {
                    op,
                    queue: queue.clone(),
                    offset,
                    next_begin_offset,
                    messages: values,
                    found: end == PullEnd::Found && self.plan.wanted.is_none(),
                });
                if end == PullEnd::Moved && next_begin_offset < offset {
                    self.drop_from(&queue, next_begin_offset);
                }
                self.take_in_hand(&queue, messages);
            }
            ConsumerEvent::CommitBegan { op, queue, offset } => self.record(Event::CommitBegan {
                op,
                group,
                queue,
                offset,
            }),
            ConsumerEvent::CommitEnded {
                op, acknowledged, ..
            } => {
                if acknowledged {
                    self.progress.0.uncommitted.store(0, Ordering::Relaxed);
                }
                self.record(Event::CommitEnded { op, acknowledged });
            }
            ConsumerEvent::SendBackBegan { op, queue, offset } => {
                self.send_back_began(op, queue, offset);
            }
            ConsumerEvent::SendBackEnded { op, acknowledged } => {
                self.send_back_ended(op, acknowledged);
            }
            ConsumerEvent::PullFailed { .. } | ConsumerEvent::Left => {}
        }
    }

    fn take_in_hand(&mut self, queue: &Queue, messages: Vec<Received>) {
        let idle = self.in_hand.is_empty();
        for message in messages {
            let value = Value::read(&message.body);
            if let Some(value) = value
                && queue.is_of_retries()
            {
                self.record(Event::Redelivered {
                    group: Arc::clone(&self.group),
                    value,
                    times: message.reconsume_times,
                });
            }
            self.in_hand.push_back(InHand {
                queue: queue.clone(),
                message,
                value,
                tries: 0,
            });
        }
        if idle {
            self.begin_one();
        }
    }

    fn released(&mut self, queue: Queue) {
        self.drop_from(&queue, 0);
        self.record(Event::Released {
            group: Arc::clone(&self.group),
            queue,
        });
    }

    /// The messages of the queue in hand, from an offset on, are dropped; what is being
    /// processed too.
    fn drop_from(&mut self, queue: &Queue, from: u64) {
        let goes = |it: &InHand| it.queue == *queue && it.message.offset >= from;
        let began = self.in_hand.front().is_some_and(goes);
        self.in_hand.retain(|it| !goes(it));
        self.returning
            .retain(|(of, offset), _| of != queue || *offset < from);
        if began {
            self.processing.reset(None);
            self.go_on();
        }
    }

    /// Whether what is in hand first is still to be processed here. Where it is
    /// not, its queue is released in a moment.
    fn holds_first(&self) -> bool {
        let first = self.in_hand.front();
        first.is_some_and(|first| self.consumer.holds(&first.queue))
    }

    /// Begins what was handed out a while ago.
    fn go_on(&mut self) {
        if self.holds_first() {
            self.begin_one();
        }
    }

    fn begin_one(&mut self) {
        let Some(first) = self.in_hand.front() else {
            return;
        };
        if self.ordered && first.tries == 0 {
            self.record(Event::Taken {
                group: Arc::clone(&self.group),
                queue: first.queue.clone(),
                offset: first.message.offset,
            });
        }
        let processing_ns = drawn(&self.plan.processing_ns, self.done, self.plan.seed);
        self.processing
            .reset(Some(self.env.now_ns() + processing_ns));
    }

    fn finish_one(&mut self) {
        if !self.holds_first() {
            return;
        }
        let Some(mut first) = self.in_hand.pop_front() else {
            return;
        };
        self.done += 1;
        match first.value {
            Some(value) if self.fails(&first, value) && self.ordered => {
                first.tries += 1;
                self.in_hand.push_front(first);
            }
            Some(value) if self.fails(&first, value) => {
                let place = (first.queue.clone(), first.message.offset);
                let times = first.message.reconsume_times;
                self.returning.insert(place, (value, times));
                self.consumer.failed(&first.queue, &first.message);
            }
            value => self.processed(first, value),
        }
        self.go_on();
    }

    fn fails(&self, first: &InHand, value: Value) -> bool {
        let attempts = first.message.reconsume_times + first.tries;
        let failing = self.plan.failing.as_ref();
        failing.is_some_and(|failing| attempts < failing.attempts_in_vain(value))
    }

    fn processed(&mut self, first: InHand, value: Option<Value>) {
        let (queue, offset) = (first.queue, first.message.offset);
        self.progress.0.processed.fetch_add(1, Ordering::Relaxed);
        self.progress.0.uncommitted.fetch_add(1, Ordering::Relaxed);
        self.consumer.processed(&queue, offset);
        if let Some(value) = value {
            self.record(Event::Processed {
                group: Arc::clone(&self.group),
                queue,
                offset,
                value,
            });
        }
    }

    fn send_back_began(&mut self, op: OpId, queue: Queue, offset: u64) {
        let place = (queue.clone(), offset);
        let Some((value, times)) = self.returning.get(&place).copied() else {
            return;
        };
        self.send_backs.insert(op, place);
        let failing = self.plan.failing.as_ref();
        self.record(Event::SendBackBegan {
            op,
            group: Arc::clone(&self.group),
            queue,
            offset,
            value,
            times,
            delay_ns: failing.and_then(|failing| failing.delay_ns(times)),
        });
    }

    fn send_back_ended(&mut self, op: OpId, acknowledged: bool) {
        let Some(place) = self.send_backs.remove(&op) else {
            return;
        };
        if acknowledged {
            self.returning.remove(&place);
        }
        self.record(Event::SendBackEnded { op, acknowledged });
    }

    fn record(&self, event: Event) {
        self.recorder
            .record(self.env.now_ns(), self.plan.client, event);
    }
}
