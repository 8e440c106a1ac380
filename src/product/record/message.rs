//! RocketMQ's message record, V1 (`MessageDecoder` reads the same bytes).
//!
//! ```text
//! TOTALSIZE 4 │ MAGIC 4 │ BODYCRC 4 │ QUEUEID 4 │ FLAG 4 │ QUEUEOFFSET 8 │
//! PHYSICALOFFSET 8 │ SYSFLAG 4 │ BORNTIMESTAMP 8 │ BORNHOST 8|20 │
//! STORETIMESTAMP 8 │ STOREHOST 8|20 │ RECONSUMETIMES 4 │
//! PREPARED_TX_OFFSET 8 │ length 4 + body │ length 1 + topic │
//! length 2 + properties                            (big-endian throughout)
//! ```
//!
//! A host is an IP address (4 or 16 bytes) and a port in 4 bytes; two bits of
//! the system flag say which. BODYCRC covers the body alone: that is why every
//! record travels in an [envelope](super::Envelope) of our own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// RocketMQ's `MESSAGE_MAGIC_CODE` of a V1 record.
pub const MESSAGE_MAGIC_V1: u32 = 0xdaa3_20a7;
/// Bit of the system flag: the born host is IPv6 (`BORNHOST_V6_FLAG`).
pub const BORN_HOST_V6: u32 = 0x10;
/// Bit of the system flag: the store host is IPv6 (`STOREHOSTADDRESS_V6_FLAG`).
pub const STORE_HOST_V6: u32 = 0x20;
/// Longest topic, bytes: clients read its length as a signed byte.
pub const TOPIC_BYTES_MAX: usize = i8::MAX as usize;
/// Longest properties string, bytes: clients read its length as a signed short.
pub const PROPERTIES_BYTES_MAX: usize = i16::MAX as usize;

/// Clients read the record's and the body's length as a signed int.
const TOTAL_BYTES_MAX: usize = i32::MAX as usize;
/// All fields but hosts, body, topic and properties.
const FIXED_BYTES: usize = 75;
/// Those before the born host, the size among them.
const FIXED_HEAD_BYTES: usize = 48;
/// Those between the store host and the body: its length is the last.
const FIXED_MIDDLE_BYTES: usize = 16;
/// CRC-32 without its top bit, as RocketMQ stores it.
const CRC_MASK: u32 = 0x7fff_ffff;

/// A message record: what [`Message::encode`] writes and what
/// [`Message::decode`] lends out of the bytes that it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The queue within the topic.
    pub queue_id: u32,
    /// The application's flag; opaque.
    pub flag: u32,
    /// The message's number in its queue.
    pub queue_offset: u64,
    /// The record's log address (guarantee.md, D20), which clients also see in
    /// the message id.
    pub physical_offset: u64,
    /// RocketMQ's `sysFlag`. Encoding sets the two host bits by the hosts.
    pub sys_flag: u32,
    /// When the producer made it, milliseconds since 1970 by its clock.
    pub born_timestamp_ms: u64,
    /// The producer's address.
    pub born_host: SocketAddr,
    /// When the broker took it, milliseconds since 1970 by its clock.
    pub store_timestamp_ms: u64,
    /// The broker's address.
    pub store_host: SocketAddr,
    /// How often it was sent back to the retry topic.
    pub reconsume_times: u32,
    /// Of a final message: the log address of its half message; else 0.
    pub prepared_transaction_offset: u64,
    /// The application's bytes.
    pub body: &'a [u8],
    /// The topic.
    pub topic: &'a str,
    /// Properties as they stand in the record: see [`super::Properties`].
    pub properties: &'a str,
}

/// Why a message cannot be written as a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The topic is longer than its length field can say to a client.
    #[error("topic of {length} bytes; at most {TOPIC_BYTES_MAX} fit a record")]
    TopicTooLong {
        /// Its length, bytes.
        length: usize,
    },
    /// The properties are longer than their length field can say to a client.
    #[error("properties of {length} bytes; at most {PROPERTIES_BYTES_MAX} fit a record")]
    PropertiesTooLong {
        /// Their length, bytes.
        length: usize,
    },
    /// The whole record would be longer than its length field can say.
    #[error("record of {length} bytes; at most {TOTAL_BYTES_MAX} fit a record")]
    TooLong {
        /// The record's length, bytes.
        length: usize,
    },
}

