//! Between the wire's signed numbers and offsets that are never negative.

use crate::remoting::offset::OffsetResponse;
use crate::remoting::pull::PullResponse;
use crate::remoting::{Command, ResponseCode};

/// Java's `Integer`; what does not fit is nobody's queue and no count.
pub(super) fn as_i32(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Java's `Long`; what does not fit is past every queue.
pub(super) fn as_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The offset that a successful answer gives.
pub(super) fn offset_of(command: &Command) -> Option<u64> {
    if ResponseCode(command.code) != ResponseCode::SUCCESS {
        return None;
    }
    let answer: OffsetResponse = command.header().ok()?;
    u64::try_from(answer.offset).ok()
}

/// (next begin, min, max) of a pull's answer, whatever it found.
pub(super) fn bounds_of(command: &Command) -> Option<(u64, u64, u64)> {
    let answer: PullResponse = command.header().ok()?;
    Some((
        u64::try_from(answer.next_begin_offset).ok()?,
        u64::try_from(answer.min_offset).ok()?,
        u64::try_from(answer.max_offset).ok()?,
    ))
}
