//! A gate before the requests: once it is closed nobody comes in, and it can be waited for that nobody is inside.
//!
//! A request is inside until the last byte of its answer was handed over, so that a server that is sealed first finishes
//! what it has begun to say.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use tokio::sync::Notify;

/// Clones share it.
#[derive(Clone, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Default)]
struct Inner {
    is_closed: AtomicBool,
    inside: AtomicUsize,
    left: Notify,
}

/// A request that is inside until this is dropped.
pub struct Inside(Gate);

impl Gate {
    /// Lets a request in, unless the gate is closed.
    #[must_use]
    pub fn enter(&self) -> Option<Inside> {
        // Counted before it is looked: whoever closes the gate and counts then has counted this one.
        self.0.inside.fetch_add(1, Ordering::SeqCst);
        let inside = Inside(self.clone());
        (!self.0.is_closed.load(Ordering::SeqCst)).then_some(inside)
    }

    /// From now on nobody comes in.
    pub fn close(&self) {
        self.0.is_closed.store(true, Ordering::SeqCst);
    }

    /// Waits until nobody is inside.
    pub async fn empty(&self) {
        loop {
            let left = self.0.left.notified();
            if self.0.inside.load(Ordering::SeqCst) == 0 {
                return;
            }
            left.await;
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if self.0.0.inside.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.0.left.notify_waiters();
        }
    }
}

/// A body that keeps its request inside.
pub struct Held {
    body: BoxBody,
    _inside: Option<Inside>,
}

impl Held {
    /// `inside` is given up with the body.
    pub fn new(body: BoxBody, inside: Option<Inside>) -> Self {
        Self { body, _inside: inside }
    }
}

impl MessageBody for Held {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_closed_gate_lets_nobody_in_and_waits_for_who_is_inside() {
        let gate = Gate::default();
        gate.empty().await;
        let (one, two) = (gate.enter().unwrap(), gate.enter().unwrap());
        gate.close();
        assert!(gate.enter().is_none());
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.empty().await }
        });
        drop(one);
        assert!(tokio::time::timeout(Duration::from_millis(20), gate.empty()).await.is_err(), "one is inside still");
        drop(Held::new(BoxBody::new("body"), Some(two)));
        waiting.await.unwrap();
    }
}
