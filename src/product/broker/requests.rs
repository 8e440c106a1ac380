//! The requests that a broker serves, a row each; their way to their handlers; and the
//! handlers of the small ones.
//!
//! ```text
//! CODE: who answers, what the answer rests on, |broker, asked| handler;
//! ```
//! A row without one of its columns does not compile.

use super::entries::OffsetCommit;
use super::error::StoreError;
use super::groups::is_name;
use super::interruption::Interruption;
use super::refusals::Missing;
use super::replica::Wanted;
use super::server::{Broker, Serving};
use super::store::Store;
use super::waiters::{Answered, SendAnswer};
use crate::env::{ConnId, Disk, Env};
use crate::remoting::offset::{MaxOffset, MinOffset, OffsetResponse, QueryOffset, UpdateOffset};
use crate::remoting::route::{
    BrokerData, PERM_READ_WRITE, PRIMARY_ID, QueueData, RouteRequest, TopicRouteData,
};
use crate::remoting::send::DEFAULT_TOPIC;
use crate::remoting::{Command, FieldError, ReadFields, RequestCode, ResponseCode};

/// The replicas that answer a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// The leader only; the others refuse.
    Leader,
    /// Each replica.
    Any,
}

/// The state that an answer rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rests {
    /// On where something ends, or whose something is, *now*: from a leader that was
    /// replaced without knowing it, that would be an earlier now (D18). The leader finds
    /// out first that it still leads.
    OnNow,
    /// On what is here, or on an entry of its own that is committed.
    OnWhatIsHere,
}

/// A request on its way to its handler.
struct Asked<'a, E: Env> {
    serving: &'a mut Serving<E>,
    conn: ConnId,
    command: &'a Command,
    /// This replica was found to lead after the request came, or is none, and everything
    /// committed is applied.
    leads_still: bool,
}

macro_rules! requests {
    ($(
        $code:ident: $who:ident, $rests:ident, |$broker:ident, $asked:ident| $handler:expr;
    )+) => {
        /// Every request that is served.
        const SERVED: &[RequestCode] = &[$(RequestCode::$code),+];

        /// The columns of a request, its handler aside; `None`: it is not served.
        fn row_of(code: RequestCode) -> Option<(Who, Rests)> {
            match code {
                $(RequestCode::$code => Some((Who::$who, Rests::$rests)),)+
                _ => None,
            }
        }

        impl<E: Env> Broker<E> {
            /// Handles a request; one that is not served is refused (D35).
            async fn dispatch(
                &mut self,
                asked: Asked<'_, E>,
            ) -> Result<(), Interruption> {
                match RequestCode(asked.command.code) {
                    $(RequestCode::$code => {
                        let ($broker, $asked) = (self, asked);
                        $handler;
                    })+
                    RequestCode(code) => {
                        let missing = Missing::Request(code);
                        self.refuse_missing(asked.conn, asked.command.reply_to(), missing);
                    }
                }
                Ok(())
            }
        }
    };
}

requests! {
    SEND_MESSAGE: Leader, OnWhatIsHere,
        |broker, it| broker.send(it.serving, it.conn, it.command).await?;
    SEND_MESSAGE_V2: Leader, OnWhatIsHere,
        |broker, it| broker.send(it.serving, it.conn, it.command).await?;
    PULL_MESSAGE: Leader, OnWhatIsHere,
        |broker, it| broker.pull(it.serving, it.conn, it.command, it.leads_still).await?;
    LITE_PULL_MESSAGE: Leader, OnWhatIsHere,
        |broker, it| broker.pull(it.serving, it.conn, it.command, it.leads_still).await?;
    QUERY_CONSUMER_OFFSET: Leader, OnNow,
        |broker, it| broker.query_offset(it.serving, it.conn, it.command);
    UPDATE_CONSUMER_OFFSET: Leader, OnWhatIsHere,
        |broker, it| broker.update_offset(it.serving, it.conn, it.command)?;
    SEARCH_OFFSET_BY_TIMESTAMP: Leader, OnNow,
        |broker, it| broker.search_offset(it.serving, it.conn, it.command).await?;
    GET_MAX_OFFSET: Leader, OnNow,
        |broker, it| broker.max_offset(it.serving, it.conn, it.command);
    GET_MIN_OFFSET: Leader, OnNow,
        |broker, it| broker.min_offset(it.serving, it.conn, it.command);
    GET_EARLIEST_MSG_STORETIME: Leader, OnNow,
        |broker, it| broker.earliest_time(it.serving, it.conn, it.command).await?;
    HEART_BEAT: Any, OnWhatIsHere,
        |broker, it| broker.heartbeat(it.conn, it.command);
    UNREGISTER_CLIENT: Any, OnWhatIsHere,
        |broker, it| broker.unregister(it.conn, it.command);
    CONSUMER_SEND_MSG_BACK: Leader, OnWhatIsHere,
        |broker, it| broker.send_back(it.serving, it.conn, it.command).await?;
    END_TRANSACTION: Leader, OnWhatIsHere,
        |broker, it| broker.end_transaction(it.serving, it.conn, it.command, it.leads_still).await?;
    GET_CONSUMER_LIST_BY_GROUP: Leader, OnWhatIsHere,
        |broker, it| broker.list_consumers(it.conn, it.command);
    LOCK_BATCH_MQ: Leader, OnNow,
        |broker, it| broker.lock_queues(it.serving, it.conn, it.command);
    UNLOCK_BATCH_MQ: Leader, OnWhatIsHere,
        |broker, it| broker.unlock_queues(it.serving, it.conn, it.command);
    CHECK_CLIENT_CONFIG: Any, OnWhatIsHere,
        |broker, it| broker.check_client(it.conn, it.command);
    GET_ROUTEINFO_BY_TOPIC: Any, OnWhatIsHere,
        |broker, it| broker.route(it.serving, it.conn, it.command, it.leads_still);
    CHANGE_MEMBERS: Leader, OnWhatIsHere,
        |broker, it| broker.change_members(it.serving, it.conn, it.command).await?;
    TRANSFER_LEADERSHIP: Leader, OnWhatIsHere,
        |broker, it| broker.transfer_leadership(it.serving, it.conn, it.command).await?;
}

