//! A body fetched over as many requests as it takes.
//!
//! Invariants: bytes are given in order, each leg announced by [`Event::Start`] with the offset it begins at; a ranged
//! answer is used only if it is exactly the range asked for, of a whole whose length and validators have not changed;
//! what does not go on begins anew, where the caller allows it; legs that bring nothing new are counted and bounded.
//!
//! Deliberately absent: what the bytes mean, and where they are kept.

use bytes::Bytes;
use futures_util::StreamExt;
use hcfs_model::UnixNanos;
use http::header::{CONTENT_ENCODING, HeaderValue, IF_RANGE, RANGE};
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use crate::body::{BodyStream, Response};
use crate::client::Client;
use crate::error::{HttpError, HttpErrorKind, Sent};
use crate::range::ContentRange;
use crate::request::Request;
use crate::retry::{Backoff, Outcome, RetryPolicy, Verdict, transient};
use crate::url::Url;
use crate::version::Version;

mod error;

pub use error::DownloadError;

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
    /// What is known of the body that the bytes before `from` were taken from, if there are any. Unlike `total` it
    /// may turn out to be no longer so, and the download begins anew.
    pub earlier: Option<Earlier>,
    /// Whether the download may begin at byte zero again, because the server does not serve ranges or the body has
    /// changed.
    pub may_restart: bool,
    /// Whether legs are joined that no validator and no length ties together, because something else verifies the
    /// bytes. Without it such a body begins anew.
    pub join_untied: bool,
    /// Its `attempts` bound the requests in a row that bring nothing new.
    pub policy: RetryPolicy,
    /// The time at the start, for a `Retry-After` that is a date.
    pub now: UnixNanos,
}

/// A body as it was seen before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Earlier {
    /// Its validators.
    pub version: Version,
    /// Its length.
    pub total: Option<u64>,
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
    /// No leg is open: the last one was cut, or an attempt brought none. The next call asks again.
    Again,
}

/// What an answer to a leg is good for.
enum Accepted {
    Leg(Leg),
    /// It is of another body than the bytes given so far.
    Changed(DownloadError),
}

type Align = Box<dyn FnMut(u64) -> u64 + Send>;

/// A download in progress. Pull [`next`](Self::next) until it gives none.
pub struct Download {
    client: Client,
    request: Request,
    options: DownloadOptions,
    align: Align,
    classify: fn(&Outcome, UnixNanos) -> Verdict,
    backoff: Backoff,
    legs: u32,
    body: Option<BodyStream>,
    /// Headers and address of the last leg's answer.
    head: Option<(HeaderMap, Url)>,
    version: Version,
    /// The byte after the last one given.
    position: u64,
    /// The farthest offset a leg could have resumed from so far.
    best: u64,
    total: Option<u64>,
    /// Where the current leg ends by its own announcement, exclusive.
    leg_end: Option<u64>,
    /// Whether the current leg goes over bytes that were given before, because the server ignored the range.
    restarted: bool,
    /// Whether the next leg asks for the body from its start.
    anew: bool,
    started: Instant,
    done: bool,
}

impl DownloadOptions {
    /// The whole body, of unknown length, that may begin anew.
    pub fn whole(now: UnixNanos) -> Self {
        Self {
            from: 0,
            to: None,
            total: None,
            earlier: None,
            may_restart: true,
            join_untied: false,
            policy: RetryPolicy::default(),
            now,
        }
    }
}

impl Download {
    /// Prepares a download; nothing is sent before [`next`](Self::next). `request` is without `Range`, and sent once
    /// per leg: a GET, or another one that does no harm when it is repeated.
    pub fn new(client: Client, request: Request, mut options: DownloadOptions) -> Self {
        let backoff = Backoff::new(options.policy);
        let earlier = options.earlier.take().unwrap_or_default();
        let (from, total) = (options.from, options.total.or(earlier.total));
        Self {
            client,
            request,
            options,
            align: Box::new(|offset| offset),
            classify: transient,
            backoff,
            legs: 0,
            body: None,
            head: None,
            version: earlier.version,
            position: from,
            best: from,
            total,
            leg_end: None,
            restarted: false,
            anew: false,
            started: Instant::now(),
            done: false,
        }
    }

