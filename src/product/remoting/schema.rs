//! How a typed header is declared: once, for both ways and both serialisations.

use super::error::FieldError;
use super::fields::FieldWriter;

/// A type that a field can have.
pub(super) trait FieldValue<'a>: Sized {
    /// From the field's text; `None` where that is no such value.
    fn parse(text: &'a [u8]) -> Option<Self>;
    /// Appends the field.
    fn put<const N: usize>(&self, key: &[u8; N], out: &mut FieldWriter<'_>);
}

impl<'a> FieldValue<'a> for &'a str {
    fn parse(text: &'a [u8]) -> Option<Self> {
        std::str::from_utf8(text).ok()
    }
    fn put<const N: usize>(&self, key: &[u8; N], out: &mut FieldWriter<'_>) {
        out.put(key, self);
    }
}

impl FieldValue<'_> for i32 {
    fn parse(text: &[u8]) -> Option<Self> {
        Self::try_from(number(text)?).ok()
    }
    fn put<const N: usize>(&self, key: &[u8; N], out: &mut FieldWriter<'_>) {
        out.put(key, itoa::Buffer::new().format(*self));
    }
}

impl FieldValue<'_> for i64 {
    fn parse(text: &[u8]) -> Option<Self> {
        number(text)
    }
    fn put<const N: usize>(&self, key: &[u8; N], out: &mut FieldWriter<'_>) {
        out.put(key, itoa::Buffer::new().format(*self));
    }
}

/// A decimal number, as `str::parse` reads it, without the text in between.
fn number(text: &[u8]) -> Option<i64> {
    let (digits, sign) = match text {
        [b'-', digits @ ..] => (digits, -1),
        [b'+', digits @ ..] | digits => (digits, 1),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0i64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        value.checked_mul(10)?.checked_add(sign * i64::from(digit))
    })
}

/// Java writes `true`, the C++ client `1`.
impl FieldValue<'_> for bool {
    fn parse(text: &[u8]) -> Option<Self> {
        match text {
            b"1" => Some(true),
            b"0" | b"" => Some(false),
            _ if text.eq_ignore_ascii_case(b"true") => Some(true),
            _ if text.eq_ignore_ascii_case(b"false") => Some(false),
            _ => None,
        }
    }
    fn put<const N: usize>(&self, key: &[u8; N], out: &mut FieldWriter<'_>) {
        out.put(key, if *self { "true" } else { "false" });
    }
}

/// A field that may be absent: declare it with `or None`.
impl<'a, T: FieldValue<'a>> FieldValue<'a> for Option<T> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        T::parse(text).map(Some)
    }
    fn put<const N: usize>(&self, key: &[u8; N], out: &mut FieldWriter<'_>) {
        if let Some(value) = self {
            value.put(key, out);
        }
    }
}

pub(super) fn missing(key: &[u8]) -> FieldError {
    FieldError::Missing {
        key: key.escape_ascii().to_string(),
    }
}

pub(super) fn malformed(key: &[u8], value: &[u8]) -> FieldError {
    FieldError::Malformed {
        key: key.escape_ascii().to_string(),
        value: value.escape_ascii().to_string(),
    }
}

/// Declares a typed header. Each field names its key on the wire, further keys
/// under which it is also read, and what it is when absent; without that, it
/// must be there.
macro_rules! header {
    (
        $(#[$meta:meta])*
        pub struct $name:ident $(<$life:lifetime>)? {
            $(
                $(#[$field_meta:meta])*
                $field:ident: $type:ty = $key:literal $(| $also:literal)* $(, or $default:expr)?;
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name $(<$life>)? {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl<'a> $crate::remoting::ReadFields<'a> for $name $(<$life>)? {
            fn read_fields(
                fields: &'a $crate::remoting::Fields,
            ) -> Result<Self, $crate::remoting::FieldError> {
                use $crate::remoting::schema::{FieldValue, malformed};
                $(let mut $field: Option<$type> = None;)*
                for (key, value) in fields.iter() {
                    match key {
                        $($key $(| $also)* => {
                            $field = Some(FieldValue::parse(value)
                                .ok_or_else(|| malformed(key, value))?);
                        })*
                        _ => {}
                    }
                }
                Ok(Self {
                    $($field: $crate::remoting::schema::header!(@or $field, $key $(, $default)?),)*
                })
            }
        }

        impl $(<$life>)? $crate::remoting::WriteFields for $name $(<$life>)? {
            fn write_fields(&self, out: &mut $crate::remoting::FieldWriter<'_>) {
                use $crate::remoting::schema::FieldValue;
                $(self.$field.put($key, out);)*
            }
        }
    };
    (@or $field:ident, $key:literal) => {
        $field.ok_or_else(|| $crate::remoting::schema::missing($key))?
    };
    (@or $field:ident, $key:literal, $default:expr) => {
        $field.unwrap_or($default)
    };
}

pub(super) use header;

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn a_number_is_read_as_the_standard_library_reads_it() {
        let texts = [
            "0",
            "-0",
            "+7",
            "42",
            "-1",
            "",
            "-",
            "+",
            "1 ",
            "x",
            "1x",
            "++1",
            "00012",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
            "-9223372036854775809",
        ];
        for text in texts {
            assert_eq!(number(text.as_bytes()), text.parse().ok(), "{text:?}");
        }
    }
}
