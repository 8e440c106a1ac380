//! Endpoints on loopback.

use super::*;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Every wait for a clock lasts for ever here.
const PATIENT: Limits = Limits {
    events_max: 256,
    streams_max: 1_000,
    outbound_bytes_max: 64 << 20,
    outbound_sum_max: 256 << 20,
    peers: peers::Limits::DEFAULT,
    connect_timeout: Duration::from_secs(3600),
    linger: Duration::from_secs(3600),
};

fn endpoint() -> RealNet {
    RealNet::new(Handle::current(), PATIENT)
}

fn limited(outbound_bytes_max: usize, events_max: usize) -> RealNet {
    let limits = Limits {
        outbound_bytes_max,
        events_max,
        ..PATIENT
    };
    RealNet::new(Handle::current(), limits)
}

/// Two endpoints and the stream between them, as each names it.
async fn joined(mut left: RealNet, mut right: RealNet) -> (RealNet, ConnId, RealNet, ConnId) {
    let address = left.listen(ANY).await.unwrap();
    let outgoing = right.connect(address);
    let accepted = left.next().await;
    let NetEvent::Accepted { conn, .. } = accepted else {
        panic!("{accepted:?}")
    };
    assert_eq!(right.next().await, NetEvent::Connected { conn: outgoing });
    (left, conn, right, outgoing)
}

