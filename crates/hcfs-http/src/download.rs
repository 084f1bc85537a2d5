//! A body fetched over as many requests as it takes.
//!
//! Invariants: bytes are given in order, each leg announced by [`Event::Start`] with the offset it begins at; a ranged
//! answer is used only if it is exactly the range asked for, of a whole whose length has not changed; legs that bring
//! nothing new are counted and bounded.
//!
//! Deliberately absent: what the bytes mean. Whether two legs belong to the same content is for the caller's check
//! (a revision, an `ETag`) and for what verifies the bytes.

use bytes::Bytes;
use futures_util::StreamExt;
use hcfs_model::UnixNanos;
use http::StatusCode;
use http::header::{HeaderValue, RANGE};
use tokio::time::Instant;

use crate::body::{BodyStream, Response};
use crate::client::Client;
use crate::error::{BoxError, HttpError, HttpErrorKind, Sent};
use crate::range::{ContentRange, RangeError};
use crate::request::Request;
use crate::retry::{Backoff, Outcome, RetryPolicy, Verdict, transient};

/// What to fetch, and how stubbornly.
#[derive(Debug, Clone)]
pub struct DownloadOptions {
    /// The first byte wanted.
    pub from: u64,
    /// The end of what is wanted, exclusive; the end of the body if absent.
    pub to: Option<u64>,
    /// The length of the whole body, where it is known before. Another length is refused, and a body without
    /// `Content-Length` that ends before it counts as cut.
    pub total: Option<u64>,
    /// Whether a server that answers 200 to a range may make the download begin at byte zero again.
    pub may_restart: bool,
    /// Its `attempts` bound the requests in a row that bring nothing new.
    pub policy: RetryPolicy,
    /// The time at the start, for a `Retry-After` that is a date.
    pub now: UnixNanos,
}

/// One request of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leg {
    /// Counts from zero.
    pub number: u32,
    /// The byte its answer begins with.
    pub offset: u64,
    /// The length of the whole body, as far as known with this leg's answer.
    pub total: Option<u64>,
}

/// What a download brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The bytes that follow begin at the leg's offset. It may lie before bytes already given: those come again.
    Start(Leg),
    /// The next bytes.
    Data(Bytes),
}

/// Why a download ended early.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The requests in a row that brought nothing new are used up, or an error will not pass.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The server answered with another status; its body is still to be read.
    #[error("the server answered {}", .0.status)]
    Status(Box<Response>),
    /// The server sent another range than the one asked for.
    #[error("the server sent another range than bytes {from}-{}", Shown(*.to))]
    WrongRange {
        /// The first byte asked for.
        from: u64,
        /// The end asked for, exclusive.
        to: Option<u64>,
        /// What is wrong with `Content-Range`, where it cannot be read.
        #[source]
        source: Option<RangeError>,
    },
    /// The whole has another length than before.
    #[error("the length of the body was {was} bytes and is {is} now")]
    TotalChanged {
        /// As known before.
        was: u64,
        /// As answered now.
        is: u64,
    },
    /// The server ignored the range, and the download may not begin anew.
    #[error("the server does not serve ranges")]
    RangeIgnored,
    /// More bytes came than were announced.
    #[error("the body is longer than the {0} bytes announced")]
    TooLong(u64),
    /// The caller's check refused an answer.
    #[error("the answer is refused: {0}")]
    Refused(#[source] BoxError),
}

struct Shown(Option<u64>);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |to| write!(f, "{}", to.saturating_sub(1)))
    }
}

type Check = Box<dyn FnMut(&Response, &Leg) -> Result<(), BoxError> + Send>;
type Align = Box<dyn FnMut(u64) -> u64 + Send>;

/// A download in progress. Pull [`next`](Self::next) until it gives none.
pub struct Download {
    client: Client,
    request: Request,
    options: DownloadOptions,
    check: Check,
    align: Align,
    backoff: Backoff,
    legs: u32,
    body: Option<BodyStream>,
    /// The byte after the last one given.
    position: u64,
    /// The farthest offset a leg could have resumed from so far.
    best: u64,
    total: Option<u64>,
    /// Where the current leg ends by its own announcement, exclusive.
    leg_end: Option<u64>,
    /// Whether the current leg goes over bytes that were given before, because the server ignored the range.
    restarted: bool,
    started: Instant,
    done: bool,
}

