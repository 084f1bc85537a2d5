//! One body brought into a part: the way every kind of source takes.
//!
//! Purpose: [`bring`] drives a download, hands its bytes to the thread that writes, tells the watcher, and leaves the
//! part's record as it is fit to go on from. What differs between the services is in their [`Way`].
//!
//! Invariants: the record never claims bytes that were not written; content that turned out to be wrong is not gone on
//! with; the thread has ended when the call returns.

mod base64;
pub(crate) mod decode;
mod failure;
mod json;
mod tar;
mod writer;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use hcfs_http::{
    Client, Download, DownloadError, DownloadOptions, Earlier, Event, HeaderMap, HeaderValue, Outcome as Answered,
    Request, Response, StatusCode, Verdict, Version, header,
};
use hcfs_model::UnixNanos;
use tokio::sync::mpsc;
use tokio::time::Instant;

use decode::Decoder;
pub(crate) use decode::{Form, IsWrapper};
use failure::Trouble;
pub(crate) use tar::{BLOCK, TarError, TarReader, is_header};
pub(crate) use writer::Sink;
use writer::{Marks, Order, QUEUE, Written};

use crate::cid::id::ContentId;
use crate::error::SourceError;
use crate::name;
use crate::resume::{Packing, Resume};
use crate::settings::Tempo;
use crate::source::{ContentHash, Item, Job, Progress, Stage};
use crate::validators::Validators;

/// The least time between two words to the watcher.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// The least time between two looks at what was written.
const TICK: Duration = Duration::from_millis(20);
/// How much of a page is read to find out what it says, in bytes.
const PAGE_MAX: usize = 16 * 1024;

/// What to bring, and how.
pub(crate) struct Errand<'a> {
    pub(crate) client: &'a Client,
    pub(crate) tempo: &'a Tempo,
    pub(crate) item: &'a Item,
    /// The request of the first leg; sent again for each further one.
    pub(crate) request: Request,
    /// Whether the content is verified, so that legs may be joined that nothing else ties.
    pub(crate) join_untied: bool,
    /// What the content is held against.
    pub(crate) claim: Option<ContentId>,
    /// Which outcomes are waited out at once.
    pub(crate) classify: fn(&Answered, UnixNanos) -> Verdict,
    /// What the service calls the file, apart from the answer's own name.
    pub(crate) listed: Option<String>,
    /// What the file is called if nobody names it.
    pub(crate) stem: String,
}

/// What an answer that brings content is good for.
pub(crate) enum Accept {
    /// Its body has this form. `same` says that it is what was brought before.
    Take { form: Form, same: bool },
    /// It is something else in place of a file.
    Page,
}

/// What a kind of source does in its own way.
#[async_trait]
pub(crate) trait Way: Send {
    /// Looks at the head of an answer that brings content from its first byte.
    fn accept(&mut self, head: &HeaderMap) -> Result<Accept, SourceError>;

    /// Explains what came in place of a file, by its first bytes.
    fn page(&self, _start: &[u8]) -> SourceError {
        SourceError::BadAnswer { what: "file", reason: "it is a page".to_owned() }
    }

    /// Explains an answer that brings none; or gives a request with which to go on.
    async fn refused(&mut self, answer: Response) -> Result<Request, SourceError>;

    /// The request of the next leg, if it is to be another one.
    async fn renew(&mut self) -> Result<Option<Request>, SourceError> {
        Ok(None)
    }
}

/// A body that came whole.
pub(crate) struct Arrived {
    pub(crate) sink: Sink,
    pub(crate) decoder: Decoder,
    pub(crate) name: String,
    /// Whether the answer itself named it.
    pub(crate) named: bool,
    pub(crate) validators: Validators,
}

/// How bringing a body ended well.
pub(crate) enum Outcome {
    /// The file is the one that was brought before.
    Same,
    All(Box<Arrived>),
}

/// The head of the answer the content comes from.
struct Origin {
    name: String,
    named: bool,
    version: Version,
    /// The length of the body.
    total: Option<u64>,
    /// The size of the content, where the length of the body tells it.
    shown: Option<u64>,
}

