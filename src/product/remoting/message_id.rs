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

impl MessageId {
    /// The text, written into `out`: every answer to a send carries one.
    pub fn write_to<'a>(&self, out: &'a mut [u8; Self::TEXT_BYTES_MAX]) -> &'a str {
        let ip_digits = match self.host.ip() {
            IpAddr::V4(ip) => put_hex(&mut out[..8], ip.to_bits().into()),
            IpAddr::V6(ip) => {
                let bits = ip.to_bits();
                put_hex(&mut out[..16], (bits >> 64) as u64);
                16 + put_hex(&mut out[16..32], bits as u64)
            }
        };
        let end = ip_digits + 8 + 16;
        put_hex(&mut out[ip_digits..ip_digits + 8], self.host.port().into());
        put_hex(&mut out[ip_digits + 8..end], self.address);
        std::str::from_utf8(&out[..end]).expect("hex digits are ASCII")
    }

    /// The longest text, bytes.
    pub const TEXT_BYTES_MAX: usize = 56;
}

/// Fills `out` with the last digits of `value`; gives how many.
fn put_hex(out: &mut [u8], mut value: u64) -> usize {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789ABCDEF"[(value & 0xf) as usize];
        value >>= 4;
    }
    out.len()
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.write_to(&mut [0; Self::TEXT_BYTES_MAX]))
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
        let (ip, rest) = text.as_bytes().split_at(ip_digits);
        let (port, address) = rest.split_at(8);
        let ip: IpAddr = match ip.split_at_checked(16) {
            None => Ipv4Addr::from_bits(parse_hex(ip)? as u32).into(),
            Some((high, low)) => {
                let (high, low) = (parse_hex(high)?, parse_hex(low)?);
                Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)).into()
            }
        };
        let port = parse_hex(port)? as u32;
        let address = parse_hex(address)?;
        Ok(Self {
            host: SocketAddr::new(
                ip,
                u16::try_from(port).map_err(|_| MessageIdError::Port(port))?,
            ),
            address,
        })
    }
}

/// At most 16 hex digits.
fn parse_hex(digits: &[u8]) -> Result<u64, MessageIdError> {
    let (mut value, mut seen) = (0, 0);
    for digit in digits {
        let digit = HEX[usize::from(*digit)];
        value = value << 4 | u64::from(digit & 0xf);
        seen |= digit;
    }
    match seen {
        0..=0xf => Ok(value),
        _ => Err(MessageIdError::Digit),
    }
}

/// The value of each byte as a hex digit; 16 for none.
const HEX: [u8; 256] = {
    let mut values = [16; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789ABCDEF"[value] as usize] = value as u8;
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    values
};

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
    fn text_that_is_no_message_id_is_refused() {
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
