//! An answer and its body.
//!
//! Invariants: a body with a declared length that ends early is an error, as is one that stands still; after an error
//! or the end the stream stays ended.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::error::{HttpError, HttpErrorKind, Sent};
use crate::rate::{Meter, RateLimit};
use crate::upload::later;
use crate::url::Url;

/// The answer to a request, its body still to be read. Dropping it gives the rest up.
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// Where the answer came from; differs from the request's address after redirects.
    pub url: Url,
    /// The body.
    pub body: BodyStream,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status).field("url", &self.url).finish_non_exhaustive()
    }
}

/// What a body is read under.
pub(crate) struct Terms {
    pub(crate) url: Url,
    pub(crate) stall: Duration,
    pub(crate) total: Option<(Instant, Duration)>,
    pub(crate) limit: RateLimit,
    pub(crate) meter: Option<Meter>,
}

/// The bytes of an answer, in pieces as they arrive.
pub struct BodyStream {
    inner: Option<Incoming>,
    len: Option<u64>,
    received: u64,
    terms: Terms,
    /// The deadline of the current wait, if there is one.
    timer: Pin<Box<Sleep>>,
    waiting: bool,
    /// A piece that the rate limit holds back.
    held: Option<(Bytes, BoxFuture<'static, ()>)>,
}

impl BodyStream {
    pub(crate) fn new(inner: Incoming, terms: Terms) -> Self {
        let len = inner.size_hint().exact();
        let timer = Box::pin(tokio::time::sleep_until(later(Instant::now(), terms.stall)));
        Self { inner: Some(inner), len, received: 0, terms, timer, waiting: false, held: None }
    }

    /// The declared length in bytes, where there is one.
    pub fn content_length(&self) -> Option<u64> {
        self.len
    }

    /// Bytes given so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Reads the body to its end.
    ///
    /// # Errors
    /// [`HttpErrorKind::TooLarge`] as soon as it is known to be longer than `max` bytes; whatever ends it early.
    pub async fn collect_bounded(mut self, max: u64) -> Result<Bytes, HttpError> {
        let too_large = |terms: &Terms| HttpError::new(HttpErrorKind::TooLarge(max), Sent::Maybe, terms.url.origin());
        if self.len.is_some_and(|len| len > max) {
            return Err(too_large(&self.terms));
        }
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        if first.len() as u64 > max {
            return Err(too_large(&self.terms));
        }
        let Some(second) = self.next().await.transpose()? else { return Ok(first) };
        let mut all = BytesMut::from(first);
        let mut next = Some(second);
        while let Some(piece) = next {
            if (all.len() + piece.len()) as u64 > max {
                return Err(too_large(&self.terms));
            }
            all.extend_from_slice(&piece);
            next = self.next().await.transpose()?;
        }
        Ok(all.freeze())
    }

    fn fail(&mut self, kind: HttpErrorKind) -> HttpError {
        self.inner = None;
        HttpError::new(kind, Sent::Maybe, self.terms.url.origin())
    }

    fn give(&mut self, piece: Bytes) -> Bytes {
        self.received += piece.len() as u64;
        if let Some(meter) = &self.terms.meter {
            meter.add(piece.len() as u64);
        }
        piece
    }

    /// Runs the deadline of the current wait: the earlier of stall and total.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<HttpErrorKind> {
        if !self.waiting {
            let stall = later(Instant::now(), self.terms.stall);
            let at = self.terms.total.map_or(stall, |(total, _)| total.min(stall));
            self.timer.as_mut().reset(at);
            self.waiting = true;
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(self.overdue().unwrap_or(HttpErrorKind::Stall(self.terms.stall)))
    }

    fn overdue(&self) -> Option<HttpErrorKind> {
        let (at, allowed) = self.terms.total?;
        (Instant::now() >= at).then_some(HttpErrorKind::TotalTimeout(allowed))
    }

    fn poll_raw(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, HttpError>>> {
        loop {
            let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
            let Poll::Ready(frame) = Pin::new(inner).poll_frame(cx) else {
                let kind = ready!(self.poll_deadline(cx));
                return Poll::Ready(Some(Err(self.fail(kind))));
            };
            self.waiting = false;
            if let Some(kind) = self.overdue() {
                return Poll::Ready(Some(Err(self.fail(kind))));
            }
            match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) if !piece.is_empty() => return Poll::Ready(Some(Ok(piece))),
                    // Trailers and empty pieces carry nothing.
                    _ => {}
                },
                Some(Err(error)) => {
                    self.inner = None;
                    return Poll::Ready(Some(Err(HttpError::from_body(error, self.terms.url.origin()))));
                }
                None => {
                    self.inner = None;
                    let short = self.len.is_some_and(|len| self.received < len);
                    return Poll::Ready(short.then(|| Err(self.fail(HttpErrorKind::Cut))));
                }
            }
        }
    }
}

impl Stream for BodyStream {
    type Item = Result<Bytes, HttpError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.held.is_none() {
            let piece = match ready!(this.poll_raw(cx)) {
                Some(Ok(piece)) => piece,
                end => return Poll::Ready(end),
            };
            if this.terms.limit.get() == 0 {
                return Poll::Ready(Some(Ok(this.give(piece))));
            }
            let (limit, len) = (this.terms.limit.clone(), piece.len() as u64);
            this.held = Some((piece, Box::pin(async move { limit.acquire(len).await })));
        }
        if let Some((_, permit)) = &mut this.held {
            ready!(permit.as_mut().poll(cx));
        }
        let piece = this.held.take().map(|(piece, _)| piece).unwrap_or_default();
        Poll::Ready(Some(Ok(this.give(piece))))
    }
}