struct Carrier<'a, 'j> {
    errand: Errand<'a>,
    way: &'a mut dyn Way,
    job: &'a mut Job<'j>,
    marks: Marks,
    origin: Origin,
    /// Bodies begun.
    bodies: u64,
    told: Option<Instant>,
    kept: u64,
}

/// Brings the body.
pub(crate) async fn bring(errand: Errand<'_>, way: &mut dyn Way, job: &mut Job<'_>) -> Result<Outcome, SourceError> {
    let item = errand.item.id.clone();
    let marks = Marks::default();
    let (file, resume, claim) = (job.part.file.try_clone(), job.part.resume.clone(), errand.claim.clone());
    let sink = blocking(move || match resume.prefix {
        Some(prefix) if resume.len > 0 => Sink::resume(file?, claim, resume.len, prefix),
        _ => {
            let mut sink = Sink::new(file?, claim)?;
            sink.reset().map(|()| sink)
        }
    })
    .await
    .map_err(|source| SourceError::Part { item: item.clone(), source })?;
    if sink.len == 0 {
        job.part.resume.forget_content();
    }
    let record = &job.part.resume;
    let origin = Origin {
        name: record.name.clone().unwrap_or_default(),
        named: record.name.is_some(),
        version: record.version(),
        total: record.total,
        shown: record.total,
    };
    let from = sink.len + record.packing.as_ref().map_or(0, |packing| packing.offset);
    let ended = Arc::new(AtomicBool::new(false));
    let (orders, queue) = mpsc::channel(QUEUE);
    let form = record
        .packing
        .clone()
        .map_or(Form::Plain, |Packing { name, size, offset }| Form::Packed(tar::Member { name, size, offset }));
    let writing = {
        let (marks, every, ended) = (marks.clone(), errand.tempo.keep, Arc::clone(&ended));
        let end = move || ended.load(Ordering::Acquire);
        tokio::task::spawn_blocking(move || writer::run(sink, form, queue, &marks, every, end))
    };
    let mut carrier = Carrier { errand, way, job, marks, origin, bodies: 0, told: None, kept: 0 };
    let carried = carrier.carry(from, &orders).await;
    ended.store(matches!(carried, Ok(true)), Ordering::Release);
    drop(orders);
    let written = writing.await;
    carrier.conclude(carried, written).await
}

/// Runs what reads or writes a file.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

impl Carrier<'_, '_> {
    /// Carries the body to the writer. False if it is the same as before.
    async fn carry(&mut self, from: u64, orders: &mpsc::Sender<Order>) -> Result<bool, Trouble> {
        let mut download = self.download(from);
        let tick = self.errand.tempo.keep.max(TICK);
        loop {
            let event = {
                let mut next = pin!(download.next());
                loop {
                    tokio::select! {
                        biased;
                        () = self.job.cancel.cancelled() => return Err(self.stopped()),
                        event = &mut next => break event,
                        // What was written meanwhile is kept also while nothing comes.
                        () = tokio::time::sleep(tick) => {
                            self.tell(false);
                            self.keep_if_marked().await?;
                        }
                    }
                }
            };
            match event {
                Ok(Some(Event::Start(leg))) => {
                    let Some((head, _)) = download.head() else { continue };
                    let total = leg.total;
                    if leg.offset == 0 {
                        let form = match self.way.accept(head)? {
                            Accept::Take { same: true, .. } if leg.number == 0 => return Ok(false),
                            Accept::Take { form, .. } => form,
                            Accept::Page => return Err(self.page(&mut download).await),
                        };
                        let decoded = matches!(form, Form::Json);
                        self.origin = self.origin_of(head, total, download.version().clone());
                        self.origin.shown = total.filter(|_| !decoded);
                        self.note_origin();
                        self.bodies += 1;
                        send(orders, Order::Begin { form, total }).await?;
                    }
                    self.keep().await?;
                }
                Ok(Some(Event::Data(bytes))) => {
                    send(orders, Order::Bytes(bytes)).await?;
                    self.tell(false);
                    self.keep_if_marked().await?;
                }
                Ok(Some(Event::Again)) => {
                    if let Some(request) = self.way.renew().await? {
                        download.ask_instead(request);
                    }
                }
                Ok(None) => return Ok(true),
                Err(DownloadError::Status(answer)) if self.is_same(&answer) => return Ok(false),
                Err(DownloadError::Status(answer)) => {
                    let request = tokio::select! {
                        biased;
                        () = self.job.cancel.cancelled() => return Err(self.stopped()),
                        request = self.way.refused(*answer) => request?,
                    };
                    download.ask_instead(request);
                }
                Err(error) => return Err(failure::of_download(error, &self.errand.item.id)),
            }
        }
    }