/// The codes of all requests that a broker serves, in the order of the table.
pub fn served_requests() -> impl Iterator<Item = RequestCode> {
    SERVED.iter().copied()
}

impl<E: Env> Broker<E> {
    pub(super) async fn handle_command(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        command: Command,
    ) -> Result<(), Interruption> {
        if command.is_response() {
            return Ok(());
        }
        let row = row_of(RequestCode(command.code));
        if row.is_some_and(|(who, _)| who == Who::Leader) && !self.serves(serving, conn, &command) {
            return Ok(());
        }
        if row.is_some_and(|(_, rests)| rests == Rests::OnNow)
            && let Some(mut view) = self.as_replica(serving)
        {
            view.read_later(conn, command);
            return Ok(());
        }
        self.serve_command(serving, conn, &command, false).await
    }

    /// Serves a command; one that meets a failure is refused.
    /// `leads_still`: see [`Asked`].
    async fn serve_command(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        command: &Command,
        leads_still: bool,
    ) -> Result<(), Interruption> {
        let asked = Asked {
            serving,
            conn,
            command,
            leads_still,
        };
        match self.dispatch(asked).await {
            Err(failed) => self.refuse_unread(conn, command.reply_to(), failed),
            done => done,
        }
    }

    /// Answers the reads for which this replica was found to lead, now that
    /// everything committed is applied.
    pub(super) async fn serve_reads(
        &mut self,
        serving: &mut Serving<E>,
    ) -> Result<(), Interruption> {
        if serving.store.has_more() {
            return Ok(());
        }
        let mut served = Ok(());
        for Wanted { conn, command } in serving.reads.take_ready() {
            if served.is_err() {
                self.refuse_behind_failure(conn, command.reply_to());
            } else if self.serves(serving, conn, &command) {
                // Some of them append, where it comes to that.
                served = self.serve_command(serving, conn, &command, true).await;
            }
        }
        served
    }

