//! From the bytes of a stream, cut anywhere, to commands.

use bytes::{Buf, Bytes, BytesMut};

use super::command::Command;
use super::error::DecodeError;

/// The longest frame, with its length field (`com.rocketmq.remoting.frameMaxLength`).
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// Bytes of the length field.
pub(super) const LENGTH_BYTES: usize = 4;

/// The receiving end of one stream.
///
/// A frame that arrives whole is never copied; of one that arrives in pieces
/// only the bytes received are held, whatever its length field claims. After an
/// error every call gives that error: a stream that lied once has no
/// boundaries any more.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    /// The beginning of a frame whose end has not arrived.
    partial: BytesMut,
    /// Received, behind `partial`.
    lump: Bytes,
    failed: Option<DecodeError>,
}

impl FrameDecoder {
    /// A decoder at a frame's boundary.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes as they arrived.
    pub fn feed(&mut self, bytes: Bytes) {
        if self.lump.is_empty() {
            self.lump = bytes;
        } else {
            let mut both = BytesMut::from(std::mem::take(&mut self.lump));
            both.extend_from_slice(&bytes);
            self.lump = both.freeze();
        }
    }

    /// Memory that the beginning of a frame takes whose end has not come, bytes.
    pub fn held_bytes(&self) -> usize {
        self.partial.capacity() + self.lump.len()
    }

    /// The next whole command; `None` until more is fed.
    pub fn next_command(&mut self) -> Result<Option<Command>, DecodeError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let command = self
            .next_frame()
            .and_then(|frame| frame.map(Command::decode).transpose());
        self.failed = command.as_ref().err().cloned();
        command
    }

    /// The next whole frame, without its length field.
    fn next_frame(&mut self) -> Result<Option<Bytes>, DecodeError> {
        if self.partial.is_empty() {
            return match frame_bytes(&self.lump)? {
                Some(length) if length <= self.lump.len() => {
                    let mut frame = self.lump.split_to(length);
                    frame.advance(LENGTH_BYTES);
                    Ok(Some(frame))
                }
                _ => {
                    self.take(self.lump.len());
                    Ok(None)
                }
            };
        }
        self.take(LENGTH_BYTES.saturating_sub(self.partial.len()));
        let Some(length) = frame_bytes(&self.partial)? else {
            return Ok(None);
        };
        self.take(length - self.partial.len());
        if self.partial.len() < length {
            return Ok(None);
        }
        let mut frame = std::mem::take(&mut self.partial).freeze();
        frame.advance(LENGTH_BYTES);
        Ok(Some(frame))
    }

    /// Moves up to `count` bytes from `lump` to `partial`.
    fn take(&mut self, count: usize) {
        let count = count.min(self.lump.len());
        self.partial.extend_from_slice(&self.lump[..count]);
        self.lump.advance(count);
    }
}

/// The size of the frame that begins here, with its length field; `None` until
/// that is there.
fn frame_bytes(bytes: &[u8]) -> Result<Option<usize>, DecodeError> {
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length);
    if length < 4 {
        return Err(DecodeError::FrameTooShort { length });
    }
    let frame_bytes = u64::from(length) + LENGTH_BYTES as u64;
    match usize::try_from(frame_bytes) {
        Ok(whole) if whole <= FRAME_BYTES_MAX => Ok(Some(whole)),
        _ => Err(DecodeError::FrameTooLong {
            frame_bytes,
            max: FRAME_BYTES_MAX,
        }),
    }
}