    fn download(&self, from: u64) -> Download {
        let earlier = Earlier { version: self.origin.version.clone(), total: self.origin.total };
        let tied = earlier.total.is_some() || earlier.version.if_range().is_some() || self.errand.join_untied;
        let mut options = DownloadOptions {
            join_untied: self.errand.join_untied,
            policy: self.errand.tempo.retry,
            ..DownloadOptions::whole(self.job.now)
        };
        let mut request = self.errand.request.clone();
        if from > 0 && tied {
            options = DownloadOptions { from, earlier: Some(earlier), ..options };
        } else if let Some(known) = self.job.known {
            request = conditional(request, known);
        }
        Download::new(self.errand.client.clone(), request, options).classify(self.errand.classify)
    }

    fn origin_of(&self, head: &HeaderMap, total: Option<u64>, version: Version) -> Origin {
        let errand = &self.errand;
        let content_type = head.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let named = name::file_name(head).and_then(|name| name::safe_name(&name));
        let listed = || errand.listed.as_deref().and_then(name::safe_name);
        let is_named = named.is_some();
        let name = named.or_else(listed).unwrap_or_else(|| name::fallback(&errand.stem, content_type));
        Origin { name, named: is_named, version, total, shown: total }
    }

    /// Writes into the record what the content is of that comes now.
    fn note_origin(&mut self) {
        let record = &mut self.job.part.resume;
        record.forget_content();
        record.name = Some(self.origin.name.clone());
        record.set_version(&self.origin.version);
        record.total = self.origin.total;
    }

    /// What came in place of a file.
    async fn page(&mut self, download: &mut Download) -> Trouble {
        let mut start = BytesMut::new();
        while let Ok(Some(Event::Data(bytes))) = download.next().await {
            let room = PAGE_MAX.saturating_sub(start.len());
            start.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if start.len() == PAGE_MAX {
                break;
            }
        }
        Trouble::Kept(self.way.page(&start))
    }

    /// Whether an answer says that nothing has changed, and was asked to.
    fn is_same(&self, answer: &Response) -> bool {
        answer.status == StatusCode::NOT_MODIFIED && self.job.known.is_some()
    }

    fn stopped(&self) -> Trouble {
        Trouble::Kept(SourceError::Cancelled { item: self.errand.item.id.clone() })
    }

    fn tell(&mut self, at_once: bool) {
        let now = Instant::now();
        if !at_once && self.told.is_some_and(|told| now.duration_since(told) < TELL_EVERY) {
            return;
        }
        self.told = Some(now);
        let mark = self.marks.get();
        let total = match &mark.member {
            Some(member) => Some(member.size),
            None => self.origin.shown,
        };
        self.job.watcher.progress(Progress { stage: Stage::Bringing, bytes: mark.now, total });
    }

    async fn keep_if_marked(&mut self) -> Result<(), Trouble> {
        if self.take_mark() { self.keep().await } else { Ok(()) }
    }

    /// Brings the record up to the last mark. False if it was so already.
    fn take_mark(&mut self) -> bool {
        if self.marks.number() == self.kept {
            return false;
        }
        let mark = self.marks.get();
        self.kept = mark.number;
        if mark.body != self.bodies {
            return false;
        }
        let record = &mut self.job.part.resume;
        (record.len, record.prefix) = (mark.len, mark.prefix);
        record.packing =
            mark.member.map(|member| Packing { name: member.name, size: member.size, offset: member.offset });
        true
    }

    async fn keep(&mut self) -> Result<(), Trouble> {
        let kept = self.job.watcher.keep(&self.job.part.resume).await;
        let item = &self.errand.item.id;
        kept.map_err(|source| Trouble::Kept(SourceError::NotKept { item: item.clone(), source }))
    }

