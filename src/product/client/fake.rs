//! A world for tests of the clients: a clock set by hand, and a network whose
//! other end is the test.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use super::config::ClientConfig;
use crate::env::{CloseReason, ConnId, Disk, Env, File, Net, NetEvent, Notice, Source, Timer};
use crate::record::Message;
use crate::remoting::offset::OffsetResponse;
use crate::remoting::pull::PullResponse;
use crate::remoting::route::{BrokerData, PERM_READ_WRITE, QueueData, TopicRouteData};
use crate::remoting::send::SendResponse;
use crate::remoting::{
    Command, FrameDecoder, MessageId, NO_BODY, Request, RequestCode, ResponseCode, SerializeType,
    WriteFields, encode_request, encode_response,
};

/// The broker's address.
pub(super) fn broker() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 10911))
}

/// Another broker's.
pub(super) fn other_broker() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 2], 10911))
}

/// A client of the broker, without jitter that a test would have to know.
pub(super) fn config() -> ClientConfig {
    ClientConfig {
        reconnect_ms_min: 0,
        ..ClientConfig::new("client", vec![broker()])
    }
}

/// Polls once, and drops what is not ready: every test of a client's `next` is
/// a test of its cancel safety too.
pub(super) fn poll<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// A request that a client wrote, and where.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) conn: ConnId,
    pub(super) command: Command,
}

#[derive(Default)]
struct World {
    now_ns: u64,
    connecting: VecDeque<(ConnId, SocketAddr)>,
    open: BTreeMap<ConnId, FrameDecoder>,
    next_conn: u64,
    events: VecDeque<NetEvent>,
}

/// One client's world.
#[derive(Clone, Default)]
pub(super) struct FakeEnv(Arc<Mutex<World>>);

impl FakeEnv {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    pub(super) fn advance_ms(&self, ms: u64) {
        self.world().now_ns += ms * 1_000_000;
    }

    /// Accepts every connect that waits; returns the streams, in order.
    pub(super) fn accept(&self) -> Vec<ConnId> {
        let mut world = self.world();
        let connecting = std::mem::take(&mut world.connecting);
        let conns: Vec<ConnId> = connecting.into_iter().map(|(conn, _)| conn).collect();
        for conn in &conns {
            world.open.insert(*conn, FrameDecoder::new());
            world.events.push_back(NetEvent::Connected { conn: *conn });
        }
        conns
    }

    /// Refuses every connect that waits; returns the addresses.
    pub(super) fn refuse(&self) -> Vec<SocketAddr> {
        let mut world = self.world();
        let connecting = std::mem::take(&mut world.connecting);
        let refused = connecting.into_iter().map(|(conn, address)| {
            let reason = CloseReason::Reset;
            world.events.push_back(NetEvent::Closed { conn, reason });
            address
        });
        refused.collect()
    }

    /// Resets a stream.
    pub(super) fn reset(&self, conn: ConnId) {
        let mut world = self.world();
        world.open.remove(&conn);
        let reason = CloseReason::Reset;
        world.events.push_back(NetEvent::Closed { conn, reason });
    }

    /// Whether neither side closed the stream.
    pub(super) fn is_open(&self, conn: ConnId) -> bool {
        self.world().open.contains_key(&conn)
    }

    /// A stream that is open.
    pub(super) fn any_conn(&self) -> ConnId {
        *self.world().open.keys().next().expect("a stream is open")
    }

    /// Says something to the client that nobody asked for.
    pub(super) fn notify(&self, conn: ConnId, notice: &impl Request) {
        let mut out = BytesMut::new();
        encode_request(&mut out, SerializeType::Binary, 1, notice, NO_BODY);
        self.data(conn, out.freeze());
    }

    /// Requests that were written since the last call. Heartbeats are answered
    /// here.
    pub(super) fn asked(&self) -> Vec<Asked> {
        let (beats, asked): (Vec<Asked>, Vec<Asked>) = self
            .written()
            .into_iter()
            .partition(|asked| RequestCode(asked.command.code) == RequestCode::HEART_BEAT);
        for beat in beats {
            self.answer(&beat, ResponseCode::SUCCESS, &(), NO_BODY);
        }
        asked
    }

    fn written(&self) -> Vec<Asked> {
        let mut written = Vec::new();
        for (conn, decoder) in &mut self.world().open {
            while let Some(command) = decoder.next_command().unwrap() {
                let conn = *conn;
                written.push(Asked { conn, command });
            }
        }
        written
    }

