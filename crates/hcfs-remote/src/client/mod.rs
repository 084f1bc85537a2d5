//! The trait over HTTP: how requests are made, sent, tried again, and their answers read.

mod batch;
mod feed;
mod files;
mod folders;
mod login;
mod token;
mod upload;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hcfs_http::{
    Backoff, BaseUrl, Client, HeaderMap, HeaderName, HttpError, HttpErrorKind, Method, Outcome, Request, Response,
    RetryPolicy, StatusCode, Url, Verdict, header, retry_after, transient,
};
use hcfs_model::{AccountAddress, FileId, FolderHash, FolderLabel, Revision, UnixNanos};
use hcfs_wire::{
    Failure, Health, Manifest, RenameFiles, SessionId, SessionOpen, SessionStatus, StateTag, limits, read_answer,
    read_failure,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::remote::{
    BatchBlob, BatchUpload, Deleted, Download, Expected, Extensions, FolderChanges, FolderSummary, ListingPage,
    OpenedSession, Remote, RenameOutcome, Uploaded, WantedBlob, without_extension,
};
use crate::{RemoteError, RemoteErrorKind};

pub(crate) use batch::not_wanted;
pub(crate) use files::outcome_of;
pub use login::LoginError;
pub use token::{Token, TokenError};

/// How often an answer whose body was cut is asked for again.
const BODY_ATTEMPTS: u32 = 3;
/// How long a server may take to put a large blob together before it answers.
const SLOW_ANSWER: Duration = Duration::from_secs(600);
/// How long what a server said of itself counts: it may be another version by then.
const HEALTH_AGE: Duration = Duration::from_secs(60 * 60);

/// An account on a server that is spoken to over HTTP.
pub struct HcfsRemote {
    http: Client,
    base: BaseUrl,
    account: AccountAddress,
    token: Token,
    policy: RetryPolicy,
    /// What the server said last of itself, and when.
    health: Mutex<Option<(Instant, Arc<Health>)>>,
}

/// A request that is about something.
struct Ask {
    request: Request,
    /// What it is about, for its errors.
    object: Arc<str>,
    /// Whether it changes something, and may have done so although its answer was lost.
    changes: bool,
    /// The largest answer that is read, in bytes.
    limit: usize,
}

/// An answer that was read to its end.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl HcfsRemote {
    /// An account on the server at `base`. Nothing is sent yet.
    #[must_use]
    pub fn new(http: Client, base: BaseUrl, account: AccountAddress, token: Token) -> Self {
        Self { http, base, account, token, policy: RetryPolicy::default(), health: Mutex::new(None) }
    }

    /// Tries requests again by another policy than the default one.
    #[must_use]
    pub fn with_policy(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> &AccountAddress {
        &self.account
    }

    /// A request to an endpoint, with the token. It follows no redirects, so the token goes nowhere else.
    fn ask(&self, method: Method, path: &[&str], object: String) -> Result<Ask, RemoteError> {
        let url = self.url(path, &object)?;
        Ok(self.ask_at(method, url, object))
    }

    fn ask_at(&self, method: Method, url: Url, object: String) -> Ask {
        Ask {
            request: Request::new(method, url).credential(header::AUTHORIZATION, self.token.bearer()),
            object: object.into(),
            changes: false,
            limit: limits::MAX_SMALL_BODY,
        }
    }

    fn url(&self, path: &[&str], object: &str) -> Result<Url, RemoteError> {
        self.base
            .join(path.iter().copied())
            .map_err(|error| RemoteError::new(RemoteErrorKind::Local, object, error.to_string()))
    }

    /// Sends a request, tries again where that is safe, and reads the payload of its answer.
    async fn payload<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, RemoteError> {
        let answer = self.answer(&ask).await?;
        let payload = read_answer(answer.status.as_u16(), &answer.body, ask.limit);
        payload.map_err(|failure| ask.failed(failure, &answer.headers))
    }

    /// Sends a request, tries again where that is safe, and reads its answer, whatever it is.
    async fn answer(&self, ask: &Ask) -> Result<Answer, RemoteError> {
        let mut backoff = Backoff::new(RetryPolicy { attempts: BODY_ATTEMPTS, ..self.policy });
        loop {
            let response = self.send(&ask.request).await.map_err(|error| ask.lost(error))?;
            let error = match read(response, ask.limit).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let again = ask.request.is_idempotent() && error.is_transient();
            match backoff.next().filter(|_| again) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(ask.lost(error)),
            }
        }
    }

    /// Sends a request and tries again where that is safe (protocol §4).
    async fn send(&self, request: &Request) -> Outcome {
        self.http.send_with_retry(request, &self.policy, verdict).await
    }

    /// What the server said of itself, asked for once in a while.
    async fn known_health(&self) -> Result<Arc<Health>, RemoteError> {
        let known = self.health.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some((at, health)) if at.elapsed() < HEALTH_AGE => Ok(health),
            _ => self.fetch_health().await,
        }
    }

    async fn known_extensions(&self) -> Result<Extensions, RemoteError> {
        self.known_health().await.map(|health| Extensions::of(&health))
    }

    async fn must_have(&self, capability: &str, object: &str) -> Result<(), RemoteError> {
        if self.has(capability).await? { Ok(()) } else { Err(without_extension(object.to_owned())) }
    }

    /// The answer of an endpoint that not every server has: where it is gone, the server is another one now, and is
    /// asked anew what it can do.
    fn extended<T>(&self, answer: Result<T, RemoteError>) -> Result<T, RemoteError> {
        if matches!(&answer, Err(error) if matches!(error.status, Some(404 | 405 | 501))) {
            *self.health.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        answer
    }

    async fn has(&self, capability: &str) -> Result<bool, RemoteError> {
        Ok(self.known_health().await?.has(capability))
    }

    fn check_account(&self, echoed: &AccountAddress, object: &str) -> Result<(), RemoteError> {
        if *echoed == self.account {
            return Ok(());
        }
        Err(RemoteError::new(RemoteErrorKind::Inconsistent, object, "the answer is about another account"))
    }
}