    /// Brings the ends of both sides together.
    async fn conclude(
        mut self,
        carried: Result<bool, Trouble>,
        written: Result<Written, tokio::task::JoinError>,
    ) -> Result<Outcome, SourceError> {
        let item = self.errand.item.id.clone();
        let written =
            written.map_err(|error| SourceError::Part { item: item.clone(), source: std::io::Error::other(error) })?;
        if !matches!(carried, Ok(false)) {
            self.take_mark();
        }
        let trouble = match (written.result, carried) {
            (Err(error), _) => failure::of_decoder(error, &written.decoder, &item),
            (Ok(()), Err(trouble)) => trouble,
            (Ok(()), Ok(false)) => return Ok(Outcome::Same),
            (Ok(()), Ok(true)) => {
                self.tell(true);
                let validators = validators(&self.origin.version, written.sink.len);
                let Written { sink, decoder, .. } = written;
                return Ok(Outcome::All(Box::new(Arrived {
                    sink,
                    decoder,
                    name: self.origin.name,
                    named: self.origin.named,
                    validators,
                })));
            }
        };
        let error = match trouble {
            Trouble::Kept(error) => error,
            Trouble::Spoiled(error) => {
                self.job.part.resume.forget_content();
                error
            }
            Trouble::WriterGone => SourceError::Part { item, source: std::io::ErrorKind::BrokenPipe.into() },
        };
        // The error at hand is worth more than that of storing the record.
        let _ = self.job.watcher.keep(&self.job.part.resume).await;
        Err(error)
    }
}

async fn send(orders: &mpsc::Sender<Order>, order: Order) -> Result<(), Trouble> {
    orders.send(order).await.map_err(|_| Trouble::WriterGone)
}

fn validators(version: &Version, size: u64) -> Validators {
    let text = |value: &Option<HeaderValue>| value.as_ref().and_then(|value| value.to_str().ok()).map(str::to_owned);
    Validators {
        etag: text(&version.etag),
        last_modified: text(&version.last_modified),
        size: Some(size),
        changed: None,
    }
}

/// A request that is answered 304 if the file is still the known one.
fn conditional(request: Request, known: &Validators) -> Request {
    let value = |text: &Option<String>| text.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
    match (value(&known.etag), value(&known.last_modified)) {
        (Some(etag), _) => request.header(header::IF_NONE_MATCH, etag),
        (None, Some(date)) => request.header(header::IF_MODIFIED_SINCE, date),
        (None, None) => request,
    }
}

/// Whether an answer is that of the known file, for a server that does not compare by itself: by the validators, or by
/// the size where neither side has any other.
pub(crate) fn is_known(head: &HeaderMap, known: &Validators) -> bool {
    let now = Version::of(head);
    let text = |value: &Option<HeaderValue>| value.as_ref().and_then(|value| value.to_str().ok()).map(str::to_owned);
    match (&known.etag, text(&now.etag)) {
        (Some(was), Some(is)) => return *was == is,
        (Some(_), None) | (None, Some(_)) => return false,
        (None, None) => {}
    }
    match (&known.last_modified, text(&now.last_modified)) {
        (Some(was), Some(is)) => return *was == is,
        (Some(_), None) | (None, Some(_)) => return false,
        (None, None) => {}
    }
    length(head).is_some_and(|length| known.size == Some(length))
}

/// The length an answer announces.
pub(crate) fn length(head: &HeaderMap) -> Option<u64> {
    head.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The hash and size of what arrived.
pub(crate) fn sum(sink: &Sink) -> (u64, ContentHash) {
    (sink.len, sink.hash())
}

/// What a record says of the content it counts.
impl Resume {
    fn version(&self) -> Version {
        let value = |text: &Option<String>| text.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
        Version {
            etag: value(&self.validators.etag),
            last_modified: value(&self.validators.last_modified),
            settled: self.settled,
        }
    }

    fn set_version(&mut self, version: &Version) {
        self.validators = Validators { size: None, ..validators(version, 0) };
        self.settled = version.settled;
    }
}
