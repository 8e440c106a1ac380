//! The JSON header, both ways.
//!
//! Reading goes straight from the text into the binary map of [`Fields`]: no
//! tree, no map, one allocation. Real clients differ in what they put into
//! `extFields`: Java sends every value as a string, the C++ client booleans as
//! `'0'`/`'1'`, others bare numbers and `true`/`false`. All become text here.
//!
//! [`Fields`]: super::Fields

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut, BytesMut};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::command::Language;
use super::fields::put_pair;

/// A header as read, with `extFields` already in binary form.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) code: i32,
    pub(super) language: Language,
    pub(super) version: i32,
    pub(super) opaque: i32,
    pub(super) flag: i32,
    pub(super) remark: Option<String>,
    pub(super) fields: BytesMut,
}

/// Reads a header; the error is serde_json's text, with line and column.
pub(super) fn read(text: &[u8]) -> Result<Header, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let header = HeaderSeed {
        // The binary form of a map is about as long as its text.
        fields: BytesMut::with_capacity(text.len()),
    }
    .deserialize(&mut json)?;
    json.end()?;
    Ok(header)
}

/// A string literal, escaped.
pub(super) fn put_string(out: &mut BytesMut, text: &str) {
    out.put_u8(b'"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.put_slice(&text.as_bytes()[plain_from..at]);
        plain_from = at + 1;
        match byte {
            b'"' | b'\\' => out.put_slice(&[b'\\', byte]),
            // Message properties are full of 0x01 and 0x02.
            _ => out.put_slice(&[
                b'\\',
                b'u',
                b'0',
                b'0',
                b'0' + (byte >> 4),
                HEX[usize::from(byte & 15)],
            ]),
        }
    }
    out.put_slice(&text.as_bytes()[plain_from..]);
    out.put_u8(b'"');
}

const HEX: &[u8; 16] = b"0123456789abcdef";

struct HeaderSeed {
    fields: BytesMut,
}

impl<'de> DeserializeSeed<'de> for HeaderSeed {
    type Value = Header;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Header, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeaderSeed {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a command header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let missing = serde::de::Error::missing_field;
        let mut header = Header {
            fields: self.fields,
            ..Header::default()
        };
        let (mut code, mut opaque) = (None, None);
        while let Some(key) = map.next_key_seed(Text)? {
            match &*key {
                "code" => code = Some(map.next_value()?),
                "opaque" => opaque = Some(map.next_value()?),
                "flag" => header.flag = map.next_value()?,
                "version" => header.version = map.next_value()?,
                "remark" => header.remark = map.next_value()?,
                "language" => header.language = map.next_value_seed(LanguageSeed)?,
                "extFields" => map.next_value_seed(ExtFields(&mut header.fields))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        header.code = code.ok_or_else(|| missing("code"))?;
        header.opaque = opaque.ok_or_else(|| missing("opaque"))?;
        Ok(header)
    }
}

/// A string, borrowed where it has no escapes.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Cow<'de, str>, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }
    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// A language, by name or by number; one that is not known is `OTHER`.
struct LanguageSeed;

impl<'de> DeserializeSeed<'de> for LanguageSeed {
    type Value = Language;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Language, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for LanguageSeed {
    type Value = Language;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a language's name or number")
    }
    fn visit_str<E>(self, name: &str) -> Result<Language, E> {
        Ok(Language::named(name))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Language, E> {
        Ok(u8::try_from(number).map_or(Language::OTHER, Language))
    }
    fn visit_unit<E>(self) -> Result<Language, E> {
        Ok(Language::OTHER)
    }
}

/// Transcribes an object into a binary map; `null` is an empty one.
struct ExtFields<'a>(&'a mut BytesMut);

impl<'de> DeserializeSeed<'de> for ExtFields<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ExtFields<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of fields")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Text)? {
            map.next_value_seed(Pair {
                out: self.0,
                key: &key,
            })?;
        }
        Ok(())
    }
}

/// Transcribes one value; `null` is an absent field.
struct Pair<'a> {
    out: &'a mut BytesMut,
    key: &'a str,
}

impl Pair<'_> {
    fn put<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        put_pair(self.out, self.key.as_bytes(), value.as_bytes())
            .ok_or_else(|| E::custom("a name of 32 KiB or more in extFields"))
    }
}

impl<'de> DeserializeSeed<'de> for Pair<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Pair<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number or a boolean")
    }
    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.put(value)
    }
    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.put(if value { "true" } else { "false" })
    }
    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.put(itoa::Buffer::new().format(value))
    }
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.put(itoa::Buffer::new().format(value))
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
