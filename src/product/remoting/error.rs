//! Errors in bytes from a peer.

/// A frame that cannot be understood. The stream's next boundary is unknown:
/// close it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The frame is longer than RocketMQ allows.
    #[error("frame of {frame_bytes} bytes, at most {max} are allowed: close the stream")]
    FrameTooLong {
        /// With its length field.
        frame_bytes: u64,
        /// [`FRAME_BYTES_MAX`](super::FRAME_BYTES_MAX).
        max: usize,
    },
    /// The frame ends inside its fixed part.
    #[error("frame says it has {length} bytes, its fixed part alone has 4: close the stream")]
    FrameTooShort {
        /// The content of the length field.
        length: u32,
    },
    /// The header is longer than its frame.
    #[error(
        "header of {header_bytes} bytes in a frame with {frame_bytes} left for it: close the stream"
    )]
    HeaderTooLong {
        /// The length that the frame says.
        header_bytes: usize,
        /// The bytes that are left of it.
        frame_bytes: usize,
    },
    /// Neither JSON nor RocketMQ's binary header.
    #[error("header serialisation type {0}, known are 0 (JSON) and 1 (ROCKETMQ)")]
    UnknownSerializeType(u8),
    /// A binary header ends inside `part`, or gives it a length that cannot be.
    #[error("binary header: {part} does not fit in what is left of it")]
    Truncated {
        /// The part.
        part: &'static str,
    },
    /// A JSON header that is none, or lacks what every command has.
    #[error("JSON header: {0}")]
    Json(String),
}

/// A command that lacks a field, or has one that cannot be read. The stream is
/// sound; the request is answered with an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// Absent.
    #[error("field {key} is missing from extFields")]
    Missing {
        /// Its name.
        key: String,
    },
    /// Present, and not of the field's type.
    #[error("field {key} of extFields cannot be {value:?}")]
    Malformed {
        /// Its name.
        key: String,
        /// The value that was sent.
        value: String,
    },
}