    /// Chooses where to resume: given the byte after the last one given, an offset that is not greater, such as the
    /// start of the frame that lies there. It is never taken before the first byte wanted. Every byte by default.
    #[must_use]
    pub fn align(mut self, align: impl FnMut(u64) -> u64 + Send + 'static) -> Self {
        self.align = Box::new(align);
        self
    }

    /// Chooses which outcomes are waited out; [`transient`] ones by default.
    #[must_use]
    pub fn classify(mut self, classify: fn(&Outcome, UnixNanos) -> Verdict) -> Self {
        self.classify = classify;
        self
    }

    /// Sends another request from the next leg on: the same body is now to be had there.
    pub fn ask_instead(&mut self, request: Request) {
        self.request = request;
    }

    /// Headers and address of the answer the current leg comes from, or came from.
    pub fn head(&self) -> Option<(&HeaderMap, &Url)> {
        self.head.as_ref().map(|(headers, url)| (headers, url))
    }

    /// The validators of the body the bytes are of.
    pub fn version(&self) -> &Version {
        &self.version
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
                return Ok(match self.open().await? {
                    Some(leg) => Some(Event::Start(leg)),
                    None if self.done => None,
                    None => Some(Event::Again),
                });
            };
            match body.next().await {
                Some(Ok(piece)) => {
                    if let Some(bytes) = self.take(piece)? {
                        return Ok(Some(Event::Data(bytes)));
                    }
                }
                Some(Err(error)) => {
                    self.after_cut(error).await?;
                    return Ok(Some(Event::Again));
                }
                None => {
                    self.end_of_leg().await?;
                    return Ok((!self.done).then_some(Event::Again));
                }
            }
        }
    }

    /// Asks for the rest. None if there is no rest, or after a wait that another attempt follows.
    async fn open(&mut self) -> Result<Option<Leg>, DownloadError> {
        if self.wanted_end().is_some_and(|end| self.position >= end) {
            self.done = true;
            return Ok(None);
        }
        let offset = match self.legs {
            _ if self.anew => 0,
            0 => self.position,
            _ => self.resume_at(),
        };
        let ranged = offset > 0 || self.options.to.is_some();
        let outcome = self.client.send(self.ask(offset, ranged)).await;
        let response = match outcome {
            Ok(response) if matches!(response.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) => response,
            Ok(response) if ranged && response.status == StatusCode::RANGE_NOT_SATISFIABLE => {
                // All was given already; only the end mark of a body of unknown length was lost.
                if ends_at(&response, offset) && self.total.is_none_or(|total| total == offset) {
                    self.total = Some(offset);
                    self.done = true;
                } else if self.options.may_restart && offset > 0 {
                    drop(response);
                    self.begin_anew(DownloadError::Changed).await?;
                } else {
                    return Err(DownloadError::Status(Box::new(response)));
                }
                return Ok(None);
            }
            other => {
                self.pause(other).await?;
                return Ok(None);
            }
        };
        let leg = match self.accept(&response, offset, ranged)? {
            Accepted::Leg(leg) => leg,
            Accepted::Changed(why) => {
                drop(response);
                self.begin_anew(why).await?;
                return Ok(None);
            }
        };
        self.legs += 1;
        self.anew = false;
        self.position = leg.offset;
        self.head = Some((response.headers, response.url));
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
            if let Some(guard) = self.version.if_range().filter(|_| self.options.may_restart) {
                request.headers.insert(IF_RANGE, guard.clone());
            }
        }
        request
    }

    /// Compares an answer with what was asked, and notes what it announces.
    fn accept(&mut self, response: &Response, offset: u64, ranged: bool) -> Result<Accepted, DownloadError> {
        let encoding = response.headers.get(CONTENT_ENCODING);
        if let Some(encoding) = encoding.filter(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(DownloadError::Encoded(String::from_utf8_lossy(encoding.as_bytes()).into_owned()));
        }
        let version = Version::of(&response.headers);
        if response.status == StatusCode::OK {
            return self.accept_whole(response, offset, version).map(Accepted::Leg);
        }
        let announced = response.body.content_length();
        let wrong = |source| DownloadError::WrongRange { from: offset, to: self.options.to, source };
        let sent = ContentRange::of(&response.headers).map_err(|error| wrong(Some(error)))?;
        let Some((first, last)) = sent.range.filter(|_| ranged) else { return Err(wrong(None)) };
        let Some(end) = last.checked_add(1) else { return Err(wrong(None)) };
        if first != offset || announced.is_some_and(|len| len != end - first) {
            return Err(wrong(None));
        }
        if offset > 0 && self.version.contradicts(&version) {
            return Ok(Accepted::Changed(DownloadError::Changed));
        }
        match (self.total, sent.total) {
            (Some(was), Some(is)) if was != is => {
                let changed = DownloadError::TotalChanged { was, is };
                if self.options.total.is_some() || offset == 0 {
                    return Err(changed);
                }
                return Ok(Accepted::Changed(changed));
            }
            (known, said) => self.total = known.or(said),
        }
        if self.wanted_end().is_some_and(|wanted| end != wanted) {
            return Err(DownloadError::WrongRange { from: offset, to: self.options.to, source: None });
        }
        if offset == 0 {
            self.version = version;
        }
        self.restarted = self.anew;
        self.leg_end = Some(end);
        Ok(Accepted::Leg(Leg { number: self.legs, offset, total: self.total }))
    }

    /// An answer that holds the body from its first byte.
    fn accept_whole(&mut self, response: &Response, offset: u64, version: Version) -> Result<Leg, DownloadError> {
        if offset > 0 && !self.options.may_restart {
            return Err(DownloadError::RangeIgnored);
        }
        let announced = response.body.content_length();
        let before = self.total;
        self.total = match (self.options.total, announced) {
            (Some(was), Some(is)) if was != is => return Err(DownloadError::TotalChanged { was, is }),
            (None, Some(is)) => {
                if let Some(was) = before.filter(|was| *was != is && !self.options.may_restart) {
                    return Err(DownloadError::TotalChanged { was, is });
                }
                Some(is)
            }
            (known, None) => known.or(before.filter(|_| self.version.agrees(&version))),
            (known, _) => known,
        };
        self.version = version;
        self.restarted = offset > 0 || self.anew;
        self.leg_end = self.total;
        Ok(Leg { number: self.legs, offset: 0, total: self.total })
    }

    /// Gives up what was given so far and asks for the whole, unless that was tried too often.
    async fn begin_anew(&mut self, why: DownloadError) -> Result<(), DownloadError> {
        let wait = self.backoff.next().filter(|_| self.options.may_restart);
        let Some(wait) = wait else { return Err(why) };
        tracing::debug!(position = self.position, ?wait, reason = %why, "the download begins anew");
        (self.anew, self.total, self.version) = (true, self.options.total, Version::default());
        tokio::time::sleep(wait).await;
        Ok(())
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
        let tied = self.total.is_some() || self.version.if_range().is_some();
        if !tied && self.options.may_restart && !self.options.join_untied {
            return 0;
        }
        let earliest = self.options.from.min(self.position);
        (self.align)(self.position).clamp(earliest, self.position)
    }

    /// Waits before the next attempt, or gives up.
    async fn pause(&mut self, outcome: Outcome) -> Result<(), DownloadError> {
        let passed = i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let now = UnixNanos(self.options.now.0.saturating_add(passed));
        let wait = match (self.classify)(&outcome, now) {
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