    /// One past the last offset of a queue; 0 of one that is not there.
    fn max_offset(&mut self, serving: &Serving<E>, conn: ConnId, command: &Command) {
        let Some(request) = self.parse::<MaxOffset<'_>>(conn, command) else {
            return;
        };
        let end = u32::try_from(request.queue_id).map_or(0, |queue_id| {
            serving.store.queue_end(request.topic, queue_id)
        });
        let fields = OffsetResponse { offset: end as i64 };
        self.outbox
            .answer(conn, command.reply_to(), ResponseCode::SUCCESS, &fields);
    }

    /// The first offset that a queue still has; 0 of one that is not there.
    fn min_offset(&mut self, serving: &Serving<E>, conn: ConnId, command: &Command) {
        let Some(request) = self.parse::<MinOffset<'_>>(conn, command) else {
            return;
        };
        let first = u32::try_from(request.queue_id).map_or(0, |queue_id| {
            serving.store.queue_start(request.topic, queue_id)
        });
        let fields = OffsetResponse {
            offset: first as i64,
        };
        self.outbox
            .answer(conn, command.reply_to(), ResponseCode::SUCCESS, &fields);
    }

    /// Every topic has a route: one that is not there is made by its first send
    /// (`autoCreateTopicEnable`), at the leader, with as many queues as its settings
    /// say. Only the leader speaks for such a topic (D39). Another replica may lag
    /// behind, or have other settings, and members of one group that hear of
    /// different numbers share the queues out differently.
    fn route(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        command: &Command,
        leads_still: bool,
    ) {
        let Some(request) = self.parse::<RouteRequest<'_>>(conn, command) else {
            return;
        };
        let of_new = || serving.store.queues_of_new(request.topic);
        let queues = match (serving.store.queue_count(request.topic), &serving.replica) {
            (Some(queues), _) => queues,
            (None, None) => of_new(),
            (None, Some(_)) if leads_still || request.topic == DEFAULT_TOPIC => of_new(),
            (None, Some(_)) => {
                if let Some(mut view) = self.as_replica(serving)
                    && view.replica.leads()
                {
                    return view.read_later(conn, command.clone());
                }
                let remark = "no such topic is known here; the leader may know it";
                let code = ResponseCode::TOPIC_NOT_EXIST;
                return self.outbox.refuse(conn, command.reply_to(), code, remark);
            }
        };
        let name = self.config.broker_name.clone();
        let leader = match &serving.replica {
            Some(replica) => replica.leader().map(|leader| leader.client),
            None => Some(self.config.listen),
        };
        let primary = leader.map(|leader| (PRIMARY_ID.to_owned(), leader.to_string()));
        let route = TopicRouteData {
            broker_datas: vec![BrokerData {
                cluster: "zeroloss".to_owned(),
                broker_name: name.clone(),
                broker_addrs: primary.into_iter().collect(),
                enable_acting_master: false,
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
        let queue_id = serving
            .store
            .readable_queue(request.topic, request.queue_id);
        let offset = queue_id.and_then(|queue_id| {
            let (group, topic) = (request.consumer_group, request.topic);
            let recorded = serving.store.state.group_offset(group, topic, queue_id);
            // A group that never was here has everything before it. Where the
            // beginning has expired it is the client's to choose, as with
            // RocketMQ; before that no choice may lead past a message.
            let zero = request.set_zero_if_not_found != Some(false)
                && serving.store.queue_start(topic, queue_id) == 0;
            recorded.or(zero.then_some(0))
        });
        match offset {
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
        let appended = self
            .admit_what_goes_on(serving, 0)
            .and_then(|()| checked(&request, &serving.store));
        let commit = match appended {
            Ok(commit) => commit,
            Err((code, remark)) => {
                self.outbox.refuse(conn, reply_to, code, &remark);
                return Ok(());
            }
        };
        match serving.store.append_offset(commit) {
            Ok(staged) => {
                let what = Answered::Done;
                self.wait_for(serving, conn, staged, SendAnswer { reply_to, what });
                Ok(())
            }
            Err(error) => self.refuse_append(conn, reply_to, error),
        }
    }

    /// Reads a header; one that cannot be read is answered.
    pub(super) fn parse<'a, H: ReadFields<'a>>(
        &mut self,
        conn: ConnId,
        command: &'a Command,
    ) -> Option<H> {
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

/// An offset commit that makes sense: of a queue that is there, not past its
/// end. Anything else would be state that no consumer can ever use, kept for
/// ever.
fn checked<D: Disk>(
    request: &UpdateOffset<'_>,
    store: &Store<D>,
) -> Result<OffsetCommit, (ResponseCode, String)> {
    let group = request.consumer_group;
    if !is_name(group) {
        let remark = "a group's name has 1 to 255 bytes".to_owned();
        return Err((ResponseCode::SYSTEM_ERROR, remark));
    }
    let Some(queues) = store.state.topic(request.topic) else {
        let remark = format!("no topic {:?}", request.topic);
        return Err((ResponseCode::TOPIC_NOT_EXIST, remark));
    };
    let queue_id = u32::try_from(request.queue_id).unwrap_or(u32::MAX);
    let Some(end) = queues.get(queue_id as usize) else {
        let remark = format!("queue {} of {}", request.queue_id, queues.len());
        return Err((ResponseCode::SYSTEM_ERROR, remark));
    };
    match u64::try_from(request.commit_offset) {
        Ok(offset) if offset <= *end => {
            let commit = OffsetCommit {
                group: group.to_owned(),
                topic: request.topic.to_owned(),
                queue_id,
                offset,
            };
            let most = store.config.bounds.group_offsets;
            match store.state.has_room_for(&commit, most) {
                true => Ok(commit),
                false => {
                    let remark = format!("groups have recorded {most} offsets: no more are kept");
                    Err((ResponseCode::SYSTEM_ERROR, remark))
                }
            }
        }
        _ => {
            let remark = format!(
                "offset {} of a queue that ends at {end}",
                request.commit_offset
            );
            Err((ResponseCode::SYSTEM_ERROR, remark))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Rests, Who, row_of, served_requests};

    #[test]
    fn an_answer_about_now_comes_from_the_leader() {
        let rows = served_requests().filter_map(row_of);
        let on_now: Vec<Who> = rows
            .filter(|(_, rests)| *rests == Rests::OnNow)
            .map(|(who, _)| who)
            .collect();
        assert!(!on_now.is_empty() && on_now.iter().all(|who| *who == Who::Leader));
    }
}