/// Why bytes are not a message record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside a field, or the declared size ends inside one.
    #[error("record ends inside its {field}")]
    Short {
        /// The field.
        field: &'static str,
    },
    /// Not a V1 record.
    #[error("magic {found:#010x} is not a V1 record's")]
    Magic {
        /// The value that stands there.
        found: u32,
    },
    /// The declared size and the fields, or the bytes given, disagree.
    #[error("record declares {declared} bytes and has {actual}")]
    TotalSize {
        /// TOTALSIZE.
        declared: usize,
        /// The length of the fields, or of the bytes.
        actual: usize,
    },
    /// A host's port is above 65535.
    #[error("port {found} of the {field}")]
    Port {
        /// The host.
        field: &'static str,
        /// The value that stands there.
        found: u32,
    },
    /// Topic or properties are not UTF-8.
    #[error("{field} is not UTF-8")]
    Utf8 {
        /// The field.
        field: &'static str,
    },
    /// The body is not what was stored.
    #[error("body checksum {computed:#010x}, stored {stored:#010x}")]
    BodyCrc {
        /// BODYCRC.
        stored: u32,
        /// Of the body that stands there.
        computed: u32,
    },
}

impl<'a> Message<'a> {
    /// Bytes that [`Message::encode`] will append.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        FIXED_BYTES
            + host_bytes(self.born_host)
            + host_bytes(self.store_host)
            + self.body.len()
            + self.topic.len()
            + self.properties.len()
    }

    /// Appends the record to `out`.
    ///
    /// # Errors
    /// A field is too long for its length field; then `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let total = self.encoded_bytes();
        self.check_lengths(total)?;
        out.reserve(total);
        put_u32(out, total as u32);
        put_u32(out, MESSAGE_MAGIC_V1);
        put_u32(out, body_crc(self.body));
        put_u32(out, self.queue_id);
        put_u32(out, self.flag);
        put_u64(out, self.queue_offset);
        put_u64(out, self.physical_offset);
        put_u32(out, self.sys_flag_for_hosts());
        put_u64(out, self.born_timestamp_ms);
        put_host(out, self.born_host);
        put_u64(out, self.store_timestamp_ms);
        put_host(out, self.store_host);
        put_u32(out, self.reconsume_times);
        put_u64(out, self.prepared_transaction_offset);
        put_u32(out, self.body.len() as u32);
        out.extend_from_slice(self.body);
        out.push(self.topic.len() as u8);
        out.extend_from_slice(self.topic.as_bytes());
        out.extend_from_slice(&(self.properties.len() as u16).to_be_bytes());
        out.extend_from_slice(self.properties.as_bytes());
        Ok(())
    }

    fn check_lengths(&self, total: usize) -> Result<(), EncodeError> {
        let (topic, properties) = (self.topic.len(), self.properties.len());
        if topic > TOPIC_BYTES_MAX {
            return Err(EncodeError::TopicTooLong { length: topic });
        }
        if properties > PROPERTIES_BYTES_MAX {
            return Err(EncodeError::PropertiesTooLong { length: properties });
        }
        if total > TOTAL_BYTES_MAX {
            return Err(EncodeError::TooLong { length: total });
        }
        Ok(())
    }

    fn sys_flag_for_hosts(&self) -> u32 {
        let born = if self.born_host.is_ipv6() {
            BORN_HOST_V6
        } else {
            0
        };
        let store = if self.store_host.is_ipv6() {
            STORE_HOST_V6
        } else {
            0
        };
        self.sys_flag & !(BORN_HOST_V6 | STORE_HOST_V6) | born | store
    }

    /// Reads exactly one record and verifies its body's checksum.
    ///
    /// # Errors
    /// The first thing that does not verify; bytes behind the record count as a
    /// wrong size.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::whole(Self::split_first(bytes, BodyCheck::Crc)?)
    }

    /// As [`Message::decode`], of a record out of an envelope that verified: its
    /// hash covers the body, whose own checksum is not computed again.
    ///
    /// # Errors
    /// As [`Message::decode`], a wrong body aside.
    pub fn decode_enveloped(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::whole(Self::split_first(bytes, BodyCheck::Envelope)?)
    }

    fn whole((message, rest): (Self, &[u8])) -> Result<Self, DecodeError> {
        match rest {
            [] => Ok(message),
            rest => Err(DecodeError::TotalSize {
                declared: message.encoded_bytes(),
                actual: message.encoded_bytes() + rest.len(),
            }),
        }
    }

    /// Reads the first record of several (a pull reply's body is records end to
    /// end) and returns the bytes behind it.
    ///
    /// # Errors
    /// The first thing that does not verify.
    pub fn decode_first(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), DecodeError> {
        Self::split_first(bytes, BodyCheck::Crc)
    }

    fn split_first(bytes: &'a [u8], check: BodyCheck) -> Result<(Self, &'a [u8]), DecodeError> {
        let declared = u32::from_be_bytes(Fields(bytes).array("size")?) as usize;
        if declared > bytes.len() {
            return Err(DecodeError::TotalSize {
                declared,
                actual: bytes.len(),
            });
        }
        let (record, rest) = bytes.split_at(declared);
        let mut fields = Fields(record);
        let message = fields.message(check)?;
        match fields.0.len() {
            0 => Ok((message, rest)),
            spare => Err(DecodeError::TotalSize {
                declared,
                actual: declared - spare,
            }),
        }
    }
}

