//! The requests of groups: heartbeats, leaving, lists, locks.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::is_name;
use crate::broker::refusals::Missing;
use crate::broker::server::{Broker, Serving};
use crate::env::{ConnId, Env};
use crate::remoting::group::{ConsumerList, GroupChanged, ListConsumers, Unregister};
use crate::remoting::heartbeat::{Heard, HeardConsumer, HeardSubscription};
use crate::remoting::lock::{LockedQueues, QueueLocks, QueueName};
use crate::remoting::{Command, ResponseCode};

const NS_PER_MS: u64 = 1_000_000;
/// Groups of one client, of producers and of consumers, at most.
pub(in crate::broker) const GROUPS_MAX: usize = 1_024;
/// Queues in one request, at most.
pub(in crate::broker) const QUEUES_MAX: usize = 4_096;
/// Bytes of a heartbeat, or of queues to lock, at most: what it says is taken apart
/// and kept.
pub(in crate::broker) const BODY_BYTES_MAX: usize = 1 << 20;

impl<E: Env> Broker<E> {
    /// Notes which groups the client is in: its producers are asked about their
    /// half messages over this stream, its consumers are told who else is there.
    pub(in crate::broker) fn heartbeat(&mut self, conn: ConnId, command: &Command) {
        let data = match read_heartbeat(&command.body) {
            Ok(data) => data,
            Err(remark) => {
                let code = ResponseCode::SYSTEM_ERROR;
                self.outbox.refuse(conn, command.reply_to(), code, &remark);
                return;
            }
        };
        let now_ns = self.env.now_ns();
        let produces = data.producers.into_iter().map(|it| it.group);
        self.sessions.produces(conn, produces.collect(), now_ns);
        let filters = filters_of(&data.consumers);
        if !filters.is_empty() {
            self.note_missing(Missing::Filter);
        }
        self.sessions.filters(conn, filters);
        let consumes: BTreeSet<String> = data.consumers.into_iter().map(|it| it.group).collect();
        let lease_ns = self.config.client_expired_ms * NS_PER_MS;
        let at = (now_ns, lease_ns);
        let heard = self.members.heard(conn, &data.client_id, &consumes, at);
        if let Some(group) = heard.refused {
            let remark = format!("there are too many members of group {group:?}, or of all");
            let code = ResponseCode::SYSTEM_BUSY;
            self.outbox.refuse(conn, command.reply_to(), code, &remark);
        } else {
            let code = ResponseCode::SUCCESS;
            self.outbox.answer(conn, command.reply_to(), code, &());
        }
        self.groups_changed(&heard.changed);
    }

    /// Whether what a client wants to subscribe to can be served: tags only.
    pub(in crate::broker) fn check_client(&mut self, conn: ConnId, command: &Command) {
        let reply_to = command.reply_to();
        match serde_json::from_slice::<CheckClient>(&command.body) {
            Ok(asked) if asked.subscription.as_ref().is_none_or(|it| it.is_of_tags()) => {
                let code = ResponseCode::SUCCESS;
                self.outbox.answer(conn, reply_to, code, &());
            }
            Ok(_) => self.refuse_missing(conn, reply_to, Missing::Filter),
            Err(error) => {
                let code = ResponseCode::SYSTEM_ERROR;
                let remark = format!("the body: {error}");
                self.outbox.refuse(conn, reply_to, code, &remark);
            }
        }
    }

