//! A reader of everything: each queue from its first offset to its last.
//!
//! It belongs to no group, remembers nothing, and says exactly what it got: the
//! judgement of a run rests on it.

use super::config::ClientConfig;
use super::convert::{as_i32, as_i64, bounds_of, offset_of};
use super::records::{BadRecord, Received, decode};
use super::session::{Profile, Session, SessionEvent, TopicId};
use super::wire::ms;
use crate::env::Env;
use crate::remoting::heartbeat::{HeartbeatData, Spelling};
use crate::remoting::offset::{MaxOffset, MinOffset, QueryOffset};
use crate::remoting::pull::{FLAG_SUBSCRIPTION, PullRequest};
use crate::remoting::{Command, Request, ResponseCode};

/// Messages asked for in one pull.
const PULL_BATCH_SIZE: i32 = 1_024;
/// Pause after an answer that does not help, milliseconds.
const RETRY_DELAY_MS: u64 = 100;

/// One queue, completely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueContents {
    /// The queue's number.
    pub queue_id: u32,
    /// The smallest offset that the broker offers; what expires while the queue is
    /// read raises it.
    pub min_offset: u64,
    /// One past the largest, when the read began.
    pub max_offset: u64,
    /// Everything that was served, in order.
    pub messages: Vec<Received>,
    /// Records that cannot be read, and the offset where each was expected.
    /// Reading went on behind it.
    pub bad: Vec<(u64, BadRecord)>,
}

/// Why not everything could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The broker says that there is no such topic.
    #[error("no broker knows topic {0}")]
    NoSuchTopic(String),
    /// The time was up.
    #[error("time was up while {doing}; the last answer was {last}")]
    Deadline {
        /// The action, with its queue and offset.
        doing: String,
        /// The last answer that did not help.
        last: String,
    },
}

/// Reads topics and recorded offsets.
pub struct FullReader<E: Env> {
    session: Session<E, u64>,
    request_timeout_ms: u64,
    deadline_ns: u64,
    next_tag: u64,
    /// The last answer that did not help, for the error's text.
    last: String,
}

impl<E: Env> FullReader<E> {
    /// A reader that begins to connect. Everything that it is asked for must be
    /// done within `timeout_ms` from now.
    pub fn new(env: E, config: ClientConfig, timeout_ms: u64) -> Self {
        let deadline_ns = env.now_ns().saturating_add(ms(timeout_ms));
        let request_timeout_ms = config.request_timeout_ms;
        let heartbeat = HeartbeatData {
            client_id: config.client_id.clone(),
            ..HeartbeatData::default()
        };
        let profile = Profile {
            heartbeat: heartbeat.spelled(Spelling::Java).into(),
            new_topic_queues: None,
        };
        Self {
            session: Session::new(env, config, profile),
            request_timeout_ms,
            deadline_ns,
            next_tag: 0,
            last: "none".to_owned(),
        }
    }

    /// Every queue of a topic, from its first offset to its last.
    pub async fn read_all(&mut self, topic: &str) -> Result<Vec<QueueContents>, ReadError> {
        let id = self.session.topic(topic);
        let queues = self.queues(id).await?;
        let mut contents = Vec::new();
        for queue_id in 0..queues {
            contents.push(self.read_queue(id, topic, queue_id).await?);
        }
        Ok(contents)
    }

    /// The offsets that are recorded for a group, by queue of the topic.
    pub async fn group_offsets(
        &mut self,
        group: &str,
        topic: &str,
    ) -> Result<Vec<Option<u64>>, ReadError> {
        let id = self.session.topic(topic);
        let queues = self.queues(id).await?;
        let mut offsets = Vec::new();
        for queue_id in 0..queues {
            let request = QueryOffset {
                consumer_group: group,
                set_zero_if_not_found: Some(false),
                topic,
                queue_id: as_i32(queue_id),
            };
            let doing = || format!("asking for {group}'s offset in {topic}/{queue_id}");
            let useful = |command: &Command| match ResponseCode(command.code) {
                ResponseCode::QUERY_NOT_FOUND => Some(None),
                ResponseCode::SUCCESS => offset_of(command).map(Some),
                _ => None,
            };
            offsets.push(self.ask(id, &request, useful, doing).await?);
        }
        Ok(offsets)
    }

    /// One past the last offset of each queue of a topic.
    pub async fn queue_ends(&mut self, topic: &str) -> Result<Vec<u64>, ReadError> {
        let id = self.session.topic(topic);
        let queues = self.queues(id).await?;
        let mut ends = Vec::new();
        for queue_id in 0..queues {
            let request = MaxOffset {
                topic,
                queue_id: as_i32(queue_id),
            };
            let doing = || format!("asking for the end of {topic}/{queue_id}");
            ends.push(self.ask(id, &request, offset_of, doing).await?);
        }
        Ok(ends)
    }

