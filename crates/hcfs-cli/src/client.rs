//! The client of the daemon's socket: HTTP/1.1, one connection a request.
//!
//! Invariants: no answer is taken into memory without a bound; a body that ends early is an error; a daemon that stays
//! silent where it never has to think is one that cannot be reached. Deliberately absent: repetition, since the socket is
//! on the same machine and a request that failed is the user's to repeat.

mod content;
pub(crate) mod events;
pub(crate) mod lines;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use hcfs_api::{ApiError, Done, ErrorBody, ErrorCode, routes};
use http_body_util::{BodyExt as _, Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use crate::error::CliError;
pub(crate) use content::FileBody;

/// The largest answer that is taken into memory, in bytes: a plan cut at its highest limit is far smaller.
const ANSWER_MAX: usize = 256 * 1024 * 1024;
/// The largest answer that is an error, in bytes.
const ERROR_MAX: usize = 64 * 1024;
/// How long the daemon may take for the head of an answer it has at hand.
const AT_HAND: Duration = Duration::from_secs(15);

/// What a request carries.
pub(crate) type RequestBody = Either<Full<Bytes>, FileBody>;

/// The daemon at a socket.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    socket: PathBuf,
    at_hand: Duration,
}

impl Client {
    pub(crate) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), at_hand: AT_HAND }
    }

    /// One that waits for nothing.
    #[cfg(test)]
    pub(crate) fn impatient(socket: &Path) -> Self {
        Self { at_hand: Duration::from_millis(10), ..Self::new(socket) }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The answer of a `GET`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, CliError> {
        let request = head(Method::GET, route, Full::default())?;
        self.json(request, self.patience(route)).await
    }

    /// Tells the daemon to do something.
    pub(crate) async fn post<T: DeserializeOwned>(&self, route: &str) -> Result<T, CliError> {
        self.json(head(Method::POST, route, Full::default())?, None).await
    }

    /// Tells the daemon to do something that takes words of its own.
    pub(crate) async fn post_json<T: DeserializeOwned>(
        &self,
        route: &str,
        body: &impl Serialize,
    ) -> Result<T, CliError> {
        // A password may be among it.
        let body = Zeroizing::new(serde_json::to_vec(body).map_err(|error| odd(&error.to_string()))?);
        let mut request = head(Method::POST, route, Full::new(Bytes::copy_from_slice(&body)))?;
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.json(request, None).await
    }

    pub(crate) async fn delete(&self, route: &str) -> Result<Done, CliError> {
        self.delete_json(route).await
    }

    /// As [`Client::delete`], with what the daemon says of it.
    pub(crate) async fn delete_json<T: DeserializeOwned>(&self, route: &str) -> Result<T, CliError> {
        self.json(head(Method::DELETE, route, Full::default())?, None).await
    }

    /// The elements of a paged list, all of them.
    pub(crate) async fn pages<T: DeserializeOwned>(
        &self,
        route: impl Fn(u64, usize) -> String,
    ) -> Result<Vec<T>, CliError> {
        let mut all = Vec::new();
        let mut after = 0;
        loop {
            let page: hcfs_api::Page<T> = self.get(&route(after, hcfs_api::Page::<T>::MAX)).await?;
            all.extend(page.items);
            match page.next {
                Some(next) if next > after => after = next,
                Some(_) => return Err(odd("a list does not go on")),
                None => return Ok(all),
            }
        }
    }

    async fn json<T: DeserializeOwned>(
        &self,
        request: Request<RequestBody>,
        within: Option<Duration>,
    ) -> Result<T, CliError> {
        let body = self.send(request, within).await?.into_body();
        let bytes = collect(body, ANSWER_MAX).await?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(value),
            Err(error) => Err(self.other_version().await.unwrap_or_else(|| odd(&error.to_string()))),
        }
    }

    /// The answer to a request, once its head says that it succeeded.
    pub(crate) async fn send(
        &self,
        request: Request<RequestBody>,
        within: Option<Duration>,
    ) -> Result<Response<Incoming>, CliError> {
        let asked = self.ask(request);
        let response = match within {
            None => asked.await?,
            Some(within) => tokio::time::timeout(within, asked).await.map_err(|_| {
                let silent = io::Error::new(io::ErrorKind::TimedOut, format!("silent for {} s", within.as_secs()));
                self.unreachable(Some(silent.into()))
            })??,
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let bytes = collect(response.into_body(), ERROR_MAX).await?;
        match serde_json::from_slice::<ErrorBody>(&bytes) {
            Ok(ErrorBody { error }) => Err(error.into()),
            Err(_) => Err(odd(&format!("status {status} without an error"))),
        }
    }

    /// That the daemon is of another version, if it is: asked when an answer was not understood.
    pub(crate) async fn other_version(&self) -> Option<CliError> {
        let own = env!("CARGO_PKG_VERSION");
        let asked = self.send(head(Method::GET, routes::STATUS, Full::default()).ok()?, Some(self.at_hand));
        let status = collect(asked.await.ok()?.into_body(), ANSWER_MAX).await.ok()?;
        // Of a version that is not known nothing but this much is taken for granted.
        let status: serde_json::Value = serde_json::from_slice(&status).ok()?;
        let theirs = status["daemon"]["version"].as_str().filter(|theirs| *theirs != own)?;
        let message =
            format!("the daemon is version {theirs} and this program {own}: they do not understand each other");
        let hint = "update the older of the two, and restart the daemon";
        Some(CliError::Api(ApiError::new(ErrorCode::Internal, message, hint)))
    }

    async fn ask(&self, request: Request<RequestBody>) -> Result<Response<Incoming>, CliError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.not_connected(error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(error))?;
        // Ends with the answer's body, or with the connection; its error reaches whoever waits for either.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| self.broken(error))
    }

    /// How long the head of an answer may take: routes that reach no folder are answered at once.
    fn patience(&self, route: &str) -> Option<Duration> {
        [routes::STATUS, routes::FOLDERS, routes::SOURCES, routes::ACCOUNT].contains(&route).then_some(self.at_hand)
    }

    fn not_connected(&self, error: io::Error) -> CliError {
        match error.kind() {
            io::ErrorKind::PermissionDenied => CliError::Api(ApiError::new(
                ErrorCode::Permission,
                format!("the socket \"{}\" is another user's", self.socket.display()),
                "run the command as the user the daemon runs as",
            )),
            // The queue of connections that wait is full.
            io::ErrorKind::WouldBlock => {
                CliError::Api(ApiError::new(ErrorCode::Busy, "the daemon is busy with other programs", "try again"))
            }
            _ => self.unreachable(Some(error.into())),
        }
    }

    /// The connection ended before there was an answer.
    fn broken(&self, error: hyper::Error) -> CliError {
        match content::of_file(&error) {
            Some(error) => error,
            None => self.unreachable(Some(error.into())),
        }
    }

    pub(crate) fn unreachable(&self, source: Option<Box<dyn std::error::Error + Send + Sync>>) -> CliError {
        CliError::NoDaemon { socket: self.socket.clone(), source }
    }
}

