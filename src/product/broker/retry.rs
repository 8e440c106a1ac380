//! Messages that a group could not process: they come again, later and later,
//! and are given up in the end.
//!
//! ```text
//!   send back (36) ──▶ delay ──▶ %RETRY%group ──▶ the group, once more
//!                 └─ too often, or at once ────▶ %DLQ%group: people look
//! ```
//!
//! Promise (D29): who is told that its message was taken back finds a copy of it in
//! the log, as durable as a message that was sent; a delay on the way is log state as
//! well. The record that comes back is the log's own: the client names it, and is
//! believed nothing else about it.

use super::delays;
use super::error::{AppendError, StoreError};
use super::names::{is_kept, is_topic};
use super::server::{Broker, Serving};
use super::store::{Appended, NewMessage, Store};
use super::waiters::{Answered, SendAnswer};
use crate::env::{ConnId, Disk, Env};
use crate::log::ReadError;
use crate::record::{EntryKind, Message, Properties, PropertyBuf, key};
use crate::remoting::retry::{
    RECONSUME_TIMES_MAX, RETRY_PREFIX, SendBack, dead_letter_topic, retry_topic,
};
use crate::remoting::send::SendRequest;
use crate::remoting::transaction::sys_flag;
use crate::remoting::{Command, MessageId, ResponseCode};
use bytes::Bytes;

/// The level of a first retry; each further one is a level later.
const FIRST_LEVEL: u32 = 3;
/// Length of a record that is read before it is known, bytes: of a usual one.
const RECORD_BYTES: u32 = 4_096;
/// Properties that the copy does not take over: those of a delay that is over,
/// and the producer's number of a message that it sent once (D19).
const NOT_TAKEN_OVER: [&str; 3] = [key::DELAY, key::PRODUCER_ID, key::PRODUCER_SEQUENCE];

/// Why a message is not taken back; words for people.
struct Refused(String);

impl<E: Env> Broker<E> {
    /// Answered once the copy is as durable as a message.
    pub(super) async fn send_back(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        command: &Command,
    ) -> Result<(), StoreError> {
        let reply_to = command.reply_to();
        let Some(request) = self.parse::<SendBack<'_>>(conn, command) else {
            return Ok(());
        };
        if let Err((code, remark)) = self.admit_what_goes_on(serving, 0) {
            self.outbox.refuse(conn, reply_to, code, &remark);
            return Ok(());
        }
        let record = match serving.store.message_at(request.offset).await? {
            Ok(record) => record,
            Err(Refused(remark)) => {
                let code = ResponseCode::SYSTEM_ERROR;
                self.outbox.refuse(conn, reply_to, code, &remark);
                return Ok(());
            }
        };
        if let Err((code, remark)) = self.admit_what_goes_on(serving, record.len()) {
            self.outbox.refuse(conn, reply_to, code, &remark);
            return Ok(());
        }
        let message = Message::decode_enveloped(&record)
            .map_err(|why| StoreError::undecodable(request.offset as u64, why))?;
        let back = match Back::of(&message, &request) {
            Ok(back) => back,
            Err(Refused(remark)) => {
                let code = ResponseCode::SYSTEM_ERROR;
                self.outbox.refuse(conn, reply_to, code, &remark);
                return Ok(());
            }
        };
        let now_ms = self.env.wall_ms();
        let copy = back.copy(&message, now_ms);
        let levels = self.config.delay_levels_ms.len();
        let appended = match back.level.map(|level| delays::at_most(level, levels)) {
            Some(level @ 1..) => serving.store.append_delayed(copy, level).await,
            _ => serving.store.append_message(copy).await,
        };
        match appended {
            Ok(Appended { staged, .. }) => {
                let what = Answered::Done;
                self.wait_for(serving, conn, staged, SendAnswer { reply_to, what });
                Ok(())
            }
            Err(error) => self.refuse_append(conn, reply_to, error),
        }
    }
}

