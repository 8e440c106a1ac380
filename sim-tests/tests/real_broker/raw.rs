//! A client that keeps to no rule: it writes bytes and sees what comes back.

use std::net::SocketAddr;

use bytes::Bytes;
use zeroloss::env::real::{RealEnv, RealNet, RealTimer};
use zeroloss::env::{ConnId, Either, Env, Net, NetEvent, Timer, either};
use zeroloss::remoting::{Command, FrameDecoder};

/// Long enough for any machine; nothing waits for it where all goes well.
const PATIENCE_NS: u64 = 60_000_000_000;

/// The outcome of sending bytes.
#[derive(Debug)]
pub(crate) enum Reaction {
    Answer(Box<Command>),
    Closed,
}

impl Reaction {
    /// The answer's code; `None` where the stream was closed.
    pub(crate) fn code(&self) -> Option<i32> {
        match self {
            Self::Answer(command) => Some(command.code),
            Self::Closed => None,
        }
    }

    pub(crate) fn answer(self) -> Command {
        match self {
            Self::Answer(command) => *command,
            Self::Closed => panic!("closed, not answered"),
        }
    }
}

/// One stream to a broker.
pub(crate) struct Raw {
    env: RealEnv,
    net: RealNet,
    timer: RealTimer,
    conn: ConnId,
    decoder: FrameDecoder,
}

impl Raw {
    pub(crate) fn connect(env: &RealEnv, broker: SocketAddr) -> Self {
        let mut net = env.net();
        let conn = net.connect(broker);
        Self {
            env: env.clone(),
            timer: env.timer(),
            net,
            conn,
            decoder: FrameDecoder::new(),
        }
    }

    pub(crate) fn write(&mut self, bytes: impl Into<Bytes>) {
        self.net.write(self.conn, bytes.into());
    }

    /// Says that nothing more comes.
    pub(crate) fn close(&mut self) {
        self.net.close(self.conn);
    }

    /// Writes, and waits for what comes of it.
    pub(crate) async fn ask(&mut self, bytes: impl Into<Bytes>) -> Reaction {
        self.write(bytes);
        self.reaction().await
    }

    /// The next answer, or the end.
    pub(crate) async fn reaction(&mut self) -> Reaction {
        self.timer.reset(Some(self.env.now_ns() + PATIENCE_NS));
        loop {
            let decoded = self.decoder.next_command();
            if let Some(command) = decoded.expect("brokers answer in whole frames") {
                return Reaction::Answer(Box::new(command));
            }
            match either(self.net.next(), self.timer.fired()).await {
                Either::First(NetEvent::Data { bytes, .. }) => self.decoder.feed(bytes),
                Either::First(NetEvent::Closed { .. }) => return Reaction::Closed,
                Either::First(_) => {}
                Either::Second(()) => panic!("neither answered nor closed"),
            }
        }
    }
}

/// A request's frame with a JSON header, fields as given.
pub(crate) fn json(code: i32, flag: i32, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let fields: serde_json::Map<_, _> = fields
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).into()))
        .collect();
    let header = serde_json::json!({
        "code": code, "language": "JAVA", "version": 0, "opaque": 77, "flag": flag,
        "extFields": fields,
    });
    framed(0, header.to_string().as_bytes(), body)
}

/// A frame around a header that may be anything.
pub(crate) fn framed(serialize_type: u8, header: &[u8], body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&((4 + header.len() + body.len()) as u32).to_be_bytes());
    let word = u32::from(serialize_type) << 24 | header.len() as u32;
    frame.extend_from_slice(&word.to_be_bytes());
    frame.extend_from_slice(header);
    frame.extend_from_slice(body);
    frame
}