/// Only the wait after a `Retry-After` date from a server without a clock depends on the time here; it is bounded.
const NO_CLOCK: UnixNanos = UnixNanos(0);

fn verdict(outcome: &Outcome) -> Verdict {
    transient(outcome, NO_CLOCK)
}

impl Ask {
    fn idempotent(mut self) -> Self {
        self.request = self.request.idempotent();
        self
    }

    fn changing(mut self) -> Self {
        self.changes = true;
        self
    }

    fn at_most(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    fn header(mut self, name: &'static str, value: &str) -> Result<Self, RemoteError> {
        let value = value.parse().map_err(|_| self.local("a header cannot be written"))?;
        self.request = self.request.header(HeaderName::from_static(name), value);
        Ok(self)
    }

    fn json<T: Serialize>(mut self, body: &T) -> Result<Self, RemoteError> {
        let body = serde_json::to_vec(body).map_err(|error| self.local(error.to_string()))?;
        let json = header::HeaderValue::from_static("application/json");
        self.request = self.request.header(header::CONTENT_TYPE, json).body(body);
        Ok(self)
    }

    fn bytes(mut self, body: impl Into<hcfs_http::Body>, content_type: header::HeaderValue) -> Self {
        self.request = self.request.header(header::CONTENT_TYPE, content_type).body(body);
        self
    }

    fn lost(&self, error: HttpError) -> RemoteError {
        RemoteError::of_http(error, &*self.object, self.changes)
    }

    fn failed(&self, failure: Failure, headers: &HeaderMap) -> RemoteError {
        let mut error = RemoteError::of_failure(failure, &*self.object, self.changes);
        error.retry_after = retry_after(headers, NO_CLOCK);
        error
    }

    fn local(&self, message: impl Into<Box<str>>) -> RemoteError {
        RemoteError::new(RemoteErrorKind::Local, &*self.object, message)
    }

    fn inconsistent(&self, message: impl Into<Box<str>>) -> RemoteError {
        RemoteError::new(RemoteErrorKind::Inconsistent, &*self.object, message)
    }
}

/// Reads an answer's body; that of a failure only as far as an envelope can be long.
async fn read(response: Response, limit: usize) -> Result<Answer, HttpError> {
    let Response { status, headers, body, .. } = response;
    if status.is_success() {
        let body = body.collect_bounded(limit as u64).await?;
        return Ok(Answer { status, headers, body });
    }
    let body = match body.collect_bounded(limits::MAX_ERROR_BODY as u64).await {
        // Far too long for an envelope: some page.
        Err(error) if matches!(error.kind, HttpErrorKind::TooLarge(_)) => Bytes::from_static(b"<"),
        body => body?,
    };
    Ok(Answer { status, headers, body })
}

/// What a response that is no success says.
async fn refusal(ask: &Ask, response: Response) -> RemoteError {
    match read(response, ask.limit).await {
        Ok(answer) => ask.failed(read_failure(answer.status.as_u16(), &answer.body), &answer.headers),
        Err(error) => ask.lost(error),
    }
}

#[async_trait]
impl Remote for HcfsRemote {
    async fn health(&self) -> Result<Health, RemoteError> {
        self.fetch_health().await.map(|health| Health::clone(&health))
    }

