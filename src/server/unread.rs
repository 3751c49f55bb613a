//! Bodies that are answered before they have arrived.
//!
//! What of a body in chunks nobody wants any more, the HTTP library would read and throw away for as long as the client sends:
//! without end, and before anybody has said who the client is. A body that somebody still holds it does not read; it says that
//! the connection is closed, and closes it soon after the answer.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::{Stream, StreamExt as _};

/// Longer than the connection is kept after an answer that came early.
const HELD: Duration = Duration::from_secs(10);

/// The body of a request, held until it has ended or its connection has.
pub struct Held(Rc<RefCell<Body>>);

struct Body {
    payload: Payload,
    has_ended: bool,
}

/// What the handler reads.
struct Lent(Rc<RefCell<Body>>);

impl Held {
    /// Of a request whose body is in chunks; others end by themselves. The handler reads it as if nothing had happened.
    pub fn of(request: &mut ServiceRequest) -> Option<Self> {
        if !request.headers().contains_key(actix_web::http::header::TRANSFER_ENCODING) {
            return None;
        }
        let payload = std::mem::replace(request.parts_mut().1, Payload::None);
        let body = Rc::new(RefCell::new(Body { payload, has_ended: false }));
        request.set_payload(Payload::Stream { payload: Box::pin(Lent(Rc::clone(&body))) });
        Some(Self(body))
    }

    /// To be called when there is an answer.
    pub fn answered(self) {
        if !self.0.borrow().has_ended {
            actix_web::rt::spawn(async move {
                tokio::time::sleep(HELD).await;
                drop(self);
            });
        }
    }
}

impl Stream for Lent {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut body = self.0.borrow_mut();
        let polled = body.payload.poll_next_unpin(context);
        body.has_ended |= matches!(polled, Poll::Ready(None));
        polled
    }
}