/// Whether a daemon listens at the socket.
pub async fn is_reachable(socket: &Path) -> bool {
    UnixStream::connect(socket).await.is_ok()
}

/// A request without what is special to it.
fn head(method: Method, route: &str, body: Full<Bytes>) -> Result<Request<RequestBody>, CliError> {
    request(method, route, Either::Left(body), [])
}

pub(crate) fn request<const N: usize>(
    method: Method,
    route: &str,
    body: RequestBody,
    headers: [(HeaderName, HeaderValue); N],
) -> Result<Request<RequestBody>, CliError> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = route.parse().map_err(|error| odd(&format!("\"{route}\" is no route: {error}")))?;
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
    request.headers_mut().extend(headers.into_iter().map(|(name, value)| (Some(name), value)));
    Ok(request)
}

async fn collect(body: Incoming, max: usize) -> Result<Bytes, CliError> {
    match Limited::new(body, max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(odd(&format!("an answer of more than {max} bytes"))),
        Err(_) => Err(cut()),
    }
}

/// The answer is none this program understands.
pub(crate) fn odd(what: &str) -> CliError {
    let message = format!("the daemon's answer is not understood: {what}");
    CliError::Api(ApiError::new(ErrorCode::Internal, message, "restart the daemon: it may be of another version"))
}

/// The answer ended before its end.
pub(crate) fn cut() -> CliError {
    CliError::Api(ApiError::new(
        ErrorCode::Stopped,
        "the daemon broke off its answer",
        "see `hcfs status`, and try again",
    ))
}
