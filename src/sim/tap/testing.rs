//! The parts that the tests of one broker's account and of several's share: a
//! machine, a hand that drives it, and what brokers say.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;

use crate::log::Staged;
use crate::record::Message;
use crate::remoting::send::SendResponse;
use crate::remoting::{MessageId, NO_BODY, ReplyTo, ResponseCode, SerializeType, encode_response};
use crate::sim::disk::{DiskConfig, DiskModel, Woken};
use crate::sim::disk_io::{DiskIo, DiskLatency};
use crate::sim::latency::Latency;
use crate::sim::random::{Purpose, Stream};
use crate::sim::world::{World, address, fire_due};

/// To the fifth request of a client.
pub(super) const REPLY: ReplyTo = ReplyTo {
    serialize_type: SerializeType::Binary,
    opaque: 5,
    is_oneway: false,
};

/// A machine with a blank disk, whose syncs take a microsecond.
pub(super) fn machine(node: u32) -> DiskIo {
    let latency = DiskLatency {
        sync: Latency::uniform(1_000, 1_000),
    };
    let dice = Stream::lane(1, Purpose::Disk, node);
    DiskIo::new(node, DiskModel::new(DiskConfig::default()), latency, dice)
}

/// Runs a future to its end, the world with it.
pub(super) fn wait<F: Future>(world: &World, future: F) -> F::Output {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut future = pin!(future);
    loop {
        let mut context = Context::from_waker(&waker);
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        assert!(woken.take() || fire_due(world), "it waits for nothing");
    }
}

/// A message, as a broker stores it at a log address.
pub(super) fn message(log_address: u64, body: &[u8]) -> Message<'_> {
    Message {
        queue_id: 0,
        flag: 0,
        queue_offset: 0,
        physical_offset: log_address,
        sys_flag: 0,
        born_timestamp_ms: 1,
        born_host: address(1, 1),
        store_timestamp_ms: 2,
        store_host: address(0, 1),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body,
        topic: "orders",
        properties: "",
    }
}

/// The frame by which the broker on `node` acknowledges a staged message.
pub(super) fn acknowledgement(node: u32, staged: Staged) -> BytesMut {
    let id = MessageId {
        host: address(node, 1),
        address: staged.address,
    };
    let fields = SendResponse {
        msg_id: &id.to_string(),
        queue_id: 0,
        queue_offset: 0,
        transaction_id: None,
        region: None,
        trace_on: None,
    };
    let mut frame = BytesMut::new();
    let code = ResponseCode::SUCCESS;
    encode_response(&mut frame, REPLY, code, "", &fields, NO_BODY);
    frame
}
