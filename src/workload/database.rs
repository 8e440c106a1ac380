//! The order database: a host of its own, which any number of instances of one
//! order service share.
//!
//! ```text
//!   order service a ──settle(7, paid)────▶ ┌──────────┐   first row kept: paid
//!                   ◀──paid─────────────── │ database │
//!   order service b ──settle(7, barred)──▶ │  (synced │
//!                   ◀──paid─────────────── └──────────┘
//! ```
//!
//! Promise: of several ways to settle an order the first one holds for ever, and it
//! is durable before anybody hears of it. A request that is not answered is made
//! again.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::table::Table;
use crate::env::{ConnId, Either, Env, Net, NetEvent, Timer, either};
use crate::history::{ClientId, Event, Recorder, Value};

/// The database's file.
pub const ORDERS_FILE: &str = "orders.db";

const MS_NS: u64 = 1_000_000;
/// A service that waits longer for an answer connects anew.
const PATIENCE_NS: u64 = 200 * MS_NS;
/// Pause before a closed stream is replaced.
const PAUSE_NS: u64 = 20 * MS_NS;

/// Number 8, client 4, sequence 8, digest 8, paid 1.
const REQUEST_BYTES: usize = 29;
/// Number 8, paid 1.
const ANSWER_BYTES: usize = 9;

/// Settles orders for every client that connects, until it is killed. Ends only where
/// its disk fails. It records all that it durably knows, again in every life.
pub async fn keep_orders<E: Env>(env: E, listen: SocketAddr, client: ClientId, recorder: Recorder) {
    // A database whose disk fails is a database that stops.
    serve(&env, listen, client, &recorder).await.ok();
}

async fn serve<E: Env>(
    env: &E,
    listen: SocketAddr,
    client: ClientId,
    recorder: &Recorder,
) -> io::Result<()> {
    let mut table = Table::open(&env.disk(), ORDERS_FILE).await?;
    let record = |(value, paid)| {
        recorder.record(env.now_ns(), client, Event::Settled { value, paid });
    };
    table.rows().for_each(record);
    let mut net = env.net();
    net.listen(listen).await?;
    let mut inboxes = BTreeMap::new();
    loop {
        let mut asked = take(&mut inboxes, net.next().await);
        while let Some(event) = net.try_next() {
            asked.append(&mut take(&mut inboxes, event));
        }
        let rows: Vec<_> = asked.iter().map(|(_, ask)| (ask.value, ask.paid)).collect();
        table.put(&rows).await?.into_iter().for_each(record);
        for (conn, ask) in asked {
            let paid = table.get(ask.value).expect("it was just settled");
            net.write(conn, answer(ask.number, paid));
        }
    }
}

/// One request: an order is to be paid, or never to be.
#[derive(Debug, Clone, Copy)]
struct Ask {
    number: u64,
    value: Value,
    paid: bool,
}

/// The whole requests that are there after an event.
fn take(inboxes: &mut BTreeMap<ConnId, BytesMut>, event: NetEvent) -> Vec<(ConnId, Ask)> {
    let mut asked = Vec::new();
    match event {
        NetEvent::Data { conn, bytes } => {
            let inbox = inboxes.entry(conn).or_default();
            inbox.extend_from_slice(&bytes);
            while inbox.len() >= REQUEST_BYTES {
                asked.push((conn, read_ask(&mut inbox.split_to(REQUEST_BYTES))));
            }
        }
        NetEvent::Closed { conn, .. } => drop(inboxes.remove(&conn)),
        NetEvent::Accepted { .. } | NetEvent::Connected { .. } | NetEvent::Peer { .. } => {}
    }
    asked
}

fn read_ask(bytes: &mut BytesMut) -> Ask {
    Ask {
        number: bytes.get_u64(),
        value: Value {
            client: bytes.get_u32(),
            sequence: bytes.get_u64(),
            digest: bytes.get_u64(),
        },
        paid: bytes.get_u8() == 1,
    }
}

fn answer(number: u64, paid: bool) -> Bytes {
    let mut bytes = BytesMut::with_capacity(ANSWER_BYTES);
    bytes.put_u64(number);
    bytes.put_u8(u8::from(paid));
    bytes.freeze()
}

