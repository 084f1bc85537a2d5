//! Request bodies: never waited for without end, never collected without a bound. What an early answer leaves unread is
//! still taken off the wire: a connection closed over unread bytes is reset, and the client would lose the answer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use hcfs_wire::ErrorCode;
use http::StatusCode;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use prometheus_client::metrics::counter::Counter;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use crate::Limits;
use crate::answer::Failure;

/// Bytes of a refused body that are still read: well above the largest part of a session.
const LINGER_BYTES: u64 = 64 << 20;
/// Bytes within which the deadline for the next ones is set anew.
const PROGRESS: u64 = 16 << 10;
/// How long they are waited for.
const LINGER_TIME: Duration = Duration::from_secs(10);

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// Too few bytes came within the stall timeout.
    #[error("the request's body stopped coming, or comes too slowly")]
    Stalled,
    /// More bytes than the endpoint takes.
    #[error("the request's body is too large")]
    TooLarge,
    /// The connection.
    #[error("the request's body broke off")]
    Broken(#[source] hyper::Error),
}

/// The body of a request, with a bound on how long the next [`PROGRESS`] bytes may take: neither a client that stops nor
/// one that sends a byte now and then holds a place for ever. Dropped early, it hands what is left of the connection's
/// body back.
pub(crate) struct Inbound {
    body: Option<Incoming>,
    stall: Duration,
    deadline: Pin<Box<Sleep>>,
    /// Bytes since the deadline was set.
    progress: u64,
    reading: bool,
    received: Counter,
    back: Option<oneshot::Sender<Incoming>>,
    /// The client waits for a `100 Continue`, which reading the body would send.
    waits: bool,
}

/// What is left of a body whose request is answered.
pub(crate) struct Leftover(oneshot::Receiver<Incoming>);

impl Inbound {
    /// Wraps a body, whose bytes are counted; `waits` when the request expects a `100 Continue`.
    pub(crate) fn new(body: Incoming, limits: &Limits, waits: bool, received: Counter) -> (Self, Leftover) {
        let (back, leftover) = oneshot::channel();
        let stall = limits.stall_timeout;
        let deadline = Box::pin(tokio::time::sleep(stall));
        let inbound =
            Self { body: Some(body), stall, deadline, progress: 0, reading: false, received, back: Some(back), waits };
        (inbound, Leftover(leftover))
    }

    fn progressed(&mut self, bytes: u64) {
        self.received.inc_by(bytes);
        self.progress += bytes;
        if self.progress >= PROGRESS {
            self.progress = 0;
            let deadline = Instant::now() + self.stall;
            self.deadline.as_mut().reset(deadline);
        }
    }
}

impl http_body::Body for Inbound {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.waits = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
        if !self.reading {
            // What went before the first read was the server's time.
            self.reading = true;
            let deadline = Instant::now() + self.stall;
            self.deadline.as_mut().reset(deadline);
        }
        if let Poll::Ready(frame) = polled {
            if let Some(Ok(frame)) = &frame {
                self.progressed(frame.data_ref().map_or(0, Bytes::len) as u64);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)));
        }
        match self.deadline.as_mut().poll(cx) {
            Poll::Ready(()) => {
                self.back = None;
                Poll::Ready(Some(Err(BodyError::Stalled)))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Incoming::size_hint).unwrap_or_default()
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && !self.waits
            && !body.is_end_stream()
        {
            let _ = back.send(body);
        }
    }
}

impl Leftover {
    /// Reads what is left, within bounds.
    pub(crate) async fn drain(mut self) {
        let Ok(mut body) = self.0.try_recv() else { return };
        let _ = tokio::time::timeout(LINGER_TIME, async {
            let mut left = LINGER_BYTES;
            while let Some(Ok(frame)) = body.frame().await {
                let length = frame.data_ref().map_or(0, Bytes::len);
                left = left.saturating_sub(length as u64);
                if left == 0 {
                    break;
                }
            }
        })
        .await;
    }
}

/// The failure of a body that could not be read.
pub(crate) fn unreadable(error: &(dyn std::error::Error + 'static)) -> Failure {
    let mut cause = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref::<BodyError>() {
            Some(BodyError::TooLarge) => return Failure::new(ErrorCode::PayloadTooLarge, error.to_string()),
            Some(BodyError::Stalled) => {
                return Failure::other(StatusCode::REQUEST_TIMEOUT, ErrorCode::Unavailable.as_str(), error.to_string());
            }
            _ => cause = error.source(),
        }
    }
    Failure::invalid("the request's body broke off")
}

/// The next bytes of a body; `None` at its end.
pub(crate) async fn next(body: &mut Body) -> Result<Option<Bytes>, Failure> {
    while let Some(frame) = body.frame().await {
        match frame.map_err(|error| unreadable(&error))?.into_data() {
            Ok(bytes) => return Ok(Some(bytes)),
            // Trailers say nothing here.
            Err(_) => continue,
        }
    }
    Ok(None)
}

/// A whole body of at most `limit` bytes.
pub(crate) async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Failure> {
    let too_large = || {
        Failure::new(ErrorCode::PayloadTooLarge, format!("the body has more than {limit} bytes, the most that is read"))
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    while let Some(bytes) = next(&mut body).await? {
        if whole.len() + bytes.len() > limit {
            return Err(too_large());
        }
        whole.extend_from_slice(&bytes);
    }
    Ok(whole.freeze())
}

/// A JSON body of at most `limit` bytes.
pub(crate) async fn read_json<T: DeserializeOwned>(body: Body, limit: usize) -> Result<T, Failure> {
    let body = collect(body, limit).await?;
    Ok(hcfs_wire::parse_json(&body, limit)?)
}