/// The thing that vouches for a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyCheck {
    /// BODYCRC.
    Crc,
    /// The envelope, which was checked before.
    Envelope,
}

/// The rest of a record that is still to be read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn message(&mut self, check: BodyCheck) -> Result<Message<'a>, DecodeError> {
        let head = self.array::<FIXED_HEAD_BYTES>("fixed fields")?;
        let magic = u32_at(&head, 4);
        if magic != MESSAGE_MAGIC_V1 {
            return Err(DecodeError::Magic { found: magic });
        }
        let sys_flag = u32_at(&head, 36);
        let born_host = self.host("born host", sys_flag & BORN_HOST_V6 != 0)?;
        let store_timestamp_ms = u64::from_be_bytes(self.array("store timestamp")?);
        let store_host = self.host("store host", sys_flag & STORE_HOST_V6 != 0)?;
        let middle = self.array::<FIXED_MIDDLE_BYTES>("transaction fields")?;
        let body = self.body(u32_at(&head, 8), u32_at(&middle, 12), check)?;
        let topic_bytes = usize::from(self.array::<1>("topic length")?[0]);
        let topic = self.text("topic", topic_bytes)?;
        let properties_bytes = u16::from_be_bytes(self.array("properties length")?);
        let properties = self.text("properties", usize::from(properties_bytes))?;
        Ok(Message {
            queue_id: u32_at(&head, 12),
            flag: u32_at(&head, 16),
            queue_offset: u64_at(&head, 20),
            physical_offset: u64_at(&head, 28),
            sys_flag,
            born_timestamp_ms: u64_at(&head, 40),
            born_host,
            store_timestamp_ms,
            store_host,
            reconsume_times: u32_at(&middle, 0),
            prepared_transaction_offset: u64_at(&middle, 4),
            body,
            topic,
            properties,
        })
    }

    fn body(
        &mut self,
        stored: u32,
        length: u32,
        check: BodyCheck,
    ) -> Result<&'a [u8], DecodeError> {
        let body = self.take("body", length as usize)?;
        if check == BodyCheck::Envelope {
            return Ok(body);
        }
        let computed = body_crc(body);
        if computed != stored {
            return Err(DecodeError::BodyCrc { stored, computed });
        }
        Ok(body)
    }

    fn host(&mut self, field: &'static str, v6: bool) -> Result<SocketAddr, DecodeError> {
        let (ip, found) = if v6 {
            let host = self.array::<20>(field)?;
            let (ip, port) = (*host.first_chunk::<16>().expect("of 20"), u32_at(&host, 16));
            (IpAddr::from(Ipv6Addr::from(ip)), port)
        } else {
            let host = self.array::<8>(field)?;
            let ip = Ipv4Addr::from_bits(u32_at(&host, 0));
            (IpAddr::from(ip), u32_at(&host, 4))
        };
        let port = u16::try_from(found).map_err(|_| DecodeError::Port { field, found })?;
        Ok(SocketAddr::new(ip, port))
    }

    fn text(&mut self, field: &'static str, length: usize) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.take(field, length)?).map_err(|_| DecodeError::Utf8 { field })
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self
            .0
            .split_first_chunk()
            .ok_or(DecodeError::Short { field })?;
        self.0 = rest;
        Ok(*head)
    }

    fn take(&mut self, field: &'static str, length: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(DecodeError::Short { field })?;
        self.0 = rest;
        Ok(head)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

fn body_crc(body: &[u8]) -> u32 {
    crc32fast::hash(body) & CRC_MASK
}

fn host_bytes(host: SocketAddr) -> usize {
    if host.is_ipv6() { 20 } else { 8 }
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_host(out: &mut Vec<u8>, host: SocketAddr) {
    match host.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    put_u32(out, u32::from(host.port()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message<'a>() -> Message<'a> {
        Message {
            queue_id: 3,
            flag: 7,
            queue_offset: 42,
            physical_offset: 9_000,
            sys_flag: 4,
            born_timestamp_ms: 1_700_000_000_001,
            born_host: SocketAddr::from(([10, 0, 0, 7], 40_001)),
            store_timestamp_ms: 1_700_000_000_002,
            store_host: SocketAddr::from(([127, 0, 0, 1], 10_911)),
            reconsume_times: 1,
            prepared_transaction_offset: 8_000,
            body: b"order 1 paid",
            topic: "orders",
            properties: "TAGS\u{1}paid\u{2}KEYS\u{1}1\u{2}",
        }
    }

    fn encoded(message: &Message) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(&mut out).expect("it fits");
        assert_eq!(out.len(), message.encoded_bytes());
        out
    }

    #[test]
    fn a_message_is_these_bytes() {
        insta::assert_snapshot!(super::super::hex(&encoded(&message())));
    }

    #[test]
    fn a_message_with_ipv6_hosts_is_these_bytes() {
        let v6 = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 10_911));
        let message = Message {
            born_host: v6,
            store_host: v6,
            ..message()
        };
        insta::assert_snapshot!(super::super::hex(&encoded(&message)));
    }

    #[test]
    fn the_host_bits_follow_the_hosts_each_on_its_own() {
        let v4 = SocketAddr::from(([10, 0, 0, 7], 1));
        let v6 = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 2));
        for (born_host, store_host, bits) in [
            (v4, v4, 0),
            (v6, v4, BORN_HOST_V6),
            (v4, v6, STORE_HOST_V6),
            (v6, v6, 0x30),
        ] {
            let written = Message {
                born_host,
                store_host,
                sys_flag: 0x34,
                ..message()
            };
            let bytes = encoded(&written);
            let read = Message::decode(&bytes).expect("whole");
            assert_eq!(
                read,
                Message {
                    sys_flag: 4 | bits,
                    ..written
                }
            );
        }
    }

    #[test]
    fn a_flipped_body_bit_is_a_wrong_body_checksum() {
        let mut bytes = encoded(&message());
        let at = bytes
            .windows(5)
            .position(|window| window == b"order")
            .expect("the body");
        bytes[at] ^= 1;
        assert!(matches!(
            Message::decode(&bytes),
            Err(DecodeError::BodyCrc { .. })
        ));
    }

    #[test]
    fn every_cut_and_every_spare_byte_is_an_error() {
        let bytes = encoded(&message());
        for length in 0..bytes.len() {
            assert!(
                Message::decode(&bytes[..length]).is_err(),
                "cut at {length}"
            );
            // The same cut, with a size that agrees with it.
            let mut cut = bytes[..length].to_vec();
            if length >= 4 {
                cut[..4].copy_from_slice(&(length as u32).to_be_bytes());
                assert!(
                    Message::decode(&cut).is_err(),
                    "declared and cut at {length}"
                );
            }
        }
        let spare = [&bytes[..], &[0]].concat();
        assert!(matches!(
            Message::decode(&spare),
            Err(DecodeError::TotalSize { .. })
        ));
    }

    #[test]
    fn records_end_to_end_are_read_one_by_one() {
        let (first, second) = (
            message(),
            Message {
                queue_offset: 43,
                ..message()
            },
        );
        let bytes = [encoded(&first), encoded(&second)].concat();
        let (read, rest) = Message::decode_first(&bytes).expect("first");
        assert_eq!(read, first);
        assert_eq!(Message::decode_first(rest), Ok((second, &[][..])));
    }

    #[test]
    fn a_part_too_long_for_its_length_field_is_refused_and_nothing_is_written() {
        let (topic, properties) = ("t".repeat(128), "p".repeat(32_768));
        let mut out = vec![1];
        for (message, error) in [
            (
                Message {
                    topic: &topic,
                    ..message()
                },
                EncodeError::TopicTooLong { length: 128 },
            ),
            (
                Message {
                    properties: &properties,
                    ..message()
                },
                EncodeError::PropertiesTooLong { length: 32_768 },
            ),
        ] {
            assert_eq!(message.encode(&mut out), Err(error));
            assert_eq!(out, [1]);
        }
        let longest = Message {
            topic: &topic[1..],
            properties: &properties[1..],
            ..message()
        };
        assert_eq!(Message::decode(&encoded(&longest)), Ok(longest));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            prop_assert!(Message::decode(&bytes).is_err());
        }

        #[test]
        fn a_damaged_record_never_panics(at in 0_usize..150, garbage: [u8; 4]) {
            let mut bytes = encoded(&message());
            let at = at.min(bytes.len() - 4);
            bytes[at..at + 4].copy_from_slice(&garbage);
            let _ = Message::decode_first(&bytes);
        }
    }
}