impl DownloadOptions {
    /// The whole body, of unknown length, that may begin anew.
    pub fn whole(now: UnixNanos) -> Self {
        Self { from: 0, to: None, total: None, may_restart: true, policy: RetryPolicy::default(), now }
    }
}

impl Download {
    /// Prepares a download; nothing is sent before [`next`](Self::next). `request` is a GET without `Range`, sent once
    /// per leg.
    pub fn new(client: Client, request: Request, options: DownloadOptions) -> Self {
        let backoff = Backoff::new(options.policy);
        let (from, total) = (options.from, options.total);
        Self {
            client,
            request,
            options,
            check: Box::new(|_, _| Ok(())),
            align: Box::new(|offset| offset),
            backoff,
            legs: 0,
            body: None,
            position: from,
            best: from,
            total,
            leg_end: None,
            restarted: false,
            started: Instant::now(),
            done: false,
        }
    }

    /// Looks at the head of every leg's answer (200 or 206) before its bytes are given; an error ends the download.
    #[must_use]
    pub fn check(mut self, check: impl FnMut(&Response, &Leg) -> Result<(), BoxError> + Send + 'static) -> Self {
        self.check = Box::new(check);
        self
    }

    /// Chooses where to resume: given the byte after the last one given, an offset that is not greater, such as the
    /// start of the frame that lies there. It is never taken before the first byte wanted. Every byte by default.
    #[must_use]
    pub fn align(mut self, align: impl FnMut(u64) -> u64 + Send + 'static) -> Self {
        self.align = Box::new(align);
        self
    }

    /// The byte after the last one given.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The length of the whole body, once known.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The next bytes, or none when all that was wanted has been given. Dropping the future loses no byte: the next
    /// call goes on.
    ///
    /// # Errors
    /// See [`DownloadError`]. After one the download may be asked again, and tries another leg.
    pub async fn next(&mut self) -> Result<Option<Event>, DownloadError> {
        loop {
            if self.done {
                return Ok(None);
            }
            let Some(body) = &mut self.body else {
                match self.open().await? {
                    Some(leg) => return Ok(Some(Event::Start(leg))),
                    None => continue,
                }
            };
            match body.next().await {
                Some(Ok(piece)) => {
                    if let Some(bytes) = self.take(piece)? {
                        return Ok(Some(Event::Data(bytes)));
                    }
                }
                Some(Err(error)) => self.after_cut(error).await?,
                None => self.end_of_leg().await?,
            }
        }
    }

    /// Asks for the rest. None if there is no rest, or after a wait that another attempt follows.
    async fn open(&mut self) -> Result<Option<Leg>, DownloadError> {
        if self.wanted_end().is_some_and(|end| self.position >= end) {
            self.done = true;
            return Ok(None);
        }
        let offset = if self.legs == 0 { self.position } else { self.resume_at() };
        let ranged = offset > 0 || self.options.to.is_some();
        let outcome = self.client.send(self.ask(offset, ranged)).await;
        let response = match outcome {
            Ok(response) if matches!(response.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) => response,
            // All was given already; only the end mark of a body of unknown length was lost.
            Ok(response) if ranged && ends_at(&response, offset) => {
                self.total = Some(offset);
                self.done = true;
                return Ok(None);
            }
            other => {
                self.pause(other).await?;
                return Ok(None);
            }
        };
        let leg = self.accept(&response, offset, ranged)?;
        (self.check)(&response, &leg).map_err(DownloadError::Refused)?;
        self.legs += 1;
        self.position = leg.offset;
        self.body = Some(response.body);
        Ok(Some(leg))
    }

    fn ask(&self, offset: u64, ranged: bool) -> Request {
        let mut request = self.request.clone();
        if ranged {
            let text = match self.options.to {
                Some(to) => format!("bytes={offset}-{}", to.saturating_sub(1)),
                None => format!("bytes={offset}-"),
            };
            if let Ok(value) = HeaderValue::try_from(text) {
                request.headers.insert(RANGE, value);
            }
        }
        request
    }