impl Ask {
    fn frame(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(REQUEST_BYTES);
        bytes.put_u64(self.number);
        bytes.put_u32(self.value.client);
        bytes.put_u64(self.value.sequence);
        bytes.put_u64(self.value.digest);
        bytes.put_u8(u8::from(self.paid));
        bytes.freeze()
    }
}

/// An order service's way to its database.
pub(super) struct Orders<E: Env> {
    env: E,
    net: E::Net,
    to: SocketAddr,
    conn: Option<ConnId>,
    inbox: BytesMut,
    /// Asked and not answered, in the order asked.
    open: BTreeMap<u64, Ask>,
    asked: u64,
    patience: E::Timer,
    patient_until_ns: u64,
}

impl<E: Env> Orders<E> {
    pub(super) fn new(env: E, to: SocketAddr) -> Self {
        Self {
            net: env.net(),
            patience: env.timer(),
            env,
            to,
            conn: None,
            inbox: BytesMut::new(),
            open: BTreeMap::new(),
            asked: 0,
            patient_until_ns: 0,
        }
    }

    /// Asks for an order to be settled; how it is settled comes by
    /// [`Orders::next`] with the number that this gives.
    pub(super) fn settle(&mut self, value: Value, paid: bool) -> u64 {
        let number = self.asked;
        self.asked += 1;
        let ask = Ask {
            number,
            value,
            paid,
        };
        if self.open.is_empty() {
            self.patient_until_ns = self.env.now_ns() + PATIENCE_NS;
        }
        self.open.insert(number, ask);
        match self.conn {
            Some(conn) => self.net.write(conn, ask.frame()),
            None => self.connect(),
        }
        number
    }

    /// The next answer: its number, and whether the order is paid. Cancel-safe.
    pub(super) async fn next(&mut self) -> (u64, bool) {
        loop {
            if let Some(answer) = self.take_answer() {
                return answer;
            }
            let waits = !self.open.is_empty();
            self.patience.reset(waits.then_some(self.patient_until_ns));
            match either(self.net.next(), self.patience.fired()).await {
                Either::First(event) => self.happened(event),
                Either::Second(()) => self.connect(),
            }
        }
    }

    fn take_answer(&mut self) -> Option<(u64, bool)> {
        while self.inbox.len() >= ANSWER_BYTES {
            let mut bytes = self.inbox.split_to(ANSWER_BYTES);
            let (number, paid) = (bytes.get_u64(), bytes.get_u8() == 1);
            self.patient_until_ns = self.env.now_ns() + PATIENCE_NS;
            if self.open.remove(&number).is_some() {
                return Some((number, paid));
            }
        }
        None
    }

    fn happened(&mut self, event: NetEvent) {
        match event {
            NetEvent::Data { conn, bytes } if self.conn == Some(conn) => {
                self.inbox.extend_from_slice(&bytes);
            }
            NetEvent::Closed { conn, .. } if self.conn == Some(conn) => {
                self.patient_until_ns = self.env.now_ns() + PAUSE_NS;
            }
            _ => {}
        }
    }

    /// Connects, and asks again what is open: what was settled stays so.
    fn connect(&mut self) {
        if let Some(old) = self.conn.take() {
            self.net.close(old);
        }
        let conn = self.net.connect(self.to);
        self.inbox.clear();
        for ask in self.open.values() {
            self.net.write(conn, ask.frame());
        }
        self.conn = Some(conn);
        self.patient_until_ns = self.env.now_ns() + PATIENCE_NS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_in_pieces_and_several_at_once() {
        let ask = |number| Ask {
            number,
            value: Value {
                client: 2,
                sequence: 3 << 32,
                digest: 4,
            },
            paid: true,
        };
        let both = [ask(7).frame(), ask(8).frame()].concat();
        let conn = ConnId(1);
        let mut inboxes = BTreeMap::new();
        let mut data = |bytes: &[u8]| {
            let bytes = Bytes::copy_from_slice(bytes);
            let asked = take(&mut inboxes, NetEvent::Data { conn, bytes });
            asked.iter().map(|(_, ask)| ask.number).collect::<Vec<_>>()
        };
        assert!(data(&both[..28]).is_empty());
        assert_eq!(data(&both[28..]), [7, 8]);
        assert!(data(&both[..1]).is_empty());
        let read = read_ask(&mut BytesMut::from(&ask(9).frame()[..]));
        assert_eq!((read.value, read.paid), (ask(9).value, true));
    }
}