    async fn register_folder(&self, label: &FolderLabel, device: &str) -> Result<(), RemoteError> {
        self.register(label, device).await
    }

    async fn folders(&self) -> Result<Vec<FolderSummary>, RemoteError> {
        self.list_folders().await
    }

    async fn unregister_folder(&self, folder: FolderHash) -> Result<u64, RemoteError> {
        self.unregister(folder).await
    }

    async fn listing_page(
        &self,
        folder: FolderHash,
        offset: u64,
        limit: u32,
        tag: Option<&StateTag>,
    ) -> Result<ListingPage, RemoteError> {
        self.get_state(folder, offset, limit, tag).await
    }

    async fn probe(&self, folder: FolderHash, file: FileId) -> Result<Option<Revision>, RemoteError> {
        self.current_revision(folder, file).await
    }

    async fn download(
        &self,
        folder: FolderHash,
        file: FileId,
        expected: &Expected,
        bytes: Option<std::ops::Range<u64>>,
    ) -> Result<Download, RemoteError> {
        self.fetch(folder, file, expected, bytes).await
    }

    async fn upload(&self, manifest: &Manifest, blob: Bytes) -> Result<Uploaded, RemoteError> {
        self.send_whole(manifest, blob).await
    }

    async fn open_session(&self, open: &SessionOpen) -> Result<OpenedSession, RemoteError> {
        self.open(open).await
    }

    async fn put_part(&self, session: &SessionId, index: u32, part: Bytes) -> Result<(), RemoteError> {
        self.send_part(session, index, part).await
    }

    async fn session_status(&self, session: &SessionId) -> Result<SessionStatus, RemoteError> {
        self.status_of(session).await
    }

    async fn finalize(&self, session: &SessionId, manifest: &Manifest) -> Result<Uploaded, RemoteError> {
        self.commit(session, manifest).await
    }

    async fn abort_session(&self, session: &SessionId) -> Result<(), RemoteError> {
        self.drop_session(session).await
    }

    async fn delete(&self, folder: FolderHash, file: FileId, expected: Revision) -> Result<Deleted, RemoteError> {
        self.delete_revision(folder, file, expected).await
    }

    async fn rename(&self, request: &RenameFiles) -> Result<RenameOutcome, RemoteError> {
        self.rename_files(request).await
    }

    async fn extensions(&self) -> Result<Extensions, RemoteError> {
        self.known_extensions().await
    }

    async fn changes(
        &self,
        folder: FolderHash,
        after: Option<u64>,
        wait: Duration,
    ) -> Result<FolderChanges, RemoteError> {
        self.wait_for_changes(folder, after, wait).await
    }

    async fn upload_batch(&self, uploads: &[BatchUpload]) -> Result<Vec<Result<Uploaded, RemoteError>>, RemoteError> {
        self.send_batch(uploads).await
    }

    async fn download_batch(
        &self,
        folder: FolderHash,
        files: &[WantedBlob],
        first_bytes: Option<u64>,
    ) -> Result<Vec<Result<BatchBlob, RemoteError>>, RemoteError> {
        self.fetch_batch(folder, files, first_bytes).await
    }
}