    /// Compares an answer with what was asked, and notes what it announces.
    fn accept(&mut self, response: &Response, offset: u64, ranged: bool) -> Result<Leg, DownloadError> {
        let announced = response.body.content_length();
        if response.status == StatusCode::OK {
            if offset > 0 && !self.options.may_restart {
                return Err(DownloadError::RangeIgnored);
            }
            if let Some(total) = announced {
                self.learn(total)?;
            }
            self.restarted = offset > 0;
            self.leg_end = self.total;
            return Ok(Leg { number: self.legs, offset: 0, total: self.total });
        }
        let wrong = |source| DownloadError::WrongRange { from: offset, to: self.options.to, source };
        let sent = ContentRange::of(&response.headers).map_err(|error| wrong(Some(error)))?;
        let Some((first, last)) = sent.range.filter(|_| ranged) else { return Err(wrong(None)) };
        let Some(end) = last.checked_add(1) else { return Err(wrong(None)) };
        if first != offset || announced.is_some_and(|len| len != end - first) {
            return Err(wrong(None));
        }
        if let Some(total) = sent.total {
            self.learn(total)?;
        }
        if self.wanted_end().is_some_and(|wanted| end != wanted) {
            return Err(DownloadError::WrongRange { from: offset, to: self.options.to, source: None });
        }
        self.restarted = false;
        self.leg_end = Some(end);
        Ok(Leg { number: self.legs, offset, total: self.total })
    }

    fn learn(&mut self, total: u64) -> Result<(), DownloadError> {
        match self.total {
            Some(was) if was != total => Err(DownloadError::TotalChanged { was, is: total }),
            _ => {
                self.total = Some(total);
                Ok(())
            }
        }
    }

    /// The end of what is wanted, exclusive, as far as known.
    fn wanted_end(&self) -> Option<u64> {
        match (self.options.to, self.total) {
            (Some(to), Some(total)) => Some(to.min(total)),
            (to, total) => to.or(total),
        }
    }

    /// Moves on by a piece; none is left of it if it lies behind the end of what is wanted.
    fn take(&mut self, mut piece: Bytes) -> Result<Option<Bytes>, DownloadError> {
        let mut after = self.position.saturating_add(piece.len() as u64);
        if let Some(end) = self.leg_end.filter(|end| after > *end) {
            self.body = None;
            return Err(DownloadError::TooLong(end));
        }
        if let Some(to) = self.options.to.filter(|to| after >= *to) {
            // Only a server that ignored the range sends more.
            piece.truncate(usize::try_from(to.saturating_sub(self.position)).unwrap_or(usize::MAX));
            after = to;
            self.done = true;
            if self.leg_end != Some(to) {
                self.body = None;
            }
        }
        self.position = after;
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }

    async fn end_of_leg(&mut self) -> Result<(), DownloadError> {
        self.body = None;
        if self.leg_end.is_some_and(|end| self.position < end) {
            let cut = HttpError::new(HttpErrorKind::Cut, Sent::Maybe, self.request.url.origin());
            return self.after_cut(cut).await;
        }
        if self.options.to.is_none_or(|to| self.position < to) {
            self.total = Some(self.position);
        }
        self.done = true;
        Ok(())
    }

    async fn after_cut(&mut self, error: HttpError) -> Result<(), DownloadError> {
        self.body = None;
        let reached = self.resume_at();
        // A server that begins at zero each time could be fetched from for ever.
        let fruitful = reached > self.best && !self.restarted;
        self.best = self.best.max(reached);
        if !fruitful {
            return self.pause(Err(error)).await;
        }
        self.backoff.reset();
        self.pause(Err(error)).await?;
        self.backoff.reset();
        Ok(())
    }

    /// Where the next leg begins.
    fn resume_at(&mut self) -> u64 {
        let earliest = self.options.from.min(self.position);
        (self.align)(self.position).clamp(earliest, self.position)
    }

    /// Waits before the next attempt, or gives up.
    async fn pause(&mut self, outcome: Outcome) -> Result<(), DownloadError> {
        let passed = i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let now = UnixNanos(self.options.now.0.saturating_add(passed));
        let wait = match transient(&outcome, now) {
            Verdict::Retry(at_least) => self.backoff.next().map(|wait| wait.max(at_least.unwrap_or_default())),
            Verdict::Done => None,
        };
        match (wait, outcome) {
            (Some(wait), outcome) => {
                drop(outcome);
                tracing::debug!(position = self.position, ?wait, "the download goes on");
                tokio::time::sleep(wait).await;
                Ok(())
            }
            (None, Ok(response)) => Err(DownloadError::Status(Box::new(response))),
            (None, Err(error)) => Err(error.into()),
        }
    }
}

/// Whether the answer says that the body ends at `offset`.
fn ends_at(response: &Response, offset: u64) -> bool {
    response.status == StatusCode::RANGE_NOT_SATISFIABLE
        && ContentRange::of(&response.headers).is_ok_and(|range| range.total == Some(offset))
}