    /// The client leaves a group, or, where it names none, all of them.
    pub(in crate::broker) fn unregister(&mut self, conn: ConnId, command: &Command) {
        let Some(request) = self.parse::<Unregister<'_>>(conn, command) else {
            return;
        };
        let (produced, consumed) = (request.producer_group, request.consumer_group);
        let of_all = produced.is_none() && consumed.is_none();
        self.sessions
            .leaves(conn, |group| of_all || produced == Some(group));
        let left = self
            .members
            .leaves(conn, |group| of_all || consumed == Some(group));
        let code = ResponseCode::SUCCESS;
        self.outbox.answer(conn, command.reply_to(), code, &());
        self.groups_changed(&left);
    }

    /// The stream is gone, and the client at its other end with it.
    pub(in crate::broker) fn stream_gone(&mut self, conn: ConnId) {
        self.sessions.remove(conn);
        self.refusals.forget(conn);
        let left = self.members.leaves(conn, |_| true);
        self.groups_changed(&left);
    }

    /// Drops who sent no heartbeat for too long.
    pub(in crate::broker) fn expire_members(&mut self) {
        let now_ns = self.env.now_ns();
        if self.members.deadline_ns().is_some_and(|due| due <= now_ns) {
            let lease_ns = self.config.client_expired_ms * NS_PER_MS;
            let gone = self.members.expire(now_ns, lease_ns);
            self.groups_changed(&gone);
        }
    }

    /// Every member of these groups is told to ask who is there.
    fn groups_changed(&mut self, groups: &[String]) {
        for group in groups {
            let notice = GroupChanged {
                consumer_group: group,
            };
            for conn in self.members.streams(group) {
                self.outbox.ask(conn, &notice, &[]);
            }
        }
    }

    pub(in crate::broker) fn list_consumers(&mut self, conn: ConnId, command: &Command) {
        let Some(request) = self.parse::<ListConsumers<'_>>(conn, command) else {
            return;
        };
        let list = ConsumerList {
            consumer_id_list: self.members.list(request.consumer_group),
        };
        let body = serde_json::to_vec(&list).expect("names are plain data");
        self.outbox
            .answer_with_body(conn, command.reply_to(), &(), [body]);
    }

    /// Locks what nobody else holds. Only for a leader that is known to lead.
    pub(in crate::broker) fn lock_queues(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        command: &Command,
    ) {
        let Some(locks) = self.read_locks(conn, command) else {
            return;
        };
        let now_ns = self.env.now_ns();
        let mut held: Vec<QueueName> = Vec::new();
        let asked: BTreeSet<QueueName> = locks.mq_set.into_iter().collect();
        for queue in asked {
            let number = serving.store.readable_queue(&queue.topic, queue.queue_id);
            let here = number.filter(|_| queue.broker_name == self.config.broker_name);
            let Some(number) = here else { continue };
            let place = (locks.consumer_group.clone(), queue.topic.clone(), number);
            if serving.locks.lock(place, (&locks.client_id, conn), now_ns) {
                held.push(queue);
            }
        }
        let body = serde_json::to_vec(&LockedQueues { held }).expect("names are plain data");
        self.outbox
            .answer_with_body(conn, command.reply_to(), &(), [body]);
    }

    pub(in crate::broker) fn unlock_queues(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        command: &Command,
    ) {
        let Some(locks) = self.read_locks(conn, command) else {
            return;
        };
        for queue in locks.mq_set {
            let Ok(number) = u32::try_from(queue.queue_id) else {
                continue;
            };
            let place = (locks.consumer_group.clone(), queue.topic, number);
            serving.locks.unlock(&place, (&locks.client_id, conn));
        }
        let code = ResponseCode::SUCCESS;
        self.outbox.answer(conn, command.reply_to(), code, &());
    }

    /// The queues that a request names; one that makes no sense is answered.
    fn read_locks(&mut self, conn: ConnId, command: &Command) -> Option<QueueLocks> {
        let body = command.body.get(..=BODY_BYTES_MAX).unwrap_or(&command.body);
        let read: Result<QueueLocks, _> = serde_json::from_slice(body);
        let remark = match read {
            _ if body.len() > BODY_BYTES_MAX => too_long(&command.body),
            Ok(locks) if !is_name(&locks.consumer_group) || !is_name(&locks.client_id) => {
                "names of groups and clients have 1 to 255 bytes".to_owned()
            }
            Ok(locks) if locks.mq_set.len() > QUEUES_MAX => {
                format!("{} queues; at most {QUEUES_MAX}", locks.mq_set.len())
            }
            Ok(locks) => return Some(locks),
            Err(error) => format!("the body: {error}"),
        };
        let code = ResponseCode::SYSTEM_ERROR;
        self.outbox.refuse(conn, command.reply_to(), code, &remark);
        None
    }
}

/// The subscription that a client asks to have checked (`CheckClientRequestBody`).
#[derive(Deserialize)]
struct CheckClient {
    #[serde(rename = "subscriptionData", default)]
    subscription: Option<HeardSubscription>,
}

/// Groups and topics of which something else than tags is wanted.
fn filters_of(consumers: &[HeardConsumer]) -> BTreeSet<(String, String)> {
    let wants = consumers
        .iter()
        .flat_map(|it| it.subscriptions.iter().map(|wanted| (&it.group, wanted)));
    wants
        .filter(|(_, wanted)| !wanted.is_of_tags())
        .take(QUEUES_MAX)
        .map(|(group, wanted)| (group.clone(), wanted.topic.clone()))
        .collect()
}

/// A heartbeat's body, or why it is none.
fn read_heartbeat(body: &[u8]) -> Result<Heard, String> {
    if body.len() > BODY_BYTES_MAX {
        return Err(too_long(body));
    }
    let data: Heard =
        serde_json::from_slice(body).map_err(|error| format!("the heartbeat's body: {error}"))?;
    let consumers = data.consumers.iter().map(|it| &it.group);
    let producers = data.producers.iter().map(|it| &it.group);
    let mut groups = consumers.chain(producers);
    let most = data.consumers.len().max(data.producers.len());
    if most > GROUPS_MAX {
        return Err(format!("{most} groups; at most {GROUPS_MAX}"));
    }
    if !data.consumers.is_empty() && !is_name(&data.client_id) || !groups.all(|it| is_name(it)) {
        return Err("names of groups and clients have 1 to 255 bytes".to_owned());
    }
    Ok(data)
}

fn too_long(body: &[u8]) -> String {
    format!("a body of {} bytes; at most {BODY_BYTES_MAX}", body.len())
}