    async fn read_queue(
        &mut self,
        id: TopicId,
        topic: &str,
        queue_id: u32,
    ) -> Result<QueueContents, ReadError> {
        let wire_id = as_i32(queue_id);
        let doing = || format!("asking for the bounds of {topic}/{queue_id}");
        let request = MaxOffset {
            topic,
            queue_id: wire_id,
        };
        let max_offset = self.ask(id, &request, offset_of, doing).await?;
        let request = MinOffset {
            topic,
            queue_id: wire_id,
        };
        let min_offset = self.ask(id, &request, offset_of, doing).await?;
        let mut contents = QueueContents {
            queue_id,
            min_offset,
            max_offset,
            messages: Vec::new(),
            bad: Vec::new(),
        };
        let mut next = min_offset;
        while next < max_offset {
            next = self.read_on(id, topic, next, &mut contents).await?;
        }
        Ok(contents)
    }

    /// Reads some messages from `from` on; returns where to go on, which is
    /// above.
    async fn read_on(
        &mut self,
        id: TopicId,
        topic: &str,
        from: u64,
        contents: &mut QueueContents,
    ) -> Result<u64, ReadError> {
        let queue_id = contents.queue_id;
        let max_offset = contents.max_offset;
        let request = PullRequest {
            consumer_group: "",
            topic,
            queue_id: as_i32(queue_id),
            queue_offset: as_i64(from),
            max_msg_nums: PULL_BATCH_SIZE,
            sys_flag: FLAG_SUBSCRIPTION,
            commit_offset: 0,
            suspend_timeout_millis: 0,
            subscription: "*",
            sub_version: 0,
            expression_type: None,
        };
        let useful = |command: &Command| {
            let (next, first, _) = bounds_of(command)?;
            let body = match ResponseCode(command.code) {
                ResponseCode::SUCCESS => command.body.clone(),
                // Nothing there: what is missing will show.
                ResponseCode::PULL_OFFSET_MOVED | ResponseCode::PULL_RETRY_IMMEDIATELY => {
                    bytes::Bytes::new()
                }
                _ => return None,
            };
            let (messages, bad) = decode(&body, topic, queue_id);
            let bad_at = messages
                .last()
                .map_or(from, |last| last.offset.saturating_add(1));
            let next = if bad.is_some() {
                bad_at.saturating_add(1)
            } else {
                next
            };
            (next > from).then_some((next, first, messages, bad.map(|bad| (bad_at, bad))))
        };
        let doing = || format!("reading {topic}/{queue_id} at offset {from} of {max_offset}");
        let (next, first, messages, bad) = self.ask(id, &request, useful, doing).await?;
        if messages.is_empty() && first > from {
            contents.min_offset = first;
        }
        contents.messages.extend(messages);
        contents.bad.extend(bad);
        Ok(next)
    }

    /// The number of the topic's queues.
    async fn queues(&mut self, topic: TopicId) -> Result<u32, ReadError> {
        loop {
            if let Some(route) = self.session.route(topic) {
                return Ok(route.queues);
            }
            let name = self.session.name(topic).to_string();
            match self
                .event(|| format!("asking for the route of {name}"))
                .await?
            {
                SessionEvent::NoSuchTopic(of) if of == topic => {
                    return Err(ReadError::NoSuchTopic(name));
                }
                _ => continue,
            }
        }
    }

    /// Asks until an answer is useful.
    async fn ask<R: Request, A>(
        &mut self,
        topic: TopicId,
        request: &R,
        useful: impl Fn(&Command) -> Option<A>,
        doing: impl Fn() -> String,
    ) -> Result<A, ReadError> {
        loop {
            let tag = self.next_tag;
            self.next_tag += 1;
            let timeout_ms = self.request_timeout_ms;
            let asked = self.session.request(topic, request, &[], timeout_ms, tag);
            let pause_until_ns = loop {
                match self.event(&doing).await? {
                    SessionEvent::Answer { tag: of, command } if of == tag => {
                        if let Some(answer) = useful(&command) {
                            return Ok(answer);
                        }
                        self.last = format!("code {} {:?}", command.code, command.remark());
                        // The broker that was said to lead may not be a member any more,
                        // and never hear of another.
                        self.session.uncertain_tail(topic);
                        break self.session.env().now_ns() + ms(RETRY_DELAY_MS);
                    }
                    SessionEvent::Unanswered { tag: of } if of == tag => break 0,
                    SessionEvent::Ready(_) if !asked => break 0,
                    _ => {}
                }
            };
            self.pause(pause_until_ns, &doing).await?;
        }
    }

    async fn pause(&mut self, until_ns: u64, doing: impl Fn() -> String) -> Result<(), ReadError> {
        while self.session.env().now_ns() < until_ns {
            self.session.wake_at(until_ns);
            self.event(&doing).await?;
        }
        Ok(())
    }

    /// The next event, or the error that the time is up.
    async fn event(&mut self, doing: impl Fn() -> String) -> Result<SessionEvent<u64>, ReadError> {
        self.session.wake_at(self.deadline_ns);
        let event = self.session.next().await;
        if self.session.env().now_ns() >= self.deadline_ns {
            return Err(ReadError::Deadline {
                doing: doing(),
                last: self.last.clone(),
            });
        }
        Ok(event)
    }
}

#[cfg(test)]
mod tests;