/// Where a message goes back to, and how.
struct Back {
    topic: String,
    /// `None`: at once.
    level: Option<u32>,
    properties: PropertyBuf,
}

impl Back {
    fn of(message: &Message<'_>, request: &SendBack<'_>) -> Result<Self, Refused> {
        let group = request.group;
        let retries = retry_topic(group);
        let properties = Properties::new(message.properties);
        let real_topic = properties.get(key::RETRY_TOPIC).unwrap_or(message.topic);
        let said = request.origin_topic;
        if is_kept(message.topic) {
            return Err(Refused("no message for consumers stands there".to_owned()));
        }
        if message.topic.starts_with(RETRY_PREFIX) && message.topic != retries {
            return Err(Refused(format!("a retry of another group than {group:?}")));
        }
        if !said.is_empty() && said != message.topic && said != real_topic {
            return Err(Refused(format!("no message of topic {said:?}")));
        }
        let times = message.reconsume_times;
        let given_up =
            request.delay_level < 0 || is_too_often(times as i32, request.max_reconsume_times);
        let topic = match given_up {
            true => dead_letter_topic(group),
            false => retries,
        };
        if group.is_empty() || !is_topic(&topic) {
            return Err(Refused(format!(
                "group {group:?} cannot have topic {topic:?}"
            )));
        }
        let asked = u32::try_from(request.delay_level).unwrap_or(0);
        let level = match asked {
            0 => FIRST_LEVEL.saturating_add(times),
            asked => asked,
        };
        let properties = copied(message, real_topic).map_err(|why| Refused(why.to_string()))?;
        Ok(Self {
            topic,
            level: (!given_up).then_some(level),
            properties,
        })
    }

    /// The message as it comes again. Of a transaction that was committed it is
    /// no second commit.
    fn copy<'a>(&'a self, message: &Message<'a>, now_ms: u64) -> NewMessage<'a> {
        NewMessage {
            topic: &self.topic,
            queue_id: 0,
            flag: message.flag,
            sys_flag: message.sys_flag & !(sys_flag::TRANSACTION as u32),
            born_timestamp_ms: message.born_timestamp_ms,
            born_host: message.born_host,
            store_timestamp_ms: now_ms,
            reconsume_times: message.reconsume_times.saturating_add(1),
            prepared_transaction_offset: 0,
            properties: self.properties.as_str(),
            body: message.body,
        }
    }
}

fn copied(
    message: &Message<'_>,
    real_topic: &str,
) -> Result<PropertyBuf, crate::record::PropertyError> {
    let mut properties = PropertyBuf::from_text(message.properties);
    NOT_TAKEN_OVER
        .iter()
        .for_each(|name| properties.remove(name));
    let id = MessageId {
        host: message.store_host,
        address: message.physical_offset,
    };
    let before = Properties::new(message.properties);
    let origin = before.get(key::ORIGIN_MESSAGE_ID);
    let origin = origin.map_or_else(|| id.to_string(), str::to_owned);
    let times = message.reconsume_times.saturating_add(1);
    properties.set(key::RETRY_TOPIC, real_topic)?;
    properties.set(key::ORIGIN_MESSAGE_ID, &origin)?;
    properties.set(key::RECONSUME_TIME, &times.to_string())?;
    Ok(properties)
}

/// Whether a message was tried often enough without success.
fn is_too_often(times: i32, max: Option<i32>) -> bool {
    times < 0 || times >= max.filter(|max| *max >= 0).unwrap_or(RECONSUME_TIMES_MAX)
}

/// The topic to which a send to a retry topic goes that was tried often enough
/// without success: RocketMQ's clients send there themselves where sending back
/// fails.
pub(super) fn dead_letter_of(request: &SendRequest<'_>) -> Option<String> {
    let group = request.topic.strip_prefix(RETRY_PREFIX)?;
    is_too_often(request.reconsume_times, request.max_reconsume_times)
        .then(|| dead_letter_topic(group))
}

