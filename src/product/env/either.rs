//! Waiting for the first of two futures, the first of them preferred.
//!
//! Biased on purpose: a fair choice draws from a generator that no seed reaches.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// The one of two futures that was ready.
#[derive(Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first, or both.
    First(A),
    /// The second alone.
    Second(B),
}

/// Resolves as soon as one of the two does; the other is dropped.
pub async fn either<A: Future, B: Future>(first: A, second: B) -> Either<A::Output, B::Output> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|context| {
        if let Poll::Ready(output) = first.as_mut().poll(context) {
            return Poll::Ready(Either::First(output));
        }
        second.as_mut().poll(context).map(Either::Second)
    })
    .await
}
