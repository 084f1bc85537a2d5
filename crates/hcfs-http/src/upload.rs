//! A request's body on its way out: cut in pieces, limited, counted, and watched for a peer that stops taking it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use http_body::{Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::rate::{Meter, RateLimit};
use crate::request::Body;

/// The largest piece handed to the connection at once, in bytes: the step in which progress is seen.
const PIECE: usize = 64 * 1024;

/// Whom the upload waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Phase {
    /// A connection, which has its own deadline.
    Connection,
    /// The caller's stream or the rate limit: no deadline runs.
    Ours,
    /// The peer, since it last took a piece.
    Peer(Instant),
    /// The body is out; the answer is due.
    Done(Instant),
}

struct Seen {
    empty: bool,
    phase: Phase,
    error: Option<io::Error>,
}

/// What the waiting side sees of the body.
pub(crate) struct Watch {
    seen: Mutex<Seen>,
    done: Notify,
}

impl Watch {
    fn new(empty: bool) -> Self {
        Self { seen: Mutex::new(Seen { empty, phase: Phase::Connection, error: None }), done: Notify::new() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Seen) -> T) -> T {
        act(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, phase: Phase) {
        self.with(|seen| seen.phase = phase);
        if matches!(phase, Phase::Done(_)) {
            self.done.notify_one();
        }
    }

    /// A connection took the request: from here on the peer is waited for. The body may have been asked for already.
    pub(crate) fn connected(&self, now: Instant) {
        self.with(|seen| {
            if matches!(seen.phase, Phase::Connection) {
                seen.phase = if seen.empty { Phase::Done(now) } else { Phase::Peer(now) };
            }
        });
    }

    pub(crate) fn phase(&self) -> Phase {
        self.with(|seen| seen.phase)
    }

    /// Returns when the body is out.
    pub(crate) async fn done(&self) {
        self.done.notified().await;
    }

    /// The error of the caller's stream, if that is what ended the request.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        self.with(|seen| seen.error.take())
    }
}

/// The body as hyper takes it.
pub(crate) struct UploadBody {
    stream: Option<BoxStream<'static, io::Result<Bytes>>>,
    buffer: Bytes,
    remaining: Option<u64>,
    limit: RateLimit,
    permit: Option<BoxFuture<'static, ()>>,
    meter: Option<Meter>,
    watch: Arc<Watch>,
}

impl UploadBody {
    pub(crate) fn open(body: &Body, limit: RateLimit, meter: Option<Meter>) -> (Self, Arc<Watch>) {
        let (stream, buffer, remaining) = match body {
            Body::Empty => (None, Bytes::new(), Some(0)),
            Body::Bytes(bytes) => (None, bytes.clone(), Some(bytes.len() as u64)),
            Body::Stream { len, open } => (Some(open()), Bytes::new(), *len),
        };
        let watch = Arc::new(Watch::new(remaining == Some(0)));
        let body = Self { stream, buffer, remaining, limit, permit: None, meter, watch: Arc::clone(&watch) };
        (body, watch)
    }

    /// Brings the next bytes of the caller's stream into the buffer; false at its end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.buffer.is_empty() {
            let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(false)) };
            match ready!(stream.as_mut().poll_next(cx)) {
                Some(Ok(bytes)) => self.buffer = bytes,
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => self.stream = None,
            }
        }
        Poll::Ready(Ok(true))
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if !ready!(self.poll_fill(cx))? {
            return Poll::Ready(match self.remaining {
                Some(short) if short > 0 => {
                    Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the body is {short} bytes too short")))
                }
                _ => Ok(None),
            });
        }
        let piece = self.buffer.len().min(PIECE);
        if self.remaining.is_some_and(|remaining| (self.buffer.len() as u64) > remaining) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the body is longer than declared")));
        }
        if self.permit.is_none() && self.limit.get() > 0 {
            let limit = self.limit.clone();
            self.permit = Some(Box::pin(async move { limit.acquire(piece as u64).await }));
        }
        if let Some(permit) = &mut self.permit {
            ready!(permit.as_mut().poll(cx));
            self.permit = None;
        }
        Poll::Ready(Ok(Some(self.buffer.split_to(piece))))
    }
}

impl http_body::Body for UploadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        let Poll::Ready(next) = this.poll_piece(cx) else {
            this.watch.set(Phase::Ours);
            return Poll::Pending;
        };
        Poll::Ready(match next {
            Ok(Some(piece)) => {
                let len = piece.len() as u64;
                this.remaining = this.remaining.map(|remaining| remaining - len);
                if let Some(meter) = &this.meter {
                    meter.add(len);
                }
                let now = Instant::now();
                this.watch.set(if this.remaining == Some(0) { Phase::Done(now) } else { Phase::Peer(now) });
                Some(Ok(Frame::data(piece)))
            }
            Ok(None) => {
                this.watch.set(Phase::Done(Instant::now()));
                None
            }
            Err(error) => {
                let told = io::Error::new(error.kind(), "the body to send could not be read");
                this.watch.with(|seen| seen.error = Some(error));
                Some(Err(told))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// When the waiting side must look again.
pub(crate) fn wake_at(phase: Phase, stall: Duration, first_byte: Duration, now: Instant) -> Instant {
    match phase {
        Phase::Connection | Phase::Ours => later(now, stall),
        Phase::Peer(since) => later(since, stall),
        Phase::Done(since) => later(since, first_byte),
    }
}

/// `start + wait`, or a time that never comes where that is out of range.
pub(crate) fn later(start: Instant, wait: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    start.checked_add(wait).unwrap_or_else(|| start + NEVER)
}
