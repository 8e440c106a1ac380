//! The id that a broker gives a message, and by which it finds it again.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The store host and the log address, in upper-case hex: address (4 or 16
/// bytes), port (4), log address (8). Clients decode it to end a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageId {
    /// The broker's address.
    pub host: SocketAddr,
    /// The record's log address (RocketMQ: commit log offset).
    pub address: u64,
}

/// Text that is no message id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageIdError {
    /// Neither 32 (IPv4) nor 56 (IPv6) characters.
    #[error("a message id has 32 or 56 characters, not {0}")]
    Length(usize),
    /// A character that is no hex digit.
    #[error("a message id has hex digits only")]
    Digit,
    /// Above 65535.
    #[error("a message id with port {0}")]
    Port(u32),
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.ip() {
            IpAddr::V4(ip) => write!(f, "{:08X}", ip.to_bits())?,
            IpAddr::V6(ip) => write!(f, "{:032X}", ip.to_bits())?,
        }
        write!(f, "{:08X}{:016X}", self.host.port(), self.address)
    }
}

impl FromStr for MessageId {
    type Err = MessageIdError;

    fn from_str(text: &str) -> Result<Self, MessageIdError> {
        let ip_digits = match text.len() {
            32 => 8,
            56 => 32,
            length => return Err(MessageIdError::Length(length)),
        };
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(MessageIdError::Digit);
        }
        let ip = parse_hex(&text[..ip_digits]);
        let port = parse_hex(&text[ip_digits..ip_digits + 8]) as u32;
        Ok(Self {
            host: SocketAddr::new(
                match ip_digits {
                    8 => Ipv4Addr::from_bits(ip as u32).into(),
                    _ => Ipv6Addr::from_bits(ip).into(),
                },
                u16::try_from(port).map_err(|_| MessageIdError::Port(port))?,
            ),
            address: parse_hex(&text[ip_digits + 8..]) as u64,
        })
    }
}

/// At most 32 hex digits.
fn parse_hex(digits: &str) -> u128 {
    u128::from_str_radix(digits, 16).expect("hex digits, checked by the caller")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_is_upper_case() {
        let v4 = MessageId {
            host: "192.168.0.10:10911".parse().unwrap(),
            address: 0xab_cdef,
        };
        assert_eq!(v4.to_string(), "C0A8000A00002A9F0000000000ABCDEF");
        assert_eq!(v4.to_string().parse(), Ok(v4));
        let v6 = MessageId {
            host: "[fe80::1]:10911".parse().unwrap(),
            address: u64::MAX,
        };
        assert_eq!(
            v6.to_string(),
            "FE80000000000000000000000000000100002A9FFFFFFFFFFFFFFFFF"
        );
        assert_eq!(v6.to_string().parse(), Ok(v6));
    }

    #[test]
    fn what_is_none_is_refused() {
        let parse = |text: &str| text.parse::<MessageId>();
        assert_eq!(parse(""), Err(MessageIdError::Length(0)));
        assert_eq!(
            parse("+0A8000A00002A9F0000000000ABCDEF"),
            Err(MessageIdError::Digit)
        );
        assert_eq!(
            parse("C0A8000A00012A9F0000000000ABCDEF"),
            Err(MessageIdError::Port(0x1_2a9f))
        );
        let wide = "é".repeat(16);
        assert_eq!(parse(&wide), Err(MessageIdError::Digit));
    }
}