/// Everything that comes on the stream until it ends.
async fn read_to_end(net: &mut RealNet, conn: ConnId) -> (Vec<u8>, CloseReason, usize) {
    let (mut all, mut events) = (Vec::new(), 0);
    loop {
        match net.next().await {
            NetEvent::Data { conn: on, bytes } => {
                assert!(on == conn && !bytes.is_empty());
                all.extend_from_slice(&bytes);
                events += 1;
            }
            NetEvent::Closed { conn: on, reason } => {
                assert_eq!(on, conn);
                return (all, reason, events);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn bytes_come_in_order_and_then_the_end() {
    let (mut left, accepted, mut right, outgoing) = joined(endpoint(), endpoint()).await;
    let sent: Vec<u8> = (0..1_000_000u32).map(|index| (index % 251) as u8).collect();
    for piece in sent.chunks(7_777) {
        right.write(outgoing, Bytes::copy_from_slice(piece));
    }
    right.close(outgoing);
    let (all, reason, events) = read_to_end(&mut left, accepted).await;
    assert!(all == sent, "what was queued at the close has left");
    assert_eq!(reason, CloseReason::Eof);
    assert_ne!(events, sent.len().div_ceil(7_777), "cuts are not kept");
    left.write(accepted, Bytes::from_static(b"into the void"));
    left.close(accepted);
}

#[tokio::test]
async fn one_byte_at_a_time_is_the_same_stream() {
    let (mut left, accepted, mut right, outgoing) = joined(endpoint(), endpoint()).await;
    for byte in b"half a message" {
        left.write(accepted, Bytes::copy_from_slice(&[*byte]));
    }
    left.close(accepted);
    assert_eq!(read_to_end(&mut right, outgoing).await.0, b"half a message");
}

#[tokio::test]
async fn bytes_may_be_written_before_the_stream_is_up() {
    let (mut left, mut right) = (endpoint(), endpoint());
    let address = left.listen(ANY).await.unwrap();
    let outgoing = right.connect(address);
    right.write(outgoing, Bytes::from_static(b"early"));
    right.close(outgoing);
    let NetEvent::Accepted { conn, .. } = left.next().await else {
        panic!()
    };
    assert_eq!(read_to_end(&mut left, conn).await.0, b"early");
}

#[tokio::test]
async fn a_refused_connect_is_a_reset() {
    let mut net = endpoint();
    let free = std::net::TcpListener::bind(ANY)
        .unwrap()
        .local_addr()
        .unwrap();
    let conn = net.connect(free);
    assert_eq!(
        net.next().await,
        NetEvent::Closed {
            conn,
            reason: CloseReason::Reset
        }
    );
}

/// A socket closed with bytes unread resets the connection.
#[tokio::test]
async fn a_reset_is_reported() {
    let mut net = endpoint();
    let listener = TcpListener::bind(ANY).await.unwrap();
    let conn = net.connect(listener.local_addr().unwrap());
    net.write(conn, Bytes::from_static(b"never read"));
    let (stream, _) = listener.accept().await.unwrap();
    assert_eq!(stream.peek(&mut [0; 1]).await.unwrap(), 1);
    drop(stream);
    assert_eq!(net.next().await, NetEvent::Connected { conn });
    assert_eq!(
        net.next().await,
        NetEvent::Closed {
            conn,
            reason: CloseReason::Reset
        }
    );
}

#[tokio::test]
async fn a_closed_stream_is_silent() {
    let (mut left, accepted, mut right, outgoing) = joined(endpoint(), endpoint()).await;
    right.write(outgoing, Bytes::from_static(b"unseen"));
    left.close(accepted);
    assert_eq!(read_to_end(&mut right, outgoing).await.1, CloseReason::Eof);
    // The next thing that the left side hears is another stream.
    let address = left.listen(ANY).await.unwrap();
    right.connect(address);
    assert!(matches!(left.next().await, NetEvent::Accepted { .. }));
    assert_eq!(left.try_next(), None);
}

/// The other side's end was already on its way when this side closed.
#[tokio::test]
async fn an_end_that_comes_too_late_is_not_told() {
    let (mut left, accepted, mut right, outgoing) = joined(endpoint(), endpoint()).await;
    right.close(outgoing);
    while left.receiver.is_empty() {
        tokio::task::yield_now().await;
    }
    left.close(accepted);
    assert_eq!(left.try_next(), None);
}

/// Bytes still unread at the close: were the socket dropped on them, a reset
/// would take back what the system had not sent yet.
#[tokio::test]
async fn bytes_written_before_a_close_arrive_though_others_are_unread() {
    let (left, right) = (limited(1 << 30, 1), limited(1 << 30, 1));
    let (mut left, accepted, mut right, outgoing) = joined(left, right).await;
    let sent = Bytes::from(vec![7; 16 << 20]);
    right.write(outgoing, sent.clone());
    while left.receiver.is_empty() {
        tokio::task::yield_now().await;
    }
    left.write(accepted, sent.clone());
    left.close(accepted);
    tokio::select! {
        biased;
        event = left.next() => panic!("{event:?}"),
        (all, reason, _) = read_to_end(&mut right, outgoing) => {
            assert_eq!((all.len(), reason), (sent.len(), CloseReason::Eof));
        }
    }
}

#[tokio::test]
async fn a_slow_reader_overflows_the_writer() {
    let (left, _, mut right, outgoing) = joined(limited(1 << 20, 1), limited(1 << 20, 8)).await;
    let overflow = NetEvent::Closed {
        conn: outgoing,
        reason: CloseReason::Overflow,
    };
    let piece = Bytes::from(vec![0; 1 << 18]);
    let mut pieces = 0;
    // Nobody reads on the left: its queue, then the system's buffers fill up.
    let event = loop {
        right.write(outgoing, piece.clone());
        pieces += 1;
        tokio::task::yield_now().await;
        if let Some(event) = right.try_next() {
            break event;
        }
        assert!(pieces < 10_000, "nothing ever overflowed");
    };
    assert_eq!(event, overflow);
    assert!(pieces > 4, "the bound itself is usable");
    right.write(outgoing, piece);
    assert_eq!(right.try_next(), None, "it is gone, and says so once");
    drop(left);
}

#[tokio::test]
async fn peer_messages_arrive_whole_from_their_sender() {
    let (mut left, mut right) = (endpoint(), endpoint());
    let (to_left, to_right) = (
        left.listen_peers(ANY).await.unwrap(),
        right.listen_peers(ANY).await.unwrap(),
    );
    let sent = [
        vec![],
        vec![1; 3],
        vec![2; 4096],
        vec![3; 5000],
        vec![4; 3_000_000],
    ];
    for message in &sent {
        right.send(to_left, Bytes::from(message.clone()));
    }
    for message in &sent {
        let bytes = Bytes::from(message.clone());
        assert_eq!(
            left.next().await,
            NetEvent::Peer {
                from: to_right,
                bytes
            }
        );
    }
    left.send(to_right, Bytes::from_static(b"answer"));
    let bytes = Bytes::from_static(b"answer");
    assert_eq!(
        right.next().await,
        NetEvent::Peer {
            from: to_left,
            bytes
        }
    );
}

/// The peer restarts on its address: the link is made again.
#[tokio::test]
async fn a_link_comes_back_after_its_peer_does() {
    let (mut left, mut right) = (endpoint(), endpoint());
    let to_left = left.listen_peers(ANY).await.unwrap();
    right.listen_peers(ANY).await.unwrap();
    right.send(to_left, Bytes::from_static(b"one"));
    assert!(matches!(left.next().await, NetEvent::Peer { .. }));
    drop(left);
    let mut left = endpoint();
    left.listen_peers(to_left).await.unwrap();
    // A message may be lost with the old connection; one of many is not.
    let arrived = loop {
        right.send(to_left, Bytes::from_static(b"two"));
        tokio::select! {
            biased;
            event = left.next() => break event,
            () = tokio::task::yield_now() => {}
        }
    };
    assert!(matches!(arrived, NetEvent::Peer { bytes, .. } if bytes == "two"));
}

#[tokio::test]
async fn a_stranger_is_no_peer() {
    let (mut left, mut right) = (endpoint(), endpoint());
    let to_left = left.listen_peers(ANY).await.unwrap();
    right.listen_peers(ANY).await.unwrap();
    let stranger = right.connect(to_left);
    right.write(stranger, Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n"));
    assert_eq!(right.next().await, NetEvent::Connected { conn: stranger });
    tokio::select! {
        biased;
        event = left.next() => panic!("{event:?}"),
        (_, reason, _) = read_to_end(&mut right, stranger) => {
            assert!(matches!(reason, CloseReason::Reset | CloseReason::Eof));
        }
    }
}

#[tokio::test]
async fn a_dropped_endpoint_leaves_nothing() {
    let (mut left, _, mut right, outgoing) = joined(endpoint(), endpoint()).await;
    let peers = left.listen_peers(ANY).await.unwrap();
    right.listen_peers(ANY).await.unwrap();
    right.send(peers, Bytes::from_static(b"x"));
    assert!(matches!(left.next().await, NetEvent::Peer { .. }));
    let listening = left
        .listener
        .as_ref()
        .unwrap()
        .listener
        .local_addr()
        .unwrap();
    drop(left);
    for address in [listening, peers] {
        TcpListener::bind(address)
            .await
            .expect("the address is free at once");
    }
    let (_, reason, _) = read_to_end(&mut right, outgoing).await;
    assert!(matches!(reason, CloseReason::Eof | CloseReason::Reset));
    drop(right);
    while Handle::current().metrics().num_alive_tasks() > 0 {
        tokio::task::yield_now().await;
    }
}

/// Each of them within its own bound, all together beyond the one of all: the client
/// that leaves most unread goes.
#[tokio::test]
async fn the_client_that_reads_least_goes_when_all_together_leave_too_much() {
    let limits = Limits {
        outbound_sum_max: 24 << 20,
        ..PATIENT
    };
    let mut left = RealNet::new(Handle::current(), limits);
    let address = left.listen(ANY).await.unwrap();
    let mut silent = Vec::new();
    let mut accepted = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(address).await.unwrap());
        let NetEvent::Accepted { conn, .. } = left.next().await else {
            panic!("nobody came")
        };
        accepted.push(conn);
    }
    left.write(accepted[0], vec![1; 15 << 20].into());
    left.write(accepted[1], vec![2; 7 << 20].into());
    assert_eq!(left.try_next(), None, "there is room for that");
    // Bytes that went into the system's buffers do not wait here any more.
    left.write(accepted[2], vec![3; 20 << 20].into());
    let (conn, reason) = (accepted[2], CloseReason::Overflow);
    assert_eq!(left.try_next(), Some(NetEvent::Closed { conn, reason }));
    left.write(accepted[1], Bytes::from_static(b"more"));
    assert_eq!(left.try_next(), None);
}
