//! The client: one pool, one set of deadlines and limits, shared by clones.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HeaderValue, USER_AGENT as USER_AGENT_HEADER};
use http::{HeaderMap, Method};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, sleep_until};

use crate::body::{BodyStream, Response, Terms};
use crate::connect::{self, CertificateDer, Connector};
use crate::error::{ConnectFailure, HttpError, HttpErrorKind, Sent};
use crate::rate::RateLimit;
use crate::redirect;
use crate::request::{Body, Deadlines, Request};
use crate::upload::{Phase, UploadBody, Watch, later, wake_at};

/// How this client names itself.
pub const USER_AGENT: &str = concat!("hcfs/", env!("CARGO_PKG_VERSION"));

/// Connections kept open per server.
const IDLE_PER_HOST: usize = 16;
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// HTTP/2 windows: what a server may send ahead, in bytes. The default of 64 KiB costs two thirds of the speed.
const WINDOW: u32 = 16 * 1024 * 1024;
const FRAME: u32 = 256 * 1024;
/// How often an HTTP/2 connection in use is asked whether it lives.
const PING: Duration = Duration::from_secs(20);

/// How a [`Client`] is made.
#[derive(Clone, Default)]
pub struct ClientConfig {
    /// Root certificates accepted besides the system's, for an authority of one's own.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Deadlines of requests that set none.
    pub deadlines: Deadlines,
    /// The limit of all bodies sent.
    pub upload: RateLimit,
    /// The limit of all bodies received.
    pub download: RateLimit,
}

/// An HTTP client. Clones share the pool. Needs a tokio runtime with time and I/O to send.
#[derive(Clone)]
pub struct Client {
    pool: legacy::Client<Connector, UploadBody>,
    deadlines: Deadlines,
    upload: RateLimit,
    download: RateLimit,
    no_roots: Option<Arc<str>>,
}

impl Client {
    /// A client; nothing is connected yet.
    ///
    /// # Errors
    /// [`HttpErrorKind::Setup`] if a root certificate cannot be read. A machine without root certificates is no
    /// error: plain http to itself works there, and https says what is missing.
    pub fn new(config: ClientConfig) -> Result<Self, HttpError> {
        let tls = connect::tls(config.extra_roots)?;
        let connector = connect::connector(tls.config, config.deadlines.connect);
        let pool = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .http2_initial_connection_window_size(WINDOW)
            .http2_initial_stream_window_size(WINDOW)
            .http2_max_frame_size(FRAME)
            .http2_keep_alive_interval(PING)
            .http2_keep_alive_timeout(PING)
            .build(connector);
        Ok(Self {
            pool,
            deadlines: config.deadlines,
            upload: config.upload,
            download: config.download,
            no_roots: tls.no_roots,
        })
    }

    /// The limit of all bodies sent.
    pub fn upload_limit(&self) -> &RateLimit {
        &self.upload
    }

    /// The limit of all bodies received.
    pub fn download_limit(&self) -> &RateLimit {
        &self.download
    }

    /// Sends a request once, and waits for the head of the answer. Any status is an answer, not an error.
    /// Redirects are answers too, unless the request [follows](Request::follow_redirects) them.
    ///
    /// # Errors
    /// The kind tells what failed, [`HttpError::sent`] whether the server may have seen the request.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        if request.follow { redirect::follow(self, request).await } else { self.exchange(&request).await }
    }

    /// One request, one answer.
    pub(crate) async fn exchange(&self, request: &Request) -> Result<Response, HttpError> {
        let origin = request.url.origin();
        if let Some(reason) = self.no_roots.as_deref().filter(|_| origin.is_https()) {
            return Err(HttpError::new(HttpErrorKind::Setup, Sent::No, origin).because(reason));
        }
        let deadlines = request.deadlines.unwrap_or(self.deadlines);
        let start = Instant::now();
        let total = deadlines.total.map(|allowed| (later(start, allowed), allowed));
        let (body, watch) = UploadBody::open(&request.body, self.upload.clone(), request.sent.clone());
        let mut outgoing = http::Request::new(body);
        *outgoing.method_mut() = request.method.clone();
        *outgoing.uri_mut() = request.url.uri().clone();
        *outgoing.headers_mut() = headers(request);
        let mut connection = capture_connection(&mut outgoing);
        let mut answer = pin!(self.pool.request(outgoing));
        let connected = async { drop(connection.wait_for_connection_metadata().await) };

        let connect_at = later(start, deadlines.connect);
        let early = tokio::select! {
            biased;
            result = &mut answer => Some(result),
            () = connected => None,
            () = sleep_until(connect_at) => {
                let kind = HttpErrorKind::Connect(ConnectFailure::Timeout);
                return Err(HttpError::new(kind, Sent::No, origin));
            }
            () = until(total) => return Err(overdue(total, Sent::No, request)),
        };
        let result = match early {
            Some(result) => result,
            None => {
                watch.connected(Instant::now());
                tokio::select! {
                    biased;
                    result = &mut answer => result,
                    kind = peer_silent(&watch, &deadlines) => return Err(HttpError::new(kind, Sent::Maybe, origin)),
                    () = until(total) => return Err(overdue(total, Sent::Maybe, request)),
                }
            }
        };
        let answer = result.map_err(|error| match watch.take_error() {
            Some(source) => HttpError::new(HttpErrorKind::RequestBody, Sent::Maybe, origin).because(source),
            None => HttpError::from_client(error, origin),
        })?;
        let (head, body) = answer.into_parts();
        let terms = Terms {
            url: request.url.clone(),
            stall: deadlines.stall,
            total,
            limit: self.download.clone(),
            meter: request.received.clone(),
        };
        let body = BodyStream::new(body, terms);
        Ok(Response { status: head.status, headers: head.headers, url: request.url.clone(), body })
    }
}

fn headers(request: &Request) -> HeaderMap {
    let mut headers = request.headers.clone();
    headers.entry(USER_AGENT_HEADER).or_insert(HeaderValue::from_static(USER_AGENT));
    // Nothing here decompresses, and ranges count the bytes as they are stored.
    headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
    // The length of the body alone decides it.
    headers.remove(CONTENT_LENGTH);
    let announces = [Method::POST, Method::PUT, Method::PATCH].contains(&request.method);
    if announces && matches!(request.body, Body::Empty | Body::Stream { len: Some(0), .. }) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    headers
}

/// Returns when the peer has been silent for too long, with the deadline it missed.
async fn peer_silent(watch: &Watch, deadlines: &Deadlines) -> HttpErrorKind {
    loop {
        let phase = watch.phase();
        let wake = wake_at(phase, deadlines.stall, deadlines.first_byte, Instant::now());
        if wake <= Instant::now() {
            match phase {
                Phase::Connection | Phase::Ours => {}
                Phase::Peer(_) => return HttpErrorKind::Stall(deadlines.stall),
                Phase::Done(_) => return HttpErrorKind::FirstByteTimeout(deadlines.first_byte),
            }
        }
        tokio::select! {
            () = sleep_until(wake) => {}
            () = watch.done() => {}
        }
    }
}

async fn until(total: Option<(Instant, Duration)>) {
    match total {
        Some((at, _)) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn overdue(total: Option<(Instant, Duration)>, sent: Sent, request: &Request) -> HttpError {
    let allowed = total.map(|(_, allowed)| allowed).unwrap_or_default();
    HttpError::new(HttpErrorKind::TotalTimeout(allowed), sent, request.url.origin())
}
