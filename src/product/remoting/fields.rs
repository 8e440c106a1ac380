//! A header's `extFields`: names and values, in the order sent.
//!
//! ```text
//!   ┌──────┬─────┬──────┬───────┐
//!   │ u16  │ key │ u32  │ value │ …     RocketMQ's binary map
//!   └──────┴─────┴──────┴───────┘
//! ```
//!
//! Decoded fields are held in this form, whatever the header's serialisation: a
//! binary header's as a slice of its frame, a JSON header's transcribed once. Typed
//! requests read them in one pass, without a map.

use bytes::{BufMut, Bytes, BytesMut};

use super::command::SerializeType;
use super::error::{DecodeError, FieldError};
use super::json;

/// Names and values. Invariant: `raw` is a whole binary map, checked when made,
/// so reading never fails.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields {
    raw: Bytes,
}

impl Fields {
    /// Takes a binary map, or says that it is none.
    pub(super) fn from_binary(raw: Bytes) -> Result<Self, DecodeError> {
        let mut rest: &[u8] = &raw;
        while !rest.is_empty() {
            rest = split_pair(rest)
                .ok_or(DecodeError::Truncated { part: "extFields" })?
                .2;
        }
        Ok(Self { raw })
    }

    /// Every (name, value), in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        pairs(&self.raw)
    }

    /// The binary map.
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The value of a name; the last one where it is repeated.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.iter()
            .filter(|(name, _)| *name == key.as_bytes())
            .last()
            .map(|(_, value)| value)
    }
}

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |bytes| String::from_utf8_lossy(bytes);
        f.debug_map()
            .entries(self.iter().map(|(key, value)| (text(key), text(value))))
            .finish()
    }
}

/// Every (name, value) of a binary map, up to what is no pair.
pub(super) fn pairs(mut map: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (key, value, behind) = split_pair(map)?;
        map = behind;
        Some((key, value))
    })
}

/// (key, value, rest) of a map's first pair; `None` where it does not fit.
fn split_pair(map: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (length, rest) = map.split_first_chunk::<2>()?;
    // Java reads these lengths as signed: a negative one never fits.
    let length = usize::try_from(i16::from_be_bytes(*length)).ok()?;
    let (key, rest) = rest.split_at_checked(length)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    let (value, rest) = rest.split_at_checked(length)?;
    Some((key, value, rest))
}

/// Appends one pair of a binary map; `None` where a length does not fit in it.
#[inline]
pub(super) fn put_pair(map: &mut BytesMut, key: &[u8], value: &[u8]) -> Option<()> {
    let key_length = i16::try_from(key.len()).ok()?;
    let value_length = i32::try_from(value.len()).ok()?;
    map.reserve(2 + key.len() + 4 + value.len());
    map.put_i16(key_length);
    map.extend_from_slice(key);
    map.put_i32(value_length);
    map.extend_from_slice(value);
    Some(())
}

/// Writes fields into a frame, in the header's serialisation.
pub struct FieldWriter<'a> {
    out: &'a mut BytesMut,
    serialize_type: SerializeType,
    any: bool,
}

impl<'a> FieldWriter<'a> {
    pub(super) fn new(out: &'a mut BytesMut, serialize_type: SerializeType) -> Self {
        Self {
            out,
            serialize_type,
            any: false,
        }
    }

    /// Appends a field. `key` is a plain ASCII name, of a length that is known
    /// beforehand: most cost less to copy than a call does.
    ///
    /// # Panics
    /// Where the value has 2 GiB or more.
    pub fn put<const N: usize>(&mut self, key: &[u8; N], value: &str) {
        match self.serialize_type {
            SerializeType::Binary => put_pair(self.out, key, value.as_bytes())
                .expect("names are short, and a value of 2 GiB fits in no frame"),
            SerializeType::Json => self.put_json(key, value),
        }
        self.any = true;
    }

    fn put_json(&mut self, key: &[u8], value: &str) {
        if self.any {
            self.out.put_u8(b',');
        }
        self.out.put_u8(b'"');
        self.out.put_slice(key);
        self.out.put_slice(b"\":");
        json::put_string(self.out, value);
    }
}

/// A header that can be sent.
pub trait WriteFields {
    /// Writes every field.
    fn write_fields(&self, out: &mut FieldWriter<'_>);
}

/// A header that can be received; it borrows from the command.
pub trait ReadFields<'a>: Sized {
    /// Reads what it knows; unknown names are ignored.
    fn read_fields(fields: &'a Fields) -> Result<Self, FieldError>;
}

/// No fields, as in a heartbeat or in most answers.
impl WriteFields for () {
    fn write_fields(&self, _out: &mut FieldWriter<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BytesMut {
        let mut map = BytesMut::new();
        for (key, value) in pairs {
            put_pair(&mut map, key.as_bytes(), value.as_bytes()).unwrap();
        }
        map
    }

    #[test]
    fn the_last_of_a_repeated_name_counts() {
        let fields =
            Fields::from_binary(map(&[("a", "1"), ("b", "2"), ("a", "3")]).freeze()).unwrap();
        assert_eq!(fields.get("a"), Some(&b"3"[..]));
        assert_eq!(fields.get("b"), Some(&b"2"[..]));
        assert_eq!(fields.get("c"), None);
    }

    #[test]
    fn every_cut_of_a_map_is_noticed_but_between_pairs() {
        let whole = map(&[("ab", "cde"), ("f", "")]).freeze();
        let first = map(&[("ab", "cde")]).len();
        for cut in 0..=whole.len() {
            let sound = [0, first, whole.len()].contains(&cut);
            assert_eq!(
                Fields::from_binary(whole.slice(..cut)).is_ok(),
                sound,
                "{cut}"
            );
        }
    }

    #[test]
    fn a_negative_length_is_refused() {
        assert!(Fields::from_binary(Bytes::from_static(&[0xff, 0xff, 0, 0])).is_err());
        assert!(Fields::from_binary(Bytes::from_static(&[0, 0, 0xff, 0xff, 0xff, 0xff])).is_err());
    }
}