impl<D: Disk> Store<D> {
    /// The record at a log address that a client names: of a message that is
    /// applied, and to which its queue leads.
    async fn message_at(&self, offset: i64) -> Result<Result<Bytes, Refused>, StoreError> {
        let nothing = || Ok(Err(Refused(format!("no message stands at {offset}"))));
        let applied = |address: &u64| *address < self.state.applied_address;
        let Some(address) = u64::try_from(offset).ok().filter(applied) else {
            return nothing();
        };
        let entry = match self.log.read(address, RECORD_BYTES).await {
            Ok(entry) if entry.kind == EntryKind::Message => entry,
            Ok(_) | Err(ReadError::NotAnEntry { .. } | ReadError::BeyondEnd { .. }) => {
                return nothing();
            }
            Err(error) => return Err(error.into()),
        };
        let message = Message::decode_enveloped(entry.record())
            .map_err(|why| StoreError::undecodable(address, why))?;
        let Some(queue) = self.topics.queue(message.topic, message.queue_id) else {
            return nothing();
        };
        let led_to = queue.entries.read(message.queue_offset, 1).await?;
        let Some(led_to) = led_to.first() else {
            return nothing();
        };
        if led_to.address != address {
            // Bytes that look like a message, in another's body: or the queue has rotted.
            let place = (message.topic, message.queue_id, message.queue_offset);
            self.led_to(place, *led_to).await?;
            return nothing();
        }
        Ok(Ok(entry.into_record()))
    }

    /// Stages a message that is to come later, at a level from 1 on.
    pub(super) async fn append_delayed(
        &mut self,
        message: NewMessage<'_>,
        level: u32,
    ) -> Result<Appended, AppendError> {
        let most = self.config.bounds.delayed;
        if self.state.delays.count() >= most {
            let what = "messages that wait for their time";
            return Err(AppendError::Full { what, most });
        }
        // Its queue is settled now: when it is due, nobody waits for an answer.
        let queue_id = self.choose_queue(message.topic, message.queue_id)? as i32;
        let message = NewMessage {
            queue_id,
            ..message
        };
        let scheduled = delays::Scheduled::new(&message, level)?;
        self.have_topic(message.topic).await?;
        self.append_message(scheduled.keep(message)).await
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::{Back, dead_letter_of, is_too_often};
    use crate::record::{Message, Properties, key};
    use crate::remoting::retry::SendBack;
    use crate::remoting::send::SendRequest;

    fn host() -> SocketAddr {
        ([192, 168, 0, 10], 10911).into()
    }

    fn message() -> Message<'static> {
        Message {
            queue_id: 3,
            flag: 9,
            queue_offset: 42,
            physical_offset: 0xab_cdef,
            sys_flag: 8,
            born_timestamp_ms: 1,
            born_host: host(),
            store_timestamp_ms: 2,
            store_host: host(),
            reconsume_times: 0,
            prepared_transaction_offset: 700,
            body: b"body",
            topic: "orders",
            properties: "TAGS\u{1}paid\u{2}DELAY\u{1}2\u{2}PRODUCER_ID\u{1}p\u{2}PRODUCER_SEQ\u{1}1\u{2}",
        }
    }