    /// Answers a request that nobody asks, so that bytes arrive.
    pub(super) fn answer_nothing(&self, asked: &Asked) {
        let mut stranger = asked.clone();
        stranger.command.opaque = i32::MAX;
        self.refuse_request(&stranger, ResponseCode::SUCCESS);
    }

    /// The only request since the last call; it has this code.
    pub(super) fn asked_one(&self, code: RequestCode) -> Asked {
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert_eq!(RequestCode(asked[0].command.code), code);
        asked.remove(0)
    }

    pub(super) fn answer(
        &self,
        asked: &Asked,
        code: ResponseCode,
        fields: &impl WriteFields,
        body: impl IntoIterator<IntoIter: Clone, Item = impl AsRef<[u8]>>,
    ) {
        let mut out = BytesMut::new();
        encode_response(&mut out, asked.command.reply_to(), code, "", fields, body);
        self.data(asked.conn, out.freeze());
    }

    pub(super) fn data(&self, conn: ConnId, bytes: Bytes) {
        self.world()
            .events
            .push_back(NetEvent::Data { conn, bytes });
    }

    pub(super) fn refuse_request(&self, asked: &Asked, code: ResponseCode) {
        self.answer(asked, code, &(), NO_BODY);
    }

    /// Answers a route request: so many queues, at that broker.
    pub(super) fn answer_route(&self, asked: &Asked, queues: u32, at: SocketAddr) {
        let broker_name = "broker-a".to_owned();
        let route = TopicRouteData {
            broker_datas: vec![BrokerData {
                cluster: "cluster".to_owned(),
                broker_name: broker_name.clone(),
                broker_addrs: BTreeMap::from([("0".to_owned(), at.to_string())]),
                enable_acting_master: false,
            }],
            queue_datas: vec![QueueData {
                broker_name,
                read_queue_nums: queues,
                write_queue_nums: queues,
                perm: PERM_READ_WRITE,
                topic_sys_flag: 0,
            }],
            ..TopicRouteData::default()
        };
        let body = serde_json::to_vec(&route).unwrap();
        self.answer(asked, ResponseCode::SUCCESS, &(), [body]);
    }

    pub(super) fn answer_send_ok(&self, asked: &Asked, queue_id: i32, queue_offset: i64) {
        let id = MessageId {
            host: broker(),
            address: 4096,
        };
        let fields = SendResponse {
            msg_id: &id.to_string(),
            queue_id,
            queue_offset,
            transaction_id: None,
            region: None,
            trace_on: None,
        };
        self.answer(asked, ResponseCode::SUCCESS, &fields, NO_BODY);
    }

    pub(super) fn answer_offset(&self, asked: &Asked, offset: i64) {
        let fields = OffsetResponse { offset };
        self.answer(asked, ResponseCode::SUCCESS, &fields, NO_BODY);
    }

    pub(super) fn answer_pull(
        &self,
        asked: &Asked,
        code: ResponseCode,
        next_begin_offset: i64,
        records: &[Bytes],
    ) {
        let fields = PullResponse {
            suggest_which_broker_id: 0,
            next_begin_offset,
            min_offset: 0,
            max_offset: 100,
        };
        self.answer(asked, code, &fields, records);
    }

    /// Answers a pull: everything below `first_offset` has expired.
    pub(super) fn answer_moved(&self, asked: &Asked, first_offset: i64) {
        let fields = PullResponse {
            suggest_which_broker_id: 0,
            next_begin_offset: first_offset,
            min_offset: first_offset,
            max_offset: 100,
        };
        let code = ResponseCode::PULL_OFFSET_MOVED;
        self.answer(asked, code, &fields, NO_BODY);
    }
}

/// The record of a message in `orders`.
pub(super) fn record(queue_id: u32, queue_offset: u64) -> Bytes {
    record_with(queue_id, queue_offset, "KEYS\u{1}k\u{2}")
}

/// The record of a message in queue 0 of `orders`, with a tag.
pub(super) fn tagged(queue_offset: u64, tag: &str) -> Bytes {
    record_with(0, queue_offset, &format!("TAGS\u{1}{tag}\u{2}"))
}

