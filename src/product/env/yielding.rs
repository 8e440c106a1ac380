//! Letting others have a turn.

use std::future::poll_fn;
use std::task::Poll;

/// Resolves at the second poll: a task that polls it beside other work looks at that
/// first. For work that is long, after every bounded part of it.
pub async fn yield_once() {
    let mut polled = false;
    poll_fn(|context| match std::mem::replace(&mut polled, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}