    fn request() -> SendBack<'static> {
        SendBack {
            offset: 0xab_cdef,
            group: "cg",
            delay_level: 0,
            origin_msg_id: "",
            origin_topic: "orders",
            unit_mode: false,
            max_reconsume_times: None,
        }
    }

    #[test]
    fn a_first_retry_is_the_message_with_where_it_came_from() {
        let message = message();
        let back = Back::of(&message, &request()).ok().unwrap();
        assert_eq!(back.level, Some(3));
        let copy = back.copy(&message, 5);
        assert_eq!((copy.topic, copy.queue_id), ("%RETRY%cg", 0));
        assert_eq!((copy.sys_flag, copy.prepared_transaction_offset), (0, 0));
        assert_eq!((copy.reconsume_times, copy.body), (1, &b"body"[..]));
        let expected = "TAGS\u{1}paid\u{2}RETRY_TOPIC\u{1}orders\u{2}\
            ORIGIN_MESSAGE_ID\u{1}C0A8000A00002A9F0000000000ABCDEF\u{2}RECONSUME_TIME\u{1}1\u{2}";
        assert_eq!(copy.properties, expected);
    }

    #[test]
    fn a_later_retry_remembers_the_first_message() {
        let first = message();
        let back = Back::of(&first, &request()).ok().unwrap();
        let copy = back.copy(&first, 5);
        let second = Message {
            topic: copy.topic,
            properties: copy.properties,
            reconsume_times: 1,
            physical_offset: 9_999,
            ..first
        };
        let again = Back::of(&second, &request()).ok().unwrap();
        assert_eq!((&*again.topic, again.level), ("%RETRY%cg", Some(4)));
        let properties = Properties::new(again.properties.as_str());
        assert_eq!(properties.get(key::RETRY_TOPIC), Some("orders"));
        let id = properties.get(key::ORIGIN_MESSAGE_ID);
        assert_eq!(id, Some("C0A8000A00002A9F0000000000ABCDEF"));
        assert_eq!(properties.get(key::RECONSUME_TIME), Some("2"));
    }

    #[test]
    fn too_often_or_at_once_it_is_given_up() {
        let often = Message {
            reconsume_times: 16,
            ..message()
        };
        let back = Back::of(&often, &request()).ok().unwrap();
        assert_eq!((&*back.topic, back.level), ("%DLQ%cg", None));
        let at_once = SendBack {
            delay_level: -1,
            ..request()
        };
        let back = Back::of(&message(), &at_once).ok().unwrap();
        assert_eq!((&*back.topic, back.level), ("%DLQ%cg", None));
        let wanted = SendBack {
            delay_level: 5,
            max_reconsume_times: Some(17),
            ..request()
        };
        let back = Back::of(&often, &wanted).ok().unwrap();
        assert_eq!((&*back.topic, back.level), ("%RETRY%cg", Some(5)));
    }

    #[test]
    fn times_are_compared_as_clients_say_them() {
        assert!(!is_too_often(15, None) && is_too_often(16, None));
        assert!(is_too_often(0, Some(0)) && !is_too_often(0, Some(1)));
        assert!(is_too_often(16, Some(-1)), "as if it had not been said");
        assert!(is_too_often(-1, None), "no such number");
    }

    #[test]
    fn a_message_that_is_not_the_groups_own_is_refused() {
        let of = |message: Message<'static>, request: SendBack<'static>| {
            Back::of(&message, &request).is_err()
        };
        for topic in [
            "RMQ_SYS_TRANS_HALF_TOPIC",
            "SCHEDULE_TOPIC_XXXX",
            "%RETRY%another",
        ] {
            let message = Message { topic, ..message() };
            let request = SendBack {
                origin_topic: "",
                ..request()
            };
            assert!(of(message, request), "{topic}");
        }
        let group = |group| SendBack { group, ..request() };
        assert!(of(message(), group("")));
        assert!(of(message(), group("a/../../b")));
        assert!(of(message(), group("a\u{1}b")));
        let other = SendBack {
            origin_topic: "other",
            ..request()
        };
        assert!(of(message(), other));
    }

    #[test]
    fn a_send_to_a_retry_topic_is_given_up_as_often() {
        let send = |topic, reconsume_times| SendRequest {
            producer_group: "pg",
            topic,
            default_topic: "",
            default_topic_queue_nums: 1,
            queue_id: 0,
            sys_flag: 0,
            born_timestamp: 0,
            flag: 0,
            properties: "",
            reconsume_times,
            unit_mode: false,
            max_reconsume_times: None,
            batch: false,
        };
        assert_eq!(dead_letter_of(&send("%RETRY%cg", 15)), None);
        let given_up = dead_letter_of(&send("%RETRY%cg", 16));
        assert_eq!(given_up.as_deref(), Some("%DLQ%cg"));
        assert_eq!(dead_letter_of(&send("orders", 16)), None);
    }
}
