//! Which request goes where, and the ones that are answered at once.

use super::entries::OffsetCommit;
use super::error::StoreError;
use super::send::{Answered, SendAnswer, is_topic};
use super::server::{Broker, Serving};
use crate::env::{ConnId, Env};
use crate::remoting::offset::{MaxOffset, MinOffset, OffsetResponse, QueryOffset, UpdateOffset};
use crate::remoting::route::{
    BrokerData, PERM_READ_WRITE, PRIMARY_ID, QueueData, RouteRequest, TopicRouteData,
};
use crate::remoting::{Command, FieldError, ReadFields, RequestCode, ResponseCode};

/// Longest group name, bytes (RocketMQ's `CHARACTER_MAX_LENGTH`).
const GROUP_BYTES_MAX: usize = 255;

impl<E: Env> Broker<E> {
    pub(super) async fn handle_command(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        command: Command,
    ) -> Result<(), StoreError> {
        if command.is_response() {
            return Ok(());
        }
        match RequestCode(command.code) {
            RequestCode::SEND_MESSAGE | RequestCode::SEND_MESSAGE_V2 => {
                self.send(serving, conn, &command).await
            }
            RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE => {
                self.pull(serving, conn, &command).await
            }
            RequestCode::UPDATE_CONSUMER_OFFSET => self.update_offset(serving, conn, &command),
            RequestCode::QUERY_CONSUMER_OFFSET => {
                self.query_offset(serving, conn, &command);
                Ok(())
            }
            _ => {
                self.answer_at_once(serving, conn, &command);
                Ok(())
            }
        }
    }

    fn answer_at_once(&mut self, serving: &Serving<E>, conn: ConnId, command: &Command) {
        match RequestCode(command.code) {
            RequestCode::GET_MAX_OFFSET => {
                let Some(request) = self.parse::<MaxOffset<'_>>(conn, command) else {
                    return;
                };
                let end = serving
                    .store
                    .queue_end(request.topic, request.queue_id as u32);
                let fields = OffsetResponse { offset: end as i64 };
                self.outbox
                    .answer(conn, command.reply_to(), ResponseCode::SUCCESS, &fields);
            }
            RequestCode::GET_MIN_OFFSET => {
                if self.parse::<MinOffset<'_>>(conn, command).is_none() {
                    return;
                }
                let fields = OffsetResponse { offset: 0 };
                self.outbox
                    .answer(conn, command.reply_to(), ResponseCode::SUCCESS, &fields);
            }
            RequestCode::HEART_BEAT | RequestCode::UNREGISTER_CLIENT => {
                self.outbox
                    .answer(conn, command.reply_to(), ResponseCode::SUCCESS, &());
            }
            RequestCode::GET_ROUTEINFO_BY_TOPIC => self.route(serving, conn, command),
            RequestCode(code) => {
                let remark = format!("request code {code} is not served here");
                let refusal = ResponseCode::REQUEST_CODE_NOT_SUPPORTED;
                self.outbox
                    .refuse(conn, command.reply_to(), refusal, &remark);
            }
        }
    }

    /// Every topic has a route: one that is not there is made by its first send
    /// (`autoCreateTopicEnable`).
    fn route(&mut self, serving: &Serving<E>, conn: ConnId, command: &Command) {
        let Some(request) = self.parse::<RouteRequest<'_>>(conn, command) else {
            return;
        };
        let known = serving.store.queue_count(request.topic);
        let queues = known.unwrap_or(self.config.default_topic_queue_nums);
        let name = self.config.broker_name.clone();
        let route = TopicRouteData {
            broker_datas: vec![BrokerData {
                cluster: "zeroloss".to_owned(),
                broker_name: name.clone(),
                broker_addrs: [(PRIMARY_ID.to_owned(), self.config.listen.to_string())].into(),
            }],
            queue_datas: vec![QueueData {
                broker_name: name,
                read_queue_nums: queues,
                write_queue_nums: queues,
                perm: PERM_READ_WRITE,
                topic_sys_flag: 0,
            }],
            ..TopicRouteData::default()
        };
        let body = serde_json::to_vec(&route).expect("a route is plain data");
        self.outbox
            .answer_with_body(conn, command.reply_to(), &(), [body]);
    }

    fn query_offset(&mut self, serving: &Serving<E>, conn: ConnId, command: &Command) {
        let Some(request) = self.parse::<QueryOffset<'_>>(conn, command) else {
            return;
        };
        let QueryOffset {
            consumer_group,
            topic,
            queue_id,
        } = request;
        match serving
            .store
            .state
            .group_offset(consumer_group, topic, queue_id as u32)
        {
            Some(offset) => {
                let fields = OffsetResponse {
                    offset: offset as i64,
                };
                self.outbox
                    .answer(conn, command.reply_to(), ResponseCode::SUCCESS, &fields);
            }
            None => {
                let code = ResponseCode::QUERY_NOT_FOUND;
                self.outbox
                    .refuse(conn, command.reply_to(), code, "the group has none here");
            }
        }
    }

    /// Answered once the offset is as durable as a message (D22).
    fn update_offset(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        command: &Command,
    ) -> Result<(), StoreError> {
        let reply_to = command.reply_to();
        let Some(request) = self.parse::<UpdateOffset<'_>>(conn, command) else {
            return Ok(());
        };
        let group = request.consumer_group;
        let queue_end = serving
            .store
            .queue_end(request.topic, request.queue_id as u32);
        let refused = if group.is_empty() || group.len() > GROUP_BYTES_MAX {
            Some("a group's name has 1 to 255 bytes")
        } else if !is_topic(request.topic) {
            Some("no such topic")
        } else if !(0..=queue_end as i64).contains(&request.commit_offset) {
            Some("the offset is past the queue's end")
        } else {
            None
        };
        if let Some(remark) = refused {
            self.outbox
                .refuse(conn, reply_to, ResponseCode::SYSTEM_ERROR, remark);
            return Ok(());
        }
        let commit = OffsetCommit {
            group: group.to_owned(),
            topic: request.topic.to_owned(),
            queue_id: request.queue_id as u32,
            offset: request.commit_offset as u64,
        };
        match serving.store.append_offset(commit) {
            Ok(staged) if !command.is_oneway() => {
                let answer = SendAnswer {
                    reply_to,
                    what: Answered::OffsetCommit,
                };
                self.wait_for(serving, conn, staged, answer);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => self.refuse_append(conn, reply_to, error),
        }
    }

    /// Reads a header; one that cannot be read is answered.
    fn parse<'a, H: ReadFields<'a>>(&mut self, conn: ConnId, command: &'a Command) -> Option<H> {
        let parsed: Result<H, FieldError> = command.header();
        parsed
            .map_err(|error| {
                let code = ResponseCode::SYSTEM_ERROR;
                self.outbox
                    .refuse(conn, command.reply_to(), code, &error.to_string());
            })
            .ok()
    }
}