fn record_with(queue_id: u32, queue_offset: u64, properties: &str) -> Bytes {
    let body = format!("m{queue_offset}");
    let message = Message {
        queue_id,
        flag: 0,
        queue_offset,
        physical_offset: queue_offset * 100,
        sys_flag: 0,
        born_timestamp_ms: 0,
        born_host: broker(),
        store_timestamp_ms: 0,
        store_host: broker(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: body.as_bytes(),
        topic: "orders",
        properties,
    };
    let mut out = Vec::new();
    message.encode(&mut out).unwrap();
    out.into()
}

impl Env for FakeEnv {
    type Disk = NoDisk;
    type Net = Self;
    type Timer = FakeTimer;

    fn now_ns(&self) -> u64 {
        self.world().now_ns
    }
    fn wall_ms(&self) -> u64 {
        1_700_000_000_000
    }
    fn random_u64(&self) -> u64 {
        0
    }
    fn timer(&self) -> FakeTimer {
        FakeTimer {
            env: self.clone(),
            deadline_ns: None,
        }
    }
    fn disk(&self) -> NoDisk {
        NoDisk
    }
    fn net(&self) -> Self {
        self.clone()
    }
    fn report(&self, _notice: Notice) {}
    fn spawn(&self, _task: impl Future<Output = ()> + Send + 'static) {
        unreachable!("clients have no tasks");
    }
}

impl Net for FakeEnv {
    async fn listen(&mut self, _address: SocketAddr) -> io::Result<SocketAddr> {
        unreachable!("clients do not listen");
    }
    async fn listen_peers(&mut self, _address: SocketAddr) -> io::Result<SocketAddr> {
        unreachable!("clients have no peers");
    }
    fn connect(&mut self, to: SocketAddr) -> ConnId {
        let mut world = self.world();
        world.next_conn += 1;
        let conn = ConnId(world.next_conn);
        world.connecting.push_back((conn, to));
        conn
    }
    fn write(&mut self, conn: ConnId, bytes: Bytes) {
        if let Some(decoder) = self.world().open.get_mut(&conn) {
            decoder.feed(bytes);
        }
    }
    fn close(&mut self, conn: ConnId) {
        let mut world = self.world();
        world.open.remove(&conn);
        world
            .connecting
            .retain(|(connecting, _)| *connecting != conn);
    }
    fn send(&mut self, _to: SocketAddr, _bytes: Bytes) {
        unreachable!("clients have no peers");
    }
    fn waiting(&self, from: Source) -> usize {
        match from {
            Source::Peers => 0,
            Source::Streams => self.world().events.len(),
        }
    }
    fn try_next_of(&mut self, from: Source) -> Option<NetEvent> {
        match from {
            Source::Peers => None,
            Source::Streams => self.world().events.pop_front(),
        }
    }
    async fn next(&mut self) -> NetEvent {
        poll_fn(|_| self.try_next().map_or(Poll::Pending, Poll::Ready)).await
    }
}

pub(super) struct FakeTimer {
    env: FakeEnv,
    deadline_ns: Option<u64>,
}

impl Timer for FakeTimer {
    fn reset(&mut self, deadline_ns: Option<u64>) {
        self.deadline_ns = deadline_ns;
    }
    async fn fired(&mut self) {
        poll_fn(|_| {
            let now_ns = self.env.now_ns();
            match self.deadline_ns.take_if(|at_ns| *at_ns <= now_ns) {
                Some(_) => Poll::Ready(()),
                None => Poll::Pending,
            }
        })
        .await;
    }
}

/// Clients have no disk: every call fails.
#[derive(Clone)]
pub(super) struct NoDisk;

fn none<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Disk for NoDisk {
    type File = Self;
    fn sector_bytes(&self) -> usize {
        512
    }
    async fn free_bytes(&self) -> io::Result<u64> {
        none()
    }
    async fn create(&self, _path: &str) -> io::Result<Self> {
        none()
    }
    async fn open(&self, _path: &str) -> io::Result<Self> {
        none()
    }
    async fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        none()
    }
    async fn remove(&self, _path: &str) -> io::Result<()> {
        none()
    }
    async fn list(&self, _directory: &str) -> io::Result<Vec<String>> {
        none()
    }
    async fn create_dir(&self, _directory: &str) -> io::Result<()> {
        none()
    }
    async fn sync_dir(&self, _directory: &str) -> io::Result<()> {
        none()
    }
}

impl File for NoDisk {
    async fn write_at(&self, _position: u64, _bytes: Bytes) -> io::Result<()> {
        none()
    }
    async fn read_at(&self, _position: u64, _length: usize) -> io::Result<Bytes> {
        none()
    }
    async fn set_len(&self, _length: u64) -> io::Result<()> {
        none()
    }
    async fn size_bytes(&self) -> io::Result<u64> {
        none()
    }
    async fn sync_data(&self) -> io::Result<()> {
        none()
    }
    async fn sync_all(&self) -> io::Result<()> {
        none()
    }
}
